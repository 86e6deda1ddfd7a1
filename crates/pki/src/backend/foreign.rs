//! Signatures by keys that nothing here makes: RSA, P-384 and Ed25519, checked by ring.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

/// What makes a signature: the kind of key and the hash, as far as ring checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    EcdsaP384Sha256,
    EcdsaP384Sha384,
    Ed25519,
    RsaSha256,
    RsaSha384,
    RsaSha512,
}

/// Whether `signature` is that of `message` by `key`: the content of its BIT STRING.
pub(crate) fn verify(scheme: Scheme, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let algorithm: &'static dyn VerificationAlgorithm = match scheme {
        Scheme::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        Scheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        Scheme::Ed25519 => &signature::ED25519,
        Scheme::RsaSha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Scheme::RsaSha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Scheme::RsaSha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    };
    UnparsedPublicKey::new(algorithm, key)
        .verify(message, signature)
        .is_ok()
}
