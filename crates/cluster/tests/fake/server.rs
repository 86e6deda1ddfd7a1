//! A server on loopback in place of an API server or an etcd member, and keys for both sides.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use caravan_cluster::etcd::Member;
use caravan_cluster::kube::Api;
use caravan_cluster::{Access, Foreign, PATIENCE, Pair};
use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, San, Sans};
use caravan_process::Program;
use caravan_vagrant::ssh::Ssh;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn name(text: &str) -> CommonName {
    CommonName::try_from(text).expect("a name")
}

pub(crate) fn authority(text: &str) -> Authority {
    Authority::create(&AuthoritySpec::new(name(text)), SystemTime::now()).expect("made")
}

pub(crate) fn issued(authority: &Authority, leaf: &Leaf) -> Pair {
    let made = authority.issue(leaf, SystemTime::now()).expect("issued");
    Pair {
        certificate: made.chain_pem(),
        key: made.key_pem().to_string(),
    }
}

pub(crate) fn client(authority: &Authority) -> Pair {
    issued(authority, &Leaf::client(name("operator")))
}

/// Keys of a lab whose servers are all of `authority`.
pub(crate) fn access(authority: &Authority) -> Access {
    let stranger = self::authority("stranger");
    Access {
        way: caravan_cluster::NetworkWay::default(),
        ssh: Ssh::with(Program::at("ssh"), "id", "known"),
        kubernetes_ca: authority.certificate_pem(),
        etcd_ca: authority.certificate_pem(),
        operator: client(authority),
        etcd_client: client(authority),
        apiserver_etcd_client: client(authority),
        foreign: Foreign {
            ca: stranger.certificate_pem(),
            client: client(&stranger),
        },
        insecure_key: None,
        inspect: |_| None,
        patience: PATIENCE,
    }
}

/// What an answer has as its status where the connection is closed instead.
pub(crate) const CLOSES: u16 = 0;

/// A server on loopback that wants a client certificate of its CA, answers as told and notes what it was asked. What is
/// asked once more is answered as `REQUEST again` says, where there is such an answer.
pub(crate) struct Server {
    pub(crate) address: SocketAddrV4,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(authority: &Authority, answers: &[(&str, u16, &str)]) -> Self {
        let address = San::try_from("127.0.0.1").expect("an address");
        let leaf = Leaf::server(name("server"), Sans::new([address]).expect("names"));
        let pair = issued(authority, &leaf);
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes());
        roots.add(ca.expect("a certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .expect("a verifier");
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("a chain");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("a server");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let SocketAddr::V4(address) = listener.local_addr().expect("an address") else {
            panic!("not IPv4")
        };
        let answers: BTreeMap<String, (u16, String)> = answers
            .iter()
            .map(|(request, status, body)| ((*request).to_owned(), (*status, (*body).to_owned())))
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let server = Self {
            address,
            asked: Arc::clone(&asked),
        };
        // Ends with the test's process.
        std::thread::spawn(move || {
            let config = Arc::new(config);
            for socket in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
                // A client that is refused, or goes away, is what some tests are about.
                drop(serve(
                    StreamOwned::new(connection, socket),
                    &answers,
                    &asked,
                ));
            }
        });
        server
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }

    pub(crate) fn api(&self, access: &Access) -> Api {
        Api::at(
            "the API",
            self.address,
            access,
            Some(&access.operator),
            LIMIT,
        )
        .expect("a client")
    }

    pub(crate) fn member(&self, access: &Access) -> Member {
        Member::at("etcdone", self.address, access, LIMIT).expect("a client")
    }
}

fn serve(
    stream: StreamOwned<ServerConnection, std::net::TcpStream>,
    answers: &BTreeMap<String, (u16, String)>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let request = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let note = format!("{request} {}", String::from_utf8_lossy(&body));
    let note = note.trim_end().to_owned();
    let mut asked = asked.lock().expect("a list");
    let again = (asked.contains(&note)).then(|| answers.get(&format!("{request} again")));
    let answer = again.flatten().or_else(|| answers.get(&request));
    let (status, answer) = answer.cloned().unwrap_or((
        404,
        json!({ "kind": "Status", "message": "not found", "code": 404 }).to_string(),
    ));
    asked.push(note);
    drop(asked);
    if status == CLOSES {
        return Ok(());
    }
    let stream = stream.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}
