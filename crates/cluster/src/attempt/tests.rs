//! Attempts against servers on loopback, with certificates as a lab has them.

use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;
use std::time::SystemTime;

use caravan_pki::{Authority, AuthoritySpec, CommonName, Identity, Leaf, Sans};
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};

use std::net::TcpStream;

use super::*;

fn name(text: &str) -> CommonName {
    CommonName::try_from(text).expect("a name")
}

fn authority(called: &str) -> Authority {
    Authority::create(&AuthoritySpec::new(name(called)), SystemTime::now()).expect("a CA")
}

fn local() -> Sans {
    Sans::parse(["127.0.0.1"]).expect("names")
}

fn issue(ca: &Authority, leaf: &Leaf) -> Identity {
    ca.issue(leaf, SystemTime::now()).expect("a certificate")
}

fn pair(identity: &Identity) -> Pair {
    Pair {
        certificate: identity.chain_pem(),
        key: identity.key_pem().to_string(),
    }
}

/// What a server asks of its clients.
enum Asks<'a> {
    Nothing,
    CertificateOf(&'a Authority),
}

/// A TLS server that answers one connection, then ends.
fn serve(identity: &Identity, asks: &Asks<'_>) -> (SocketAddrV4, JoinHandle<()>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match asks {
        Asks::Nothing => builder.with_no_client_auth(),
        Asks::CertificateOf(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in chain("CA", &ca.certificate_pem()).expect("PEM") {
                roots.add(certificate).expect("a root");
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .expect("a verifier");
            builder.with_client_cert_verifier(verifier)
        }
    };
    let Pair { certificate, key } = pair(identity);
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let config = builder
        .with_single_cert(chain("leaf", &certificate).expect("PEM"), key)
        .expect("a pair");
    listen(move |mut socket| {
        let mut connection = ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = Stream::new(&mut connection, &mut socket);
        let mut request = [0; 512];
        if stream.read(&mut request).is_ok() {
            drop(stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello\n"));
            stream.conn.send_close_notify();
            drop(stream.conn.complete_io(stream.sock));
        } else {
            // The alert that says why.
            drop(connection.write_tls(&mut socket));
        }
    })
}

fn listen(answer: impl FnOnce(TcpStream) + Send + 'static) -> (SocketAddrV4, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let thread = std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        answer(socket);
    });
    (SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), thread)
}

/// Lets a client of `trusted` with `shown` talk to a server of `ca` that asks for clients of `clients`.
fn attempt(
    server: &Identity,
    asks: &Asks<'_>,
    trusted: &Authority,
    shown: Option<&Identity>,
) -> Attempt {
    let (address, thread) = serve(server, asks);
    let shown = shown.map(pair);
    let client = Client::new(&trusted.certificate_pem(), shown.as_ref()).expect("a client");
    let attempt = client.get(address, "/version");
    thread.join().expect("the server ended well");
    attempt
}

#[test]
fn a_client_with_all_it_needs_is_answered() {
    let ca = authority("etcd-ca");
    let server = issue(&ca, &Leaf::peer(name("etcdone"), local()));
    let client = issue(&ca, &Leaf::client(name("client")));
    let attempt = attempt(&server, &Asks::CertificateOf(&ca), &ca, Some(&client));
    assert!(attempt.trusted);
    assert!(!attempt.is_refusal());
    assert_eq!(
        attempt.end,
        End::Answered {
            status: 200,
            body: "hello".to_owned()
        }
    );
    let expected = chain("leaf", &server.certificate_pem()).expect("PEM");
    assert_eq!(attempt.shown.as_deref(), Some(expected[0].as_ref()));
}

#[test]
fn the_server_refuses_no_certificate_and_a_foreign_one() {
    let (ca, foreign) = (authority("etcd-ca"), authority("etcd-ca"));
    let server = issue(&ca, &Leaf::peer(name("etcdone"), local()));
    let stranger = issue(&foreign, &Leaf::client(name("client")));
    for shown in [None, Some(&stranger)] {
        let attempt = attempt(&server, &Asks::CertificateOf(&ca), &ca, shown);
        assert!(attempt.is_refusal(), "{attempt:?}");
        assert!(attempt.shown.is_some());
    }
}

#[test]
fn the_client_refuses_what_is_not_the_server() {
    let (ca, other) = (authority("kubernetes"), authority("kubernetes"));
    let check = |server: &Identity, trusted: &Authority, expected: Distrust| {
        let attempt = attempt(server, &Asks::Nothing, trusted, None);
        assert_eq!(attempt.end, End::Distrusted(expected));
        assert!(!attempt.trusted && attempt.shown.is_some());
        assert!(!attempt.is_refusal());
    };
    let server = issue(&ca, &Leaf::server(name("api"), local()));
    check(&server, &other, Distrust::Issuer);
    let elsewhere = Sans::parse(["192.168.29.80"]).expect("names");
    let server = issue(&ca, &Leaf::server(name("api"), elsewhere));
    check(&server, &ca, Distrust::Name);
    // With the right names, so that nothing but the purpose is wrong.
    let client_only = issue(&ca, &Leaf::client(name("client")).with_sans(local()));
    check(&client_only, &ca, Distrust::Purpose);
}

#[test]
fn nobody_there_is_not_a_refusal() {
    let ca = authority("etcd-ca");
    let client = Client::new(&ca.certificate_pem(), None).expect("a client");
    let (address, thread) = listen(drop);
    let hung_up = client.get(address, "/");
    thread.join().expect("ended");
    assert!(matches!(hung_up.end, End::Closed(_)), "{hung_up:?}");
    // The listener is gone now.
    let gone = client.get(address, "/");
    assert!(matches!(gone.end, End::Unreachable(_)), "{gone:?}");
    for attempt in [hung_up, gone] {
        assert!(!attempt.is_refusal() && attempt.shown.is_none());
    }
}

#[test]
fn silence_is_not_a_refusal() {
    let ca = authority("etcd-ca");
    let client = Client::new(&ca.certificate_pem(), None)
        .expect("a client")
        .with_limit(Duration::from_millis(100));
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let (address, thread) = listen(move |socket| {
        // Ends with an error, when the sender is dropped.
        assert!(wait.recv().is_err());
        drop(socket);
    });
    let attempt = client.get(address, "/");
    drop(done);
    thread.join().expect("ended");
    assert_eq!(attempt.end, End::Silent);
    assert!(!attempt.is_refusal());
}

#[test]
fn a_deadline_is_that_of_all_waits_together() {
    let ca = authority("etcd-ca");
    let client = Client::new(&ca.certificate_pem(), None)
        .expect("a client")
        .with_deadline(Duration::from_millis(300));
    // Something comes each tenth of a second, and is never all: the beginning of a TLS record of 16 KiB.
    let (address, thread) = listen(|mut socket| {
        drop(socket.write_all(&[0x16, 3, 3, 0x40, 0]));
        while socket.write_all(&[0]).is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let began = Instant::now();
    let attempt = client.get(address, "/");
    assert!(began.elapsed() >= Duration::from_millis(300));
    thread.join().expect("ended");
    assert_eq!(attempt.end, End::Silent);
}

#[test]
fn a_server_may_have_another_address_than_its_name() {
    let ca = authority("kubernetes");
    let elsewhere = Sans::parse(["192.168.29.80"]).expect("names");
    let server = issue(&ca, &Leaf::server(name("api"), elsewhere));
    let (address, thread) = serve(&server, &Asks::Nothing);
    let client = Client::new(&ca.certificate_pem(), None).expect("a client");
    let attempt = client.get_as(address, Ipv4Addr::new(192, 168, 29, 80), "/");
    thread.join().expect("the server ended well");
    assert!(matches!(attempt.end, End::Answered { status: 200, .. }));
}

#[test]
fn plain_http_to_a_tls_server_and_to_one_without() {
    let ca = authority("etcd-ca");
    let server = issue(&ca, &Leaf::server(name("etcdone"), local()));
    let (address, thread) = serve(&server, &Asks::Nothing);
    let end = plain(&NetworkWay::default(), address, "/version", LIMIT);
    thread.join().expect("ended");
    assert!(matches!(end, End::Closed(_)), "{end:?}");

    let (address, thread) = listen(|mut socket| {
        drop(socket.read(&mut [0; 512]));
        drop(socket.write_all(b"HTTP/1.1 200 OK\r\n\r\nopen"));
    });
    let end = plain(&NetworkWay::default(), address, "/version", LIMIT);
    thread.join().expect("ended");
    assert!(matches!(end, End::Answered { status: 200, .. }), "{end:?}");
}

#[test]
fn answers() {
    let closed = |bytes: &[u8]| assert!(matches!(read_answer(bytes), End::Closed(_)), "{bytes:?}");
    closed(b"");
    closed(b"\x15\x03\x01\x00\x02\x02\x16");
    closed(b"HTTP/1.0 nonsense\r\n\r\n");
    let said = read_answer(b"HTTP/1.0 400 Bad Request\r\nA: b\r\n\r\nHTTPS, please\n");
    assert_eq!(
        said,
        End::Answered {
            status: 400,
            body: "HTTPS, please".to_owned()
        }
    );
}

#[test]
fn what_is_no_certificate_is_said_so_before_any_attempt() {
    let ca = authority("ca").certificate_pem();
    assert!(Client::new("nothing", None).is_err());
    let pair = Pair {
        certificate: ca.clone(),
        key: "no key".to_owned(),
    };
    let error = Client::new(&ca, Some(&pair)).expect_err("no key");
    assert!(error.to_string().contains("private key"), "{error}");
}
