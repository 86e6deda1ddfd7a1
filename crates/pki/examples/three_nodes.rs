//! Mutual TLS between three nodes: every node is server and client of the others. Needs the feature `rustls`.

use std::sync::Arc;
use std::time::SystemTime;

use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Sans};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemTime::now();
    let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("nodes ca")?), now)?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().to_rustls())?;
    let (roots, mut nodes) = (Arc::new(roots), Vec::new());
    for node in ["one.example.com", "two.example.com", "three.example.com"] {
        let leaf = Leaf::peer(CommonName::try_from(node)?, Sans::parse([node])?);
        let (chain, key) = ca.issue(&leaf, now)?.to_rustls();
        let judge = WebPkiClientVerifier::builder(roots.clone()).build()?;
        let server = ServerConfig::builder()
            .with_client_cert_verifier(judge)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let client = ClientConfig::builder()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain, key)?;
        nodes.push((node, Arc::new(server), Arc::new(client)));
    }
    for (from, _, client) in &nodes {
        for (to, server, _) in nodes.iter().filter(|(to, ..)| to != from) {
            let asking = ClientConnection::new(client.clone(), (*to).try_into()?)?;
            handshake(asking, ServerConnection::new(server.clone())?)?;
            println!("{from} and {to} trust each other");
        }
    }
    Ok(())
}

/// Carries bytes between both sides, as a network would, until they agree.
fn handshake(
    mut client: ClientConnection,
    mut server: ServerConnection,
) -> Result<(), Box<dyn std::error::Error>> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire)?;
        server.read_tls(&mut wire.as_slice())?;
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire)?;
        client.read_tls(&mut wire.as_slice())?;
        client.process_new_packets()?;
    }
    Ok(())
}
