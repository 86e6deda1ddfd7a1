//! Certificates and trust that running rustls services take from files as these change.
//!
//! Before each handshake the files are looked at (one `stat` each), and read again if they look otherwise than before: there
//! is no thread, and nothing to call. What cannot be used, such as a certificate whose key is not written yet, leaves what
//! was there before in use, and is read again when it looks otherwise, at the latest after a second;
//! [`ReloadingIdentity::refresh`] and [`ReloadingTrust::refresh`] say why.
//!
//! Files of a store are read by its rules: without links, and keys that are for this user alone. Other files may be links, as
//! in the volumes of Kubernetes, and whoever may write to them is trusted.
//!
//! Together with [`Store::start_rotation`](crate::store::Store::start_rotation) an authority's key changes under a service
//! without a failed handshake: each side trusts both authorities before anything is signed by the new one.
//!
//! ```no_run
//! use std::sync::Arc;
//! use caravan_pki::reload::{ReloadingIdentity, ReloadingTrust};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let provider = Arc::new(rustls::crypto::ring::default_provider());
//! let identity = ReloadingIdentity::open("web.fullchain.crt", "web.key", provider.clone())?;
//! let trust = ReloadingTrust::open(["clients-ca.crt"], provider.clone())?;
//! let config = rustls::ServerConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_client_cert_verifier(Arc::new(trust))
//!     .with_cert_resolver(Arc::new(identity));
//! # Ok(())
//! # }
//! ```

mod files;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::{Certificate, Error};
use files::{Contents, Reloading, Rules};

/// A server's or client's certificate with its chain and key, read again when their files change.
///
/// The key may be of any kind that the provider knows.
#[derive(Debug)]
pub struct ReloadingIdentity(Reloading<CertifiedKey>);

impl ReloadingIdentity {
    /// Reads the certificate with its chain from `chain`, and the private key from `key`, both in PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; in their files, [`Error::Malformed`], [`Error::UnsupportedKey`] for a key that the provider does not
    /// know, and [`Error::Mismatch`] when they do not belong together.
    pub fn open(
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        Self::of_files(vec![chain.into(), key.into()], Rules::Open, provider)
    }

    fn of_files(
        files: Vec<PathBuf>,
        rules: Rules,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let make = move |files: &[PathBuf], found: &Contents| pair(files, found, &provider);
        Reloading::open(files, rules, make).map(Self)
    }

    /// The certificate `id` of a store: with its full chain where there is one.
    ///
    /// # Errors
    ///
    /// As [`ReloadingIdentity::open`].
    #[cfg(all(feature = "store", unix))]
    pub fn of_store(
        store: &crate::store::Store,
        id: &crate::EntryId,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let file = |extension: &str| store.root().join(format!("{id}.{extension}"));
        let full = file(&format!("{}.crt", crate::entry::FULL_CHAIN));
        let chain = if full.exists() { full } else { file("crt") };
        Self::of_files(vec![chain, file("key")], Rules::Store, provider)
    }

    /// Reads the files again if they changed, and says whether they did. Handshakes do so by themselves.
    ///
    /// # Errors
    ///
    /// As [`ReloadingIdentity::open`]; what was read before stays in use.
    pub fn refresh(&self) -> Result<bool, Error> {
        self.0.refresh()
    }
}

/// The content of a file that must be there.
fn required<'a>(path: &Path, content: &'a Option<Bytes>) -> Result<&'a [u8], Error> {
    content
        .as_ref()
        .map(|bytes| &bytes[..])
        .ok_or_else(|| Error::Io {
            action: "read",
            path: path.to_owned(),
            source: io::ErrorKind::NotFound.into(),
        })
}

fn pair(
    files: &[PathBuf],
    found: &Contents,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let ([chain_file, key_file], [chain, key]) = (files, &found[..]) else {
        return Err(Error::malformed("certificate", "there is none"));
    };
    let chain = Certificate::all_from_pem(required(chain_file, chain)?)
        .map_err(|error| error.in_file(chain_file))?;
    let Some(first) = chain.first() else {
        let path = chain_file.clone();
        return Err(Error::NoCertificate { path });
    };
    // Its own words might quote what it could not read.
    let key = PrivateKeyDer::from_pem_slice(required(key_file, key)?)
        .map_err(|_| Error::malformed("private key", "it cannot be read").in_file(key_file))?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        let unsupported = Error::UnsupportedKey {
            algorithm: "these".to_owned(),
            purpose: "TLS with this provider",
        };
        unsupported.in_file(key_file)
    })?;
    let subject = first.subject_shown();
    let chain = chain.iter().map(Certificate::to_rustls).collect();
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Ok(()) => Ok(pair),
        Err(_) => Err(Error::Mismatch { subject }.in_file(key_file)),
    }
}

impl rustls::server::ResolvesServerCert for ReloadingIdentity {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }
}

impl rustls::client::ResolvesClientCert for ReloadingIdentity {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The content of a file.
type Bytes = zeroize::Zeroizing<Vec<u8>>;

/// Both verifiers of one set of authorities.
struct Verifiers {
    server: Arc<WebPkiServerVerifier>,
    client: Arc<dyn ClientCertVerifier>,
}

/// Authorities that are trusted, read again when their files change: for clients that verify servers, and for servers that
/// demand and verify clients.
#[derive(Debug)]
pub struct ReloadingTrust {
    verifiers: Reloading<Verifiers>,
    provider: Arc<CryptoProvider>,
}

impl ReloadingTrust {
    /// Trusts the authorities in `files`, in PEM. One that is not there is passed over, so that a file may come and go;
    /// together they must hold an authority.
    ///
    /// # Errors
    ///
    /// [`Error::NoCertificate`] when they hold none; [`Error::Io`]; in their files, [`Error::Malformed`], and
    /// [`Error::NotACa`] for a certificate that is no authority's.
    pub fn open<P: Into<PathBuf>>(
        files: impl IntoIterator<Item = P>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let files = files.into_iter().map(Into::into).collect();
        Self::of_files(files, Rules::Open, provider)
    }

    fn of_files(
        files: Vec<PathBuf>,
        rules: Rules,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let by = provider.clone();
        let make = move |files: &[PathBuf], found: &Contents| verifiers(files, found, &by);
        Ok(Self {
            verifiers: Reloading::open(files, rules, make)?,
            provider,
        })
    }

    /// The authority `id` of a store, and while its key changes, the coming or the previous one beside it.
    ///
    /// # Errors
    ///
    /// As [`ReloadingTrust::open`].
    #[cfg(all(feature = "store", unix))]
    pub fn of_store(
        store: &crate::store::Store,
        id: &crate::EntryId,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        use crate::entry::{NEXT, PREVIOUS};
        let names = [
            format!("{id}.crt"),
            format!("{id}.{NEXT}.crt"),
            format!("{id}.{PREVIOUS}.crt"),
        ];
        let files = names.map(|name| store.root().join(name));
        Self::of_files(files.to_vec(), Rules::Store, provider)
    }

    /// Reads the files again if they changed, and says whether they did. Handshakes do so by themselves.
    ///
    /// # Errors
    ///
    /// As [`ReloadingTrust::open`]; what was read before stays in use.
    pub fn refresh(&self) -> Result<bool, Error> {
        self.verifiers.refresh()
    }
}

fn verifiers(
    files: &[PathBuf],
    found: &Contents,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifiers, Error> {
    let mut roots = RootCertStore::empty();
    for (path, content) in files.iter().zip(found) {
        let Some(bytes) = content else {
            continue;
        };
        let all = Certificate::all_from_pem(bytes).map_err(|error| error.in_file(path))?;
        for certificate in all {
            if !certificate.is_authority() {
                let not_a_ca = Error::NotACa {
                    subject: certificate.subject_shown(),
                    problem: "basicConstraints do not say cA".to_owned(),
                };
                return Err(not_a_ca.in_file(path));
            }
            roots
                .add(certificate.to_rustls())
                .map_err(|error| Error::malformed("certificate", error).in_file(path))?;
        }
    }
    if roots.is_empty() {
        let path = files.first().cloned().unwrap_or_default();
        return Err(Error::NoCertificate { path });
    }
    let roots = Arc::new(roots);
    let malformed = |error| Error::malformed("trust", error);
    let server = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(malformed)?;
    let client = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(malformed)?;
    Ok(Verifiers { server, client })
}

/// How signatures in a handshake are checked: the same of servers and clients, and whatever is trusted.
macro_rules! signatures_by_the_provider {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            let algorithms = &self.provider.signature_verification_algorithms;
            algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for ReloadingTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = &self.verifiers.current().server;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    signatures_by_the_provider!();
}

impl ClientCertVerifier for ReloadingTrust {
    /// None: the names of authorities may change under a handshake, and clients have one certificate to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verifier = &self.verifiers.current().client;
        verifier.verify_client_cert(end_entity, intermediates, now)
    }

    signatures_by_the_provider!();
}
