//! The physical computers that machines run on, and what runs machines there.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::lab::Lab;

/// A physical computer that runs a group of the lab's machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Server {
    /// A DNS label, unique in the lab; also the name of the folder of its Vagrant project.
    pub name: String,
    /// Where the server is, as `ssh://[user@]host[:port]`; `None` means this computer.
    pub host: Option<String>,
    /// The bridge, or the network interface, of the server that joins its machines to a LAN which other servers share.
    pub bridge: Option<String>,
    /// The server's own address on that LAN, which etcd members and load balancers let in; one for all servers of a computer.
    pub address: Option<Ipv4Addr>,
    /// What makes its machines, where that is another provider than the lab's.
    pub provider: Option<Provider>,
}

/// The Vagrant provider that makes the machines.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Containers that run systemd: what a lab has that says nothing, because they need no hypervisor.
    #[default]
    Docker,
    /// Virtual machines by KVM, or emulated by QEMU where there is no KVM.
    Libvirt,
    /// Virtual machines by VirtualBox.
    VirtualBox,
}

impl Lab {
    /// Returns the name of the bridge for a lab's machines of several providers on one computer: at most 15 characters, and
    /// the same for each of its groups.
    pub fn shared_bridge(&self) -> String {
        let digest = Sha256::digest(self.name());
        let sum = u64::from_be_bytes(digest[..8].try_into().expect("8 of 32 bytes")) >> 16;
        format!("cv-{sum:012x}")
    }
}

impl Provider {
    /// Every provider, in the order of the alphabet.
    pub const ALL: [Provider; 3] = [Provider::Docker, Provider::Libvirt, Provider::VirtualBox];

    /// Returns true for what makes virtual machines, with a kernel and a clock of their own; false for containers.
    pub const fn is_virtual(self) -> bool {
        match self {
            Provider::Docker => false,
            Provider::Libvirt | Provider::VirtualBox => true,
        }
    }

    /// Returns Vagrant's word for this provider, which is also the lab file's.
    pub const fn word(self) -> &'static str {
        match self {
            Provider::Docker => "docker",
            Provider::Libvirt => "libvirt",
            Provider::VirtualBox => "virtualbox",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
