//! Certificates and trust that running rustls services take from files as these change.
//!
//! Before each handshake the files are looked at (one `stat` each), and read again if they are others than before: there is
//! no thread, and nothing to call. What cannot be used, such as a certificate whose key is not written yet, leaves what was
//! there before in use; [`ReloadingIdentity::refresh`] and [`ReloadingTrust::refresh`] say why.
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

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use std::{fmt, fs, io};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use zeroize::Zeroizing;

use crate::{Certificate, Error};

/// By what a file is known to be the one that was read: another one was renamed into its place, or it was written to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

/// What the files looked like; `None` for one that is not there.
type Stamps = Vec<Option<Stamp>>;

fn stamps(files: &[PathBuf]) -> Stamps {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        })
    };
    files.iter().map(stamp).collect()
}

/// Files, and what was last read from them.
struct Reloading<T> {
    files: Vec<PathBuf>,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// What the files looked like when they were last read, whether that went well or not.
    seen: Stamps,
    value: Arc<T>,
}

impl<T> Reloading<T> {
    fn open(
        files: Vec<PathBuf>,
        read: impl Fn(&[PathBuf]) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let (seen, value) = read_whole(&files, &read);
        let value = Arc::new(value?);
        Ok(Self {
            files,
            state: Mutex::new(State { seen, value }),
        })
    }

    /// Whether there was something new.
    fn refresh(&self, read: impl Fn(&[PathBuf]) -> Result<T, Error>) -> Result<bool, Error> {
        let mut state = self.state();
        if stamps(&self.files) == state.seen {
            return Ok(false);
        }
        let (seen, value) = read_whole(&self.files, &read);
        // What cannot be used is tried again when the files change, or, since the other half of a pair may be about to
        // be written, when it is asked for next.
        match value {
            Ok(value) => {
                state.seen = seen;
                state.value = Arc::new(value);
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn value(&self) -> Arc<T> {
        self.state().value.clone()
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // What another thread left half done is never more than an unused value.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Reads files that belong together, none of which changed meanwhile.
fn read_whole<T>(
    files: &[PathBuf],
    read: &impl Fn(&[PathBuf]) -> Result<T, Error>,
) -> (Stamps, Result<T, Error>) {
    let mut before = stamps(files);
    for _ in 0..8 {
        let value = read(files);
        let after = stamps(files);
        if after == before {
            return (after, value);
        }
        before = after;
    }
    // They change faster than they can be read: the last word.
    (before, read(files))
}

fn bytes_of(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    fs::read(path)
        .map(Zeroizing::new)
        .map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })
}

/// A server's or client's certificate with its chain and key, read again when their files change.
///
/// The key may be of any kind that the provider knows.
#[derive(Debug)]
pub struct ReloadingIdentity {
    files: Reloading<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

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
        let read = |files: &[PathBuf]| pair(files, &provider);
        Ok(Self {
            files: Reloading::open(vec![chain.into(), key.into()], read)?,
            provider,
        })
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
        Self::open(chain, file("key"), provider)
    }

    /// Reads the files again if they changed, and says whether they did. Handshakes do so by themselves.
    ///
    /// # Errors
    ///
    /// As [`ReloadingIdentity::open`]; what was read before stays in use.
    pub fn refresh(&self) -> Result<bool, Error> {
        self.files.refresh(|files| pair(files, &self.provider))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        // Why not, is for those who ask: a handshake goes on with what there is.
        let _ = self.refresh();
        self.files.value()
    }
}

fn pair(files: &[PathBuf], provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let [chain_file, key_file] = files else {
        return Err(Error::malformed("certificate", "there is none"));
    };
    let chain = Certificate::all_from_pem(&bytes_of(chain_file)?)
        .map_err(|error| error.in_file(chain_file))?;
    let Some(first) = chain.first() else {
        let path = chain_file.clone();
        return Err(Error::NoCertificate { path });
    };
    // Its own words might quote what it could not read.
    let key = PrivateKeyDer::from_pem_slice(&bytes_of(key_file)?)
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
        Some(self.current())
    }
}

impl rustls::client::ResolvesClientCert for ReloadingIdentity {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Both verifiers of one set of authorities.
struct Verifiers {
    server: Arc<WebPkiServerVerifier>,
    client: Arc<dyn ClientCertVerifier>,
}

/// Authorities that are trusted, read again when their files change: for clients that verify servers, and for servers that
/// demand and verify clients.
#[derive(Debug)]
pub struct ReloadingTrust {
    files: Reloading<Verifiers>,
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
        let files: Vec<PathBuf> = files.into_iter().map(Into::into).collect();
        let read = |files: &[PathBuf]| verifiers(files, &provider);
        Ok(Self {
            files: Reloading::open(files, read)?,
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
        Self::open(names.map(|name| store.root().join(name)), provider)
    }

    /// Reads the files again if they changed, and says whether they did. Handshakes do so by themselves.
    ///
    /// # Errors
    ///
    /// As [`ReloadingTrust::open`]; what was read before stays in use.
    pub fn refresh(&self) -> Result<bool, Error> {
        self.files.refresh(|files| verifiers(files, &self.provider))
    }

    fn current(&self) -> Arc<Verifiers> {
        // As in `ReloadingIdentity::current`.
        let _ = self.refresh();
        self.files.value()
    }
}

fn verifiers(files: &[PathBuf], provider: &Arc<CryptoProvider>) -> Result<Verifiers, Error> {
    let mut roots = RootCertStore::empty();
    for path in files {
        let bytes = match bytes_of(path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            result => result?,
        };
        let all = Certificate::all_from_pem(&bytes).map_err(|error| error.in_file(path))?;
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

impl ServerCertVerifier for ReloadingTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.current().server.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

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
        let current = self.current();
        current
            .client
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
