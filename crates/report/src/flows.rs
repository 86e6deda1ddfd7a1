//! Who may connect to whom, who may not, and which promise of `verify` shows it. One row each.

use caravan_lab::{AddOn, Lab, PodNetwork, Role, ports};
use serde::{Deserialize, Serialize};

/// One end of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// Whoever looks after the lab: the computers that run it, and the lab file's `operators`.
    Operator,
    /// Anybody who has no certificate, or one of another CA.
    Stranger,
    /// The address at which everybody reaches the API.
    Endpoint,
    /// The machines of a role.
    Role(Role),
    /// All machines with a kubelet: masters and workers.
    Nodes,
    /// All machines of the lab.
    Machines,
    /// Whatever is outside of the lab.
    Outside,
}

impl Party {
    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Stranger => "anybody else",
            Self::Endpoint => "endpoint",
            Self::Role(Role::Etcd) => "etcd",
            Self::Role(Role::LoadBalancer) => "load balancers",
            Self::Role(Role::ControlPlane) => "masters",
            Self::Role(Role::Worker) => "workers",
            Self::Nodes => "nodes",
            Self::Machines => "all machines",
            Self::Outside => "outside of the lab",
        }
    }

    /// What so many machines of a role are called: `master`, `etcd members`.
    pub(crate) fn of_role(role: Role, count: usize) -> &'static str {
        match (role, count) {
            (Role::Etcd, 1) => "etcd member",
            (Role::Etcd, _) => "etcd members",
            (Role::LoadBalancer, 1) => "load balancer",
            (Role::ControlPlane, 1) => "master",
            (Role::Worker, 1) => "worker",
            (role, _) => Self::Role(role).word(),
        }
    }

    /// The roles that it stands for.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::Role(Role::Etcd) => &[Role::Etcd],
            Self::Role(Role::LoadBalancer) => &[Role::LoadBalancer],
            Self::Role(Role::ControlPlane) => &[Role::ControlPlane],
            Self::Role(Role::Worker) => &[Role::Worker],
            Self::Nodes => &[Role::ControlPlane, Role::Worker],
            Self::Machines => &Role::ALL,
            Self::Operator | Self::Stranger | Self::Endpoint | Self::Outside => &[],
        }
    }
}

/// Who may, or may not, connect to whom.
#[derive(Debug)]
pub struct Flow {
    /// Its name, for programs and links.
    pub id: &'static str,
    /// Who connects.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// To which ports.
    pub ports: Ports,
    /// By what, or what for.
    pub what: &'static str,
    /// Whether it may.
    pub allowed: bool,
    /// The add-on that it belongs to, where it is not every lab's.
    pub add_on: Option<AddOn>,
    /// The checks of `verify` that show it, the first being the most to the point.
    pub checks: &'static [&'static str],
}

impl Flow {
    /// Whether the lab has both ends of it.
    pub fn applies(&self, lab: &Lab) -> bool {
        let count = |party: Party| {
            let roles = party.roles().iter();
            roles.map(|role| lab.of_role(*role).count()).sum::<usize>()
        };
        let is_there = |party: Party| party.roles().is_empty() || count(party) > 0;
        // Nobody else has the role.
        let alone = self.from == self.to && count(self.from) < 2;
        let through_balancers = lab.has_load_balancers();
        let is_way = match (self.from, self.to) {
            (Party::Endpoint, Party::Role(Role::LoadBalancer)) => through_balancers,
            (Party::Endpoint, _) => !through_balancers,
            _ => true,
        };
        let asked = self.add_on.is_none_or(|add_on| lab.add_ons().has(add_on));
        asked && is_there(self.from) && is_there(self.to) && !alone && is_way
    }
}

/// The ports of a flow.
#[derive(Debug, Clone, Copy)]
pub enum Ports {
    /// These, by TCP.
    Tcp(&'static [u16]),
    /// The pod network's, by UDP.
    Overlay,
    /// None: a protocol of its own.
    Vrrp,
    /// All.
    All,
}

impl Ports {
    /// In words, for a lab with this pod network: `2379, 2380`.
    pub fn word(self, network: PodNetwork) -> String {
        match self {
            Self::Tcp(ports) => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                ports.join(", ")
            }
            Self::Overlay => match network {
                PodNetwork::Vxlan | PodNetwork::Calico => format!("{} udp", ports::VXLAN),
                PodNetwork::Flannel => format!("{} udp", ports::VXLAN_FLANNEL),
            },
            Self::Vrrp => "VRRP".to_owned(),
            Self::All => "any port".to_owned(),
        }
    }
}

const ETCD: Party = Party::Role(Role::Etcd);
const BALANCERS: Party = Party::Role(Role::LoadBalancer);
const MASTERS: Party = Party::Role(Role::ControlPlane);
const WORKERS: Party = Party::Role(Role::Worker);

const API: Ports = Ports::Tcp(&[ports::API]);
const SSH: Ports = Ports::Tcp(&[ports::SSH]);
const CLIENT: Ports = Ports::Tcp(&[ports::ETCD_CLIENT]);
const KUBELET: Ports = Ports::Tcp(&[ports::KUBELET]);
const HEALTH: Ports = Ports::Tcp(&[ports::KUBE_PROXY_HEALTH]);

const fn may(
    id: &'static str,
    (from, to, ports): (Party, Party, Ports),
    what: &'static str,
    checks: &'static [&'static str],
) -> Flow {
    Flow {
        id,
        from,
        to,
        ports,
        what,
        allowed: true,
        add_on: None,
        checks,
    }
}

const fn may_with(
    add_on: AddOn,
    id: &'static str,
    ends: (Party, Party, Ports),
    what: &'static str,
    checks: &'static [&'static str],
) -> Flow {
    Flow {
        add_on: Some(add_on),
        ..may(id, ends, what, checks)
    }
}

const fn may_not(
    id: &'static str,
    ends: (Party, Party, Ports),
    what: &'static str,
    checks: &'static [&'static str],
) -> Flow {
    Flow {
        allowed: false,
        ..may(id, ends, what, checks)
    }
}

/// All rows, in the order in which requests go.
#[rustfmt::skip]
pub const FLOWS: &[Flow] = &[
    may("operator-endpoint", (Party::Operator, Party::Endpoint, API), "TLS, with the administrator's certificate", &["write-through-endpoint"]),
    may("operator-ssh", (Party::Operator, Party::Machines, SSH), "ssh, with the lab's own key", &["machines-run", "published-key-refused"]),
    may("operator-etcd", (Party::Operator, ETCD, CLIENT), "TLS, with a client's certificate", &["etcd-members"]),
    may("nodes-endpoint", (Party::Nodes, Party::Endpoint, API), "kubelets and kube-proxies, by TLS", &["endpoint-only", "control-plane-endpoint"]),
    may("endpoint-balancers", (Party::Endpoint, BALANCERS, API), "one of them holds the address", &["vip-owner", "balancer-takes-over"]),
    may("endpoint-master", (Party::Endpoint, MASTERS, API), "the one master is the endpoint", &["write-through-endpoint"]),
    may("balancers-masters", (BALANCERS, MASTERS, API), "HAProxy hands TLS on, and asks whether they are ready", &["write-through-endpoint"]),
    may("masters-etcd", (MASTERS, ETCD, CLIENT), "API servers, by TLS, with one certificate that is a client's and nothing else", &["etcd-packet-filter", "api-etcd-endpoints", "etcd-client-certificate"]),
    may("etcd-etcd", (ETCD, ETCD, Ports::Tcp(&[ports::ETCD_CLIENT, ports::ETCD_PEER])), "members, by TLS, each with a certificate of its own", &["etcd-peer-certificates", "etcd-packet-filter", "etcd-one-cluster"]),
    may("masters-kubelets", (MASTERS, Party::Nodes, KUBELET), "API servers, by TLS, with a certificate of their own: logs, commands in containers, metrics", &["kubelet-clients"]),
    may("balancers-balancers", (BALANCERS, BALANCERS, Ports::Vrrp), "Keepalived says who holds the address", &["forged-adverts"]),
    may("nodes-nodes", (Party::Nodes, Party::Nodes, Ports::Overlay), "packets of pods, in VXLAN", &["pods-reach-pods", "full-packets-fit"]),
    may("anybody-health", (Party::Stranger, Party::Nodes, HEALTH), "kube-proxy says whether it works, to whoever asks, and nothing else", &[]),
    may_with(AddOn::Metrics, "workers-kubelets", (WORKERS, Party::Nodes, KUBELET), "the metrics server asks kubelets, by TLS", &["metrics-of-every-node"]),
    may_with(AddOn::LoadBalancer, "workers-workers", (WORKERS, WORKERS, Ports::Tcp(&[ports::MEMBERLIST])), "MetalLB's speakers ask each other whether they live, encrypted; by UDP too", &["service-address-answers"]),
    may_not("workers-etcd", (WORKERS, ETCD, Ports::Tcp(&[ports::ETCD_CLIENT, ports::ETCD_PEER, ports::SSH])), "whatever certificate they show", &["worker-to-etcd", "etcd-packet-filter", "worker-certificates"]),
    may_not("balancers-etcd", (BALANCERS, ETCD, Ports::Tcp(&[ports::ETCD_CLIENT, ports::ETCD_PEER, ports::SSH])), "whatever certificate they show", &["worker-to-etcd", "etcd-packet-filter", "worker-certificates"]),
    may_not("masters-etcd-peer", (MASTERS, ETCD, Ports::Tcp(&[ports::ETCD_PEER, ports::SSH])), "as a peer, or by ssh", &["etcd-packet-filter", "client-certificate-as-peer"]),
    may_not("etcd-ssh", (ETCD, ETCD, SSH), "members, by ssh", &["etcd-packet-filter"]),
    may_not("stranger-etcd", (Party::Stranger, ETCD, CLIENT), "without a certificate, with one of another CA, without TLS", &["etcd-refuses-no-certificate", "etcd-refuses-foreign-certificate", "etcd-refuses-plain-http"]),
    may_not("stranger-endpoint", (Party::Stranger, Party::Endpoint, API), "no secret without a certificate, nothing without TLS, nobody joins by a token", &["api-refuses-strangers", "api-refuses-plain-http", "no-join-token"]),
    may_not("stranger-kubelets", (Party::Stranger, Party::Nodes, KUBELET), "without a certificate, with one of another CA", &["kubelet-clients"]),
    may_not("stranger-vrrp", (Party::Stranger, BALANCERS, Ports::Vrrp), "announcements in a load balancer's name", &["forged-adverts"]),
    may_not("machines-outside", (Party::Machines, Party::Outside, Ports::All), "what is sent to a service address; with `--airgap`, everything", &["service-addresses-stay", "pod-service-addresses-stay", "no-way-out"]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use caravan_cluster::verify::{Depth, ETCD_PORTS, list, may_reach_etcd};

    use super::*;

    #[test]
    fn checks_are_those_of_verify() {
        let known: BTreeSet<&str> = list(Depth::Disrupt).map(|(id, _)| id).collect();
        let mut ids = BTreeSet::new();
        for flow in FLOWS {
            assert!(ids.insert(flow.id), "{} is there twice", flow.id);
            // What tells nothing but yes or no needs no proof that it does.
            let is_shown = !flow.checks.is_empty() || flow.id == "anybody-health";
            assert!(is_shown, "{}", flow.id);
            for check in flow.checks {
                assert!(known.contains(check), "{}: {check}", flow.id);
            }
        }
    }

    #[test]
    fn an_add_on_has_its_ways_where_a_lab_asks_for_it() {
        let of = |name: &str, source: &str| -> Vec<&str> {
            let lab = Lab::parse(name, source).expect("a valid lab");
            let flows = FLOWS.iter().filter(|flow| flow.add_on.is_some());
            let flows = flows.filter(|flow| flow.applies(&lab));
            flows.map(|flow| flow.id).collect()
        };
        let (ha, apps) = (
            include_str!("../../../labs/ha.toml"),
            include_str!("../../../labs/ha-apps.toml"),
        );
        assert_eq!(of("ha", ha), Vec::<&str>::new());
        assert_eq!(of("ha-apps", apps), ["workers-kubelets", "workers-workers"]);
    }

    #[test]
    fn who_may_reach_etcd_is_what_verify_tests() {
        let says = |role: Role, port: u16, allowed: bool| {
            FLOWS.iter().any(|flow| {
                let ports = match flow.ports {
                    Ports::Tcp(ports) => ports,
                    Ports::Overlay | Ports::Vrrp | Ports::All => &[],
                };
                flow.allowed == allowed
                    && flow.to == ETCD
                    && flow.from == Party::Role(role)
                    && ports.contains(&port)
            })
        };
        for role in Role::ALL {
            for port in ETCD_PORTS {
                let may = may_reach_etcd(role, port);
                assert!(says(role, port, may), "{role} {port}");
                assert!(!says(role, port, !may), "{role} {port}");
            }
        }
    }
}
