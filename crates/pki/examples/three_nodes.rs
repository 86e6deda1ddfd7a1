//! Mutual TLS between three nodes: every node is server and client of the others. Needs the feature `rustls`.

use std::sync::Arc;
use std::time::SystemTime;

use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Sans};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = SystemTime::now();
    let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("nodes ca")?), now)?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().to_rustls())?;
    let roots = Arc::new(roots);
    let mut configs = Vec::new();
    for node in ["one", "two", "three"] {
        let names = Sans::parse([format!("{node}.example.com").as_str(), "127.0.0.1"])?;
        let peer = ca.issue(&Leaf::peer(CommonName::try_from(node)?, names), now)?;
        let (chain, key) = peer.to_rustls();
        let judge = rustls::server::WebPkiClientVerifier::builder(roots.clone()).build()?;
        let server = ServerConfig::builder()
            .with_client_cert_verifier(judge)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let client = ClientConfig::builder()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain, key)?;
        configs.push((node, Arc::new(server), Arc::new(client)));
    }
    for (from, _, client) in &configs {
        for (to, server, _) in configs.iter().filter(|(to, ..)| to != from) {
            let name = format!("{to}.example.com").try_into()?;
            handshake(
                ClientConnection::new(client.clone(), name)?,
                ServerConnection::new(server.clone())?,
            )?;
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
