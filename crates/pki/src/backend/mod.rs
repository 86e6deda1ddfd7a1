//! Who computes on the curve: the p256 crate, or ring.
//!
//! Both hold one private key, make its signatures, and know nothing of certificates.

#[cfg(feature = "ring")]
pub(crate) mod foreign;
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

/// The point that `octets` are, in whichever of the forms of SEC 1 2.3.3 OpenSSL writes: uncompressed, compressed, hybrid.
pub(crate) fn read_point(octets: &[u8]) -> Option<Point> {
    let mut plain;
    let octets = match octets {
        // Hybrid: both coordinates, and the parity of the second said again.
        [form @ (6 | 7), rest @ .., last] if last & 1 == form & 1 => {
            plain = vec![4];
            plain.extend_from_slice(rest);
            plain.push(*last);
            &plain[..]
        }
        [2..=4, ..] => octets,
        _ => return None,
    };
    VerifyingKey::from_sec1_bytes(octets)
        .ok()
        .map(|key| point_of(&key))
}

/// What a message is hashed with before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// Whether `signature` (ECDSA-Sig-Value in DER) is that of `message`.
pub(crate) fn verify(point: &Point, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
    #[cfg(feature = "ring")]
    if let Some(holds) = with_ring::verify(point, hash, message, signature) {
        return holds;
    }
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
    let (Ok(signature), Ok(key)) = (
        DerSignature::from_bytes(signature),
        VerifyingKey::from_sec1_bytes(point),
    ) else {
        return false;
    };
    // A longer hash counts with its first 256 bits (FIPS 186-5 6.4.1).
    let result = match hash {
        Hash::Sha224 => key.verify_prehash(&Sha224::digest(message), &signature),
        Hash::Sha256 => key.verify_prehash(&Sha256::digest(message), &signature),
        Hash::Sha384 => key.verify_prehash(&Sha384::digest(message), &signature),
        Hash::Sha512 => key.verify_prehash(&Sha512::digest(message), &signature),
    };
    result.is_ok()
}
