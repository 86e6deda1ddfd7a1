//! One machine of a lab, and what it is there for.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::marks::Taint;

/// What a machine does in the cluster.
///
/// The order of the variants is the order of starting; stopping walks back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A member of the etcd cluster, which holds all state.
    Etcd,
    /// Runs HAProxy and Keepalived; one of them holds the virtual address.
    LoadBalancer,
    /// A master: API server, controller manager and scheduler, no state.
    ControlPlane,
    /// Runs workloads.
    Worker,
}

impl Role {
    /// Every role, in the order of starting.
    pub const ALL: [Role; 4] = [
        Role::Etcd,
        Role::LoadBalancer,
        Role::ControlPlane,
        Role::Worker,
    ];

    /// Returns the word for this role in a lab file.
    pub const fn word(self) -> &'static str {
        match self {
            Role::Etcd => "etcd",
            Role::LoadBalancer => "load-balancer",
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
        }
    }

    /// Returns true for machines that run a kubelet, and so have a pod subnet and a service network.
    pub const fn is_node(self) -> bool {
        match self {
            Role::ControlPlane | Role::Worker => true,
            Role::Etcd | Role::LoadBalancer => false,
        }
    }

    /// Returns the smallest number of CPUs a machine of this role works with.
    ///
    /// Masters: kubeadm's preflight check `NumCPU` (`ControlPlaneNumCPU = 2` in
    /// <https://github.com/kubernetes/kubernetes/blob/master/cmd/kubeadm/app/constants/constants.go>).
    pub const fn minimum_cpus(self) -> u8 {
        match self {
            Role::ControlPlane => 2,
            Role::Etcd | Role::LoadBalancer | Role::Worker => 1,
        }
    }

    /// Returns the smallest memory, in MiB, that a machine of this role works with.
    ///
    /// Masters: kubeadm's preflight check `Mem` (`ControlPlaneMem = 1700`, same file as above).
    /// The others: what Debian recommends for a system without a desktop
    /// (<https://www.debian.org/releases/bookworm/amd64/ch03s04.en.html>), which holds for all four roles' own use
    /// as well: an idle etcd member was measured at 50 MB, a load balancer at 25-95, a worker at 66.
    pub const fn minimum_memory_mib(self) -> u32 {
        match self {
            Role::ControlPlane => 1700,
            Role::Etcd | Role::LoadBalancer | Role::Worker => 512,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One machine, as the lab file describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Machine {
    /// A DNS label, unique in the lab; host name, node name and Vagrant's machine name.
    pub name: String,
    /// What the machine is there for.
    pub role: Role,
    /// The name of the physical server that runs it: one of [`Lab::servers`](crate::Lab::servers).
    pub server: String,
    /// Its address in the lab's subnet, unique in the lab.
    pub ip: Ipv4Addr,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of virtual CPUs.
    pub cpus: u8,
    /// Labels that its node has beside those that Kubernetes gives it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints that its node has beside those that Kubernetes gives it, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
}
