//! The p256 crate: Rust all the way down, constant-time by design.

use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate;
use zeroize::Zeroizing;

use super::{Point, Scalar, point_of};
use crate::Error;

/// Wiped when dropped, by the p256 crate.
pub(crate) struct Signer(SigningKey);

impl Signer {
    pub(crate) fn generate() -> Result<(Self, Scalar, Point), Error> {
        let key = SigningKey::try_generate().map_err(|error| Error::Randomness {
            problem: error.to_string(),
        })?;
        let scalar = Zeroizing::new(key.to_bytes().into());
        let point = point_of(key.verifying_key());
        Ok((Self(key), scalar, point))
    }

    /// `None` when `scalar` is none of the curve. What is `claimed` to be its point is not needed here.
    pub(crate) fn from_scalar(scalar: &Scalar, _claimed: Option<&Point>) -> Option<(Self, Point)> {
        let key = SigningKey::from_slice(&scalar[..]).ok()?;
        let point = point_of(key.verifying_key());
        Some((Self(key), point))
    }

    /// Deterministic (RFC 6979): a weak random source cannot leak the key.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        use p256::ecdsa::signature::Signer;
        let signature: DerSignature = self
            .0
            .try_sign(message)
            .map_err(|error| Error::malformed("signature", error))?;
        Ok(signature.as_bytes().to_vec())
    }
}
