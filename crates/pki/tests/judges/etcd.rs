//! A real etcd cluster of three members, on loopback.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use caravan_pki::kubernetes::{Cluster, Node};
use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf};

use super::{bundled, run};

const MEMBERS: [&str; 3] = ["etcdone", "etcdtwo", "etcdthree"];

/// Ports that nothing used a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Ends its members when dropped, also when a test fails.
struct Running(Vec<duct::Handle>);

impl Drop for Running {
    fn drop(&mut self) {
        for member in &self.0 {
            drop(member.kill());
        }
    }
}

fn start(etcd: &Path, root: &Path, ports: &[u16; 6]) -> Running {
    let peer = |index: usize| format!("https://127.0.0.1:{}", ports[index + 3]);
    let cluster: Vec<String> = (0..3)
        .map(|index| format!("{}={}", MEMBERS[index], peer(index)))
        .collect();
    let members = (0..3).map(|index| {
        let name = MEMBERS[index];
        let pki = root.join("pki");
        let file = |file: &str| pki.join(file).to_str().unwrap().to_owned();
        let client = format!("https://127.0.0.1:{}", ports[index]);
        let data = root.join(name).to_str().unwrap().to_owned();
        let args = [
            ("name", name.to_owned()),
            ("data-dir", data),
            ("listen-client-urls", client.clone()),
            ("advertise-client-urls", client),
            ("listen-peer-urls", peer(index)),
            ("initial-advertise-peer-urls", peer(index)),
            ("initial-cluster", cluster.join(",")),
            ("cert-file", file(&format!("nodes/{name}/etcd-server.crt"))),
            ("key-file", file(&format!("nodes/{name}/etcd-server.key"))),
            ("trusted-ca-file", file("etcd-ca.crt")),
            (
                "peer-cert-file",
                file(&format!("nodes/{name}/etcd-peer.crt")),
            ),
            (
                "peer-key-file",
                file(&format!("nodes/{name}/etcd-peer.key")),
            ),
            ("peer-trusted-ca-file", file("etcd-ca.crt")),
            ("client-cert-auth", "true".to_owned()),
            ("peer-client-cert-auth", "true".to_owned()),
            ("log-level", "error".to_owned()),
        ];
        let args = args.iter().map(|(flag, value)| format!("--{flag}={value}"));
        duct::cmd(etcd, args)
            .stdout_null()
            .stderr_null()
            .unchecked()
            .start()
            .unwrap()
    });
    Running(members.collect())
}

#[test]
fn three_members_form_a_cluster_and_refuse_strangers() {
    let (Some(etcd), Some(etcdctl)) = (bundled("etcd"), bundled("etcdctl")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut cluster = Cluster::new("127.0.0.1:6443").unwrap();
    cluster = cluster.with_control_plane(Node::new("masterone", [127, 0, 0, 1].into()).unwrap());
    for name in MEMBERS {
        cluster = cluster.with_etcd(Node::new(name, [127, 0, 0, 1].into()).unwrap());
    }
    let store = Store::open(root.join("pki")).unwrap();
    store
        .ensure(&cluster.plan().unwrap(), SystemTime::now())
        .unwrap();
    let stranger = AuthoritySpec::new(CommonName::try_from("etcd-ca").unwrap());
    let stranger = Authority::create(&stranger, SystemTime::now()).unwrap();
    let client = Leaf::client(CommonName::try_from("kube-apiserver-etcd-client").unwrap());
    let stranger = stranger.issue(&client, SystemTime::now()).unwrap();
    std::fs::write(root.join("stranger.crt"), stranger.certificate_pem()).unwrap();
    std::fs::write(root.join("stranger.key"), stranger.key_pem().as_bytes()).unwrap();

    let ports = free_ports();
    let _running = start(&etcd, root, &ports);
    let file = |file: &str| root.join(file).to_str().unwrap().to_owned();
    let endpoints: Vec<String> = ports[..3]
        .iter()
        .map(|port| format!("https://127.0.0.1:{port}"))
        .collect();
    let ask = |pair: Option<&str>, command: &[&str]| {
        let mut args = vec![
            format!("--endpoints={}", endpoints.join(",")),
            format!("--cacert={}", file("pki/etcd-ca.crt")),
            "--dial-timeout=2s".to_owned(),
            "--command-timeout=4s".to_owned(),
        ];
        if let Some(pair) = pair {
            args.push(format!("--cert={}", file(&format!("{pair}.crt"))));
            args.push(format!("--key={}", file(&format!("{pair}.key"))));
        }
        args.extend(command.iter().map(|word| (*word).to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&etcdctl, &args, "")
    };
    let apiserver = Some("pki/apiserver-etcd-client");
    let start = Instant::now();
    loop {
        let (healthy, said) = ask(apiserver, &["endpoint", "health"]);
        if healthy {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{said}");
    }
    let (accepted, said) = ask(apiserver, &["put", "a", "b"]);
    assert!(accepted, "{said}");
    for pair in [
        "pki/nodes/etcdone/etcd-healthcheck-client",
        "pki/nodes/etcdtwo/etcd-server",
    ] {
        assert!(ask(Some(pair), &["get", "a"]).0, "{pair}");
    }
    for pair in [None, Some("stranger"), Some("pki/operator")] {
        assert!(!ask(pair, &["get", "a"]).0, "{pair:?}");
    }
}
