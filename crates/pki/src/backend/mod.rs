//! Who computes on the curve: the p256 crate, or ring.
//!
//! Both hold one private key, make its signatures, and know nothing of certificates.

#[cfg(not(feature = "ring"))]
mod pure;
#[cfg(feature = "ring")]
mod with_ring;

#[cfg(not(feature = "ring"))]
pub(crate) use pure::Signer;
#[cfg(feature = "ring")]
pub(crate) use with_ring::Signer;

use p256::ecdsa::{DerSignature, VerifyingKey};
use zeroize::Zeroizing;

/// The private half as a big-endian number.
pub(crate) type Scalar = Zeroizing<[u8; 32]>;
/// The public half: 0x04, then both coordinates.
pub(crate) type Point = [u8; 65];

pub(crate) fn point_of(key: &VerifyingKey) -> Point {
    let mut point = [0; 65];
    point.copy_from_slice(key.to_sec1_point(false).as_bytes());
    point
}

/// Whether `signature` (ECDSA-Sig-Value in DER) is that of `message`.
pub(crate) fn verify(point: &Point, message: &[u8], signature: &[u8]) -> bool {
    use p256::ecdsa::signature::Verifier;
    let Ok(signature) = DerSignature::from_bytes(signature) else {
        return false;
    };
    VerifyingKey::from_sec1_bytes(point).is_ok_and(|key| key.verify(message, &signature).is_ok())
}
