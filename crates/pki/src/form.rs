//! What bytes are, when they are not what was asked for: called by their true name, with what turns them into it.
//!
//! All names are fixed text; nothing of the bytes is in them.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

use crate::Error;
use crate::pem::{self, Kind};

/// What a DER structure is, by its first elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Certificate,
    DsaKey,
    EcKey,
    EncryptedKey,
    Pkcs12,
    Pkcs7,
    Pkcs8,
    PublicKey,
    Request,
    RevocationList,
    RsaKey,
}

const SIGNED_DATA: &str = "1.2.840.113549.1.7.";

impl Shape {
    /// The shape of the structure that `bytes` start with.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let parts = parts(first(bytes)?.0)?;
        let [one, two, rest @ ..] = &parts[..] else {
            return None;
        };
        let third = rest.first().map(|part| part.tag());
        match (one.tag(), two.tag()) {
            (Tag::ObjectIdentifier, _) => oid(one)?
                .to_string()
                .starts_with(SIGNED_DATA)
                .then_some(Self::Pkcs7),
            (Tag::Integer, Tag::Sequence) if one.value() == [3] => {
                starts_with_oid(two).then_some(Self::Pkcs12)
            }
            (Tag::Integer, Tag::Sequence) if third == Some(Tag::OctetString) => {
                starts_with_oid(two).then_some(Self::Pkcs8)
            }
            (Tag::Integer, Tag::OctetString) if one.value() == [1] => Some(Self::EcKey),
            (Tag::Integer, Tag::Integer) if one.value() == [0] => match parts.len() {
                9.. => Some(Self::RsaKey),
                6 => Some(Self::DsaKey),
                _ => None,
            },
            (Tag::Sequence, Tag::OctetString) => starts_with_oid(one).then_some(Self::EncryptedKey),
            (Tag::Sequence, Tag::BitString) => starts_with_oid(one).then_some(Self::PublicKey),
            (Tag::Sequence, Tag::Sequence) if third == Some(Tag::BitString) => signed(one),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "a certificate",
            Self::DsaKey => "a DSA key",
            Self::EcKey => "a private key (SEC1)",
            Self::EncryptedKey => "a private key encrypted with a passphrase (PKCS#8)",
            Self::Pkcs12 => "PKCS#12",
            Self::Pkcs7 => "PKCS#7",
            Self::Pkcs8 => "a private key (PKCS#8)",
            Self::PublicKey => "a public key",
            Self::Request => "a certificate request",
            Self::RevocationList => "a revocation list",
            Self::RsaKey => "an RSA key",
        }
    }
}

/// Certificates, requests and lists: all are something, an algorithm and a signature.
fn signed(something: &AnyRef<'_>) -> Option<Shape> {
    let parts = parts_of(something.value())?;
    let tags: Vec<Tag> = parts.iter().map(|part| part.tag()).collect();
    let version = Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(0),
    };
    Some(match tags[..] {
        [first, ..] if first == version => Shape::Certificate,
        // Version 1.
        [
            Tag::Integer,
            Tag::Sequence,
            Tag::Sequence,
            Tag::Sequence,
            ..,
        ] => Shape::Certificate,
        [
            Tag::Integer,
            Tag::Sequence,
            Tag::Sequence,
            Tag::UtcTime | Tag::GeneralizedTime,
            ..,
        ]
        | [
            Tag::Sequence,
            Tag::Sequence,
            Tag::UtcTime | Tag::GeneralizedTime,
            ..,
        ] => Shape::RevocationList,
        [Tag::Integer, Tag::Sequence, Tag::Sequence, ..] => Shape::Request,
        _ => return None,
    })
}

fn oid(part: &AnyRef<'_>) -> Option<ObjectIdentifier> {
    part.decode_as().ok()
}

fn starts_with_oid(part: &AnyRef<'_>) -> bool {
    let first = parts_of(part.value()).and_then(|parts| parts.into_iter().next());
    first.is_some_and(|first| first.tag() == Tag::ObjectIdentifier)
}

/// The elements of a sequence.
fn parts(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let whole = AnyRef::from_der(der).ok()?;
    (whole.tag() == Tag::Sequence)
        .then(|| parts_of(whole.value()))
        .flatten()
}

fn parts_of(value: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(value).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(parts)
}

/// The first element of `bytes` with its header, and what follows it.
///
/// OpenSSL reads the first and looks no further; so do readers here, but for certificates, of which none is dropped.
pub(crate) fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let first = reader.tlv_bytes().ok()?;
    Some((first, &bytes[first.len()..]))
}

/// Whether the bytes are DER, whole or cut short, and no text that happens to start with `0`.
pub(crate) fn is_der(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) && !pem::is_armoured(bytes) && {
        let text = bytes
            .iter()
            .take(64)
            .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace() || !byte.is_ascii());
        !text || Shape::of(bytes).is_some()
    }
}

const TO_PEM_KEY: &str = "openssl pkey -in FILE -out FILE.pem";
const DECRYPT: &str = "openssl pkey -in FILE -out FILE.plain: it asks for the passphrase; keep the result from others (umask 077)";
const FROM_PKCS12: &str = "openssl pkcs12 -in FILE -nodes -out FILE.pem: it holds the private key as well, keep it from others (umask 077)";

/// An encrypted key, whatever the form.
pub(crate) fn encrypted() -> Error {
    Error::unreadable(
        "private key",
        "it is encrypted with a passphrase, which cannot be asked for here",
        DECRYPT,
    )
}

/// What a DER structure is that is not a key in PEM.
pub(crate) fn der_is_no_pem_key(bytes: &[u8]) -> Error {
    match Shape::of(bytes) {
        Some(Shape::EncryptedKey) => encrypted(),
        Some(Shape::Pkcs12) => pkcs12("private key"),
        Some(Shape::Pkcs8 | Shape::EcKey | Shape::RsaKey | Shape::DsaKey) => Error::unreadable(
            "private key",
            "it is DER, where PEM is expected",
            TO_PEM_KEY,
        ),
        other => not_a("private key", other),
    }
}

pub(crate) fn pkcs7(what: &'static str) -> Error {
    Error::unreadable(
        what,
        "it is PKCS#7 (CMS)",
        "openssl pkcs7 -in FILE -print_certs -out FILE.pem; with `-inform DER` if it is no text",
    )
}

pub(crate) fn pkcs12(what: &'static str) -> Error {
    Error::unreadable(what, "it is PKCS#12", FROM_PKCS12)
}

/// A structure of another shape than `what`, in DER or inside a block.
pub(crate) fn not_a(what: &'static str, shape: Option<Shape>) -> Error {
    match shape {
        Some(Shape::Pkcs7) => pkcs7(what),
        Some(Shape::Pkcs12) => pkcs12(what),
        Some(shape) => Error::malformed(what, format!("it is {}", shape.name())),
        None => Error::malformed(what, "it is no structure that is known here, or damaged"),
    }
}

/// What a file is in which there is nothing of what was looked for, and nothing damaged either.
pub(crate) fn nothing_found(what: &'static str, bytes: &[u8]) -> Error {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Error::malformed(what, "there is none: it is empty");
    }
    if is_der(bytes) {
        return not_a(what, Shape::of(bytes));
    }
    let labels = pem::labels(bytes);
    if labels.iter().any(|label| label.kind == Kind::Pkcs7) {
        return pkcs7(what);
    }
    if let Some(label) = labels.first() {
        let problem = format!("there is none, but {}", label.block());
        return Error::malformed(what, problem);
    }
    for (start, form, remedy) in FOREIGN {
        if bytes.starts_with(start) {
            return Error::unreadable(what, form, remedy);
        }
    }
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\r\n \t".contains(byte);
    if bytes.len() > 64 && bytes.iter().all(is_base64) {
        return Error::unreadable(
            what,
            "it may be base64 without `BEGIN` and `END` lines",
            "openssl base64 -d -A -in FILE -out FILE.der",
        );
    }
    Error::malformed(what, "there is none: no PEM block and no DER")
}

const FOREIGN: [(&[u8], &str, &str); 7] = [
    (
        b"\xff\xfe",
        "it is UTF-16 text, where UTF-8 or ASCII is expected",
        "iconv -f UTF-16 -t UTF-8 FILE > FILE.new",
    ),
    (
        b"\xfe\xff",
        "it is UTF-16 text, where UTF-8 or ASCII is expected",
        "iconv -f UTF-16 -t UTF-8 FILE > FILE.new",
    ),
    (
        b"\xfe\xed\xfe\xed",
        "it is a Java key store (JKS)",
        "keytool -importkeystore -srckeystore FILE -destkeystore FILE.p12 -deststoretype pkcs12; then openssl pkcs12",
    ),
    (
        b"PuTTY-User-Key-File",
        "it is a key of PuTTY",
        "puttygen FILE -O private-openssh-new -o FILE.new; a key of ssh is no authority's",
    ),
    (
        b"ssh-",
        "it is a public key of ssh",
        "give the certificate or key in PEM",
    ),
    (
        b"ecdsa-sha2-",
        "it is a public key of ssh",
        "give the certificate or key in PEM",
    ),
    (
        b"\x1f\x8b",
        "it is compressed (gzip)",
        "gzip -dc < FILE > FILE.new",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, AuthoritySpec, CertificateRequest, CommonName, Lifetime, Subject};
    use std::time::SystemTime;

    #[test]
    fn our_own_structures_have_their_shapes() {
        let now = SystemTime::now();
        let name = CommonName::try_from("ca").unwrap();
        let ca = Authority::create(&AuthoritySpec::new(name.clone()), now).unwrap();
        let request = CertificateRequest::create(ca.key(), &Subject::new(name), None).unwrap();
        let list = ca.revoke([], 1, Lifetime::days(7), now).unwrap();
        for (der, shape) in [
            (ca.certificate().as_der(), Shape::Certificate),
            (&ca.key().to_pkcs8_der(), Shape::Pkcs8),
            (&ca.key().public_key().to_der(), Shape::PublicKey),
            (request.as_der(), Shape::Request),
            (list.as_der(), Shape::RevocationList),
        ] {
            assert_eq!(Shape::of(der), Some(shape));
            assert_eq!(Shape::of(&[der, b"\n"].concat()), Some(shape));
            assert_eq!(Shape::of(&der[..der.len() - 1]), None);
        }
    }

    #[test]
    fn text_that_starts_with_a_zero_is_no_der() {
        for text in [&b"0 s:CN = key ca\n"[..], b"0\x820 is text", b"0"] {
            assert!(!is_der(text) || text.len() > 1 && text[1] == 0x82);
        }
        assert!(is_der(b"\x30\x82\x01\x00\x30\x03\x02\x01\x00"));
    }
}
