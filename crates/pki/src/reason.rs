//! Why a certificate is made, or made again.

use std::fmt;
use std::time::SystemTime;

use crate::leaf::Difference;
use crate::{Certificate, Error, Leaf, rfc3339};

/// Why something was made, or is to be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Less than a third of its life remains.
    Expiring {
        /// Its last valid second.
        not_after: SystemTime,
    },
    /// Only the private half was there, left by an interrupted run.
    Interrupted,
    /// It does not belong to the key beside it, left by an interrupted change of key.
    KeyMismatch,
    /// It was not there.
    Missing,
    /// The authorities that are sent along with it are others; it is the same itself.
    ChainChanged,
    /// The caller asked for it.
    Requested,
    /// It is for other uses than asked for.
    ProfileChanged,
    /// It names other places of revocation lists than asked for.
    RevocationListsChanged,
    /// It holds other alternative names than asked for.
    SansChanged,
    /// It is about someone else.
    SubjectChanged,
    /// Another authority signed it, or the same one before its key changed.
    WrongIssuer,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expiring { not_after } => write!(f, "valid only until {}", rfc3339(*not_after)),
            Self::Interrupted => f.write_str("only its key was there"),
            Self::ChainChanged => {
                f.write_str("the authorities that are sent along with it changed")
            }
            Self::KeyMismatch => f.write_str("did not belong to its key"),
            Self::Missing => f.write_str("was not there"),
            Self::Requested => f.write_str("as requested"),
            Self::ProfileChanged => f.write_str("its uses changed"),
            Self::RevocationListsChanged => f.write_str("its revocation lists are elsewhere"),
            Self::SansChanged => f.write_str("its alternative names changed"),
            Self::SubjectChanged => f.write_str("its subject changed"),
            Self::WrongIssuer => f.write_str("its issuer changed"),
        }
    }
}

impl Reason {
    /// Why `certificate` is to be made again by `issuer`, as far as that is about who signed it.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedSignature`] when the issuer's key is not ECDSA P-256.
    pub(crate) fn of_issuer(
        certificate: &Certificate,
        issuer: &Certificate,
    ) -> Result<Option<Self>, Error> {
        let names_issuer = certificate.authority_key_id().is_some();
        let signs_here = issuer.require_signing_key().is_ok();
        match certificate.is_signed_by(issuer) {
            Ok(true) => Ok(None),
            // Of a hash that is not known here: the issuer's name and key identifier are its own, and say enough.
            Err(Error::UnsupportedSignature { .. }) if signs_here && names_issuer => Ok(None),
            Ok(false) => Ok(Some(Self::WrongIssuer)),
            Err(Error::UnsupportedSignature { .. }) if signs_here => Ok(Some(Self::WrongIssuer)),
            Err(error) => Err(error),
        }
    }

    /// Why `certificate` is to be made again, as far as that is about time.
    pub(crate) fn of_time(certificate: &Certificate, now: SystemTime) -> Option<Self> {
        let due = certificate.validity().is_due(now);
        due.then(|| Self::expiring(certificate))
    }

    pub(crate) fn expiring(certificate: &Certificate) -> Self {
        Self::Expiring {
            not_after: certificate.validity().not_after(),
        }
    }
}

impl Leaf {
    /// Why `certificate` should be made again from this description by `issuer`; `None` when all is well.
    ///
    /// Names, uses, issuer and time are compared, by what they mean and not by how they are encoded; the lifetime is not:
    /// a new one takes effect at the next renewal. What a description cannot say is no reason.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// # use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, Reason, Sans};
    /// # fn main() -> Result<(), caravan_pki::Error> {
    /// # let now = SystemTime::now();
    /// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("ca")?), now)?;
    /// let web = Leaf::server(CommonName::try_from("web")?, Sans::parse(["web.example.com"])?);
    /// let made = ca.issue(&web, now)?;
    /// assert_eq!(web.reason_to_renew(made.certificate(), ca.certificate(), now)?, None);
    /// let web = web.with_sans(Sans::parse(["web.example.com", "10.0.0.7"])?);
    /// let reason = web.reason_to_renew(made.certificate(), ca.certificate(), now)?;
    /// assert_eq!(reason, Some(Reason::SansChanged));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedSignature`] when the issuer's key is not ECDSA P-256.
    pub fn reason_to_renew(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        now: SystemTime,
    ) -> Result<Option<Reason>, Error> {
        if let Some(reason) = Reason::of_issuer(certificate, issuer)? {
            return Ok(Some(reason));
        }
        if let Some(difference) = self.difference(certificate) {
            return Ok(Some(match difference {
                Difference::Profile => Reason::ProfileChanged,
                Difference::RevocationLists => Reason::RevocationListsChanged,
                Difference::Sans => Reason::SansChanged,
                Difference::Subject => Reason::SubjectChanged,
            }));
        }
        Ok(Reason::of_time(certificate, now))
    }
}
