//! From the facts of a cluster to its files: the flow that a provisioning tool follows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use caravan_pki::kubernetes::{Cluster, Credential, Node, NodeFile, OPERATOR};
use caravan_pki::store::{EntryOutcome, Store};
use caravan_pki::{DnsName, Item, Reason, San, Secret};
use expect_test::expect;

fn node(name: &str, last: u8) -> Node {
    Node::new(name, IpAddr::from([192, 168, 29, last]))
        .unwrap()
        .with_domain("example.com")
        .unwrap()
}

/// Three masters behind a virtual address, three etcd members.
fn ha() -> Cluster {
    let mut cluster = Cluster::new("192.168.29.80:6443").unwrap();
    for (name, last) in [("masterone", 51), ("mastertwo", 52), ("masterthree", 53)] {
        cluster = cluster.with_control_plane(node(name, last));
    }
    for (name, last) in [("etcdone", 61), ("etcdtwo", 62), ("etcdthree", 63)] {
        cluster = cluster.with_etcd(node(name, last));
    }
    cluster
}

fn stacked() -> Cluster {
    Cluster::new("api.example.com:6443")
        .unwrap()
        .with_control_plane(node("one", 51))
        .with_dns_domain(DnsName::try_from("cluster.example").unwrap())
        .with_service_addresses(["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()])
        .with_extra_san(San::try_from("localhost").unwrap())
}

#[test]
fn the_plan_is_data() {
    let plan = ha().plan().unwrap().to_string();
    expect![[r#"
        ca                                          authority  CN=kubernetes; 3650 days; path length 0
        front-proxy-ca                              authority  CN=front-proxy-ca; 3650 days; path length 0
        etcd-ca                                     authority  CN=etcd-ca; 3650 days; path length 0
        sa                                          key pair
    "#]]
    .assert_eq(&plan.split_inclusive('\n').take(4).collect::<String>());
    for expected in [
        "etcd-ca signs CN=etcdone; serverAuth+clientAuth; etcdone, etcdone.example.com, localhost, 127.0.0.1, 192.168.29.61, ::1; 365 days",
        "etcd-ca signs CN=kube-apiserver-etcd-client; clientAuth; 365 days",
        "ca signs CN=kube-apiserver; serverAuth; kubernetes, kubernetes.default, kubernetes.default.svc, kubernetes.default.svc.cluster.local, mastertwo, 10.96.0.1, 192.168.29.52, 192.168.29.80; 365 days",
        "ca signs CN=system:node:masterthree, O=system:nodes; clientAuth; 365 days",
    ] {
        assert!(plan.contains(expected), "{expected}\n{plan}");
    }
    // 3 authorities; 3 x 3 of etcd; the shared client; 3 x 7 of masters; super-admin; operator; sa; 2 secrets.
    assert_eq!(
        ha().plan().unwrap().entries().len(),
        3 + 9 + 1 + 21 + 1 + 1 + 1 + 2
    );

    let plan = stacked().plan().unwrap().to_string();
    for expected in [
        "kubernetes.default.svc.cluster.example, localhost, one, 10.0.0.1, 192.168.29.51, fd00::1; 365 days",
        "ca signs CN=kube-apiserver; serverAuth; api.example.com, kubernetes,",
        "nodes/one/etcd-peer",
    ] {
        assert!(plan.contains(expected), "{expected}\n{plan}");
    }
}

#[test]
fn a_cluster_needs_a_control_plane_and_distinct_names() {
    let none = Cluster::new("10.0.0.1:6443").unwrap();
    assert!(
        none.plan()
            .unwrap_err()
            .to_string()
            .contains("control plane nodes")
    );
    let twice = none
        .with_control_plane(node("one", 1))
        .with_control_plane(node("one", 2));
    let error = twice.plan().unwrap_err().to_string();
    assert_eq!(error, "invalid node name `one`: is used twice");
}

#[test]
fn files_of_each_node() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = ha();
    let store = Store::open(folder.path().join("pki")).unwrap();
    let made = store
        .ensure(&cluster.plan().unwrap(), SystemTime::now())
        .unwrap();
    let list = |name: &str| {
        let files = cluster.node_files(name, made.material()).unwrap();
        files
            .iter()
            .map(|file| format!("{:04o} {}\n", file.mode, file.path))
            .collect::<String>()
    };
    let first = expect![[r#"
        0644 /etc/kubernetes/pki/ca.crt
        0600 /etc/kubernetes/pki/ca.key
        0644 /etc/kubernetes/pki/front-proxy-ca.crt
        0600 /etc/kubernetes/pki/front-proxy-ca.key
        0644 /etc/kubernetes/pki/etcd/ca.crt
        0644 /etc/kubernetes/pki/sa.pub
        0600 /etc/kubernetes/pki/sa.key
        0644 /etc/kubernetes/pki/apiserver-etcd-client.crt
        0600 /etc/kubernetes/pki/apiserver-etcd-client.key
        0644 /etc/kubernetes/pki/apiserver.crt
        0600 /etc/kubernetes/pki/apiserver.key
        0644 /etc/kubernetes/pki/apiserver-kubelet-client.crt
        0600 /etc/kubernetes/pki/apiserver-kubelet-client.key
        0644 /etc/kubernetes/pki/front-proxy-client.crt
        0600 /etc/kubernetes/pki/front-proxy-client.key
        0600 /etc/kubernetes/admin.conf
        0600 /etc/kubernetes/super-admin.conf
        0600 /etc/kubernetes/controller-manager.conf
        0600 /etc/kubernetes/scheduler.conf
        0600 /etc/kubernetes/kubelet.conf
    "#]];
    first.assert_eq(&list("masterone"));
    let without_super_admin =
        list("masterone").replace("0600 /etc/kubernetes/super-admin.conf\n", "");
    assert_eq!(list("mastertwo"), without_super_admin);
    expect![[r#"
        0644 /etc/etcd/pki/ca.crt
        0644 /etc/etcd/pki/server.crt
        0600 /etc/etcd/pki/server.key
        0644 /etc/etcd/pki/peer.crt
        0600 /etc/etcd/pki/peer.key
        0644 /etc/etcd/pki/healthcheck-client.crt
        0600 /etc/etcd/pki/healthcheck-client.key
    "#]]
    .assert_eq(&list("etcdtwo"));
    assert!(cluster.node_files("nobody", made.material()).is_err());

    let contents = |name: &str| -> BTreeMap<String, String> {
        let files = cluster.node_files(name, made.material()).unwrap();
        files
            .into_iter()
            .map(|file| (file.path.clone(), file.content.to_string()))
            .collect()
    };
    let (one, two) = (contents("masterone"), contents("mastertwo"));
    let scheduler = &two["/etc/kubernetes/scheduler.conf"];
    assert!(scheduler.contains("server: \"https://192.168.29.52:6443\""));
    assert!(scheduler.contains("current-context: \"system:kube-scheduler@kubernetes\""));
    let admin = &two["/etc/kubernetes/admin.conf"];
    assert!(admin.contains("server: \"https://192.168.29.80:6443\""));
    for (path, shared) in [
        ("/etc/kubernetes/pki/apiserver-etcd-client.key", true),
        ("/etc/kubernetes/pki/sa.key", true),
        ("/etc/kubernetes/pki/apiserver.key", false),
        ("/etc/kubernetes/admin.conf", false),
    ] {
        assert_eq!(one[path] == two[path], shared, "{path}");
    }
}

#[test]
fn stacked_etcd_lives_with_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = stacked();
    let store = Store::open(folder.path()).unwrap();
    let made = store
        .ensure(&cluster.plan().unwrap(), SystemTime::now())
        .unwrap();
    let files = cluster.node_files("one", made.material()).unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for expected in [
        "ca.crt",
        "ca.key",
        "server.key",
        "peer.crt",
        "healthcheck-client.key",
    ] {
        let path = format!("/etc/kubernetes/pki/etcd/{expected}");
        assert!(paths.contains(&path.as_str()), "{path}");
    }
}

#[test]
fn every_certificate_says_what_the_plan_says() {
    let plan = ha().plan().unwrap();
    let pki = plan.make(SystemTime::now()).unwrap();
    let mut serials = Vec::new();
    for entry in plan.entries() {
        let id = entry.id().as_str();
        match entry.item() {
            Item::Authority { .. } => {
                let certificate = pki.authority(id).unwrap().certificate();
                assert!(certificate.is_authority());
                assert_eq!(certificate.path_length(), Some(0));
                assert!(certificate.is_signed_by(certificate).unwrap());
                serials.push(certificate.serial());
            }
            Item::Leaf { issuer, leaf } => {
                let certificate = pki.identity(id).unwrap().certificate();
                assert!(!certificate.is_authority());
                assert_eq!(certificate.usages(), leaf.usages(), "{id}");
                for name in ["ca", "etcd-ca", "front-proxy-ca"] {
                    let authority = pki.authority(name).unwrap().certificate();
                    let signed = certificate.is_signed_by(authority).unwrap();
                    assert_eq!(signed, name == issuer.as_str(), "{id} by {name}");
                }
                let validity = certificate.validity();
                let life = validity.not_after().duration_since(validity.not_before());
                assert_eq!(life.unwrap(), Duration::from_secs(365 * 86_400 - 1), "{id}");
                serials.push(certificate.serial());
            }
            _ => {}
        }
    }
    let count = serials.len();
    // What `the_plan_is_data` counts, but for key pair and secrets.
    assert_eq!(count, 3 + 9 + 1 + 21 + 1 + 1);
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), count, "serial numbers are unique");
    assert!(serials.iter().all(|serial| serial.len() == 32));
}

#[test]
fn groups_decide_what_a_client_may_do() {
    let pki = ha().plan().unwrap().make(SystemTime::now()).unwrap();
    let mut groups = Vec::new();
    for credential in Credential::all() {
        let node = ["etcdone", "masterone"].map(|node| credential.entry(node));
        let made = node.iter().find_map(|entry| pki.identity(entry).ok());
        for group in made.map_or(Vec::new(), |made| made.certificate().organizations()) {
            groups.push(format!("{credential}: {group}"));
        }
    }
    let expected = [
        "admin: kubeadm:cluster-admins",
        "super-admin: system:masters",
        "kubelet: system:nodes",
    ];
    assert_eq!(groups, expected);
}

#[test]
fn who_signs_what() {
    let signed = |authority| {
        Credential::all()
            .filter(|credential| credential.signer() == Some(authority))
            .map(Credential::slug)
            .collect::<Vec<_>>()
    };
    let by_etcd = [
        "etcd-server",
        "etcd-peer",
        "etcd-healthcheck-client",
        "apiserver-etcd-client",
    ];
    assert_eq!(signed(Credential::EtcdCa), by_etcd);
    assert_eq!(signed(Credential::FrontProxyCa), ["front-proxy-client"]);
    assert_eq!(signed(Credential::Ca).len(), 7);
    assert_eq!(signed(Credential::Admin), [""; 0]);
}

/// Workers hold nothing but their own kubelet's pair, load balancers nothing but what they judge by.
#[test]
fn workers_and_load_balancers() {
    let cluster = ha()
        .with_worker(node("workerone", 71))
        .with_load_balancer(node("lbone", 41), "/etc/haproxy/ca.crt")
        .with_kubelet_pair("/var/lib/kubelet/pki/pair.pem");
    let plan = cluster.plan().unwrap();
    let pki = plan.make(SystemTime::now()).unwrap();
    let files = |name: &str| {
        let files = cluster.node_files(name, &pki).unwrap();
        let planned = cluster.planned_files(&plan).into_iter();
        let planned: Vec<_> = planned.filter(|file| file.node == name).collect();
        assert_eq!(planned.len(), files.len());
        for (planned, file) in planned.iter().zip(&files) {
            let modes = (planned.content.mode(), file.mode);
            assert_eq!((&planned.path, modes.0), (&file.path, modes.1));
        }
        files
    };
    let list = |name: &str| {
        let line = |file: &NodeFile| format!("{:04o} {}", file.mode, file.path);
        files(name).iter().map(line).collect::<Vec<_>>()
    };
    let worker = [
        "0644 /etc/kubernetes/pki/ca.crt",
        "0600 /var/lib/kubelet/pki/pair.pem",
    ];
    assert_eq!(list("workerone"), worker);
    assert_eq!(list("lbone"), ["0644 /etc/haproxy/ca.crt"]);
    assert_eq!(list("masterone").last().unwrap(), worker[1]);
    let pair = &files("workerone")[1].content;
    let identity = pki.identity("nodes/workerone/kubelet").unwrap();
    assert_eq!(**pair, identity.chain_pem() + &identity.key_pem());
    let names = identity.certificate().common_names();
    assert_eq!(names, ["system:node:workerone"]);
}

/// Of a plan without them nothing is left to join with.
#[test]
fn a_join_token_is_made_for_who_asks() {
    let cluster = ha();
    let plan = cluster.plan_of(|credential| credential == Credential::Kubelet);
    let pki = plan.unwrap().make(SystemTime::now()).unwrap();
    assert!(cluster.bootstrap_token(&pki).is_err());
    assert!(cluster.certificate_key(&pki).is_err());
    assert!(pki.identity(OPERATOR).is_ok());
}

/// kubeadm before 1.35.5, and 1.36.0, gives the user no role of its own.
#[test]
fn older_api_servers_reach_kubelets_by_a_group() {
    let id = Credential::ApiserverKubeletClient.entry("masterone");
    let groups = |cluster: Cluster| {
        let pki = cluster.plan().unwrap().make(SystemTime::now()).unwrap();
        pki.identity(&id).unwrap().certificate().organizations()
    };
    assert_eq!(groups(ha()), Vec::<String>::new());
    assert_eq!(
        groups(ha().with_kubelet_client_group()),
        ["kubeadm:cluster-admins"]
    );
}

#[test]
fn the_operator_gets_in_without_a_masters_files() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = ha().with_name("ha").unwrap();
    let store = Store::open(folder.path()).unwrap();
    let made = store
        .ensure(&cluster.plan().unwrap(), SystemTime::now())
        .unwrap();
    let pki = made.material();
    let text = cluster
        .admin_kubeconfig(pki, "https://10.1.2.3:6443")
        .unwrap();
    assert!(text.contains("server: \"https://10.1.2.3:6443\""));
    let operator = pki.identity("operator").unwrap().certificate();
    assert_eq!(operator.common_names(), ["kubernetes-admin"]);
    assert_eq!(operator.organizations(), ["kubeadm:cluster-admins"]);
    assert!(
        cluster
            .admin_kubeconfig(pki, "http://10.1.2.3:6443")
            .is_err()
    );
    assert_eq!(cluster.discovery_hash(pki).unwrap().len(), 7 + 64);
    assert_eq!(cluster.bootstrap_token(pki).unwrap().len(), 23);
    assert_eq!(cluster.certificate_key(pki).unwrap().len(), 64);
}

/// Path, inode and modification time of every file below `folder`.
fn fingerprint(folder: &Path) -> Vec<(String, u64, i64, i64, u32)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            all.push((
                path.display().to_string(),
                metadata.ino(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.mode() & 0o7777,
            ));
        }
    }
    all.sort();
    all
}

#[test]
fn a_second_run_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = ha().plan().unwrap();
    plan.secret("secrets/vrrp", Secret::Alphanumeric(8))
        .unwrap();
    plan.ssh_key("ssh/id_ecdsa", "ha").unwrap();
    let store = Store::open(folder.path()).unwrap();
    let now = SystemTime::now();
    let made = store.ensure(&plan, now).unwrap();
    assert!(
        made.entries()
            .iter()
            .all(|entry| entry.outcome == EntryOutcome::Made(Reason::Missing))
    );
    let before = fingerprint(folder.path());
    for (path, _, _, _, mode) in &before {
        let public = path.ends_with(".crt") || path.ends_with(".pub");
        let folder = Path::new(path).is_dir();
        let expected = if folder {
            0o700
        } else if public {
            0o644
        } else {
            0o600
        };
        assert_eq!(*mode, expected, "{path}");
    }

    let again = store
        .ensure(&plan, now + Duration::from_secs(86_400))
        .unwrap();
    assert_eq!(again.changes().collect::<Vec<_>>(), Vec::<&_>::new());
    assert_eq!(fingerprint(folder.path()), before);
    let loaded = store.load(&plan).unwrap();
    assert_eq!(
        *loaded
            .identity("nodes/etcdone/etcd-peer")
            .unwrap()
            .key_pem(),
        *made
            .material()
            .identity("nodes/etcdone/etcd-peer")
            .unwrap()
            .key_pem()
    );
}
