//! Remembers the certificate that a server showed, also when the connection then comes to nothing.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Judges as the library does, and keeps what it saw.
#[derive(Debug)]
pub(super) struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    shown: Option<Vec<u8>>,
    /// The certificate is good for the server that was meant.
    named: bool,
    /// The server has proved that it holds the certificate's key.
    proved: bool,
}

impl Witness {
    pub(super) fn new(judge: Arc<WebPkiServerVerifier>) -> Arc<Self> {
        Arc::new(Self {
            judge,
            seen: Mutex::default(),
        })
    }

    /// The certificate that was shown, and whether the server is the one that was meant.
    pub(super) fn testimony(&self) -> (Option<Vec<u8>>, bool) {
        let seen = self.seen();
        (seen.shown.clone(), seen.named && seen.proved)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.judge.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let mut seen = self.seen();
        seen.shown = Some(end_entity.to_vec());
        seen.named = verdict.is_ok();
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let verdict = self.judge.verify_tls12_signature(message, cert, dss);
        self.seen().proved = verdict.is_ok();
        verdict
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let verdict = self.judge.verify_tls13_signature(message, cert, dss);
        self.seen().proved = verdict.is_ok();
        verdict
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
