//! What a row of the table can say in each column.

use std::fmt;

/// What a row may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SanRule {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// One in the whole cluster.
    PerCluster,
    /// One on each node that has it, each with its own key.
    PerNode,
}

/// Which nodes have a row, or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// All control plane nodes.
    ControlPlane,
    /// The first control plane node alone.
    FirstControlPlane,
    /// Workers.
    Worker,
    /// Everything with a kubelet: control plane nodes and workers.
    Kubelet,
    /// All nodes that run etcd.
    Etcd,
    /// Nodes that run etcd and nothing else.
    ExternalEtcd,
    /// Control plane nodes that run etcd.
    StackedEtcd,
    /// Load balancers in front of the API servers.
    LoadBalancer,
}
