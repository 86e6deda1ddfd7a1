//! A mutual TLS service under load, whose certificate and whose authority change: no handshake fails.
#![cfg(feature = "reload")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use caravan_pki::reload::{ReloadingIdentity, ReloadingTrust};
use caravan_pki::store::Store;
use caravan_pki::{
    AuthoritySpec, CommonName, EntryId, Error, KeyPolicy, Leaf, Lifetime, Plan, PrivateKey, Sans,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls_pki_types::ServerName;

fn name(name: &str) -> CommonName {
    CommonName::try_from(name).unwrap()
}

fn plan() -> Plan {
    let mut plan = Plan::new();
    let root = AuthoritySpec::new(name("ca")).with_path_length(1);
    plan.authority("ca", root).unwrap();
    let issuing = AuthoritySpec::new(name("issuing")).with_lifetime(Lifetime::days(900));
    plan.intermediate("ca", "issuing", issuing).unwrap();
    let sans = Sans::parse(["localhost"]).unwrap();
    plan.leaf("issuing", "web", Leaf::server(name("web"), sans))
        .unwrap();
    plan.leaf("ca", "client", Leaf::client(name("client")))
        .unwrap();
    plan
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn id(id: &str) -> EntryId {
    EntryId::try_from(id).unwrap()
}

fn identity(store: &Store, entry: &str) -> Arc<ReloadingIdentity> {
    Arc::new(ReloadingIdentity::of_store(store, &id(entry), provider()).unwrap())
}

fn trust(store: &Store) -> Arc<ReloadingTrust> {
    Arc::new(ReloadingTrust::of_store(store, &id("ca"), provider()).unwrap())
}

/// Serves until it is told to stop; returns how many handshakes failed.
fn serve(listener: &TcpListener, config: &Arc<rustls::ServerConfig>, stop: &AtomicBool) -> usize {
    let mut failed = 0;
    while let Ok((mut stream, _)) = listener.accept() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut connection = rustls::ServerConnection::new(config.clone()).unwrap();
        let mut tls = rustls::Stream::new(&mut connection, &mut stream);
        let mut request = [0; 5];
        let done = tls
            .read_exact(&mut request)
            .and_then(|()| tls.write_all(b"world"));
        failed += usize::from(done.is_err());
    }
    failed
}

/// The chain that the server showed.
fn ask(address: SocketAddr, config: &Arc<rustls::ClientConfig>) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(config.clone(), name).unwrap();
    let mut tls = rustls::Stream::new(&mut connection, &mut stream);
    tls.write_all(b"hello")?;
    let mut answer = [0; 5];
    tls.read_exact(&mut answer)?;
    assert_eq!(&answer, b"world");
    let chain = connection.peer_certificates().unwrap();
    Ok(chain.iter().flat_map(|one| one.to_vec()).collect())
}

#[test]
fn leaf_and_authority_are_rotated_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("pki")).unwrap();
    let (plan, now) = (plan(), SystemTime::now());
    store.ensure(&plan, now).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(trust(&store))
        .with_cert_resolver(identity(&store, "web"));
    let mut client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(trust(&store))
        .with_client_cert_resolver(identity(&store, "client"));
    // Every connection is a whole handshake.
    client.resumption = rustls::client::Resumption::disabled();
    let (server, client) = (Arc::new(server), Arc::new(client));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Not before the last of the load is answered.
    let closed = AtomicBool::new(false);
    let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| serve(&listener, &server, &closed));
        let load = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let certificate = ask(address, &client).unwrap();
                seen.lock().unwrap().insert(certificate);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        // A handshake that was under way is over, and others have come.
        let settle = || {
            let until = asked.load(Ordering::Relaxed) + 5;
            while asked.load(Ordering::Relaxed) < until {
                assert!(!load.is_finished(), "a handshake failed");
                std::thread::yield_now();
            }
        };
        settle();
        let keep = |id: &EntryId| (id.as_str() == "web").then_some(KeyPolicy::Keep);
        for _ in 0..5 {
            store.renew(&plan, now, keep).unwrap();
            settle();
        }
        // Two files change: between them, the pair that was there is used.
        let new = |id: &EntryId| (id.as_str() == "web").then_some(KeyPolicy::New);
        for _ in 0..5 {
            store.renew(&plan, now, new).unwrap();
            settle();
        }
        for _ in 0..3 {
            store.start_rotation(&plan, "ca", now).unwrap();
            settle();
            store.switch_rotation(&plan, "ca", now).unwrap();
            settle();
            store.finish_rotation(&plan, "ca").unwrap();
            settle();
        }
        stop.store(true, Ordering::Relaxed);
        load.join().unwrap();
        closed.store(true, Ordering::Relaxed);
        // Wakes the server.
        drop(TcpStream::connect(address));
        assert_eq!(serving.join().unwrap(), 0);
    });
    let (asked, seen) = (asked.into_inner(), seen.into_inner().unwrap().len());
    println!("{asked} handshakes, {seen} chains");
    // One at first, ten renewals, three authorities.
    assert!(
        asked >= 100 && seen == 14,
        "{asked} handshakes, {seen} chains"
    );
}

#[test]
fn what_cannot_be_used_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("pki")).unwrap();
    store.ensure(&plan(), SystemTime::now()).unwrap();
    let path = |file: &str| folder.path().join("pki").join(file);
    let identity =
        ReloadingIdentity::open(path("client.crt"), path("client.key"), provider()).unwrap();
    assert!(!identity.refresh().unwrap());
    let key = std::fs::read(path("client.key")).unwrap();
    let other = PrivateKey::generate().unwrap();
    std::fs::write(path("client.key"), other.to_pkcs8_pem().as_bytes()).unwrap();
    let error = identity.refresh().unwrap_err();
    let Error::InFile { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(matches!(**source, Error::Mismatch { .. }), "{source}");
    std::fs::write(path("client.key"), "no key").unwrap();
    assert!(identity.refresh().is_err());
    std::fs::write(path("client.key"), &key).unwrap();
    assert!(identity.refresh().unwrap());
    assert!(!identity.refresh().unwrap());

    let trust = ReloadingTrust::open([path("ca.crt"), path("none.crt")], provider()).unwrap();
    std::fs::copy(path("issuing.crt"), path("none.crt")).unwrap();
    assert!(trust.refresh().unwrap());
    // A certificate that is no authority's is trusted by nobody.
    std::fs::copy(path("client.crt"), path("none.crt")).unwrap();
    assert!(trust.refresh().is_err());
    for file in ["ca.crt", "none.crt"] {
        std::fs::remove_file(path(file)).unwrap();
    }
    assert!(matches!(trust.refresh(), Err(Error::NoCertificate { .. })));
}
