//! Certificate revocation lists.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::SystemTime;

use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{BitString, OctetString, Uint};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader};
use x509_cert::ext::Extension;
#[cfg(feature = "verify")]
use x509_cert::ext::pkix::CrlReason;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber};
#[cfg(feature = "verify")]
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use crate::form::Shape;
use crate::hex::{hex, serial_hex};
use crate::pem::Kind;
use crate::signature::ECDSA_WITH_SHA256;
use crate::{
    Authority, Certificate, Error, Lifetime, Revocation, RevocationReason, form, pem, profile,
    signature,
};

/// issuingDistributionPoint (RFC 5280 5.2.5).
#[cfg(feature = "verify")]
const ISSUING_DISTRIBUTION_POINT: x509_cert::der::asn1::ObjectIdentifier =
    x509_cert::der::asn1::ObjectIdentifier::new_unwrap("2.5.29.28");

/// A certificate revocation list (RFC 5280 5).
///
/// etcd (`--client-crl-file`) reads DER, from 3.6 on only DER, compares serial numbers only, and refuses *every* client
/// once the list is past its next update: renew it in time.
#[derive(Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: Vec<u8>,
    parsed: CertificateList,
}

impl RevocationList {
    /// Reads DER, or the one `X509 CRL` block of PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let der = if form::is_der(bytes) {
            bytes.to_vec()
        } else {
            match &pem::blocks(bytes, |kind| kind == Kind::RevocationList)?[..] {
                [block] => block.der.to_vec(),
                [] => return Err(form::nothing_found("revocation list", bytes)),
                _ => return Err(malformed("more than one where one is expected")),
            }
        };
        let der = form::first(&der)
            .map_or(&der[..], |(first, _)| first)
            .to_vec();
        let parsed = match Shape::of(&der) {
            Some(Shape::RevocationList) | None => {
                CertificateList::from_der(&der).map_err(malformed)?
            }
            shape => return Err(form::not_a("revocation list", shape)),
        };
        Ok(Self { der, parsed })
    }

    /// The DER bytes, the form etcd reads.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// An `X509 CRL` block.
    pub fn to_pem(&self) -> String {
        pem::encode("X509 CRL", &self.der)
    }

    /// The revoked serial numbers, in lower-case hex, as [`Certificate::serial`] writes them.
    pub fn serials(&self) -> Vec<String> {
        let revoked = self.parsed.tbs_cert_list.revoked_certificates.iter();
        revoked
            .flatten()
            .map(|revoked| serial_hex(revoked.serial_number.as_bytes()))
            .collect()
    }

    /// What it revokes, with dates and reasons.
    pub fn revocations(&self) -> Vec<Revocation> {
        let revoked = self.parsed.tbs_cert_list.revoked_certificates.iter();
        revoked.flatten().map(Revocation::of_entry).collect()
    }

    /// Its number, which grows from list to list; `None` where there is none, or one that no list of ours has.
    pub fn number(&self) -> Option<u64> {
        let number = self.whole_number().ok()??;
        let octets = number.as_bytes();
        let mut all = [0; 8];
        all.get_mut(8usize.checked_sub(octets.len())?..)?
            .copy_from_slice(octets);
        Some(u64::from_be_bytes(all))
    }

    /// Its number, of whatever length; refused if it cannot be read.
    fn whole_number(&self) -> Result<Option<Uint>, Error> {
        let extensions = self.parsed.tbs_cert_list.crl_extensions.as_deref();
        let found = profile::find_whole::<CrlNumber>(extensions.unwrap_or_default())?;
        Ok(found.map(|number| number.0))
    }

    /// What the list that follows it says beside its own: everything but the number and the issuer's key.
    ///
    /// # Errors
    ///
    /// [`Error::WouldLose`] for what changes the meaning of a whole list or of other entries than its own.
    fn handed_on(&self) -> Result<Vec<Extension>, Error> {
        let lost = |extension: &Extension, of: &str| Error::WouldLose {
            subject: crate::subject::shown(&self.parsed.tbs_cert_list.issuer),
            what: format!(
                "the critical {} of {of}",
                profile::extension_name(extension.extn_id)
            ),
        };
        let revoked = self.parsed.tbs_cert_list.revoked_certificates.iter();
        let mut of_entries = revoked
            .flatten()
            .flat_map(|entry| entry.crl_entry_extensions.iter().flatten());
        if let Some(critical) = of_entries.find(|extension| extension.critical) {
            return Err(lost(critical, "an entry of its revocation list"));
        }
        let own = [CrlNumber::OID, AuthorityKeyIdentifier::OID];
        let carried: Vec<Extension> = self
            .extensions()
            .filter(|extension| !own.contains(&extension.extn_id))
            .cloned()
            .collect();
        match carried.iter().find(|extension| extension.critical) {
            Some(critical) => Err(lost(critical, "its revocation list")),
            None => Ok(carried),
        }
    }

    /// From when it speaks.
    pub fn this_update(&self) -> SystemTime {
        self.parsed.tbs_cert_list.this_update.to_system_time()
    }

    /// Whether `issuer` made it: the names are equal octet for octet, and the signature holds.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedSignature`] when the issuer's key or the hash is one that cannot be checked here.
    pub fn is_signed_by(&self, issuer: &Certificate) -> Result<bool, Error> {
        let list = &self.parsed.tbs_cert_list;
        if &list.issuer != issuer.subject() || list.signature != self.parsed.signature_algorithm {
            return Ok(false);
        }
        let mut reader = SliceReader::new(&self.der).map_err(malformed)?;
        Header::decode(&mut reader).map_err(malformed)?;
        let signed = reader.tlv_bytes().map_err(malformed)?;
        let key = issuer.tbs().subject_public_key_info().owned_to_ref();
        let signature = self.parsed.signature.as_bytes().unwrap_or_default();
        signature::holds(&key, &self.parsed.signature_algorithm, signed, signature)
    }

    /// Whether `certificate`'s serial number is in it, whoever issued that.
    #[cfg(feature = "verify")]
    pub(crate) fn revokes(&self, certificate: &Certificate) -> bool {
        let revoked = self.parsed.tbs_cert_list.revoked_certificates.iter();
        let mut serials = revoked.flatten().map(|revoked| &revoked.serial_number);
        serials.any(|serial| serial == certificate.serial_number())
    }

    #[cfg(feature = "verify")]
    pub(crate) fn issuer(&self) -> &Name {
        &self.parsed.tbs_cert_list.issuer
    }

    /// Whether it speaks for a part of what its issuer signed (RFC 5280 5.2.5).
    #[cfg(feature = "verify")]
    pub(crate) fn is_partial(&self) -> bool {
        let mut extensions = self.extensions();
        extensions.any(|extension| extension.extn_id == ISSUING_DISTRIBUTION_POINT)
    }

    /// A critical extension that changes what it says in a way that is not known here.
    #[cfg(feature = "verify")]
    pub(crate) fn unknown_critical(&self) -> Option<String> {
        let known = [CrlNumber::OID, AuthorityKeyIdentifier::OID];
        let revoked = self.parsed.tbs_cert_list.revoked_certificates.iter();
        let entries = revoked
            .flatten()
            .flat_map(|revoked| revoked.crl_entry_extensions.iter().flatten())
            .filter(|extension| extension.extn_id != CrlReason::OID);
        let mut unknown = self
            .extensions()
            .filter(|extension| !known.contains(&extension.extn_id))
            .chain(entries)
            .filter(|extension| extension.critical);
        unknown
            .next()
            .map(|extension| profile::extension_name(extension.extn_id))
    }

    fn extensions(&self) -> impl Iterator<Item = &Extension> {
        self.parsed.tbs_cert_list.crl_extensions.iter().flatten()
    }

    /// When the next list is due at the latest.
    pub fn next_update(&self) -> Option<SystemTime> {
        let next = self.parsed.tbs_cert_list.next_update.as_ref();
        next.map(Time::to_system_time)
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("serials", &self.serials())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Revokes `certificates`: the whole list, not an addition to an earlier one.
    ///
    /// `number` must be larger than that of the list before (RFC 5280 5.2.3); `lifetime` is the time to the next list.
    ///
    /// # Errors
    ///
    /// [`Error::NotACa`] when this authority's keyUsage lacks cRLSign: verifiers take no list from it; [`Error::Refused`]
    /// for a certificate of another issuer; [`Error::Invalid`] for an impossible lifetime; [`Error::Expired`].
    pub fn revoke<'a>(
        &self,
        certificates: impl IntoIterator<Item = &'a Certificate>,
        number: u64,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<RevocationList, Error> {
        let mut revoked = Vec::new();
        for certificate in certificates {
            if certificate.issuer() != self.certificate().subject() {
                return Err(Error::Refused {
                    subject: certificate.subject_shown(),
                    field: "issuer",
                    value: certificate.issuer_shown(),
                });
            }
            revoked.push(Revocation::of(certificate, RevocationReason::Unspecified));
        }
        let number = Uint::new(&number.to_be_bytes()).map_err(malformed)?;
        self.list(revoked, (number, Vec::new()), lifetime, now)
    }

    /// The list that follows `previous`: what that one holds, with its dates and reasons, and what is `added`; its number is
    /// the next one. Without a previous list, the first.
    ///
    /// Who is in the list already stays there as it is, and what else a list of others says is carried octet for octet.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// # use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Lifetime};
    /// use caravan_pki::{Revocation, RevocationReason};
    /// # fn main() -> Result<(), caravan_pki::Error> {
    /// # let now = SystemTime::now();
    /// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("ca")?), now)?;
    /// # let leaf = ca.issue(&Leaf::client(CommonName::try_from("x")?), now)?;
    /// let week = Lifetime::days(7);
    /// let first = ca.revoke_more(None, [Revocation::of(leaf.certificate(), RevocationReason::KeyCompromise)], week, now)?;
    /// let lost = Revocation::of_serial("6b0f", RevocationReason::Superseded)?;
    /// let second = ca.revoke_more(Some(&first), [lost], week, now)?;
    /// assert_eq!((second.revocations().len(), second.number()), (2, Some(2)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when `previous` is of another issuer; [`Error::WouldLose`] when it says something that cannot be
    /// carried on, such as that it is of a part alone; [`Error::Malformed`] and [`Error::Invalid`] when no number follows its
    /// own; errors as of [`Authority::revoke`].
    pub fn revoke_more(
        &self,
        previous: Option<&RevocationList>,
        added: impl IntoIterator<Item = Revocation>,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<RevocationList, Error> {
        let mut revoked = Vec::new();
        let mut number = following(None)?;
        let mut carried = Vec::new();
        if let Some(previous) = previous {
            let issuer = &previous.parsed.tbs_cert_list.issuer;
            if issuer != self.certificate().subject() {
                return Err(Error::Refused {
                    subject: self.certificate().subject_shown(),
                    field: "previous list of the issuer",
                    value: crate::subject::shown(issuer),
                });
            }
            revoked = previous.revocations();
            number = following(previous.whole_number()?.as_ref())?;
            carried = previous.handed_on()?;
        }
        // Of two entries of one certificate the earlier one stays.
        revoked.extend(added);
        self.list(revoked, (number, carried), lifetime, now)
    }

    fn list(
        &self,
        mut revoked: Vec<Revocation>,
        (number, carried): (Uint, Vec<Extension>),
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<RevocationList, Error> {
        let own = self.certificate();
        let date = crate::validity::Validity::starting(now, lifetime)?;
        crate::authority::require_valid(own, now)?;
        if own.key_usage().is_none_or(|usage| !usage.crl_sign()) {
            return Err(Error::NotACa {
                subject: own.subject_shown(),
                problem: "keyUsage lacks cRLSign, so that no verifier takes a list from it"
                    .to_owned(),
            });
        }
        let (this_update, next_update) = date.times()?;
        revoked.sort_by(|one, other| one.serial_number().cmp(other.serial_number()));
        revoked.dedup_by(|one, other| one.serial_number() == other.serial_number());
        let revoked: Result<Vec<RevokedCert>, Error> = revoked
            .iter()
            .map(|one| one.to_entry(this_update))
            .collect();
        let revoked = revoked?;
        let algorithm = AlgorithmIdentifierOwned {
            oid: ECDSA_WITH_SHA256,
            parameters: None,
        };
        let mut extensions = vec![
            profile::authority_identifier(self.key_identifier())?,
            crl_number(number)?,
        ];
        extensions.extend(carried);
        let list = TbsCertList {
            version: x509_cert::Version::V2,
            signature: algorithm.clone(),
            issuer: own.subject().clone(),
            this_update,
            next_update: Some(next_update),
            // Absent, not empty (RFC 5280 5.1.2.6).
            revoked_certificates: (!revoked.is_empty()).then_some(revoked),
            crl_extensions: Some(extensions),
        };
        let signature = self.key().sign(&list.to_der().map_err(malformed)?)?;
        let parsed = CertificateList {
            tbs_cert_list: list,
            signature_algorithm: algorithm,
            signature: BitString::from_bytes(&signature).map_err(malformed)?,
        };
        Ok(RevocationList {
            der: parsed.to_der().map_err(malformed)?,
            parsed,
        })
    }
}

/// The number after `previous`; 1 if there is none.
fn following(previous: Option<&Uint>) -> Result<Uint, Error> {
    let octets = previous.map_or(&[][..], Uint::as_bytes);
    // One octet more, for what the last addition carries over.
    let mut next = [&[0], octets].concat();
    for octet in next.iter_mut().rev() {
        let (sum, carries) = octet.overflowing_add(1);
        *octet = sum;
        if !carries {
            break;
        }
    }
    let next = Uint::new(&next).map_err(malformed)?;
    let encoded = next.to_der().map_err(malformed)?;
    // Tag and length take two octets.
    if encoded.len() > 2 + 20 {
        let problem = "no number of 20 octets follows it (RFC 5280 5.2.3)";
        return Err(Error::invalid("list number", hex(octets), problem));
    }
    Ok(next)
}

fn crl_number(number: Uint) -> Result<Extension, Error> {
    let number = CrlNumber(number);
    Ok(Extension {
        extn_id: CrlNumber::OID,
        critical: false,
        extn_value: OctetString::new(number.to_der().map_err(malformed)?).map_err(malformed)?,
    })
}

fn malformed(problem: impl ToString) -> Error {
    Error::malformed("revocation list", problem)
}
