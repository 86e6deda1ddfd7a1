//! What an authority signs: leaves, and authorities below it.

use std::time::SystemTime;

use x509_cert::ext::Extension;
use x509_cert::name::Name;

use super::{Authority, require_valid};
use crate::{
    AuthoritySpec, Certificate, Error, Identity, Leaf, Lifetime, PrivateKey, PublicKey, Validity,
    lint, profile, signing,
};

/// Refuses an authority of path length `below` under the one of `subject` and path length `limit`, unless there is room.
pub(crate) fn require_room(
    subject: &str,
    limit: Option<u8>,
    below: Option<u8>,
) -> Result<(), Error> {
    match limit {
        Some(limit) if below.is_none_or(|length| length >= limit) => Err(Error::NotACa {
            subject: subject.to_owned(),
            problem: format!(
                "its path length {limit} leaves no room for an authority below with {}",
                match below {
                    Some(length) => format!("path length {length}"),
                    None => "no path length".to_owned(),
                }
            ),
        }),
        _ => Ok(()),
    }
}

impl Authority {
    /// Makes a key and a certificate for `leaf`.
    ///
    /// # Errors
    ///
    /// [`Error::OutlivesIssuer`] when it would be valid longer than this authority, [`Error::Invalid`],
    /// [`Error::Randomness`].
    pub fn issue(&self, leaf: &Leaf, now: SystemTime) -> Result<Identity, Error> {
        let key = PrivateKey::generate()?;
        self.issue_with_key(leaf, key, now)
    }

    /// Makes a certificate for `leaf` and an existing key: renewal that a running server does not notice.
    ///
    /// # Errors
    ///
    /// As [`Authority::issue`].
    pub fn issue_with_key(
        &self,
        leaf: &Leaf,
        key: PrivateKey,
        now: SystemTime,
    ) -> Result<Identity, Error> {
        let certificate = self.certify(leaf, key.public_key(), now)?;
        Ok(Identity::new(certificate, key)?.with_chain(self.full_chain()))
    }

    /// Makes a certificate for `leaf` and a public key whose private half is elsewhere.
    ///
    /// Possession of the private half is not proved here: see certificate signing requests for that.
    ///
    /// # Errors
    ///
    /// As [`Authority::issue`].
    pub fn certify(
        &self,
        leaf: &Leaf,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<Certificate, Error> {
        let shown = leaf.subject().common_name().as_str();
        let validity = self.validity_inside(shown, leaf.lifetime(), now)?;
        let mut extensions = leaf.usage_extensions()?;
        extensions.extend(profile::identifiers(
            &key.identifier(),
            &self.key_identifier,
        )?);
        if let Some(sans) = leaf.sans() {
            extensions.push(profile::alternative_names(sans)?);
        }
        if !leaf.revocation_lists().is_empty() {
            extensions.push(profile::revocation_lists(leaf.revocation_lists())?);
        }
        let subject = leaf.subject().to_name()?;
        let made = self.sign(&subject, key, validity, extensions)?;
        self.require_verifiable(&made)?;
        Ok(made)
    }

    /// Refuses to hand out what OpenSSL, Go or webpki would refuse, over all authorities above that are known.
    pub(crate) fn require_verifiable(&self, made: &Certificate) -> Result<(), Error> {
        let path: Vec<&Certificate> = [made].into_iter().chain(self.with_above()).collect();
        match lint::first_fault_of_made(&path) {
            None => Ok(()),
            Some(fault) => Err(Error::Unverifiable {
                subject: made.subject_shown(),
                problem: match fault.certificate {
                    0 => format!("{} ({})", fault.message, fault.source),
                    _ => format!("`{}` {} ({})", fault.subject, fault.message, fault.source),
                },
            }),
        }
    }

    /// Makes an authority below this one, with a new key.
    ///
    /// # Errors
    ///
    /// [`Error::NotACa`] when this authority's path length allows none below, or the new one's is not shorter;
    /// [`Error::OutlivesIssuer`], [`Error::Invalid`], [`Error::Randomness`].
    pub fn intermediate(&self, spec: &AuthoritySpec, now: SystemTime) -> Result<Self, Error> {
        self.intermediate_with_key(spec, PrivateKey::generate()?, now)
    }

    /// Makes an authority of an existing key below this one.
    ///
    /// # Errors
    ///
    /// As [`Authority::intermediate`].
    pub fn intermediate_with_key(
        &self,
        spec: &AuthoritySpec,
        key: PrivateKey,
        now: SystemTime,
    ) -> Result<Self, Error> {
        require_room(
            &self.certificate.subject_shown(),
            self.certificate.path_length(),
            spec.path_length(),
        )?;
        let shown = spec.subject().common_name().as_str();
        let validity = self.validity_inside(shown, spec.lifetime(), now)?;
        let mut extensions = profile::authority_extensions(spec)?;
        let identifier = key.public_key().identifier();
        extensions.extend(profile::identifiers(&identifier, &self.key_identifier)?);
        let name = spec.subject().to_name()?;
        let certificate = self.sign(&name, key.public_key(), validity, extensions)?;
        self.require_verifiable(&certificate)?;
        Self::trusted(certificate, key, self.with_above().cloned().collect())
    }

    /// The period of something signed at `now`, refused if it ends after this authority does.
    pub(crate) fn validity_inside(
        &self,
        subject: &str,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<Validity, Error> {
        require_valid(&self.certificate, now)?;
        let own = self.certificate.validity();
        let validity = Validity::starting(now, lifetime)?.clamped_to_start(own.not_before());
        if validity.not_after() > own.not_after() {
            return Err(Error::OutlivesIssuer {
                subject: subject.to_owned(),
                not_after: validity.not_after(),
                issuer: self.certificate.subject_shown(),
                issuer_not_after: own.not_after(),
            });
        }
        Ok(validity)
    }

    pub(crate) fn sign(
        &self,
        subject: &Name,
        key: &PublicKey,
        validity: Validity,
        extensions: Vec<Extension>,
    ) -> Result<Certificate, Error> {
        signing::sign(
            &self.key,
            // The name as it stands, octet for octet: verifiers compare encodings (RFC 5280 4.1.2.4).
            self.certificate.subject(),
            subject,
            key,
            validity,
            extensions,
        )
    }
}
