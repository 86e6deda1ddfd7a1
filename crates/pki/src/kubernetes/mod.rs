//! The certificates of a Kubernetes cluster made by kubeadm, with external or stacked etcd.
//!
//! Three steps lead from facts to files:
//!
//! 1. A [`Cluster`] holds the facts: endpoint, nodes, addresses.
//! 2. [`Cluster::plan`] turns them and kubeadm's table of certificates into a [`Plan`](crate::Plan), which is data.
//! 3. A [`Store`](crate::store::Store) makes the plan real in a folder, [`Plan::make`](crate::Plan::make) in memory;
//!    [`Cluster::node_files`] and [`Cluster::admin_kubeconfig`] give each node and the operator what is theirs.
//!
//! ```
//! use std::time::SystemTime;
//! use caravan_pki::kubernetes::{Cluster, Node, Credential};
//! use caravan_pki::store::Store;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let mut cluster = Cluster::new("192.168.29.80:6443")?;
//! for (name, ip) in [("masterone", "192.168.29.51"), ("mastertwo", "192.168.29.52")] {
//!     cluster = cluster.with_control_plane(Node::new(name, ip.parse()?)?.with_domain("example.com")?);
//! }
//! for (name, ip) in [("etcdone", "192.168.29.61"), ("etcdtwo", "192.168.29.62"), ("etcdthree", "192.168.29.63")] {
//!     cluster = cluster.with_etcd(Node::new(name, ip.parse()?)?.with_domain("example.com")?);
//! }
//!
//! let plan = cluster.plan()?;
//! let store = Store::open(folder.path().join("pki"))?;
//! let made = store.ensure(&plan, SystemTime::now())?;
//! let pki = made.material();
//!
//! // What belongs on one machine: path, mode, content.
//! for file in cluster.node_files("masterone", pki)? {
//!     println!("{} {:04o}", file.path, file.mode);
//! }
//! // One certificate and key.
//! let server = pki.identity(&Credential::EtcdServer.entry("etcdone"))?;
//! assert!(server.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! // What `kubeadm join` needs.
//! let token = cluster.bootstrap_token(pki)?;
//! let hash = cluster.discovery_hash(pki)?;
//! assert!(hash.starts_with("sha256:"));
//! // The operator's way in, through whatever address.
//! let kubeconfig = cluster.admin_kubeconfig(pki, "https://192.168.29.80:6443")?;
//! # let _ = (token, kubeconfig);
//! # Ok(())
//! # }
//! ```

mod cluster;
mod columns;
mod files;
mod kubeconfig;
mod places;
mod plan;
mod table;
#[cfg(feature = "yaml")]
pub(crate) mod users;

pub use cluster::{Cluster, Endpoint, EtcdTopology, Node};
pub use files::NodeFile;
pub use kubeconfig::Kubeconfig;
pub use places::{FileContent, PlannedFile};
pub use plan::{BOOTSTRAP_TOKEN, CERTIFICATE_KEY, OPERATOR};
pub use table::Credential;
