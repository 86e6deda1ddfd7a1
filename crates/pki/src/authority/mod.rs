//! Authorities: made, loaded and renewed.

mod issue;

#[cfg(all(feature = "store", unix))]
pub(crate) use issue::require_room;

use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::renewal::Changes;
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
    /// The authorities above, nearest first, as far as they are known; empty for a root.
    above: Vec<Certificate>,
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

    /// Says which authorities stand above this one, nearest first, so that everything it issues comes with its chain; the
    /// root may be left out or end the list.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// # use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf};
    /// # fn main() -> Result<(), caravan_pki::Error> {
    /// # let now = SystemTime::now();
    /// # let name = |name| CommonName::try_from(name);
    /// # let root = Authority::create(&AuthoritySpec::new(name("root")?).with_path_length(2), now)?;
    /// # let spec = |name| AuthoritySpec::new(name).with_lifetime(caravan_pki::Lifetime::days(900));
    /// # let policy = root.intermediate(&spec(name("policy")?).with_path_length(1), now)?;
    /// # let issuing = policy.intermediate(&spec(name("issuing")?), now)?;
    /// # let files = (issuing.certificate_pem(), issuing.key_pem());
    /// let issuing = Authority::load(files.0.as_bytes(), files.1.as_bytes(), now)?
    ///     .with_chain([policy.certificate().clone()])?;
    /// let leaf = issuing.issue(&Leaf::client(name("x")?), now)?;
    /// assert_eq!(leaf.chain_pem().matches("BEGIN CERTIFICATE").count(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when one of them did not sign the one before it; [`Error::NotACa`].
    pub fn with_chain(
        mut self,
        chain: impl IntoIterator<Item = Certificate>,
    ) -> Result<Self, Error> {
        self.above = self.checked_chain(chain)?;
        Ok(self)
    }

    /// Whether `chain` could be said to stand above this authority.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn is_followed_by(&self, chain: &[Certificate]) -> bool {
        self.checked_chain(chain.iter().cloned()).is_ok()
    }

    fn checked_chain(
        &self,
        chain: impl IntoIterator<Item = Certificate>,
    ) -> Result<Vec<Certificate>, Error> {
        let mut above: Vec<Certificate> = Vec::new();
        for certificate in chain {
            let below = above.last().unwrap_or(&self.certificate);
            let signed = match below.is_signed_by(&certificate) {
                // Of a key or hash that cannot be checked here: by the names.
                Err(Error::UnsupportedSignature { .. }) => true,
                result => result?,
            };
            if !signed {
                let problem = format!(
                    "`{}` did not sign `{}`, which stands before it",
                    certificate.subject_shown(),
                    below.subject_shown()
                );
                return Err(Error::malformed("chain", problem));
            }
            if !certificate.is_authority() {
                return Err(Error::NotACa {
                    subject: certificate.subject_shown(),
                    problem: "basicConstraints do not say cA".to_owned(),
                });
            }
            above.push(certificate);
        }
        Ok(above)
    }

    pub(crate) fn trusted(
        certificate: Certificate,
        key: PrivateKey,
        above: Vec<Certificate>,
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
            above,
        })
    }

    /// Makes a new certificate for this self-signed authority: same key, subject and extensions, new validity and serial
    /// number. Everything the old one signed stays valid, and so does a pin of the key.
    ///
    /// An authority whose certificate names its own serial number (authorityKeyIdentifier with issuer and serial number, as
    /// easy-rsa writes it) keeps that number: what it signed names it too, and OpenSSL would find no issuer for it.
    ///
    /// # Errors
    ///
    /// [`Error::NotACa`] when it is not self-signed: then its issuer renews it; [`Error::Invalid`],
    /// [`Error::Randomness`].
    pub fn renew(&self, lifetime: Lifetime, now: SystemTime) -> Result<Certificate, Error> {
        require_self_signed(&self.certificate)?;
        self.follow(&Changes::default(), lifetime, false, now)
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

    /// This authority and those above it that are known, without the root, in PEM: what stands behind a certificate that it
    /// signed. Empty for a root.
    pub fn chain_pem(&self) -> String {
        self.full_chain().iter().map(Certificate::to_pem).collect()
    }

    /// The key as PKCS#8 PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.to_pkcs8_pem()
    }

    /// This authority and those above it, without the root: what a holder of its certificates must send along.
    pub(crate) fn full_chain(&self) -> Vec<Certificate> {
        let all = self.with_above();
        all.filter(|one| one.subject() != one.issuer())
            .cloned()
            .collect()
    }

    /// This authority and those above it, nearest first, with the root if it is known.
    pub(crate) fn with_above(&self) -> impl Iterator<Item = &Certificate> {
        [&self.certificate].into_iter().chain(&self.above)
    }

    /// Those above it, nearest first.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn above(&self) -> &[Certificate] {
        &self.above
    }

    pub(crate) fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }
}

/// Only the issuer of an authority that is not its own can make it another certificate or another key.
pub(crate) fn require_self_signed(own: &Certificate) -> Result<(), Error> {
    // A hash that is not known here does not make it another's.
    let by_itself = match own.is_signed_by(own) {
        Err(Error::UnsupportedSignature { .. }) => own.subject() == own.issuer(),
        result => result?,
    };
    if by_itself {
        return Ok(());
    }
    Err(Error::NotACa {
        subject: own.subject_shown(),
        problem: "it is not self-signed, so its issuer must renew it".to_owned(),
    })
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
