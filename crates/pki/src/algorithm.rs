//! Names of key algorithms, for checks and messages.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Tag, Tagged};
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::{Error, curve};

/// id-ecPublicKey (RFC 5480 2.1.1).
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// prime256v1, also called secp256r1 and P-256 (RFC 5480 2.1.1.1).
pub(crate) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// rsaEncryption (RFC 8017 appendix A.1).
pub(crate) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Algorithms of keys other than ECDSA.
const KEYS: [(ObjectIdentifier, &str); 11] = [
    // RFC 8017 appendix A.
    (RSA, "RSA"),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10"),
        "RSA-PSS",
    ),
    // RFC 3279 2.3.
    (ObjectIdentifier::new_unwrap("1.2.840.10040.4.1"), "DSA"),
    (
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.3.1"),
        "Diffie-Hellman",
    ),
    // RFC 8410 3.
    (ObjectIdentifier::new_unwrap("1.3.101.110"), "X25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.111"), "X448"),
    (ObjectIdentifier::new_unwrap("1.3.101.112"), "Ed25519"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
    // FIPS 204.
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17"),
        "ML-DSA-44",
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"),
        "ML-DSA-65",
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19"),
        "ML-DSA-87",
    ),
];

const CURVES: [(ObjectIdentifier, &str); 10] = [
    (P256, "ECDSA P-256"),
    // RFC 5480 2.1.1.1.
    (
        ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.1"),
        "ECDSA P-192",
    ),
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), "ECDSA P-224"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "ECDSA P-384"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "ECDSA P-521"),
    // SEC 2.
    (
        ObjectIdentifier::new_unwrap("1.3.132.0.10"),
        "ECDSA secp256k1",
    ),
    // RFC 5639 4.1.
    (
        ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.7"),
        "ECDSA brainpoolP256r1",
    ),
    (
        ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.11"),
        "ECDSA brainpoolP384r1",
    ),
    (
        ObjectIdentifier::new_unwrap("1.3.36.3.3.2.8.1.1.13"),
        "ECDSA brainpoolP512r1",
    ),
    (ObjectIdentifier::new_unwrap("1.2.156.10197.1.301"), "SM2"),
];

const EXPLICIT: &str = "ECDSA explicit-parameter";

fn named(
    table: &[(ObjectIdentifier, &'static str)],
    oid: ObjectIdentifier,
) -> Option<&'static str> {
    let found = table.iter().find(|(known, _)| *known == oid);
    found.map(|(_, name)| *name)
}

/// What people call the key algorithm: `ECDSA P-256`, `RSA`, else its object identifier.
pub(crate) fn key_name(algorithm: &AlgorithmIdentifierRef<'_>) -> String {
    match (algorithm.oid, algorithm.parameters) {
        (EC_PUBLIC_KEY, Some(curve)) => match curve.decode_as::<ObjectIdentifier>() {
            Ok(curve) => {
                named(&CURVES, curve).map_or_else(|| format!("ECDSA {curve}"), str::to_owned)
            }
            Err(_) => known_curve_name(curve).to_owned(),
        },
        (EC_PUBLIC_KEY, None) => "ECDSA".to_owned(),
        (other, _) => named(&KEYS, other).map_or_else(|| other.to_string(), str::to_owned),
    }
}

/// As [`key_name`] of a private key: fixed text, since what stands in an object identifier's place may be the key.
pub(crate) fn known_key_name(algorithm: &AlgorithmIdentifierRef<'_>) -> &'static str {
    match (algorithm.oid, algorithm.parameters) {
        (EC_PUBLIC_KEY, Some(curve)) => known_curve_name(curve),
        (EC_PUBLIC_KEY, None) => "ECDSA",
        (other, _) => named(&KEYS, other).unwrap_or("unknown"),
    }
}

/// What people call the curve, in fixed text.
pub(crate) fn known_curve_name(curve: AnyRef<'_>) -> &'static str {
    match curve.decode_as::<ObjectIdentifier>() {
        Ok(oid) => named(&CURVES, oid).unwrap_or("ECDSA (unknown curve)"),
        Err(_) if curve.tag() == Tag::Sequence => EXPLICIT,
        Err(_) => "ECDSA (unknown curve)",
    }
}

/// Refuses every algorithm but ECDSA on P-256, the curve by its name.
pub(crate) fn require_p256(
    algorithm: &AlgorithmIdentifierRef<'_>,
    purpose: &'static str,
) -> Result<(), Error> {
    // RFC 5480 2.1.1 forbids parameters in certificates, and Go, webpki and OpenSSL's strict mode refuse them.
    let by_name = algorithm
        .parameters
        .is_some_and(|curve| curve.tag() == Tag::ObjectIdentifier);
    if by_name && curve::is_p256(algorithm) {
        return Ok(());
    }
    Err(Error::UnsupportedKey {
        algorithm: key_name(algorithm),
        purpose,
    })
}
