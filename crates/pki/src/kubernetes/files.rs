//! What belongs on each machine.

use zeroize::Zeroizing;

use super::columns::{Folder, Form, Kind, On};
use super::plan::{BOOTSTRAP_TOKEN, CERTIFICATE_KEY, OPERATOR};
use super::table::{Row, TABLE};
use super::{Cluster, EtcdTopology, Kubeconfig, Node, RowId};
use crate::{Error, Material};

/// One file of a node.
#[non_exhaustive]
pub struct NodeFile {
    /// Which certificate or key it holds.
    pub row: RowId,
    /// The absolute path on the node.
    pub path: String,
    /// The permission bits: 0600 for what holds a private key, else 0644.
    pub mode: u32,
    /// The content.
    pub content: Zeroizing<String>,
}

impl std::fmt::Debug for NodeFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeFile")
            .field("row", &self.row)
            .field("path", &self.path)
            .field("mode", &format_args!("{:04o}", self.mode))
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Every file that belongs on the node named `node`, in the table's order.
    ///
    /// Rows that `pki` lacks are left out, so that a plan of fewer rows gives fewer files.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when no node has that name.
    pub fn node_files(&self, node: &str, pki: &Material) -> Result<Vec<NodeFile>, Error> {
        let node = self
            .control_plane
            .iter()
            .chain(&self.etcd)
            .find(|candidate| candidate.name() == node)
            .ok_or_else(|| Error::NotFound {
                what: "node",
                name: node.to_owned(),
            })?;
        let mut files = Vec::new();
        for row in TABLE.iter().filter(|row| self.is_on(row, node)) {
            self.row_files(row, node, pki, &mut files)?;
        }
        Ok(files)
    }

    fn is_on(&self, row: &Row, node: &Node) -> bool {
        let in_list = |nodes: &[Node]| nodes.iter().any(|other| other.name() == node.name());
        in_list(self.nodes(row.on))
            || row.on == On::EtcdAndControlPlane && in_list(&self.control_plane)
    }

    fn row_files(
        &self,
        row: &Row,
        node: &Node,
        pki: &Material,
        files: &mut Vec<NodeFile>,
    ) -> Result<(), Error> {
        let id = row.id.entry(node.name());
        let folder = self.folder(row, node);
        let mut add = |extension: &str, mode: u32, content: Zeroizing<String>| {
            files.push(NodeFile {
                row: row.id,
                path: format!("{folder}/{}.{extension}", row.file),
                mode,
                content,
            });
        };
        match (row.form, row.kind) {
            (_, Kind::Authority) => {
                let Ok(authority) = pki.authority(&id) else {
                    return Ok(());
                };
                add("crt", 0o644, pki.trust_pem(&id)?.into());
                if self.key_travels(row) {
                    add("key", 0o600, authority.key_pem());
                }
            }
            (Form::KeyPair, _) => {
                let Ok(key) = pki.key_pair(&id) else {
                    return Ok(());
                };
                add("pub", 0o644, key.public_key().to_pem().into());
                add("key", 0o600, key.to_pkcs8_pem());
            }
            (Form::Pair, _) => {
                let Ok(identity) = pki.identity(&id) else {
                    return Ok(());
                };
                add("crt", 0o644, identity.chain_pem().into());
                add("key", 0o600, identity.key_pem());
            }
            (Form::Kubeconfig, _) => {
                if pki.identity(&id).is_ok() {
                    add(
                        "conf",
                        0o600,
                        self.node_kubeconfig(row, node, pki)?.to_yaml(),
                    );
                }
            }
        }
        Ok(())
    }

    /// Whether the key of the authority `row` belongs on nodes: not that of an external etcd.
    fn key_travels(&self, row: &Row) -> bool {
        row.id != RowId::EtcdCa || self.topology() == EtcdTopology::Stacked
    }

    /// Where a row's files are on `node`. Control plane nodes of an external etcd keep its authority where kubeadm
    /// keeps that of a stacked one.
    fn folder(&self, row: &Row, node: &Node) -> &'static str {
        let on_etcd = self
            .etcd()
            .iter()
            .any(|member| member.name() == node.name());
        let topology = match row.folder {
            Folder::Etcd if !on_etcd => EtcdTopology::Stacked,
            _ => self.topology(),
        };
        row.folder.path(topology)
    }

    /// A kubeconfig of the table, named as kubeadm names its parts.
    fn node_kubeconfig(&self, row: &Row, node: &Node, pki: &Material) -> Result<Kubeconfig, Error> {
        let server = match row.id {
            // They must not fail over to another API server, which may be of another version (kubeadm #2271).
            RowId::ControllerManager | RowId::Scheduler => {
                super::Endpoint::from(std::net::SocketAddr::new(node.address(), 6443)).url()
            }
            _ => self.endpoint.url(),
        };
        let identity = pki.identity(&row.id.entry(node.name()))?;
        let authority = pki.trust_pem(&RowId::Ca.entry(""))?;
        let user = identity.certificate().subject_shown();
        let context = format!("{user}@{}", self.name);
        Kubeconfig::new(&user, &authority, identity)?
            .with_named_context(&context, &self.name, &server)
    }

    /// A kubeconfig of the operator's own certificate (`kubernetes-admin`, group `kubeadm:cluster-admins`), with one
    /// context, named after the cluster, to `server` (`https://host:port`).
    ///
    /// For several contexts, see [`Cluster::operator_kubeconfig`].
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `pki` is of another plan; [`Error::Invalid`] unless `server` is an `https` URL.
    pub fn admin_kubeconfig(
        &self,
        pki: &Material,
        server: &str,
    ) -> Result<Zeroizing<String>, Error> {
        let kubeconfig = self.operator_kubeconfig(pki)?;
        Ok(kubeconfig.with_context(&self.name, server)?.to_yaml())
    }

    /// A kubeconfig of the operator's own certificate, to which contexts are yet to be added.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `pki` is of another plan.
    pub fn operator_kubeconfig(&self, pki: &Material) -> Result<Kubeconfig, Error> {
        let authority = pki.trust_pem(&RowId::Ca.entry(""))?;
        // Named after the cluster, so that files of several clusters can be merged.
        let user = format!("{}-admin", self.name);
        Kubeconfig::new(&user, &authority, pki.identity(OPERATOR)?)
    }

    /// The token that `kubeadm join` takes.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `pki` is of another plan.
    pub fn bootstrap_token<'a>(&self, pki: &'a Material) -> Result<&'a str, Error> {
        pki.secret(BOOTSTRAP_TOKEN)
    }

    /// The key that `kubeadm init --upload-certs --certificate-key` takes.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `pki` is of another plan.
    pub fn certificate_key<'a>(&self, pki: &'a Material) -> Result<&'a str, Error> {
        pki.secret(CERTIFICATE_KEY)
    }

    /// The hash that `kubeadm join --discovery-token-ca-cert-hash` takes: `sha256:` and 64 hex digits.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `pki` is of another plan.
    pub fn discovery_hash(&self, pki: &Material) -> Result<String, Error> {
        let ca = pki.authority(&RowId::Ca.entry(""))?;
        Ok(ca.key().public_key().pin())
    }
}
