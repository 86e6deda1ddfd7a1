//! What a server shows: its certificate with its chain, whoever vouches for them.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use caravan_pki::{Certificate, Error};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

/// For each of connecting, sending and receiving.
const PATIENCE: Duration = Duration::from_secs(10);

/// Host and port.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// The address that was given in a file's place, if there is no such file.
pub(crate) fn address(given: &Path) -> Option<Address> {
    let (host, port) = given.to_str()?.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None => host,
    };
    if host.is_empty() || host.contains('/') || given.exists() {
        return None;
    }
    Some(Address {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

/// The certificates that the server at `address` shows, its own first.
///
/// Nobody judges them here, but that the server has the key of the first. What comes after they were shown, such as the wish
/// for a client's certificate, does not matter.
pub(crate) fn certificates(address: &Address) -> Result<Vec<Certificate>, Error> {
    let shown = format!("{}:{}", address.host, address.port);
    let failed = |action| {
        let path = PathBuf::from(&shown);
        move |source| Error::Io {
            action,
            path,
            source,
        }
    };
    let seen = Arc::new(Seen {
        chain: Mutex::new(Vec::new()),
        provider: Arc::new(ring::default_provider()),
    });
    let other = |error: rustls::Error| std::io::Error::other(error);
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| failed("reach")(std::io::Error::other(error)))?;
    let config = ClientConfig::builder_with_provider(seen.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("reach")(other(error)))?
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| failed("reach")(other(error)))?;
    let mut stream = connect(address).map_err(failed("reach"))?;
    let result = connection.complete_io(&mut stream);
    let chain = std::mem::take(&mut *seen.chain());
    match result {
        Err(error) if chain.is_empty() => Err(failed("speak TLS with")(error)),
        _ => chain.iter().map(|der| Certificate::from_der(der)).collect(),
    }
}

fn connect(address: &Address) -> std::io::Result<TcpStream> {
    let mut last = std::io::ErrorKind::AddrNotAvailable.into();
    for one in (address.host.as_str(), address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&one, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Keeps what a server shows.
#[derive(Debug)]
struct Seen {
    chain: Mutex<Vec<Vec<u8>>>,
    provider: Arc<CryptoProvider>,
}

impl Seen {
    fn chain(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = [end_entity].into_iter().chain(intermediates);
        *self.chain() = all.map(|one| one.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
            .inspect_err(|_| self.chain().clear())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
            .inspect_err(|_| self.chain().clear())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_files() {
        let read = |text: &str| address(Path::new(text)).map(|one| (one.host, one.port));
        for (text, host, port) in [
            ("example.com:443", "example.com", 443),
            ("10.0.0.1:6443", "10.0.0.1", 6443),
            ("[::1]:2379", "::1", 2379),
        ] {
            assert_eq!(read(text), Some((host.to_owned(), port)), "{text}");
        }
        for text in [
            "ca.crt",
            "-",
            "a/b:443",
            ":443",
            "host:",
            "host:x",
            "host:70000",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
