//! Names of key algorithms, for checks and messages.

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::Error;

/// id-ecPublicKey (RFC 5480 2.1.1).
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// prime256v1, also called secp256r1 and P-256 (RFC 5480 2.1.1.1).
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// rsaEncryption (RFC 8017 appendix A.1).
pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-Ed25519 (RFC 8410 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// What people call the key algorithm: `ECDSA P-256`, `RSA`, else its object identifier.
pub(crate) fn key_name(algorithm: &AlgorithmIdentifierRef<'_>) -> String {
    match algorithm.oid {
        EC_PUBLIC_KEY => algorithm
            .parameters
            .and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok())
            .map_or_else(|| "ECDSA".to_owned(), curve_name),
        RSA => "RSA".to_owned(),
        ED25519 => "Ed25519".to_owned(),
        other => other.to_string(),
    }
}

/// `ECDSA P-384` and the like.
pub(crate) fn curve_name(curve: ObjectIdentifier) -> String {
    match curve {
        P256 => "ECDSA P-256".to_owned(),
        P384 => "ECDSA P-384".to_owned(),
        P521 => "ECDSA P-521".to_owned(),
        other => format!("ECDSA {other}"),
    }
}

/// Refuses every algorithm but ECDSA on P-256.
pub(crate) fn require_p256(
    algorithm: &AlgorithmIdentifierRef<'_>,
    purpose: &'static str,
) -> Result<(), Error> {
    let curve = algorithm
        .parameters
        .and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    if algorithm.oid == EC_PUBLIC_KEY && curve == Some(P256) {
        return Ok(());
    }
    Err(Error::UnsupportedKey {
        algorithm: key_name(algorithm),
        purpose,
    })
}
