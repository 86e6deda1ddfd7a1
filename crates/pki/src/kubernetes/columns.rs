//! What a row of the table can say in each column.

use std::fmt;

use super::EtcdTopology;

/// Which folder of a node a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Folder {
    /// `/etc/kubernetes`.
    Config,
    /// `/etc/kubernetes/pki`.
    Kubernetes,
    /// `/etc/etcd/pki` of an external etcd's members, `/etc/kubernetes/pki/etcd` of a stacked one's.
    Etcd,
}

impl Folder {
    /// The absolute path.
    pub fn path(self, topology: EtcdTopology) -> &'static str {
        match (self, topology) {
            (Self::Config, _) => "/etc/kubernetes",
            (Self::Kubernetes, _) => "/etc/kubernetes/pki",
            (Self::Etcd, EtcdTopology::External) => "/etc/etcd/pki",
            (Self::Etcd, EtcdTopology::Stacked) => "/etc/kubernetes/pki/etcd",
        }
    }
}

/// In which files a row ends up on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// `.crt` and `.key`.
    Pair,
    /// `.pub` and `.key`.
    KeyPair,
    /// `.conf` with certificate and key inside.
    Kubeconfig,
}

/// What a row may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Signs the others.
    Authority,
    /// Server only.
    Server,
    /// Client only.
    Client,
    /// Both. etcd's server certificate is a client's too, since its gateway dials itself with it (etcd #9785).
    Peer,
    /// No certificate at all.
    KeyPair,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority => "authority",
            Self::Server => "server",
            Self::Client => "client",
            Self::Peer => "server and client",
            Self::KeyPair => "key pair",
        })
    }
}

/// What a row's common name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Name {
    /// Always this.
    Fixed(&'static str),
    /// The node's name.
    Node,
    /// `system:node:` and the node's name.
    SystemNode,
    /// There is no certificate.
    None,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(name) => name,
            Self::Node => "<node>",
            Self::SystemNode => "system:node:<node>",
            Self::None => "-",
        })
    }
}

/// Which alternative names a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SanRule {
    /// None: clients are known by their subject.
    None,
    /// Of an etcd member: name, FQDN, `localhost`, all its addresses, both loopback addresses.
    ///
    /// etcd's peer listener compares the remote address with them (`listener_tls.go`, checkCertSAN).
    EtcdMember,
    /// Of an API server: what kubeadm computes (`GetAPIServerAltNames`), plus the cluster's extra names.
    Apiserver,
}

/// How many of a row there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Copies {
    /// One in the whole cluster.
    PerCluster,
    /// One on each node that has it, each with its own key.
    PerNode,
}

/// Which nodes have a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum On {
    /// All control plane nodes.
    ControlPlane,
    /// The first control plane node alone.
    FirstControlPlane,
    /// All nodes that run etcd.
    Etcd,
    /// Nodes that run etcd and control plane nodes: its certificate; nobody else's keys are safe if they have its key.
    EtcdAndControlPlane,
}
