//! Certificates with their keys.

use zeroize::Zeroizing;

use crate::{Certificate, Error, PrivateKey};

/// A certificate and its private key.
#[derive(Debug)]
pub struct Identity {
    certificate: Certificate,
    key: PrivateKey,
    /// The authorities between the certificate and its root, nearest first.
    chain: Vec<Certificate>,
}

impl Identity {
    /// Joins a certificate and its key.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] when they do not belong together.
    pub fn new(certificate: Certificate, key: PrivateKey) -> Result<Self, Error> {
        certificate.require_key(&key)?;
        Ok(Self {
            certificate,
            key,
            chain: Vec::new(),
        })
    }

    pub(crate) fn with_chain(mut self, chain: Vec<Certificate>) -> Self {
        self.chain = chain;
        self
    }

    /// Whether there are authorities between it and its root.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn has_chain(&self) -> bool {
        !self.chain.is_empty()
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The certificate, then the intermediate authorities up to but without the root.
    pub fn chain(&self) -> impl Iterator<Item = &Certificate> {
        [&self.certificate].into_iter().chain(&self.chain)
    }

    /// The certificate alone, in PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.to_pem()
    }

    /// The certificate, then the intermediate authorities up to but without the root, in PEM: what a TLS server sends.
    pub fn chain_pem(&self) -> String {
        self.chain().map(Certificate::to_pem).collect()
    }

    /// The chain and the key as rustls takes them.
    #[cfg(feature = "rustls")]
    pub fn to_rustls(
        &self,
    ) -> (
        Vec<rustls_pki_types::CertificateDer<'static>>,
        rustls_pki_types::PrivateKeyDer<'static>,
    ) {
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(self.key.to_pkcs8_der().to_vec());
        (
            self.chain().map(Certificate::to_rustls).collect(),
            key.into(),
        )
    }

    /// The key as PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.to_pkcs8_pem()
    }
}
