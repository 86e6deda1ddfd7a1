//! What differs between two versions of a lab, such as the one its machines were made from and the one in its file.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Serialize, Serializer};

use crate::add_on::{AddressRange, Storage};
use crate::lab::Lab;
use crate::machine::{Machine, Role};
use crate::network::PodNetwork;
use crate::versions::KubernetesVersion;

/// A value as it was and as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<T> {
    /// What the older lab says.
    pub from: T,
    /// What the newer lab says.
    pub to: T,
}

/// One difference between two versions of a lab. Its `Display` is a sentence without a period.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabChange {
    /// Another domain.
    Domain(Changed<String>),
    /// Another minor version of Kubernetes.
    Kubernetes(Changed<KubernetesVersion>),
    /// Another virtual address, or one more or less.
    Vip(Changed<Option<Ipv4Addr>>),
    /// Another subnet.
    Subnet(Changed<Ipv4Net>),
    /// Another pod range.
    PodCidr(Changed<Ipv4Net>),
    /// Another service range.
    ServiceCidr(Changed<Ipv4Net>),
    /// Another pod network.
    PodNetwork(Changed<PodNetwork>),
    /// Another kind of storage, or one more or less.
    Storage(Changed<Option<Storage>>),
    /// Metrics, or none any more.
    Metrics(Changed<bool>),
    /// Other addresses for services, or some where there were none.
    ServiceAddresses(Changed<Option<AddressRange>>),
    /// Another VRRP router id, perhaps because the virtual address is another.
    VirtualRouterId(Changed<u8>),
    /// Other operators: the computers that run the machines, and the file's own.
    Operators(Changed<Vec<Ipv4Addr>>),
    /// Another bridge of a server of both labs, or one more or less.
    Bridge {
        /// The server.
        server: String,
        /// Its bridge.
        bridge: Changed<Option<String>>,
    },
    /// A setting of the cluster that is another one, or is there in one of the labs only.
    Setting {
        /// Its path in the file, such as `cluster.feature_gates.NAME`.
        path: String,
        /// Its value; `None` where a lab does not say it.
        value: Changed<Option<String>>,
    },
    /// A machine that the older lab does not have.
    MachineAdded(Machine),
    /// A machine of both labs.
    MachineChanged {
        /// Its name.
        name: String,
        /// What differs; never empty.
        changes: Vec<MachineChange>,
    },
    /// A machine that the newer lab does not have.
    MachineRemoved(Machine),
}

/// One difference between two versions of a machine. Its `Display` is a clause such as `` `cpus` was `2` and is `4` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MachineChange {
    /// Another role.
    Role(Changed<Role>),
    /// Another server.
    Server(Changed<String>),
    /// Another address.
    Ip(Changed<Ipv4Addr>),
    /// Another size of memory, in MiB.
    MemoryMib(Changed<u32>),
    /// Another number of CPUs.
    Cpus(Changed<u8>),
    /// Other labels of its node, each `key=value`.
    Labels(Changed<String>),
    /// Other taints of its node.
    Taints(Changed<String>),
}

impl LabChange {
    /// Returns true if machines that run can be given it, one after the other: it is a setting of the cluster, or a label or a
    /// taint.
    ///
    /// How Secrets are kept in etcd is none: an API server that does not know the key yet could not read what another one
    /// writes.
    pub fn can_be_applied(&self) -> bool {
        match self {
            LabChange::Setting { path, .. } => path != "cluster.encryption",
            LabChange::MachineChanged { changes, .. } => (changes.iter())
                .all(|it| matches!(it, MachineChange::Labels(_) | MachineChange::Taints(_))),
            _ => false,
        }
    }
}

impl Lab {
    /// Returns what this lab says otherwise than `old`, of all that its machines are made from: first the lab's own keys,
    /// then machines that are new or differ, in the order of this lab, then those that are gone.
    ///
    /// Empty where both make the same machines. Comments and the order of things do not count, nor do the keys `etcd`,
    /// `provider`, `airgap`, `emulated` and `drills`, and of servers other keys than `bridge` and `address`, which is an
    /// operator's.
    pub fn changes_since(&self, old: &Lab) -> Vec<LabChange> {
        let domain = changed(&old.domain, &self.domain).map(LabChange::Domain);
        let kubernetes = changed(&old.kubernetes, &self.kubernetes).map(LabChange::Kubernetes);
        let vip = changed(&old.vip, &self.vip).map(LabChange::Vip);
        let subnet = changed(&old.subnet, &self.subnet).map(LabChange::Subnet);
        let pod_cidr = changed(&old.pod_cidr, &self.pod_cidr).map(LabChange::PodCidr);
        let service_cidr =
            changed(&old.service_cidr, &self.service_cidr).map(LabChange::ServiceCidr);
        let pod_network = changed(&old.pod_network, &self.pod_network).map(LabChange::PodNetwork);
        let storage = changed(&old.storage(), &self.storage()).map(LabChange::Storage);
        let metrics = changed(&old.metrics(), &self.metrics()).map(LabChange::Metrics);
        let addresses = changed(&old.service_addresses(), &self.service_addresses())
            .map(LabChange::ServiceAddresses);
        let router_id = changed(&old.virtual_router_id, &self.virtual_router_id)
            .map(LabChange::VirtualRouterId);
        let operators = changed(&old.operators(), &self.operators()).map(LabChange::Operators);
        let own = [
            domain,
            kubernetes,
            vip,
            subnet,
            pod_cidr,
            service_cidr,
            pod_network,
            storage,
            metrics,
            addresses,
            router_id,
            operators,
        ];
        let bridges = self.servers.iter().filter_map(|server| {
            let before = old.server(&server.name)?;
            Some(LabChange::Bridge {
                bridge: changed(&before.bridge, &server.bridge)?,
                server: server.name.clone(),
            })
        });
        let machines = self.machines.iter().filter_map(|machine| {
            let Some(before) = old.machine(&machine.name) else {
                return Some(LabChange::MachineAdded(machine.clone()));
            };
            let changes = machine.changes_since(before);
            (!changes.is_empty()).then(|| LabChange::MachineChanged {
                name: machine.name.clone(),
                changes,
            })
        });
        let gone = (old.machines.iter()).filter(|machine| self.machine(&machine.name).is_none());
        let settings = self.settings.changes_since(&old.settings).into_iter();
        own.into_iter()
            .flatten()
            .chain(settings.map(|(path, value)| LabChange::Setting { path, value }))
            .chain(bridges)
            .chain(machines)
            .chain(gone.cloned().map(LabChange::MachineRemoved))
            .collect()
    }
}

impl Machine {
    /// Returns what this machine says otherwise than `old`, which has the same name.
    pub fn changes_since(&self, old: &Machine) -> Vec<MachineChange> {
        let changes = [
            changed(&old.role, &self.role).map(MachineChange::Role),
            changed(&old.server, &self.server).map(MachineChange::Server),
            changed(&old.ip, &self.ip).map(MachineChange::Ip),
            changed(&old.memory_mib, &self.memory_mib).map(MachineChange::MemoryMib),
            changed(&old.cpus, &self.cpus).map(MachineChange::Cpus),
            changed(&old.labels_shown(), &self.labels_shown()).map(MachineChange::Labels),
            changed(&old.taints_shown(), &self.taints_shown()).map(MachineChange::Taints),
        ];
        changes.into_iter().flatten().collect()
    }

    fn labels_shown(&self) -> String {
        let labels = self.labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        labels.join(" ")
    }

    fn taints_shown(&self) -> String {
        let taints: Vec<String> = self.taints.iter().map(ToString::to_string).collect();
        taints.join(" ")
    }
}

fn changed<T: Clone + PartialEq>(from: &T, to: &T) -> Option<Changed<T>> {
    (from != to).then(|| Changed {
        from: from.clone(),
        to: to.clone(),
    })
}

impl fmt::Display for LabChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabChange::Domain(values) => clause(f, "domain", values),
            LabChange::Kubernetes(values) => clause(f, "kubernetes", values),
            LabChange::Vip(values) => clause_of_optional(f, "vip", values),
            LabChange::Subnet(values) => clause(f, "subnet", values),
            LabChange::PodCidr(values) => clause(f, "pod_cidr", values),
            LabChange::ServiceCidr(values) => clause(f, "service_cidr", values),
            LabChange::PodNetwork(values) => clause(f, "pod_network", values),
            LabChange::Storage(values) => clause_of_optional(f, "storage", values),
            LabChange::Metrics(values) => clause(f, "metrics", values),
            LabChange::ServiceAddresses(values) => clause_of_optional(f, "load_balancer", values),
            LabChange::VirtualRouterId(values) => clause(f, "virtual_router_id", values),
            LabChange::Operators(Changed { from, to }) => {
                let (from, to) = (format!("{from:?}"), format!("{to:?}"));
                clause(f, "operators", &Changed { from, to })
            }
            LabChange::Bridge { server, bridge } => {
                write!(f, "server `{server}`: ")?;
                clause_of_optional(f, "bridge", bridge)
            }
            LabChange::Setting {
                path,
                value: Changed { from, to },
            } => {
                let shown = |value: &Option<String>| value.clone().unwrap_or("absent".to_owned());
                let (from, to) = (shown(from), shown(to));
                clause(f, path, &Changed { from, to })
            }
            LabChange::MachineAdded(machine) => write!(f, "machine `{}` is new", machine.name),
            LabChange::MachineChanged { name, changes } => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                write!(f, "machine `{name}`: {}", changes.join(", "))
            }
            LabChange::MachineRemoved(machine) => write!(f, "machine `{}` is gone", machine.name),
        }
    }
}

impl fmt::Display for MachineChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MachineChange::Role(values) => clause(f, "role", values),
            MachineChange::Server(values) => clause(f, "server", values),
            MachineChange::Ip(values) => clause(f, "ip", values),
            MachineChange::MemoryMib(values) => clause(f, "memory_mib", values),
            MachineChange::Cpus(values) => clause(f, "cpus", values),
            MachineChange::Labels(values) => clause(f, "labels", values),
            MachineChange::Taints(values) => clause(f, "taints", values),
        }
    }
}

fn clause<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    values: &Changed<T>,
) -> fmt::Result {
    let Changed { from, to } = values;
    write!(f, "`{key}` was `{from}` and is `{to}`")
}

/// The same of a key that may be absent.
fn clause_of_optional<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    Changed { from, to }: &Changed<Option<T>>,
) -> fmt::Result {
    let shown = |value: &Option<T>| {
        value
            .as_ref()
            .map_or("absent".to_owned(), ToString::to_string)
    };
    let (from, to) = (shown(from), shown(to));
    clause(f, key, &Changed { from, to })
}

/// As its sentence.
impl Serialize for LabChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
