//! ring: C and assembly from BoringSSL, more than twice as fast.

use p256::ecdsa::SigningKey;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA384_ASN1, EcdsaKeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};
use zeroize::Zeroizing;

use super::{Hash, Point, Scalar, point_of};
use crate::Error;

/// Where the scalar and the point are in the PKCS#8 that ring writes: its template is that of the key module.
const SCALAR_AT: usize = 36;
const POINT_AT: usize = 73;
const LENGTH: usize = POINT_AT + 65;

pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(crate) fn generate() -> Result<(Self, Scalar, Point), Error> {
        let random = |problem: &str| Error::Randomness {
            problem: problem.to_owned(),
        };
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                .map_err(|_| random("ring made no key"))?;
        let der = document.as_ref();
        if der.len() != LENGTH {
            return Err(random("ring made a key of unknown form"));
        }
        let mut scalar = Zeroizing::new([0; 32]);
        scalar.copy_from_slice(&der[SCALAR_AT..SCALAR_AT + 32]);
        let mut point = [0; 65];
        point.copy_from_slice(&der[POINT_AT..]);
        let signer = Self::of(&scalar, &point).ok_or_else(|| random("ring refused its own key"))?;
        Ok((signer, scalar, point))
    }

    /// `None` when `scalar` is none of the curve.
    ///
    /// ring wants to be told the point, and derives it to check that: where one is `claimed` and is right, nobody else has
    /// to derive it.
    pub(crate) fn from_scalar(scalar: &Scalar, claimed: Option<&Point>) -> Option<(Self, Point)> {
        if let Some(point) = claimed {
            if let Some(signer) = Self::of(scalar, point) {
                return Some((signer, *point));
            }
        }
        let key = SigningKey::from_slice(&scalar[..]).ok()?;
        let point = point_of(key.verifying_key());
        Some((Self::of(scalar, &point)?, point))
    }

    fn of(scalar: &Scalar, point: &Point) -> Option<Self> {
        EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &scalar[..],
            point,
            &SystemRandom::new(),
        )
        .ok()
        .map(Self)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.0.sign(&SystemRandom::new(), message) {
            Ok(signature) => Ok(signature.as_ref().to_vec()),
            Err(_) => Err(Error::malformed("signature", "ring made none")),
        }
    }
}

/// As [`super::verify`]; `None` for hashes that ring does not have for this curve.
pub(super) fn verify(point: &Point, hash: Hash, message: &[u8], signature: &[u8]) -> Option<bool> {
    let algorithm: &'static dyn VerificationAlgorithm = match hash {
        Hash::Sha256 => &ECDSA_P256_SHA256_ASN1,
        Hash::Sha384 => &ECDSA_P256_SHA384_ASN1,
        Hash::Sha224 | Hash::Sha512 => return None,
    };
    let key = UnparsedPublicKey::new(algorithm, &point[..]);
    Some(key.verify(message, signature).is_ok())
}
