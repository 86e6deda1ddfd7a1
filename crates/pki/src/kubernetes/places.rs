//! Which file of which node holds which certificate, key or authority's certificates.

use std::collections::HashSet;

use super::columns::On;
use super::{Cluster, Credential, EtcdTopology, Node};
use crate::Plan;

/// What a file of a node holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileContent {
    /// The certificate alone, or the chain that begins with it.
    Certificate,
    /// The certificates of an authority to be trusted: its own, and while its key changes, the coming or the previous
    /// one after it.
    Trust,
    /// The public key of a pair without certificate.
    PublicKey,
    /// The private key.
    Key,
    /// Certificate and private key in one file, as kubelets keep their own.
    CertificateAndKey,
    /// A kubeconfig with certificate and private key inside.
    Kubeconfig,
}

impl FileContent {
    /// The permission bits: 0600 for what holds a private key, else 0644.
    pub fn mode(self) -> u32 {
        match self {
            Self::Certificate | Self::Trust | Self::PublicKey => 0o644,
            Self::Key | Self::CertificateAndKey | Self::Kubeconfig => 0o600,
        }
    }
}

/// Where a file is.
#[derive(Clone, Copy)]
enum Place {
    /// There.
    At(&'static str),
    /// A file of this name in the folder of etcd's keys.
    Etcd(&'static str),
    /// Where the cluster says that kubelets' certificates are.
    Kubelet,
    /// Where `kubeadm` expects the cluster's authority: what is trusted, or, where the controller manager signs with this very
    /// file, one certificate.
    Authority,
    /// Where the cluster says that controller managers sign from, if it does.
    Signer,
    /// Where the cluster says that the load balancer has it.
    LoadBalancer,
}

/// One file of a group of nodes.
struct FileRow {
    credential: Credential,
    on: On,
    place: Place,
    content: FileContent,
}

const fn file(credential: Credential, on: On, place: Place, content: FileContent) -> FileRow {
    FileRow {
        credential,
        on,
        place,
        content,
    }
}

/// Every file of every node.
#[rustfmt::skip]
const FILES: &[FileRow] = {
    use FileContent::{Certificate, Key, Kubeconfig, PublicKey, Trust};
    use Place::{At, Etcd};
    use Credential::*;
    &[
        // Where the controller manager signs with this very file, it refuses one with two certificates.
        file(Ca, On::ControlPlane, Place::Authority, Certificate),
        file(Ca, On::ControlPlane, Place::Signer, Certificate),
        file(Ca, On::ControlPlane, At("/etc/kubernetes/pki/ca.key"), Key),
        file(Ca, On::Worker, At("/etc/kubernetes/pki/ca.crt"), Trust),
        file(Ca, On::LoadBalancer, Place::LoadBalancer, Trust),
        file(FrontProxyCa, On::ControlPlane, At("/etc/kubernetes/pki/front-proxy-ca.crt"), Trust),
        file(FrontProxyCa, On::ControlPlane, At("/etc/kubernetes/pki/front-proxy-ca.key"), Key),
        // An external etcd's authority has its key on no machine: nobody there can make itself a way into etcd.
        file(EtcdCa, On::ExternalEtcd, Etcd("ca.crt"), Trust),
        file(EtcdCa, On::ControlPlane, At("/etc/kubernetes/pki/etcd/ca.crt"), Trust),
        file(EtcdCa, On::StackedEtcd, Etcd("ca.key"), Key),
        file(ServiceAccount, On::ControlPlane, At("/etc/kubernetes/pki/sa.pub"), PublicKey),
        file(ServiceAccount, On::ControlPlane, At("/etc/kubernetes/pki/sa.key"), Key),
        file(EtcdServer, On::Etcd, Etcd("server.crt"), Certificate),
        file(EtcdServer, On::Etcd, Etcd("server.key"), Key),
        file(EtcdPeer, On::Etcd, Etcd("peer.crt"), Certificate),
        file(EtcdPeer, On::Etcd, Etcd("peer.key"), Key),
        file(EtcdHealthcheckClient, On::Etcd, Etcd("healthcheck-client.crt"), Certificate),
        file(EtcdHealthcheckClient, On::Etcd, Etcd("healthcheck-client.key"), Key),
        file(ApiserverEtcdClient, On::ControlPlane, At("/etc/kubernetes/pki/apiserver-etcd-client.crt"), Certificate),
        file(ApiserverEtcdClient, On::ControlPlane, At("/etc/kubernetes/pki/apiserver-etcd-client.key"), Key),
        file(Apiserver, On::ControlPlane, At("/etc/kubernetes/pki/apiserver.crt"), Certificate),
        file(Apiserver, On::ControlPlane, At("/etc/kubernetes/pki/apiserver.key"), Key),
        file(ApiserverKubeletClient, On::ControlPlane, At("/etc/kubernetes/pki/apiserver-kubelet-client.crt"), Certificate),
        file(ApiserverKubeletClient, On::ControlPlane, At("/etc/kubernetes/pki/apiserver-kubelet-client.key"), Key),
        file(FrontProxyClient, On::ControlPlane, At("/etc/kubernetes/pki/front-proxy-client.crt"), Certificate),
        file(FrontProxyClient, On::ControlPlane, At("/etc/kubernetes/pki/front-proxy-client.key"), Key),
        file(Admin, On::ControlPlane, At("/etc/kubernetes/admin.conf"), Kubeconfig),
        file(SuperAdmin, On::FirstControlPlane, At("/etc/kubernetes/super-admin.conf"), Kubeconfig),
        file(ControllerManager, On::ControlPlane, At("/etc/kubernetes/controller-manager.conf"), Kubeconfig),
        file(Scheduler, On::ControlPlane, At("/etc/kubernetes/scheduler.conf"), Kubeconfig),
        file(Kubelet, On::Kubelet, Place::Kubelet, Kubeconfig),
    ]
};

/// A file of a node, without its content: where it is, and what of which plan entry it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedFile {
    /// The node's name.
    pub node: String,
    /// Which certificate or key pair it is made of.
    pub credential: Credential,
    /// What it holds of it.
    pub content: FileContent,
    /// The absolute path on the node.
    pub path: String,
}

impl PlannedFile {
    /// The name of the plan entry that it is made of.
    pub fn entry(&self) -> String {
        self.credential.entry(&self.node)
    }
}

impl Cluster {
    /// The files of all nodes that hold something of `plan`: where each is, and what it holds. Those of one node are in the
    /// table's order. [`Cluster::node_file`] gives one its content.
    pub fn planned_files(&self, plan: &Plan) -> Vec<PlannedFile> {
        let entries = plan.entries().iter().map(|entry| entry.id().as_str());
        let entries: HashSet<&str> = entries.collect();
        let of_row =
            |row: &'static FileRow| self.nodes(row.on).map(move |node| self.planned(row, node));
        let all = FILES.iter().filter(|row| self.has(row)).flat_map(of_row);
        all.filter(|file| entries.contains(file.entry().as_str()))
            .collect()
    }

    /// The files of `node`, of whatever plan.
    pub(super) fn files_of(&self, node: &Node) -> impl Iterator<Item = PlannedFile> {
        let here = |row: &&FileRow| self.nodes(row.on).any(|other| other.name() == node.name());
        let rows = FILES.iter().filter(|row| self.has(row)).filter(here);
        rows.map(|row| self.planned(row, node))
    }

    /// Whether there is such a file in this cluster.
    fn has(&self, row: &FileRow) -> bool {
        !matches!(row.place, Place::Signer) || self.signer_file.is_some()
    }

    fn planned(&self, row: &FileRow, node: &Node) -> PlannedFile {
        let (path, content) = self.place(row, node);
        PlannedFile {
            node: node.name().to_owned(),
            credential: row.credential,
            content,
            path,
        }
    }

    fn place(&self, row: &FileRow, node: &Node) -> (String, FileContent) {
        let path = match row.place {
            Place::At(path) => path.to_owned(),
            Place::Etcd(name) => match self.topology() {
                EtcdTopology::External => format!("/etc/etcd/pki/{name}"),
                EtcdTopology::Stacked => format!("/etc/kubernetes/pki/etcd/{name}"),
            },
            Place::Kubelet => match &self.kubelet_pair {
                Some(path) => return (path.clone(), FileContent::CertificateAndKey),
                None => "/etc/kubernetes/kubelet.conf".to_owned(),
            },
            Place::Authority => {
                let path = "/etc/kubernetes/pki/ca.crt".to_owned();
                return match self.signer_file {
                    Some(_) => (path, FileContent::Trust),
                    None => (path, row.content),
                };
            }
            Place::Signer => self.signer_file.clone().unwrap_or_default(),
            Place::LoadBalancer => self.balancers_ca_files[node.name()].clone(),
        };
        (path, row.content)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_signs_is_apart_from_what_is_trusted_where_that_is_asked_for() {
        let master = Node::new("master", [10, 0, 0, 1].into()).unwrap();
        let plain = Cluster::new("10.0.0.1:6443")
            .unwrap()
            .with_control_plane(master.clone());
        let contents = |cluster: &Cluster| {
            let files = cluster.files_of(&master);
            let of_ca = files.filter(|file| file.credential == Credential::Ca);
            of_ca
                .map(|file| (file.path, file.content))
                .collect::<Vec<_>>()
        };
        let at = |name: &str| format!("/etc/kubernetes/pki/{name}");
        assert_eq!(
            contents(&plain),
            [
                (at("ca.crt"), FileContent::Certificate),
                (at("ca.key"), FileContent::Key),
            ]
        );
        assert_eq!(
            contents(&plain.with_signer_file(&at("ca-signer.crt"))),
            [
                (at("ca.crt"), FileContent::Trust),
                (at("ca-signer.crt"), FileContent::Certificate),
                (at("ca.key"), FileContent::Key),
            ]
        );
    }

    #[test]
    fn every_row_has_a_file_and_no_file_is_there_twice() {
        let of_files: BTreeSet<Credential> = FILES.iter().map(|row| row.credential).collect();
        let of_table: BTreeSet<Credential> = Credential::all().collect();
        assert_eq!(of_files, of_table);
        let node = |name: &str, last: u8| Node::new(name, [10, 0, 0, last].into()).unwrap();
        let stacked = Cluster::new("10.0.0.1:6443")
            .unwrap()
            .with_control_plane(node("master", 1))
            .with_worker(node("worker", 2))
            .with_load_balancer(node("balancer", 3), "/etc/haproxy/ca.crt");
        let external = stacked.clone().with_etcd(node("etcd", 4));
        for cluster in [stacked, external] {
            for node in cluster.all() {
                let files: Vec<PlannedFile> = cluster.files_of(node).collect();
                let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
                assert_eq!(paths.len(), files.len(), "{}", node.name());
                assert!(paths.iter().all(|path| path.starts_with('/')), "{paths:?}");
            }
        }
    }
}
