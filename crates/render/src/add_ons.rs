//! What the manifests of a lab's add-ons say beyond the lab itself: MetalLB's kinds, and what is made for the add-ons alone
//! before any machine is, which is in the table of no cluster.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use caravan_lab::{AddOn, Lab, Machine};
use caravan_pki::{CommonName, DnsName, Leaf, Organization, Plan, San, Sans, Secret};
use serde::Serialize;

use crate::error::Error;

/// A kind of object that MetalLB adds to the API. Its daemons watch all of them and end where one is missing, those for BGP
/// too, which no lab speaks.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct MetalLbKind {
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    version: &'static str,
}

const fn kind(
    kind: &'static str,
    singular: &'static str,
    plural: &'static str,
    version: &'static str,
) -> MetalLbKind {
    MetalLbKind {
        kind,
        plural,
        singular,
        version,
    }
}

/// MetalLB's kinds, `config/crd/bases` of its module, but for the one of two versions, which the template has.
pub(crate) const METALLB_KINDS: [MetalLbKind; 7] = [
    kind("BFDProfile", "bfdprofile", "bfdprofiles", "v1beta1"),
    kind(
        "BGPAdvertisement",
        "bgpadvertisement",
        "bgpadvertisements",
        "v1beta1",
    ),
    kind("Community", "community", "communities", "v1beta1"),
    kind(
        "IPAddressPool",
        "ipaddresspool",
        "ipaddresspools",
        "v1beta1",
    ),
    kind(
        "L2Advertisement",
        "l2advertisement",
        "l2advertisements",
        "v1beta1",
    ),
    kind(
        "ServiceBGPStatus",
        "servicebgpstatus",
        "servicebgpstatuses",
        "v1beta1",
    ),
    kind(
        "ServiceL2Status",
        "servicel2status",
        "servicel2statuses",
        "v1beta1",
    ),
];

/// The authority of the cluster, in the plan.
const CA: &str = "ca";

/// What the metrics server shows to API servers, in the plan.
const METRICS_SERVER: &str = "metrics-server";

/// The name by which API servers reach it.
const METRICS_SERVICE: &str = "metrics-server.kube-system.svc";

/// What MetalLB's speakers encrypt their talk with, in the plan.
const MEMBERLIST_KEY: &str = "secrets/memberlist-key";

/// Where a kubelet has what it shows to its clients; not deleted where the machine forgets what kubeadm made.
pub(crate) const KUBELET_SERVER: [&str; 2] = [
    "/var/lib/kubelet/pki/kubelet-server-caravan.crt",
    "/var/lib/kubelet/pki/kubelet-server-caravan.key",
];

/// The plan's entry of what the kubelet of a machine shows to its clients.
fn kubelet_server(machine: &Machine) -> String {
    format!("nodes/{}/kubelet-server", machine.name)
}

/// The machines whose kubelets show a certificate of the cluster's CA: all that have one, where the metrics server checks it.
pub(crate) fn serving_kubelets(lab: &Lab) -> impl Iterator<Item = &Machine> {
    let metrics = lab.metrics();
    let machines = lab.machines().iter();
    machines.filter(move |machine| metrics && machine.role.is_node())
}

/// Adds to a plan what is made for the lab's add-ons.
///
/// # Errors
///
/// [`Error::Pki`] for a name that no certificate can have.
pub(crate) fn extend(plan: &mut Plan, lab: &Lab) -> Result<(), Error> {
    let dns = |name: &str| DnsName::try_from(name).map(San::from);
    for machine in serving_kubelets(lab) {
        let name = CommonName::try_from(format!("system:node:{}", machine.name).as_str())?;
        let sans = [
            dns(&machine.name)?,
            dns(&lab.fqdn(machine))?,
            San::from(std::net::IpAddr::V4(machine.ip)),
        ];
        let leaf = Leaf::server(name, Sans::new(sans)?)
            .with_organization(Organization::try_from("system:nodes")?);
        plan.leaf(CA, &kubelet_server(machine), leaf)?;
    }
    if lab.metrics() {
        let sans = Sans::new([
            dns(METRICS_SERVICE)?,
            dns(&format!("{METRICS_SERVICE}.{}", lab.cluster_domain()))?,
        ])?;
        let leaf = Leaf::server(CommonName::try_from(METRICS_SERVICE)?, sans);
        plan.leaf(CA, METRICS_SERVER, leaf)?;
    }
    if lab.add_ons().has(AddOn::LoadBalancer) {
        plan.secret(MEMBERLIST_KEY, Secret::Hex(32))?;
    }
    Ok(())
}

/// What the manifests of add-ons hold of what was made for them; empty where the lab does not ask for them. In base64, as
/// the API takes bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct AddOnMaterial {
    /// The certificates that API servers judge the metrics server's by.
    ca_bundle: String,
    metrics_certificate: String,
    metrics_key: String,
    memberlist_key: String,
}

impl AddOnMaterial {
    /// Takes it out of what was made by a plan.
    ///
    /// # Errors
    ///
    /// [`Error::Pki`] when an entry of the plan is missing.
    pub(crate) fn new(lab: &Lab, made: &caravan_pki::Material) -> Result<Self, Error> {
        let mut taken = Self::default();
        if lab.metrics() {
            let identity = made.identity(METRICS_SERVER)?;
            taken.ca_bundle = BASE64_STANDARD.encode(made.trust_pem(CA)?);
            taken.metrics_certificate = BASE64_STANDARD.encode(identity.chain_pem());
            taken.metrics_key = BASE64_STANDARD.encode(identity.key_pem().as_bytes());
        }
        if lab.add_ons().has(AddOn::LoadBalancer) {
            taken.memberlist_key = BASE64_STANDARD.encode(made.secret(MEMBERLIST_KEY)?);
        }
        Ok(taken)
    }

    /// See [`crate::Material::metrics_certificate`].
    pub(crate) fn metrics_certificate(&self) -> Option<&str> {
        Some(self.metrics_certificate.as_str()).filter(|it| !it.is_empty())
    }

    /// Words in its place, for golden files.
    pub(crate) fn placeholder(lab: &Lab) -> Self {
        let words = |asked: bool, words: &str| {
            let words = asked.then(|| format!("<{words}, base64>"));
            words.unwrap_or_default()
        };
        let (metrics, addresses) = (lab.metrics(), lab.add_ons().has(AddOn::LoadBalancer));
        Self {
            ca_bundle: words(metrics, "certificate: kubernetes CA"),
            metrics_certificate: words(metrics, "certificate: metrics-server"),
            metrics_key: words(metrics, "key: metrics-server"),
            memberlist_key: words(addresses, "key: memberlist"),
        }
    }
}

/// Certificate and key of what the kubelet of a machine shows to its clients, PEM.
///
/// # Errors
///
/// [`Error::Pki`] when the plan's entry is missing.
pub(crate) fn kubelet_server_pair(
    machine: &Machine,
    made: &caravan_pki::Material,
) -> Result<[String; 2], Error> {
    let identity = made.identity(&kubelet_server(machine))?;
    Ok([identity.chain_pem(), identity.key_pem().to_string()])
}
