//! The curve P-256: named, or spelled out in numbers, as some tools still do.

use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use x509_cert::der::{Decode, Reader, SliceReader, Tag, Tagged};
use x509_cert::spki::AlgorithmIdentifierRef;

use crate::algorithm::{EC_PUBLIC_KEY, P256};
use crate::backend::{self, Scalar};

/// prime-field (RFC 3279 2.3.5).
const PRIME_FIELD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.1.1");

// SEC 2 2.4.2, in the order of ECParameters (RFC 3279 2.3.5).
const PRIME: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];
const A: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc,
];
const B: [u8; 32] = [
    0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc,
    0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
];
const GENERATOR: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
];
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Whether it is the algorithm of an elliptic curve key on P-256, the curve named or spelled out.
pub(crate) fn is_p256(algorithm: &AlgorithmIdentifierRef<'_>) -> bool {
    algorithm.oid == EC_PUBLIC_KEY && algorithm.parameters.is_some_and(is_p256_parameters)
}

/// Whether `parameters` are P-256, named or spelled out.
pub(crate) fn is_p256_parameters(parameters: AnyRef<'_>) -> bool {
    match parameters.decode_as::<ObjectIdentifier>() {
        Ok(named) => named == P256,
        Err(_) => spelled_out(parameters).unwrap_or(false),
    }
}

fn spelled_out(parameters: AnyRef<'_>) -> x509_cert::der::Result<bool> {
    if parameters.tag() != Tag::Sequence {
        return Ok(false);
    }
    let mut reader = SliceReader::new(parameters.value())?;
    let version = u8::decode(&mut reader)?;
    let field = reader.sequence(|reader| {
        let kind = ObjectIdentifier::decode(reader)?;
        let prime = UintRef::decode(reader)?;
        Ok::<_, x509_cert::der::Error>(kind == PRIME_FIELD && prime.as_bytes() == PRIME)
    })?;
    let equation = reader.sequence(|reader| {
        let a = <&OctetStringRef>::decode(reader)?.as_bytes() == A;
        let b = <&OctetStringRef>::decode(reader)?.as_bytes() == B;
        // The seed that the curve was found with decides nothing.
        Option::<BitStringRef<'_>>::decode(reader)?;
        Ok::<_, x509_cert::der::Error>(a && b)
    })?;
    let generator = <&OctetStringRef>::decode(&mut reader)?.as_bytes();
    let order = UintRef::decode(&mut reader)?.as_bytes() == ORDER;
    let cofactor = match reader.is_finished() {
        true => true,
        false => u8::decode(&mut reader)? == 1,
    };
    reader.finish()?;
    let generator = backend::read_point(generator) == Some(GENERATOR);
    Ok(version >= 1 && field && equation && generator && order && cofactor)
}

/// The scalar of a key: leading zeros may be missing (OpenSSL before 1.0) or too many.
pub(crate) fn scalar(bytes: &[u8]) -> Option<Scalar> {
    let mut scalar = Scalar::default();
    let extra = bytes.len().saturating_sub(scalar.len());
    let (zeros, rest) = bytes.split_at(extra);
    if rest.is_empty() || zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    let start = scalar.len() - rest.len();
    scalar[start..].copy_from_slice(rest);
    Some(scalar)
}
