//! The promises, one row each.

use std::time::Duration;

use caravan_lab::{AddOn, Lab, Role};

use super::context::Context;
use super::findings::Findings;
use super::{
    Depth, Options, add_ons, balancers, clocks, endpoint, etcd_client, etcd_cluster, etcd_pairs,
    forged, images, impostor, isolation, keys, kubelets, limits, names, nodes, pods, quorum,
    refusals, settings, strangers, tokens, units,
};

/// One promise.
pub(super) struct Row {
    /// Its name, for programs.
    pub(super) id: &'static str,
    /// The promise, in a sentence.
    pub(super) promise: &'static str,
    /// Whether the lab file asks for what it is about; labs that do not, do not hear of it.
    pub(super) asked: fn(&Lab) -> bool,
    /// From which depth on it is tested.
    pub(super) depth: Depth,
    /// Why the lab does not make it; `None` when it does.
    pub(super) unless: fn(&Lab, &Options) -> Option<String>,
    /// How long the test may take; one that breaks something sees to that itself, and is waited for.
    pub(super) limit: Duration,
    /// Tests it. `Err` says why it could not be tested.
    pub(super) run: fn(&Context) -> Result<Findings, String>,
}

fn never(_: &Lab, _: &Options) -> Option<String> {
    None
}

fn without_balancers(lab: &Lab, _: &Options) -> Option<String> {
    (!lab.has_load_balancers()).then(|| {
        let master = &lab.first_master().name;
        format!("the lab has no load balancers; its endpoint is `{master}`")
    })
}

fn without_second_balancer(lab: &Lab, options: &Options) -> Option<String> {
    without_balancers(lab, options).or_else(|| {
        (lab.of_role(Role::LoadBalancer).count() < 2)
            .then(|| "the lab has one load balancer, and no other to take over".to_owned())
    })
}

fn with_fewer_than_three_members(lab: &Lab, _: &Options) -> Option<String> {
    let count = lab.of_role(Role::Etcd).count();
    (count < 3).then(|| format!("the lab has {count} etcd member, which nothing can stand in for"))
}

fn with_a_way_out(_: &Lab, options: &Options) -> Option<String> {
    (!options.airgap).then(|| "the lab was made with a way out".to_owned())
}

fn with_one_node(lab: &Lab, _: &Options) -> Option<String> {
    let nodes = lab.machines().iter().filter(|it| it.role.is_node()).count();
    (nodes < 2).then(|| "the lab has one node".to_owned())
}

fn without_pods(lab: &Lab, options: &Options) -> Option<String> {
    if options.probe_image.is_none() {
        return Some("no probe image was named to make test pods of".to_owned());
    }
    with_one_node(lab, options)
}

fn has_marks(lab: &Lab) -> bool {
    let mut machines = lab.machines().iter();
    machines.any(|it| !it.labels.is_empty() || !it.taints.is_empty())
}

fn without_volume_image(_: &Lab, options: &Options) -> Option<String> {
    let unknown = options.volume_image.is_none();
    unknown.then(|| "no image was named to make pods with a volume of".to_owned())
}

const SHORT: Duration = Duration::from_secs(60);
const PODS: Duration = Duration::from_secs(120);
const OUTAGE: Duration = Duration::from_secs(240);

type Unless = fn(&Lab, &Options) -> Option<String>;
type Run = fn(&Context) -> Result<Findings, String>;

const fn row(
    id: &'static str,
    promise: &'static str,
    (depth, unless, limit): (Depth, Unless, Duration),
    run: Run,
) -> Row {
    Row {
        id,
        promise,
        asked: |_| true,
        depth,
        unless,
        limit,
        run,
    }
}

/// A promise of labs that ask for it.
const fn row_of(
    asked: fn(&Lab) -> bool,
    id: &'static str,
    promise: &'static str,
    when: (Depth, Unless, Duration),
    run: Run,
) -> Row {
    Row {
        asked,
        ..row(id, promise, when, run)
    }
}

const QUICK: (Depth, Unless, Duration) = (Depth::Quick, never, SHORT);
const FULL: (Depth, Unless, Duration) = (Depth::Full, never, SHORT);

/// All promises, in the order in which they are reported.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("machines-run", "every machine's bootstrap is done, what the machine is there for runs, and no unit has failed",
        QUICK, units::run),
    row("node-addresses", "every machine with a kubelet is a ready node under its lab address, and no other is",
        QUICK, nodes::addresses),
    row("control-plane-endpoint", "kubeadm, kube-proxy and joining machines are told the lab's endpoint",
        QUICK, endpoint::published),
    row("api-etcd-endpoints", "every API server is told all etcd members, by TLS",
        QUICK, nodes::etcd_endpoints),
    row("etcd-one-cluster", "all etcd members are in one cluster with one leader",
        QUICK, etcd_cluster::one_cluster),
    row("etcd-members", "the etcd cluster's members are the lab's, and all of them vote",
        QUICK, etcd_cluster::members),
    row("etcd-same-revision", "all etcd members have the same data at the same revision",
        QUICK, etcd_cluster::same_revision),
    row("etcd-server-certificates", "every etcd member serves a certificate and key of its own, from etcd's CA, for its own names",
        QUICK, etcd_pairs::servers),
    row("write-through-endpoint", "a write through the endpoint is read on every master",
        QUICK, endpoint::write_through),
    row("vip-owner", "exactly one machine has the virtual address, and it is a load balancer",
        (Depth::Quick, without_balancers, SHORT), balancers::one_owner),
    row("etcd-refuses-plain-http", "etcd serves nobody without TLS",
        QUICK, refusals::etcd_plain_http),
    row("etcd-refuses-no-certificate", "etcd refuses a client without a certificate",
        QUICK, refusals::etcd_no_certificate),
    row("etcd-refuses-foreign-certificate", "etcd refuses a client with a certificate of another CA",
        QUICK, refusals::etcd_foreign_certificate),
    row("api-refuses-plain-http", "the API serves nobody without TLS",
        QUICK, refusals::api_plain_http),
    row("api-wrong-ca", "a client that trusts another CA refuses the API",
        QUICK, refusals::api_wrong_ca),
    row("api-refuses-strangers", "the API shows no secret without a certificate of its CA",
        QUICK, refusals::api_strangers),
    row("no-join-token", "nobody can join by a token, with which one may become any node",
        QUICK, tokens::none),
    row_of(|lab| !lab.settings().feature_gates.is_empty(), "feature-gates", "every API server and every kubelet has the feature gates of the lab file",
        QUICK, settings::feature_gates),
    row_of(|lab| !lab.settings().kubelet.is_empty(), "kubelet-settings", "every kubelet runs with what the lab file sets of its configuration",
        QUICK, settings::kubelet_settings),
    row_of(|lab| lab.settings().encryption.is_some(), "secrets-encrypted", "Secrets are encrypted in etcd, and every master reads them",
        QUICK, settings::encrypted),
    row_of(has_marks, "node-marks", "every node has the labels and taints of the lab file",
        QUICK, settings::node_marks),
    row("same-flags", "every master's control plane is started with the same flags, those of the lab file among them",
        FULL, settings::same_flags),
    row_of(|lab| lab.settings().audit.is_some(), "audit-log", "one request is in the audit log of the master that was asked, and in no other",
        FULL, settings::audit_log),
    row("clocks-agree", "the clocks of all machines agree within a second",
        FULL, clocks::agree),
    row("etcd-peer-certificates", "every etcd member has a peer certificate and key of its own, from etcd's CA, and peers accept it",
        FULL, etcd_pairs::peers),
    row("etcd-client-certificate", "all API servers use one certificate for etcd, which is a client's and nothing else",
        FULL, etcd_client::shared),
    row("client-certificate-as-server", "the API servers' etcd certificate cannot act as an etcd server",
        FULL, impostor::as_server),
    row("client-certificate-as-peer", "the API servers' etcd certificate cannot act as an etcd peer",
        (Depth::Full, with_fewer_than_three_members, SHORT), impostor::as_peer),
    row("etcd-packet-filter", "etcd machines let in masters, members and the operator, each to its ports, and nobody else",
        FULL, strangers::packet_filter),
    row("worker-to-etcd", "a worker reaches no etcd member with anything it has",
        FULL, strangers::requests),
    row("worker-certificates", "workers and load balancers hold no certificate of etcd's CA",
        FULL, strangers::certificates),
    row("endpoint-only", "kubelets and kube-proxies reach the API only through the endpoint",
        FULL, endpoint::only_way),
    row("kubelet-clients", "every kubelet answers the API servers, and nobody without a certificate of the cluster's CA",
        FULL, kubelets::clients),
    row("masters-keep-no-state", "masters run no etcd and hold no data of it",
        FULL, nodes::stateless_masters),
    row("service-addresses-stay", "nothing that a machine sends to a service address leaves it",
        FULL, isolation::service_addresses),
    row("no-way-out", "with `--airgap` no machine has a route out of the lab",
        (Depth::Full, with_a_way_out, SHORT), isolation::no_way_out),
    row("pods-reach-pods", "a pod on each node reaches a pod on every other node",
        (Depth::Full, without_pods, PODS), pods::reach_pods),
    row("full-packets-fit", "the largest packet that a pod may send reaches a pod on every other node whole, and comes back",
        (Depth::Full, without_pods, PODS), pods::full_packets),
    row("pods-reach-service-by-name", "a pod on each node reaches a service by its name",
        (Depth::Full, without_pods, PODS), pods::reach_service),
    row("dns-survives-one", "CoreDNS's replicas stand on two nodes, so that names outlive any one machine",
        (Depth::Full, with_one_node, SHORT), names::survive_one),
    row("pod-service-addresses-stay", "nothing that a pod sends to a service address leaves its machine",
        (Depth::Full, without_pods, PODS), pods::service_addresses),
    row_of(|lab| lab.add_ons().has(AddOn::Storage), "claims-get-volumes", "a claim gets a volume of the default class, and what a pod wrote there is read by the next pod",
        (Depth::Full, without_volume_image, PODS), add_ons::claims_get_volumes),
    row_of(|lab| lab.add_ons().has(AddOn::Metrics), "metrics-of-every-node", "there are figures of every node for `kubectl top`, from kubelets with certificates of the cluster's CA",
        FULL, add_ons::metrics_of_every_node),
    row_of(|lab| lab.add_ons().has(AddOn::LoadBalancer), "service-address-answers", "a service of the type LoadBalancer gets an address of the lab's range, and answers there to who is outside of the cluster",
        (Depth::Full, without_pods, PODS), add_ons::service_address_answers),
    row("forged-adverts", "announcements of VRRP that a neighbour, a node or a pod sends in a load balancer's name move no address",
        (Depth::Full, without_second_balancer, PODS), forged::refused),
    row("published-key-refused", "no machine lets in the published Vagrant key",
        FULL, keys::published_key),
    row("no-readable-secrets", "no secret on a machine is readable by its ordinary users, or shown in a program's arguments",
        FULL, keys::no_readable_secrets),
    row("etcd-data-closed", "etcd's data is open to root alone",
        FULL, keys::etcd_data_closed),
    row("machine-limits", "every machine has the memory and processors of the lab file, and no more",
        FULL, limits::hold),
    row("preloaded-images", "every node still has the images that its machine came with, which nobody could pull again",
        FULL, images::hold),
    row("balancer-takes-over", "when Keepalived or HAProxy stops, is killed or hangs on the owner of the virtual address, another load balancer takes over",
        (Depth::Disrupt, without_second_balancer, OUTAGE), balancers::take_over),
    row("etcd-survives-one", "etcd accepts writes with one member killed, the one that leads",
        (Depth::Disrupt, with_fewer_than_three_members, OUTAGE), quorum::survives_one),
];

/// The rows of a run at `depth`, whatever the lab.
pub(super) fn rows(depth: Depth) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.depth <= depth)
}

/// The rows of a run of `lab` at `depth`.
pub(super) fn rows_of(lab: &Lab, depth: Depth) -> impl Iterator<Item = &'static Row> {
    rows(depth).filter(move |row| (row.asked)(lab))
}
