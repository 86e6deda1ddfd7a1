//! Signatures on P-256, checked by the code that makes them.

use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

use crate::backend::{self, Hash};

/// ECDSA on P-256 with one hash, by the p256 crate.
#[derive(Debug)]
pub(super) struct P256 {
    hash: Hash,
    signature: AlgorithmIdentifier,
}

pub(super) static ALL: [P256; 4] = [
    P256::new(Hash::Sha256, alg_id::ECDSA_SHA256),
    P256::new(Hash::Sha384, alg_id::ECDSA_SHA384),
    P256::new(Hash::Sha512, alg_id::ECDSA_SHA512),
    // ecdsa-with-SHA224 (RFC 5758 3.2).
    P256::new(
        Hash::Sha224,
        AlgorithmIdentifier::from_slice(&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1]),
    ),
];

impl P256 {
    const fn new(hash: Hash, signature: AlgorithmIdentifier) -> Self {
        Self { hash, signature }
    }
}

impl SignatureVerificationAlgorithm for P256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let point = backend::read_point(public_key).ok_or(InvalidSignature)?;
        if backend::verify(&point, self.hash, message, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}
