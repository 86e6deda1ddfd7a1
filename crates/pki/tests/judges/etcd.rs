//! A real etcd cluster of three members, on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use caravan_pki::kubernetes::{Cluster, Node};
use caravan_pki::store::Store;
use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

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

/// One or more members, started; client ports first, then those for peers.
fn start(etcd: &Path, root: &Path, names: &[&str], ports: &[u16], more: &[&str]) -> Running {
    let peer = |index: usize| format!("https://127.0.0.1:{}", ports[names.len() + index]);
    let cluster: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{name}={}", peer(index)))
        .collect();
    let members = names.iter().enumerate().map(|(index, name)| {
        let pki = root.join("pki");
        let file = |file: &str| pki.join(file).to_str().unwrap().to_owned();
        let client = format!("https://127.0.0.1:{}", ports[index]);
        let data = root.join(format!("{name}-{}", ports[index]));
        let data = data.to_str().unwrap().to_owned();
        let args = [
            ("name", (*name).to_owned()),
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
        let args = args.chain(more.iter().map(|flag| (*flag).to_owned()));
        duct::cmd(etcd, args)
            .stdout_null()
            .stderr_null()
            .unchecked()
            .start()
            .unwrap()
    });
    Running(members.collect())
}

/// A store with the certificates of three members on loopback.
fn store(root: &Path) {
    let mut cluster = Cluster::new("127.0.0.1:6443").unwrap();
    cluster = cluster.with_control_plane(Node::new("masterone", [127, 0, 0, 1].into()).unwrap());
    for name in MEMBERS {
        cluster = cluster.with_etcd(Node::new(name, [127, 0, 0, 1].into()).unwrap());
    }
    let store = Store::open(root.join("pki")).unwrap();
    store
        .ensure(&cluster.plan().unwrap(), SystemTime::now())
        .unwrap();
}

/// Asks a member's peer port who the members are, with the pair of a store's entry; the answer's status line.
fn ask_as_peer(root: &Path, pair: &str, port: u16) -> std::io::Result<String> {
    let file = |file: String| root.join("pki").join(file);
    let chain = CertificateDer::pem_file_iter(file(format!("{pair}.crt"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(file(format!("{pair}.key"))).unwrap();
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(file("etcd-ca.crt".to_owned())).unwrap();
    roots.add(ca).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let name = "127.0.0.1".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(b"GET /members HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// Waits until a member answers its peers.
fn wait_for_peer(root: &Path, port: u16) {
    let start = Instant::now();
    loop {
        let answer = ask_as_peer(root, "nodes/etcdtwo/etcd-peer", port);
        if matches!(&answer, Ok(line) if line.contains(" 200 ")) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{answer:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A client certificate has no names, so etcd has nothing to compare; naming the members is what keeps it out.
#[test]
fn a_client_is_no_peer_where_peers_are_named() {
    let Some(etcd) = bundled("etcd") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    store(root);
    let names = format!("--peer-cert-allowed-hostname={}", MEMBERS.join(","));
    for (more, refused) in [(vec![names.as_str()], true), (vec![], false)] {
        let ports: [u16; 2] = free_ports();
        let _running = start(&etcd, root, &MEMBERS[..1], &ports, &more);
        wait_for_peer(root, ports[1]);
        for client in [
            "apiserver-etcd-client",
            "nodes/etcdtwo/etcd-healthcheck-client",
        ] {
            let answer = ask_as_peer(root, client, ports[1]);
            let alert = "received fatal alert: BadCertificate";
            match &answer {
                Ok(line) => assert!(!refused && line.contains(" 200 "), "{client}: {line}"),
                Err(error) => {
                    assert!(
                        refused && error.to_string().contains(alert),
                        "{client}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn three_members_form_a_cluster_and_refuse_strangers() {
    let (Some(etcd), Some(etcdctl)) = (bundled("etcd"), bundled("etcdctl")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    store(root);
    let stranger = AuthoritySpec::new(CommonName::try_from("etcd-ca").unwrap());
    let stranger = Authority::create(&stranger, SystemTime::now()).unwrap();
    let client = Leaf::client(CommonName::try_from("kube-apiserver-etcd-client").unwrap());
    let stranger = stranger.issue(&client, SystemTime::now()).unwrap();
    std::fs::write(root.join("stranger.crt"), stranger.certificate_pem()).unwrap();
    std::fs::write(root.join("stranger.key"), stranger.key_pem().as_bytes()).unwrap();

    let ports: [u16; 6] = free_ports();
    let names = format!("--peer-cert-allowed-hostname={}", MEMBERS.join(","));
    let _running = start(&etcd, root, &MEMBERS, &ports, &[&names]);
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
