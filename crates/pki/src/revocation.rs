//! What is revoked, and why.

use std::fmt;
use std::time::SystemTime;

use x509_cert::crl::RevokedCert;
use x509_cert::der::Encode;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

use crate::hex::serial_hex;
use crate::{Certificate, Error, profile};

/// Why a certificate is revoked (RFC 5280 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum RevocationReason {
    /// Nobody says.
    #[default]
    Unspecified,
    /// Its key is known to others.
    KeyCompromise,
    /// The key of the authority that it is of is known to others.
    CaCompromise,
    /// Its subject is somebody else now.
    AffiliationChanged,
    /// Another has taken its place.
    Superseded,
    /// It is no longer needed.
    CessationOfOperation,
    /// Not decided yet: for now.
    CertificateHold,
    /// Its subject may no longer do what it says.
    PrivilegeWithdrawn,
    /// The key of the attribute authority that it is of is known to others.
    AaCompromise,
}

/// The reasons, their names in RFC 5280, and as lists hold them.
const REASONS: [(RevocationReason, &str, CrlReason); 9] = [
    (
        RevocationReason::Unspecified,
        "unspecified",
        CrlReason::Unspecified,
    ),
    (
        RevocationReason::KeyCompromise,
        "keyCompromise",
        CrlReason::KeyCompromise,
    ),
    (
        RevocationReason::CaCompromise,
        "cACompromise",
        CrlReason::CaCompromise,
    ),
    (
        RevocationReason::AffiliationChanged,
        "affiliationChanged",
        CrlReason::AffiliationChanged,
    ),
    (
        RevocationReason::Superseded,
        "superseded",
        CrlReason::Superseded,
    ),
    (
        RevocationReason::CessationOfOperation,
        "cessationOfOperation",
        CrlReason::CessationOfOperation,
    ),
    (
        RevocationReason::CertificateHold,
        "certificateHold",
        CrlReason::CertificateHold,
    ),
    (
        RevocationReason::PrivilegeWithdrawn,
        "privilegeWithdrawn",
        CrlReason::PrivilegeWithdrawn,
    ),
    (
        RevocationReason::AaCompromise,
        "aACompromise",
        CrlReason::AaCompromise,
    ),
];

impl RevocationReason {
    /// All of them, in the order of RFC 5280.
    pub fn all() -> impl Iterator<Item = Self> {
        REASONS.into_iter().map(|(reason, _, _)| reason)
    }

    /// The name in RFC 5280, for example `keyCompromise`.
    pub fn name(self) -> &'static str {
        let found = REASONS.iter().find(|(reason, _, _)| *reason == self);
        found.map_or("unspecified", |(_, name, _)| name)
    }
}

impl TryFrom<&str> for RevocationReason {
    type Error = Error;

    fn try_from(value: &str) -> Result<Self, Error> {
        let found = REASONS
            .iter()
            .find(|(_, name, _)| name.eq_ignore_ascii_case(value));
        found.map(|(reason, _, _)| *reason).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            let problem = format!("is none of {}", names.join(", "));
            Error::invalid(
                "revocation reason",
                value.escape_debug().to_string(),
                problem,
            )
        })
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One revoked certificate: its serial number, since when, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    serial: SerialNumber,
    reason: RevocationReason,
    /// `None` until a list says it: then it is revoked from that list on.
    date: Option<SystemTime>,
    /// What the list that it comes from says of it, the reason among it, octet for octet.
    carried: Vec<Extension>,
}

impl Revocation {
    /// Revokes `certificate`.
    pub fn of(certificate: &Certificate, reason: RevocationReason) -> Self {
        Self {
            serial: certificate.serial_number().clone(),
            reason,
            date: None,
            carried: Vec::new(),
        }
    }

    /// Revokes the certificate of the serial number `hex`, as [`Certificate::serial`] and `openssl x509 -serial` write it:
    /// for one that is no longer there.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless it is one of 1 to 20 octets in hexadecimal digits.
    pub fn of_serial(hex: &str, reason: RevocationReason) -> Result<Self, Error> {
        let invalid = || {
            let problem = "is no serial number of 1 to 20 octets in hexadecimal digits";
            Error::invalid("serial number", hex.escape_debug().to_string(), problem)
        };
        let digits: Vec<u8> = hex
            .chars()
            .filter(|one| *one != ':')
            .map(|one| one.to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()
            .ok_or_else(invalid)?;
        let padded = [&vec![0; digits.len() % 2][..], &digits].concat();
        let octets: Vec<u8> = padded
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect();
        if octets.is_empty() || octets.len() > 20 {
            return Err(invalid());
        }
        Ok(Self {
            serial: SerialNumber::new(&octets).map_err(|_| invalid())?,
            reason,
            date: None,
            carried: Vec::new(),
        })
    }

    pub(crate) fn of_entry(entry: &RevokedCert) -> Self {
        let extensions = entry.crl_entry_extensions.as_deref().unwrap_or_default();
        let found = profile::find::<CrlReason>(extensions);
        let found = REASONS.iter().find(|(_, _, reason)| Some(*reason) == found);
        Self {
            serial: entry.serial_number.clone(),
            reason: found.map_or(RevocationReason::Unspecified, |(reason, _, _)| *reason),
            date: Some(entry.revocation_date.to_system_time()),
            carried: extensions.to_vec(),
        }
    }

    /// The entry of a list; `from` is its date if none is known yet.
    pub(crate) fn to_entry(&self, from: Time) -> Result<RevokedCert, Error> {
        let malformed = |problem: String| Error::malformed("revocation", problem);
        let date = match self.date {
            Some(date) => Time::try_from(date).map_err(|error| malformed(error.to_string()))?,
            None => from,
        };
        let reason = REASONS
            .iter()
            .find(|(reason, _, _)| *reason == self.reason)
            // Absent, not unspecified (RFC 5280 5.3.1).
            .filter(|(reason, _, _)| *reason != RevocationReason::Unspecified);
        let extensions = match reason {
            _ if !self.carried.is_empty() => Some(self.carried.clone()),
            Some((_, _, reason)) => Some(vec![reason_extension(*reason)?]),
            None => None,
        };
        Ok(RevokedCert {
            serial_number: self.serial.clone(),
            revocation_date: date,
            crl_entry_extensions: extensions,
        })
    }

    /// The serial number in lower-case hex.
    pub fn serial(&self) -> String {
        serial_hex(self.serial.as_bytes())
    }

    /// Why; of a list of others that says what is not known here, [`RevocationReason::Unspecified`].
    pub fn reason(&self) -> RevocationReason {
        self.reason
    }

    /// Since when; `None` before a list says it.
    pub fn date(&self) -> Option<SystemTime> {
        self.date
    }

    pub(crate) fn serial_number(&self) -> &SerialNumber {
        &self.serial
    }
}

fn reason_extension(reason: CrlReason) -> Result<Extension, Error> {
    use x509_cert::der::asn1::OctetString;
    use x509_cert::der::oid::AssociatedOid;
    let malformed = |error| Error::malformed("revocation reason", error);
    let value = reason.to_der().map_err(malformed)?;
    Ok(Extension {
        extn_id: CrlReason::OID,
        critical: false,
        extn_value: OctetString::new(value).map_err(malformed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_read_in_every_usual_form() {
        for (text, serial) in [
            ("0a", "0a"),
            ("A", "0a"),
            ("0A:0B", "0a0b"),
            ("00:ff", "ff"),
            ("123", "0123"),
        ] {
            let read = Revocation::of_serial(text, RevocationReason::default()).unwrap();
            assert_eq!(read.serial(), serial, "{text}");
        }
        let long = "1".repeat(41);
        for text in ["", ":", "x", "0x12", long.as_str(), "12 34"] {
            assert!(
                Revocation::of_serial(text, RevocationReason::default()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn reasons_have_their_names() {
        for reason in RevocationReason::all() {
            assert_eq!(RevocationReason::try_from(reason.name()).unwrap(), reason);
        }
        let error = RevocationReason::try_from("bored").unwrap_err().to_string();
        assert!(
            error.contains("is none of unspecified, keyCompromise"),
            "{error}"
        );
    }
}
