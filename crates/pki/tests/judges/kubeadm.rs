//! Real kubeadm finds every file in place, checks it, and leaves it untouched.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_pki::kubernetes::{Cluster, EtcdTopology, Node};
use caravan_pki::store::Store;

use super::{bundled, run};

fn node(name: &str, last: u8) -> Node {
    Node::new(name, [192, 168, 29, last].into()).unwrap()
}

/// kubeadm's configuration of the same cluster, with its folders below `root`.
fn config(cluster: &Cluster, root: &Path, version: &str) -> String {
    let pki = root.join("etc/kubernetes/pki");
    let pki = pki.display();
    let etcd = match cluster.topology() {
        EtcdTopology::Stacked => format!("  local:\n    dataDir: {}/etcd\n", root.display()),
        EtcdTopology::External => format!(
            "  external:\n    endpoints: [\"https://192.168.29.61:2379\"]\n    caFile: {pki}/etcd/ca.crt\n    \
             certFile: {pki}/apiserver-etcd-client.crt\n    keyFile: {pki}/apiserver-etcd-client.key\n"
        ),
    };
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint:\n  advertiseAddress: 192.168.29.51\n\
         nodeRegistration:\n  name: masterone\n  criSocket: unix:///run/containerd/containerd.sock\n---\n\
         apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: {version}\n\
         controlPlaneEndpoint: 192.168.29.80:6443\ncertificatesDir: {pki}\netcd:\n{etcd}\
         networking:\n  serviceSubnet: 10.96.0.0/12\n  dnsDomain: cluster.local\n"
    )
}

fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut snapshot(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

#[test]
fn every_file_is_accepted_as_it_is() {
    let Some(kubeadm) = bundled("kubeadm") else {
        return;
    };
    let (_, version) = run(&kubeadm, &["version", "-o", "short"], "");
    let base = Cluster::new("192.168.29.80:6443")
        .unwrap()
        .with_control_plane(node("masterone", 51));
    for cluster in [base.clone(), base.with_etcd(node("etcdone", 61))] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let store = Store::open(root.join("store")).unwrap();
        let made = store
            .ensure(&cluster.plan().unwrap(), SystemTime::now())
            .unwrap();
        for file in cluster.node_files("masterone", made.material()).unwrap() {
            let path = root.join(file.path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut options = std::fs::File::options();
            let options = options.write(true).create_new(true).mode(file.mode);
            options
                .open(&path)
                .unwrap()
                .write_all(file.content.as_bytes())
                .unwrap();
        }
        let etc = root.join("etc");
        let before = snapshot(&etc);
        let config_file = root.join("kubeadm.yaml");
        std::fs::write(&config_file, config(&cluster, root, version.trim())).unwrap();
        let config_file = config_file.to_str().unwrap();

        let phase = ["init", "phase", "certs", "all", "--config", config_file];
        let (accepted, said) = run(&kubeadm, &phase, "");
        assert!(accepted, "{said}");
        let kubeconfigs = etc.join("kubernetes");
        let kubeconfigs = kubeconfigs.to_str().unwrap();
        let phase = [
            "init",
            "phase",
            "kubeconfig",
            "all",
            "--config",
            config_file,
            "--kubeconfig-dir",
            kubeconfigs,
        ];
        let (accepted, said) = run(&kubeadm, &phase, "");
        assert!(accepted, "{said}");

        let after = snapshot(&etc);
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{:?}", cluster.topology());
        for (path, content) in &before {
            assert_eq!(&after[path], content, "{}", path.display());
        }
    }
}

#[test]
fn tokens_are_valid() {
    let Some(kubeadm) = bundled("kubeadm") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::new("192.168.29.80:6443")
        .unwrap()
        .with_control_plane(node("masterone", 51));
    let made = Store::open(folder.path())
        .unwrap()
        .ensure(&cluster.plan().unwrap(), SystemTime::now())
        .unwrap();
    let pki = made.material();
    let config = format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    \
         apiServerEndpoint: 192.168.29.80:6443\n    token: {}\n    caCertHashes: [\"{}\"]\ncontrolPlane:\n  \
         certificateKey: {}\n  localAPIEndpoint:\n    advertiseAddress: 192.168.29.52\n",
        cluster.bootstrap_token(pki).unwrap(),
        cluster.discovery_hash(pki).unwrap(),
        cluster.certificate_key(pki).unwrap(),
    );
    let (accepted, said) = run(
        &kubeadm,
        &["config", "validate", "--config", "/dev/stdin"],
        &config,
    );
    assert!(accepted, "{said}");
}
