//! Signatures of others: do they hold, and can that be said here at all?

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};

use crate::algorithm::{self, EC_PUBLIC_KEY};
#[cfg(feature = "ring")]
use crate::backend::foreign::Scheme;
use crate::backend::{self, Hash};
use crate::{Error, PublicKey};

/// ecdsa-with-SHA256 (RFC 5758 3.2), with which everything here is signed.
pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Which kind of key makes a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Ecdsa(Option<Hash>),
    Rsa,
    Other,
}

/// Algorithms of signatures, and what people call them.
const KNOWN: [(&str, &str, Family); 21] = [
    // RFC 5758 3.2; ecdsa-with-SHA1 is ANSI X9.62.
    ("1.2.840.10045.4.1", "ECDSA with SHA-1", Family::Ecdsa(None)),
    (
        "1.2.840.10045.4.3.1",
        "ECDSA with SHA-224",
        Family::Ecdsa(Some(Hash::Sha224)),
    ),
    (
        "1.2.840.10045.4.3.2",
        "ECDSA with SHA-256",
        Family::Ecdsa(Some(Hash::Sha256)),
    ),
    (
        "1.2.840.10045.4.3.3",
        "ECDSA with SHA-384",
        Family::Ecdsa(Some(Hash::Sha384)),
    ),
    (
        "1.2.840.10045.4.3.4",
        "ECDSA with SHA-512",
        Family::Ecdsa(Some(Hash::Sha512)),
    ),
    // NIST's register, and RFC 8692 for SHAKE.
    (
        "2.16.840.1.101.3.4.3.9",
        "ECDSA with SHA3-224",
        Family::Ecdsa(None),
    ),
    (
        "2.16.840.1.101.3.4.3.10",
        "ECDSA with SHA3-256",
        Family::Ecdsa(None),
    ),
    (
        "2.16.840.1.101.3.4.3.11",
        "ECDSA with SHA3-384",
        Family::Ecdsa(None),
    ),
    (
        "2.16.840.1.101.3.4.3.12",
        "ECDSA with SHA3-512",
        Family::Ecdsa(None),
    ),
    (
        "1.3.6.1.5.5.7.6.32",
        "ECDSA with SHAKE128",
        Family::Ecdsa(None),
    ),
    (
        "1.3.6.1.5.5.7.6.33",
        "ECDSA with SHAKE256",
        Family::Ecdsa(None),
    ),
    // RFC 8017 appendix A.2.
    ("1.2.840.113549.1.1.4", "RSA with MD5", Family::Rsa),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1", Family::Rsa),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224", Family::Rsa),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256", Family::Rsa),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384", Family::Rsa),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512", Family::Rsa),
    ("1.2.840.113549.1.1.10", "RSA-PSS", Family::Rsa),
    // RFC 8410 3, RFC 3279 2.2.2.
    ("1.3.101.112", "Ed25519", Family::Other),
    ("1.3.101.113", "Ed448", Family::Other),
    ("1.2.840.10040.4.3", "DSA with SHA-1", Family::Other),
];

fn known(algorithm: &AlgorithmIdentifierOwned) -> Option<(&'static str, Family)> {
    let oid = algorithm.oid.to_string();
    let found = KNOWN.iter().find(|(known, _, _)| *known == oid);
    found.map(|(_, name, family)| (*name, *family))
}

/// What people call the algorithm of a signature: `ECDSA with SHA-384`, else its object identifier.
pub(crate) fn name(algorithm: &AlgorithmIdentifierOwned) -> String {
    known(algorithm).map_or_else(|| algorithm.oid.to_string(), |(name, _)| name.to_owned())
}

/// Whether `signature` is that of `message` by `key`.
///
/// # Errors
///
/// [`Error::UnsupportedSignature`] when nothing can be said: the hash or the kind of key is none that is known here.
/// What a key of that kind can never have made is no signature of it, and no error.
pub(crate) fn holds(
    key: &SubjectPublicKeyInfoRef<'_>,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    let unsupported = || Error::UnsupportedSignature {
        algorithm: format!(
            "{}, key {}",
            name(algorithm),
            algorithm::key_name(&key.algorithm)
        ),
    };
    let is_ec = key.algorithm.oid == EC_PUBLIC_KEY;
    let is_rsa = algorithm::key_name(&key.algorithm).starts_with("RSA");
    match known(algorithm) {
        Some((_, Family::Ecdsa(_))) if is_rsa => Ok(false),
        Some((_, Family::Rsa)) if is_ec => Ok(false),
        Some((_, Family::Ecdsa(Some(hash)))) if is_ec => {
            // Parameters are absent (RFC 5758 3.2), though NULL is seen.
            let point = key.subject_public_key.as_bytes().unwrap_or_default();
            if algorithm::require_p256(&key.algorithm, "signing").is_err() {
                #[cfg(feature = "ring")]
                if let Some(scheme) = foreign_scheme(key, algorithm) {
                    return Ok(backend::foreign::verify(scheme, point, message, signature));
                }
                return Err(unsupported());
            }
            Ok(backend::read_point(point)
                .is_some_and(|point| backend::verify(&point, hash, message, signature)))
        }
        _ => {
            #[cfg(feature = "ring")]
            if let Some(scheme) = foreign_scheme(key, algorithm) {
                let key = key.subject_public_key.as_bytes().unwrap_or_default();
                return Ok(backend::foreign::verify(scheme, key, message, signature));
            }
            Err(unsupported())
        }
    }
}

/// By which of the ways that ring knows `key` would have signed with `algorithm`.
#[cfg(feature = "ring")]
fn foreign_scheme(
    key: &SubjectPublicKeyInfoRef<'_>,
    algorithm: &AlgorithmIdentifierOwned,
) -> Option<Scheme> {
    let (name, family) = known(algorithm)?;
    if family == Family::Rsa {
        // Of other lengths, ring says of every signature that it does not hold, which is not known.
        let key = key.subject_public_key.as_bytes()?;
        crate::public_key::rsa_bits(key).filter(|bits| (2048..=8192).contains(bits))?;
    }
    match (&algorithm::key_name(&key.algorithm)[..], name) {
        ("ECDSA P-384", "ECDSA with SHA-256") => Some(Scheme::EcdsaP384Sha256),
        ("ECDSA P-384", "ECDSA with SHA-384") => Some(Scheme::EcdsaP384Sha384),
        ("Ed25519", "Ed25519") => Some(Scheme::Ed25519),
        ("RSA", "RSA with SHA-256") => Some(Scheme::RsaSha256),
        ("RSA", "RSA with SHA-384") => Some(Scheme::RsaSha384),
        ("RSA", "RSA with SHA-512") => Some(Scheme::RsaSha512),
        _ => None,
    }
}

/// As [`holds`], for a key of ours.
pub(crate) fn holds_by(
    key: &PublicKey,
    algorithm: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, Error> {
    let der = key.to_der();
    let key = SubjectPublicKeyInfoRef::try_from(&der[..])
        .map_err(|error| Error::malformed("public key", error))?;
    holds(&key, algorithm, message, signature)
}
