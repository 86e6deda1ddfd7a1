//! What belongs on each machine.

use zeroize::Zeroizing;

use super::places::{FileContent, PlannedFile};
use super::plan::{BOOTSTRAP_TOKEN, CERTIFICATE_KEY, OPERATOR};
use super::{Cluster, Credential, Kubeconfig, Node};
use crate::{Error, Material};

/// One file of a node.
#[non_exhaustive]
pub struct NodeFile {
    /// Which certificate or key it holds.
    pub credential: Credential,
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
            .field("credential", &self.credential)
            .field("path", &self.path)
            .field("mode", &format_args!("{:04o}", self.mode))
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Every file that belongs on the node named `node`, in the table's order.
    ///
    /// Files of which `pki` lacks the entry are left out, so that a plan of less gives fewer files.
    ///
    /// While the key of an authority changes, files that only judge by it hold both of its certificates; so do public files of
    /// a key pair. The authority of the API on control plane nodes is the exception, unless [`Cluster::with_signer_file`] keeps
    /// what signs apart: the controller manager signs with that file, and refuses one with two certificates. API servers need
    /// another `--client-ca-file` then, with [`Material::trust_pem`] of `ca`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when no node has that name.
    pub fn node_files(&self, node: &str, pki: &Material) -> Result<Vec<NodeFile>, Error> {
        self.files_of(self.find(node)?)
            .filter(|file| pki.has(&file.entry()))
            .map(|file| self.node_file(file, pki))
            .collect()
    }

    /// A planned file with its content.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `pki` lacks the entry, or no node has the file's node's name.
    pub fn node_file(&self, file: PlannedFile, pki: &Material) -> Result<NodeFile, Error> {
        let entry = file.entry();
        let content = match file.content {
            FileContent::Trust | FileContent::PublicKey => pki.trust_pem(&entry)?.into(),
            FileContent::Certificate => match pki.authority(&entry) {
                Ok(authority) => authority.certificate_pem().into(),
                Err(_) => pki.identity(&entry)?.chain_pem().into(),
            },
            FileContent::Key => pki.private_key(&entry)?.to_pkcs8_pem(),
            FileContent::CertificateAndKey => {
                let identity = pki.identity(&entry)?;
                let (chain, key) = (identity.chain_pem(), identity.key_pem());
                // Room for all: growing would leave copies of the key behind.
                let mut both = Zeroizing::new(String::with_capacity(chain.len() + key.len()));
                both.push_str(&chain);
                both.push_str(&key);
                both
            }
            FileContent::Kubeconfig => {
                let node = self.find(&file.node)?;
                self.node_kubeconfig(file.credential, node, pki)?.to_yaml()
            }
        };
        Ok(NodeFile {
            credential: file.credential,
            path: file.path,
            mode: file.content.mode(),
            content,
        })
    }

    /// A kubeconfig of the table, named as kubeadm names its parts.
    fn node_kubeconfig(
        &self,
        row: Credential,
        node: &Node,
        pki: &Material,
    ) -> Result<Kubeconfig, Error> {
        let server = match row {
            // They must not fail over to another API server, which may be of another version (kubeadm #2271).
            Credential::ControllerManager | Credential::Scheduler => {
                super::Endpoint::from(std::net::SocketAddr::new(node.address(), 6443)).url()
            }
            _ => self.endpoint.url(),
        };
        let identity = pki.identity(&row.entry(node.name()))?;
        let authority = pki.trust_pem(&Credential::Ca.entry(""))?;
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
        let authority = pki.trust_pem(&Credential::Ca.entry(""))?;
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
        let ca = pki.authority(&Credential::Ca.entry(""))?;
        Ok(ca.key().public_key().pin())
    }
}
