//! What an operator needs to look into a lab: keys, certificates and ways in. Nothing here is read from a file; the
//! caller has the store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use caravan_lab::Machine;
use caravan_process::Pace;
use caravan_vagrant::ssh::{Remote, Ssh};
use serde::Serialize;

use crate::way::NetworkWay;

/// The keys to a lab.
#[derive(Clone)]
pub struct Access {
    /// How machines are entered.
    pub ssh: Ssh,
    /// The cluster's CA, PEM.
    pub kubernetes_ca: String,
    /// etcd's CA, PEM.
    pub etcd_ca: String,
    /// The operator's client pair for the API, of the group `kubeadm:cluster-admins`.
    pub operator: Pair,
    /// A client pair for etcd, of etcd's CA.
    pub etcd_client: Pair,
    /// The API servers' own client pair for etcd: what it cannot be used for is tested.
    pub apiserver_etcd_client: Pair,
    /// A CA and client of no meaning to the lab, made for the purpose of being refused.
    pub foreign: Foreign,
    /// The published insecure Vagrant key, if this computer has it: it must open no machine.
    pub insecure_key: Option<PathBuf>,
    /// What a certificate says; only `pki` can read them.
    pub inspect: Inspect,
    /// How this computer gets to the lab's addresses.
    pub way: NetworkWay,
    /// How long one question to an API server or an etcd member may take, its connection half of that, at the usual pace.
    pub patience: Duration,
}

impl Access {
    /// How fast the lab's machines are: as many times as long may everything take that they are asked.
    pub fn pace(&self) -> Pace {
        self.ssh.pace()
    }

    /// How long one question to a server may take.
    pub(crate) fn question(&self) -> Duration {
        self.pace().of(self.patience)
    }
}

/// How long a question may take by which one wants to know whether there is an answer at all: who waits for a machine that
/// is dead has more to do.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A certificate with its chain, and its key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The chain.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// Somebody else's CA and client.
#[derive(Clone)]
pub struct Foreign {
    /// The CA, PEM.
    pub ca: String,
    /// A client pair of that CA, with the names that a real one has.
    pub client: Pair,
}

/// Reads a certificate's DER; `None` when it is none.
pub type Inspect = fn(der: &[u8]) -> Option<Certificate>;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The common name of its subject.
    pub subject: String,
    /// The common name of its issuer.
    pub issuer: String,
    /// Its alternative names, DNS names and addresses, as text.
    pub names: Vec<String>,
    /// Whether it may be a server's.
    pub server: bool,
    /// Whether it may be a client's.
    pub client: bool,
    /// SHA-256 of its SubjectPublicKeyInfo, lower-case hex.
    pub public_key_sha256: String,
    /// When its validity ends, in seconds since 1970.
    pub not_after: i64,
}

impl fmt::Debug for Access {
    /// Shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("ssh", &self.ssh)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Pair {
    /// Shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

impl fmt::Debug for Foreign {
    /// Shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Foreign").finish_non_exhaustive()
    }
}

/// The way into a machine, through the computer it runs on where this one does not reach it.
pub fn remote(ssh: &Ssh, machine: &Machine) -> Remote {
    ssh.to_machine(&machine.server, machine.ip)
}
