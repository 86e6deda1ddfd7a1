//! Authorities: made, loaded and renewed.

mod issue;

use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::signing::sign;
use crate::{AuthoritySpec, Certificate, Error, Lifetime, PrivateKey, Validity, profile};

/// An authority with its private key, ready to sign.
///
/// A value of this type is a certificate authority in fact: loading checks everything that signing relies on.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    key: PrivateKey,
    key_identifier: Vec<u8>,
    /// The authorities above, nearest first, without the root; empty for a root.
    chain: Vec<Certificate>,
}

impl Authority {
    /// Makes a self-signed authority with a new key.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an impossible lifetime, [`Error::Randomness`].
    pub fn create(spec: &AuthoritySpec, now: SystemTime) -> Result<Self, Error> {
        Self::create_with_key(spec, PrivateKey::generate()?, now)
    }

    /// Makes a self-signed authority of an existing key.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an impossible lifetime, [`Error::Randomness`].
    pub fn create_with_key(
        spec: &AuthoritySpec,
        key: PrivateKey,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let name = spec.subject().to_name()?;
        let validity = Validity::starting(now, spec.lifetime())?;
        let identifier = key.public_key().identifier();
        let mut extensions = profile::authority_extensions(spec)?;
        // Also in a self-signed certificate: some verifiers look for the issuer by it.
        extensions.extend(profile::identifiers(&identifier, &identifier)?);
        let certificate = sign(&key, &name, &name, key.public_key(), validity, extensions)?;
        Self::trusted(certificate, key, Vec::new())
    }

    /// Makes a self-signed authority of another key that is otherwise as `old`: subject and extensions, octet for octet.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn create_like(
        old: &Certificate,
        key: PrivateKey,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let validity = Validity::starting(now, lifetime)?;
        let identifier = key.public_key().identifier();
        let kept = old.extensions().iter();
        let mut extensions: Vec<_> = kept
            .filter(|extension| !profile::is_identifier(extension))
            .cloned()
            .collect();
        extensions.extend(profile::identifiers(&identifier, &identifier)?);
        let name = old.subject();
        let certificate = sign(&key, name, name, key.public_key(), validity, extensions)?;
        Self::trusted(certificate, key, Vec::new())
    }

    /// Joins a certificate and its key in PEM, and checks that they make an authority that is valid at `now`.
    ///
    /// The certificate may come from any tool: its name and key identifier are used as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] unless there is exactly one certificate and one key; [`Error::NotACa`] unless
    /// basicConstraints, keyUsage and subjectKeyIdentifier are those of an authority; [`Error::Mismatch`];
    /// [`Error::Expired`] and [`Error::NotYetValid`]; [`Error::UnsupportedKey`] for keys other than ECDSA P-256.
    pub fn load(certificate: &[u8], key: &[u8], now: SystemTime) -> Result<Self, Error> {
        let certificate = Certificate::from_pem(certificate)?;
        // Before the key is read: `RSA` is the better message than whatever the key's form brings up.
        certificate.require_signing_key()?;
        Self::new(certificate, PrivateKey::from_pem(key)?, now)
    }

    /// Like [`Authority::load`], of parsed parts.
    ///
    /// # Errors
    ///
    /// As [`Authority::load`].
    pub fn new(certificate: Certificate, key: PrivateKey, now: SystemTime) -> Result<Self, Error> {
        require_valid(&certificate, now)?;
        Self::trusted(certificate, key, Vec::new())
    }

    pub(crate) fn trusted(
        certificate: Certificate,
        key: PrivateKey,
        chain: Vec<Certificate>,
    ) -> Result<Self, Error> {
        let not_a_ca = |problem: &str| Error::NotACa {
            subject: certificate.subject_shown(),
            problem: problem.to_owned(),
        };
        if !certificate.is_authority() {
            return Err(not_a_ca("basicConstraints do not say cA"));
        }
        match certificate.key_usage() {
            Some(usage) if usage.key_cert_sign() => {}
            Some(_) => return Err(not_a_ca("keyUsage lacks keyCertSign")),
            None => return Err(not_a_ca("it has no keyUsage")),
        }
        let key_identifier = certificate
            .subject_key_id()
            .ok_or_else(|| not_a_ca("it has no subjectKeyIdentifier"))?;
        certificate.require_key(&key)?;
        Ok(Self {
            certificate,
            key,
            key_identifier,
            chain,
        })
    }

    /// Makes a new certificate for this self-signed authority: same key, subject and extensions, new serial number and
    /// validity. Everything the old one signed stays valid, and so does a pin of the key.
    ///
    /// # Errors
    ///
    /// [`Error::NotACa`] when it is not self-signed: then its issuer renews it; [`Error::Invalid`],
    /// [`Error::Randomness`].
    pub fn renew(&self, lifetime: Lifetime, now: SystemTime) -> Result<Certificate, Error> {
        let old = &self.certificate;
        // A hash that is not known here does not make it another's.
        let by_itself = match old.is_signed_by(old) {
            Err(Error::UnsupportedSignature { .. }) => old.subject() == old.issuer(),
            result => result?,
        };
        if !by_itself {
            return Err(Error::NotACa {
                subject: old.subject_shown(),
                problem: "it is not self-signed, so its issuer must renew it".to_owned(),
            });
        }
        let validity = Validity::starting(now, lifetime)?;
        let key = self.key.public_key();
        sign(
            &self.key,
            old.subject(),
            old.subject(),
            key,
            validity,
            old.extensions().to_vec(),
        )
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.to_pem()
    }

    /// The key as PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.to_pkcs8_pem()
    }

    /// This authority and those above it, without the root: what a holder of its certificates must send along.
    pub(crate) fn full_chain(&self) -> Vec<Certificate> {
        if self.certificate.subject() == self.certificate.issuer() {
            return Vec::new();
        }
        let mut chain = vec![self.certificate.clone()];
        chain.extend(self.chain.iter().cloned());
        chain
    }

    pub(crate) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }
}

pub(crate) fn require_valid(certificate: &Certificate, now: SystemTime) -> Result<(), Error> {
    let validity = certificate.validity();
    if validity.contains(now) {
        return Ok(());
    }
    let subject = certificate.subject_shown();
    Err(if now < validity.not_before() {
        Error::NotYetValid {
            subject,
            not_before: validity.not_before(),
        }
    } else {
        Error::Expired {
            subject,
            not_after: validity.not_after(),
        }
    })
}
