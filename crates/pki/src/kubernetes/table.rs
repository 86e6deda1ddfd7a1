//! Every certificate and key pair of a cluster, as data.
//!
//! The values are those of kubeadm 1.36.3 (`cmd/kubeadm/app/phases/certs/certlist.go`, `phases/kubeconfig/kubeconfig.go`),
//! not of the website's table, whose `O=system:masters` on etcd and kubelet clients is from before 1.29.

use std::fmt;

use super::columns::{Copies, Kind, Name, On, SanRule};

/// A certificate or key pair of a cluster, of which there is one, or one on each node that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Credential {
    /// The authority of the Kubernetes API.
    Ca,
    /// The authority of the aggregation layer.
    FrontProxyCa,
    /// The authority of etcd.
    EtcdCa,
    /// The key pair that signs service account tokens.
    ServiceAccount,
    /// What an etcd member shows to its clients.
    EtcdServer,
    /// What an etcd member shows to its peers.
    EtcdPeer,
    /// What health checks show to etcd.
    EtcdHealthcheckClient,
    /// What all API servers show to etcd.
    ApiserverEtcdClient,
    /// What an API server shows to its clients.
    Apiserver,
    /// What an API server shows to kubelets.
    ApiserverKubeletClient,
    /// What an API server shows to extension API servers.
    FrontProxyClient,
    /// The administrator's kubeconfig.
    Admin,
    /// The kubeconfig that bypasses authorization.
    SuperAdmin,
    /// The controller manager's kubeconfig.
    ControllerManager,
    /// The scheduler's kubeconfig.
    Scheduler,
    /// A kubelet's way in.
    Kubelet,
}

/// One certificate or key pair: who it is, and who signs it. Its files are in `places.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Which one.
    pub(super) id: Credential,
    /// What it is for, in half a sentence.
    pub(super) about: &'static str,
    /// Who signs it; `None` for authorities, which sign themselves, and key pairs.
    pub(super) signer: Option<Credential>,
    /// Its common name.
    pub(super) common_name: Name,
    /// Its organization, which Kubernetes reads as a group.
    pub(super) organization: Option<&'static str>,
    /// What it may be used for.
    pub(super) kind: Kind,
    /// Its alternative names.
    pub(super) sans: SanRule,
    /// How many there are.
    pub(super) copies: Copies,
    /// Which nodes have one each, where each node has its own.
    pub(super) on: On,
}

/// One line: its name, its signer, who it is about, what it may be used for, and what for.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.id)?;
        if let Some(signer) = self.signer {
            write!(f, "{signer} signs ")?;
        }
        if self.common_name != Name::None {
            write!(f, "CN={}", self.common_name)?;
        }
        if let Some(organization) = self.organization {
            write!(f, ", O={organization}")?;
        }
        let separator = if self.common_name == Name::None {
            ""
        } else {
            "; "
        };
        write!(f, "{separator}{}; {}", self.kind, self.about)
    }
}

impl Credential {
    /// All of them, authorities first.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.id)
    }

    /// The authority that signs it; `None` for authorities, which sign themselves, and for key pairs.
    pub fn signer(self) -> Option<Self> {
        self.row().signer
    }

    /// One line: its name, its signer, who it is about, what it may be used for, and what for.
    ///
    /// ```
    /// use caravan_pki::kubernetes::Credential;
    /// assert_eq!(
    ///     Credential::Kubelet.summary(),
    ///     "kubelet: ca signs CN=system:node:<node>, O=system:nodes; client; \
    ///      a kubelet's way in; a worker that joins by token gets its own that way"
    /// );
    /// ```
    pub fn summary(self) -> String {
        self.row().to_string()
    }

    /// The row.
    pub(super) fn row(self) -> &'static Row {
        // The table lists the rows in the order of the variants, which a test holds.
        &TABLE[self as usize]
    }

    /// The name of its plan entry, for `node` where each node has its own.
    pub fn entry(self, node: &str) -> String {
        let row = self.row();
        match row.copies {
            Copies::PerNode => format!("nodes/{node}/{}", self.slug()),
            Copies::PerCluster => self.slug().to_owned(),
        }
    }

    /// Its name in paths and tables.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::FrontProxyCa => "front-proxy-ca",
            Self::EtcdCa => "etcd-ca",
            Self::ServiceAccount => "sa",
            Self::EtcdServer => "etcd-server",
            Self::EtcdPeer => "etcd-peer",
            Self::EtcdHealthcheckClient => "etcd-healthcheck-client",
            Self::ApiserverEtcdClient => "apiserver-etcd-client",
            Self::Apiserver => "apiserver",
            Self::ApiserverKubeletClient => "apiserver-kubelet-client",
            Self::FrontProxyClient => "front-proxy-client",
            Self::Admin => "admin",
            Self::SuperAdmin => "super-admin",
            Self::ControllerManager => "controller-manager",
            Self::Scheduler => "scheduler",
            Self::Kubelet => "kubelet",
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

/// A client that every control plane node has for itself.
const CLIENT: Row = Row {
    id: Credential::Admin,
    about: "",
    signer: Some(Credential::Ca),
    common_name: Name::None,
    organization: None,
    kind: Kind::Client,
    sans: SanRule::None,
    copies: Copies::PerNode,
    on: On::ControlPlane,
};

const AUTHORITY: Row = Row {
    signer: None,
    kind: Kind::Authority,
    copies: Copies::PerCluster,
    ..CLIENT
};

const ETCD_MEMBER: Row = Row {
    signer: Some(Credential::EtcdCa),
    common_name: Name::Node,
    kind: Kind::Peer,
    sans: SanRule::EtcdMember,
    on: On::Etcd,
    ..CLIENT
};

/// All rows, authorities first.
pub(super) const TABLE: &[Row] = &[
    Row {
        id: Credential::Ca,
        about: "signs everything that talks to the Kubernetes API",
        common_name: Name::Fixed("kubernetes"),
        ..AUTHORITY
    },
    Row {
        id: Credential::FrontProxyCa,
        about: "signs what API servers show to extension API servers",
        common_name: Name::Fixed("front-proxy-ca"),
        ..AUTHORITY
    },
    Row {
        id: Credential::EtcdCa,
        about: "signs everything that talks to etcd",
        common_name: Name::Fixed("etcd-ca"),
        ..AUTHORITY
    },
    Row {
        id: Credential::ServiceAccount,
        about: "signs service account tokens",
        kind: Kind::KeyPair,
        ..AUTHORITY
    },
    Row {
        id: Credential::EtcdServer,
        about: "what an etcd member shows to its clients",
        ..ETCD_MEMBER
    },
    Row {
        id: Credential::EtcdPeer,
        about: "what etcd members show to each other",
        ..ETCD_MEMBER
    },
    Row {
        id: Credential::EtcdHealthcheckClient,
        about: "what health checks show to etcd",
        common_name: Name::Fixed("kube-etcd-healthcheck-client"),
        kind: Kind::Client,
        sans: SanRule::None,
        ..ETCD_MEMBER
    },
    Row {
        id: Credential::ApiserverEtcdClient,
        about: "what all API servers show to etcd",
        signer: Some(Credential::EtcdCa),
        common_name: Name::Fixed("kube-apiserver-etcd-client"),
        copies: Copies::PerCluster,
        ..CLIENT
    },
    Row {
        id: Credential::Apiserver,
        about: "what an API server shows to its clients",
        common_name: Name::Fixed("kube-apiserver"),
        kind: Kind::Server,
        sans: SanRule::Apiserver,
        ..CLIENT
    },
    Row {
        id: Credential::ApiserverKubeletClient,
        about: "what an API server shows to kubelets",
        common_name: Name::Fixed("kube-apiserver-kubelet-client"),
        // None since 1.35.5 and 1.36.1 (kubernetes #138957): kubeadm binds the user to `system:kubelet-api-admin`.
        // For older ones see `Cluster::with_kubelet_client_group`.
        ..CLIENT
    },
    Row {
        id: Credential::FrontProxyClient,
        about: "what an API server shows to extension API servers",
        signer: Some(Credential::FrontProxyCa),
        common_name: Name::Fixed("front-proxy-client"),
        ..CLIENT
    },
    Row {
        id: Credential::Admin,
        about: "the administrator's way in; its group can be unbound",
        common_name: Name::Fixed("kubernetes-admin"),
        organization: Some("kubeadm:cluster-admins"),
        ..CLIENT
    },
    Row {
        id: Credential::SuperAdmin,
        about: "the way in that no authorization rule can close; kubeadm #2414",
        common_name: Name::Fixed("kubernetes-super-admin"),
        organization: Some("system:masters"),
        on: On::FirstControlPlane,
        ..CLIENT
    },
    Row {
        id: Credential::ControllerManager,
        about: "the controller manager's way to its own API server",
        common_name: Name::Fixed("system:kube-controller-manager"),
        ..CLIENT
    },
    Row {
        id: Credential::Scheduler,
        about: "the scheduler's way to its own API server",
        common_name: Name::Fixed("system:kube-scheduler"),
        ..CLIENT
    },
    Row {
        id: Credential::Kubelet,
        about: "a kubelet's way in; a worker that joins by token gets its own that way",
        common_name: Name::SystemNode,
        organization: Some("system:nodes"),
        on: On::Kubelet,
        ..CLIENT
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_id() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.id as usize, index);
            assert_eq!(row.id.row(), row);
            assert!(!row.about.is_empty());
        }
    }

    #[test]
    fn signers_are_authorities_and_come_first() {
        for row in TABLE {
            match (row.kind, row.signer) {
                (Kind::Authority | Kind::KeyPair, signer) => assert_eq!(signer, None),
                (_, signer) => {
                    let signer = signer.unwrap();
                    assert_eq!(signer.row().kind, Kind::Authority);
                    assert!(signer < row.id);
                }
            }
        }
    }

    #[test]
    fn only_servers_have_names_and_only_one_row_is_almighty() {
        for row in TABLE {
            let serves = matches!(row.kind, Kind::Server | Kind::Peer);
            assert_eq!(serves, row.sans != SanRule::None, "{}", row.id);
        }
        let almighty = TABLE
            .iter()
            .filter(|row| row.organization == Some("system:masters"));
        assert_eq!(
            almighty.map(|row| row.id).collect::<Vec<_>>(),
            [Credential::SuperAdmin]
        );
    }
}
