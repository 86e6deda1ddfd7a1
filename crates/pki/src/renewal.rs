//! What a certificate hands on to the one that follows it.
//!
//! Whoever made a certificate had reasons for all that it says, and we know only some of them. So a renewal starts from
//! the certificate that is there: subject and extensions are carried octet for octet, and only what is asked to be
//! different is different. What can be carried into no other certificate is a refusal.

use std::time::SystemTime;

use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, NameConstraints,
    SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

use crate::authority_spec::SpecField;
use crate::signing::{serial, sign_with_serial};
use crate::{
    Authority, AuthoritySpec, Certificate, Error, Leaf, Lifetime, PublicKey, Validity, profile,
};

/// What is to be other than in the certificate before.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    subject: Option<Name>,
    /// Each takes the place of the one of its kind, or is added.
    extensions: Vec<Extension>,
    removed: Vec<ObjectIdentifier>,
}

impl Changes {
    /// Those that make of `certificate` what `leaf` describes.
    ///
    /// # Errors
    ///
    /// [`Error::WouldLose`] when something that no [`Leaf`] can say stands where the change must be made.
    pub(crate) fn to_leaf(certificate: &Certificate, leaf: &Leaf) -> Result<Self, Error> {
        let mut changes = Self::default();
        if certificate.is_authority() {
            return Err(lost(certificate, "the power to sign"));
        }
        if leaf.differs_in_subject(certificate) {
            let known = certificate.common_names().len() + certificate.organizations().len();
            if certificate.subject_attribute_count() != known {
                return Err(lost(certificate, "further attributes of its subject"));
            }
            if certificate.common_names().len() > 1 {
                return Err(lost(certificate, "its second common name"));
            }
            changes.subject = Some(leaf.subject().to_name()?);
        }
        if leaf.differs_in_sans(certificate) {
            certificate.find::<SubjectAltName>()?;
            if certificate.foreign_name_count() != 0 {
                let what = "alternative names that are neither DNS names, addresses nor URIs";
                return Err(lost(certificate, what));
            }
            match leaf.sans() {
                Some(sans) => changes.extensions.push(profile::alternative_names(sans)?),
                None => changes.removed.push(SubjectAltName::OID),
            }
        }
        if leaf.differs_in_revocation_lists(certificate) {
            if certificate.revocation_lists().is_none() {
                return Err(lost(
                    certificate,
                    "points of revocation lists of other kinds",
                ));
            }
            let lists = profile::revocation_lists(leaf.revocation_lists())?;
            changes.extensions.push(lists);
        }
        if leaf.differs_in_usages(certificate) {
            if certificate.usage_count() != certificate.usages().len() {
                return Err(lost(certificate, "purposes that are not known here"));
            }
            changes.extensions.extend(leaf.usage_extensions()?);
        }
        Ok(changes)
    }

    /// Those that make of the authority `certificate` what `spec` describes; the subject stays.
    ///
    /// # Errors
    ///
    /// [`Error::AuthorityDiffers`] when the subject is to be another.
    pub(crate) fn to_authority(
        certificate: &Certificate,
        spec: &AuthoritySpec,
    ) -> Result<Self, Error> {
        let mut changes = Self::default();
        for difference in spec.differences(certificate) {
            match difference.field {
                // Whatever it signed names it by its subject.
                SpecField::Subject => return Err(difference.refuse(certificate)),
                SpecField::PathLength => changes
                    .extensions
                    .push(profile::basic_constraints(spec.path_length())?),
                SpecField::Constraints if spec.constraints().is_empty() => {
                    changes.removed.push(NameConstraints::OID);
                }
                SpecField::Constraints => changes
                    .extensions
                    .push(profile::name_constraints(spec.constraints())?),
            }
        }
        Ok(changes)
    }

    /// The extensions of the certificate that follows `old`, made for `key` and signed by `issuer`: its certificate, or
    /// `None` if it is to sign itself.
    fn carry(
        &self,
        old: &Certificate,
        key: &PublicKey,
        issuer: Option<&Authority>,
    ) -> Result<Vec<Extension>, Error> {
        let same_key = old.public_key().is_ok_and(|own| &own == key);
        let fresh_subject = || profile::subject_identifier(&key.identifier());
        let fresh_issuer = |all: &[Extension]| match issuer {
            Some(issuer) => profile::authority_identifier(issuer.key_identifier()),
            // Its own, which may be a carried one.
            None => match profile::find::<SubjectKeyIdentifier>(all) {
                Some(own) => profile::authority_identifier(own.0.as_bytes()),
                None => profile::authority_identifier(&key.identifier()),
            },
        };
        let mut all: Vec<Extension> = Vec::new();
        let mut issuer_identifier_at = None;
        for extension in old.extensions() {
            let oid = extension.extn_id;
            let name = profile::extension_name(oid);
            let twice = old.extensions().iter().filter(|one| one.extn_id == oid);
            if twice.count() > 1 {
                return Err(lost(old, &format!("one of two extensions {name}")));
            }
            if BOUND.contains(&oid.to_string().as_str()) {
                let what = format!("its {name}, which is for this one certificate");
                return Err(lost(old, &what));
            }
            if self.removed.contains(&oid) {
                continue;
            }
            let mut replacing = self.extensions.iter();
            if let Some(other) = replacing.find(|one| one.extn_id == oid) {
                all.push(other.clone());
            } else if oid == SubjectKeyIdentifier::OID && !same_key {
                all.push(fresh_subject()?);
            } else if oid == AuthorityKeyIdentifier::OID
                && !still_names(extension, issuer, same_key)
            {
                issuer_identifier_at = Some(all.len());
            } else {
                all.push(extension.clone());
            }
        }
        for extension in &self.extensions {
            if !all.iter().any(|one| one.extn_id == extension.extn_id) {
                all.push(extension.clone());
            }
        }
        if !all
            .iter()
            .any(|one| one.extn_id == SubjectKeyIdentifier::OID)
        {
            all.push(fresh_subject()?);
        }
        let has_issuer = all
            .iter()
            .any(|one| one.extn_id == AuthorityKeyIdentifier::OID);
        if !has_issuer {
            let at = issuer_identifier_at.unwrap_or(all.len());
            let identifier = fresh_issuer(&all)?;
            all.insert(at, identifier);
        }
        Ok(all)
    }
}

/// Extensions that are about the one certificate that they stand in.
const BOUND: [&str; 2] = [profile::TIMESTAMPS, profile::PRECERTIFICATE];

fn lost(certificate: &Certificate, what: &str) -> Error {
    Error::WouldLose {
        subject: certificate.subject_shown(),
        what: what.to_owned(),
    }
}

/// Whether an authorityKeyIdentifier may stay as it is.
fn still_names(extension: &Extension, issuer: Option<&Authority>, same_key: bool) -> bool {
    let identifier = AuthorityKeyIdentifier::from_der(extension.extn_value.as_bytes());
    match (identifier, issuer) {
        (Ok(identifier), Some(issuer)) => issuer.certificate().is_named_by(&identifier),
        // One that signs itself has the same key, name and serial number as before.
        (Ok(_), None) => same_key,
        (Err(_), _) => false,
    }
}

impl Authority {
    /// Makes the certificate `old` again, whoever made it, for `key`: the subject and all extensions are carried octet
    /// for octet, but for key identifiers that would be wrong; serial number and dates are new.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// # use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf};
    /// # fn main() -> Result<(), caravan_pki::Error> {
    /// # let now = SystemTime::now();
    /// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("example ca")?), now)?;
    /// # let old = ca.issue(&Leaf::client(CommonName::try_from("web")?), now)?;
    /// let lifetime = old.certificate().validity().lifetime();
    /// let new = ca.reissue(old.certificate(), old.key().public_key(), lifetime, now)?;
    /// # assert_ne!(new.serial(), old.certificate().serial());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::WouldLose`] for a certificate with something that cannot be carried, such as certificate transparency's
    /// timestamps; [`Error::Unverifiable`]; [`Error::OutlivesIssuer`], [`Error::Expired`], [`Error::Invalid`].
    pub fn reissue(
        &self,
        old: &Certificate,
        key: &PublicKey,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<Certificate, Error> {
        self.reissue_changed(old, &Changes::default(), key, lifetime, None, now)
    }

    /// As [`Authority::reissue`], with `changes`, and with a serial number that is given or a new one.
    pub(crate) fn reissue_changed(
        &self,
        old: &Certificate,
        changes: &Changes,
        key: &PublicKey,
        lifetime: Lifetime,
        kept_serial: Option<SerialNumber>,
        now: SystemTime,
    ) -> Result<Certificate, Error> {
        let validity = self.validity_inside(&old.subject_shown(), lifetime, now)?;
        let extensions = changes.carry(old, key, Some(self))?;
        let subject = changes.subject.as_ref().unwrap_or(old.subject());
        let names = (self.certificate().subject(), subject);
        let serial = kept_serial.map_or_else(serial, Ok)?;
        let made = sign_with_serial(serial, self.key(), names, key, validity, extensions)?;
        self.require_verifiable(&made)?;
        Ok(made)
    }

    /// The certificate that follows this self-signed authority's own: of the same key, so that everything the old one
    /// signed stays valid.
    ///
    /// It keeps the serial number if the authority, or what it signed, names it (`keeps_serial`): such a name holds for
    /// no other number, and OpenSSL refuses what is below (RFC 5280 4.2.1.1).
    pub(crate) fn follow(
        &self,
        changes: &Changes,
        lifetime: Lifetime,
        keeps_serial: bool,
        now: SystemTime,
    ) -> Result<Certificate, Error> {
        let old = self.certificate();
        let key = self.key().public_key();
        let validity = Validity::starting(now, lifetime)?;
        let extensions = changes.carry(old, key, None)?;
        let number = if keeps_serial || old.names_serial_of_issuer() {
            old.serial_number().clone()
        } else {
            serial()?
        };
        let names = (old.subject(), old.subject());
        sign_with_serial(number, self.key(), names, key, validity, extensions)
    }

    /// A self-signed authority of another key that is otherwise as `old`, but for `changes`.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn succeed(
        old: &Certificate,
        changes: &Changes,
        key: crate::PrivateKey,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let validity = Validity::starting(now, lifetime)?;
        let public = key.public_key();
        let extensions = changes.carry(old, public, None)?;
        let names = (old.subject(), old.subject());
        let made = sign_with_serial(serial()?, &key, names, public, validity, extensions)?;
        Self::trusted(made, key, Vec::new())
    }
}

/// Whether a certificate could be made again from a [`Leaf`] alone: else, what would be lost.
pub(crate) fn beyond_a_leaf(certificate: &Certificate) -> Option<String> {
    let known = [
        "2.5.29.14",
        "2.5.29.15",
        "2.5.29.17",
        "2.5.29.19",
        "2.5.29.35",
        "2.5.29.37",
    ];
    let lists = certificate.revocation_lists();
    for extension in certificate.extensions() {
        let oid = extension.extn_id.to_string();
        let is_list = extension.extn_id == CrlDistributionPoints::OID && lists.is_some();
        if !is_list && !known.contains(&oid.as_str()) {
            return Some(format!(
                "extension {}",
                profile::extension_name(extension.extn_id)
            ));
        }
    }
    if certificate.find::<BasicConstraints>().is_err() {
        return Some("unreadable basicConstraints".to_owned());
    }
    match certificate.key_usage() {
        None => Some("the freedom of a key without keyUsage".to_owned()),
        Some(usage) if usage != profile::leaf_key_usage() => {
            Some("key usages other than digitalSignature".to_owned())
        }
        Some(_) => None,
    }
}
