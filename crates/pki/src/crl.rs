//! Certificate revocation lists.

use std::fmt;
use std::time::SystemTime;

use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{BitString, OctetString, Uint};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlNumber;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use crate::form::Shape;
use crate::hex::hex;
use crate::pem::Kind;
use crate::signature::ECDSA_WITH_SHA256;
use crate::{Authority, Certificate, Error, Lifetime, form, pem, profile};

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
            .map(|revoked| hex(revoked.serial_number.as_bytes()))
            .collect()
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
    /// [`Error::Refused`] for a certificate of another issuer; [`Error::Invalid`] for an impossible lifetime;
    /// [`Error::Expired`].
    pub fn revoke<'a>(
        &self,
        certificates: impl IntoIterator<Item = &'a Certificate>,
        number: u64,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<RevocationList, Error> {
        let own = self.certificate();
        let mut revoked: Vec<RevokedCert> = Vec::new();
        let date = crate::validity::Validity::starting(now, lifetime)?;
        crate::authority::require_valid(own, now)?;
        let (this_update, next_update) = date.times()?;
        for certificate in certificates {
            if certificate.issuer() != own.subject() {
                return Err(Error::Refused {
                    subject: certificate.subject_shown(),
                    field: "issuer",
                    value: certificate.issuer_shown(),
                });
            }
            revoked.push(RevokedCert {
                serial_number: SerialNumber::new(certificate.serial_bytes()).map_err(malformed)?,
                revocation_date: this_update,
                crl_entry_extensions: None,
            });
        }
        revoked.sort_by(|one, other| one.serial_number.cmp(&other.serial_number));
        revoked.dedup_by(|one, other| one.serial_number == other.serial_number);
        let algorithm = AlgorithmIdentifierOwned {
            oid: ECDSA_WITH_SHA256,
            parameters: None,
        };
        let list = TbsCertList {
            version: x509_cert::Version::V2,
            signature: algorithm.clone(),
            issuer: own.subject().clone(),
            this_update,
            next_update: Some(next_update),
            // Absent, not empty (RFC 5280 5.1.2.6).
            revoked_certificates: (!revoked.is_empty()).then_some(revoked),
            crl_extensions: Some(vec![
                profile::authority_identifier(self.key_identifier())?,
                crl_number(number)?,
            ]),
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

fn crl_number(number: u64) -> Result<Extension, Error> {
    let number = CrlNumber(Uint::new(&number.to_be_bytes()).map_err(malformed)?);
    Ok(Extension {
        extn_id: CrlNumber::OID,
        critical: false,
        extn_value: OctetString::new(number.to_der().map_err(malformed)?).map_err(malformed)?,
    })
}

fn malformed(problem: impl ToString) -> Error {
    Error::malformed("revocation list", problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthoritySpec, CommonName, Leaf};

    #[test]
    fn lists_hold_what_was_revoked() {
        let now = SystemTime::now();
        let name = |name| CommonName::try_from(name).unwrap();
        let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).unwrap();
        let other = Authority::create(&AuthoritySpec::new(name("other")), now).unwrap();
        let leaf = ca.issue(&Leaf::client(name("x")), now).unwrap();
        let certificate = leaf.certificate();
        let week = Lifetime::days(7);

        let list = ca.revoke([certificate, certificate], 2, week, now).unwrap();
        assert_eq!(list.serials(), [certificate.serial()]);
        assert!(list.next_update().unwrap() > now);
        for bytes in [list.as_der(), list.to_pem().as_bytes()] {
            assert_eq!(RevocationList::parse(bytes).unwrap(), list);
        }

        let empty = ca.revoke([], 1, week, now).unwrap();
        assert_eq!(empty.parsed.tbs_cert_list.revoked_certificates, None);
        assert!(matches!(
            other.revoke([certificate], 1, week, now),
            Err(Error::Refused { .. })
        ));
    }
}
