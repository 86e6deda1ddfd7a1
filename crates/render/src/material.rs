//! Keys, certificates and tokens, as text. Who makes them and how is no matter here.

use std::collections::BTreeMap;
use std::fmt;

use caravan_lab::{Lab, Role};

/// Text that is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

/// A certificate and its key, or a public key and its private one, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, or the public key.
    pub public: String,
    /// The private key.
    pub private: Secret,
}

/// What one etcd member holds: no other member has the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPairs {
    /// For clients.
    pub server: KeyPair,
    /// For other members.
    pub peer: KeyPair,
    /// For health checks from the member itself.
    pub healthcheck: KeyPair,
}

/// Everything secret or signed that a lab's machines need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// `kubernetes`, the CA of API servers, kubelets and users; masters hold its key.
    pub kubernetes_ca: KeyPair,
    /// `front-proxy-ca`; masters hold its key.
    pub front_proxy_ca: KeyPair,
    /// The pair that signs service accounts' tokens.
    pub service_account: KeyPair,
    /// The certificate of etcd's CA. Its key is on no machine.
    pub etcd_ca: String,
    /// The API servers' client certificate for etcd, the same on all masters.
    pub apiserver_etcd_client: KeyPair,
    /// Certificates of each etcd member, by machine name.
    pub members: BTreeMap<String, MemberPairs>,
    /// The kubelet of each master and worker, as a client of the API (`system:node:<name>`), by machine name.
    pub kubelets: BTreeMap<String, KeyPair>,
    /// Tells this lab's etcd cluster from all others: etcd's `--initial-cluster-token`.
    pub etcd_cluster_token: Secret,
    /// The lab's public ssh key, one line in OpenSSH's form.
    pub ssh_public_key: String,
}

impl Material {
    /// Returns words in the places of keys, for golden files: `<key of etcdone's server certificate>`.
    pub fn placeholder(lab: &Lab) -> Material {
        let pair = |name: &str| KeyPair {
            public: format!("<certificate: {name}>\n"),
            private: Secret(format!("<key: {name}>\n")),
        };
        Material {
            kubernetes_ca: pair("kubernetes CA"),
            front_proxy_ca: pair("front-proxy CA"),
            service_account: KeyPair {
                public: "<public key: service accounts>\n".into(),
                private: Secret("<key: service accounts>\n".into()),
            },
            etcd_ca: "<certificate: etcd CA>\n".into(),
            apiserver_etcd_client: pair("apiserver-etcd-client"),
            members: lab
                .of_role(Role::Etcd)
                .map(|member| {
                    let name = &member.name;
                    let pairs = MemberPairs {
                        server: pair(&format!("{name} server")),
                        peer: pair(&format!("{name} peer")),
                        healthcheck: pair(&format!("{name} healthcheck-client")),
                    };
                    (name.clone(), pairs)
                })
                .collect(),
            kubelets: lab
                .machines()
                .iter()
                .filter(|machine| machine.role.is_node())
                .map(|node| (node.name.clone(), pair(&format!("{} kubelet", node.name))))
                .collect(),
            etcd_cluster_token: Secret("<etcd-cluster-token>".into()),
            ssh_public_key: "<ssh public key>".into(),
        }
    }
}
