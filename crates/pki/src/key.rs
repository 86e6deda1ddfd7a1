//! Private keys: ECDSA on the curve P-256.
//!
//! One algorithm is enough: every TLS library in use has P-256, and a choice would be one more thing to get wrong.

use std::fmt;

use x509_cert::der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use x509_cert::der::{Decode, ErrorKind, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::backend::{self, Point, Scalar, Signer};
use crate::form::Shape;
use crate::pem::{Block, Kind};
use crate::{Error, PublicKey, algorithm, curve, form, pem};

/// PKCS#8 around an `ECPrivateKey` (RFC 5208 5, RFC 5915 3) up to the 32 octets of the scalar.
const PKCS8_PREFIX: [u8; 36] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
];

/// A bare `ECPrivateKey` with its curve named, up to the scalar.
const SEC1_PREFIX: [u8; 7] = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
/// The curve of a bare `ECPrivateKey`: `[0] prime256v1`.
const SEC1_CURVE: [u8; 12] = [
    0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];
/// `[1] BIT STRING` before the 65 octets of the point, in both forms.
const POINT_PREFIX: [u8; 5] = [0xa1, 0x44, 0x03, 0x42, 0x00];

/// A private key, with its public key.
///
/// It cannot be cloned, printed or serialized; its memory is wiped when it is dropped.
/// The only ways out are [`PrivateKey::to_pkcs8_pem`] and [`PrivateKey::to_sec1_pem`], whose text is wiped too.
pub struct PrivateKey {
    signer: Signer,
    scalar: Scalar,
    point: Point,
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a new key from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] when there is none.
    pub fn generate() -> Result<Self, Error> {
        let (signer, scalar, point) = Signer::generate()?;
        Ok(Self {
            signer,
            scalar,
            point,
            public: PublicKey::from_point(point),
        })
    }

    /// Reads the private key in `text`: PKCS#8 or SEC1, whichever of the labels of private keys it has, as OpenSSL does.
    ///
    /// Anything around the block is accepted, such as the `EC PARAMETERS` block that `openssl ecparam` writes, and so is
    /// the same key a second time.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when there is no key, more than one, or one whose public half does not belong to it;
    /// [`Error::Unreadable`] for an encrypted key, and for PEM and other forms that OpenSSL does not take for a key in
    /// PEM either, with what to do; [`Error::UnsupportedKey`] for any algorithm but ECDSA on P-256.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        if form::is_der(text) {
            return Err(form::der_is_no_pem_key(text));
        }
        let wanted = |kind| matches!(kind, Kind::PrivateKey | Kind::Unknown);
        let mut found: Option<Self> = None;
        for block in pem::blocks(text, wanted)? {
            if block.label.kind == Kind::Unknown {
                match Shape::of(&block.der) {
                    Some(Shape::Pkcs8 | Shape::EcKey | Shape::RsaKey | Shape::EncryptedKey) => {
                        return Err(malformed("its label is unknown to OpenSSL"));
                    }
                    _ => continue,
                }
            }
            let key = Self::from_block(&block)?;
            match &found {
                Some(other) if other.public != key.public => {
                    return Err(malformed(
                        "more than one private key: keep the one that is meant",
                    ));
                }
                _ => found = Some(key),
            }
        }
        found.ok_or_else(|| form::nothing_found("private key", text))
    }

    /// Reads PEM as [`PrivateKey::from_pem`] does, or DER.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn from_pem_or_der(bytes: &[u8]) -> Result<Self, Error> {
        match Shape::of(bytes) {
            Some(Shape::Pkcs8 | Shape::EcKey | Shape::RsaKey | Shape::DsaKey)
                if form::is_der(bytes) =>
            {
                Self::from_der(bytes)
            }
            _ => Self::from_pem(bytes),
        }
    }

    fn from_block(block: &Block) -> Result<Self, Error> {
        match block.label.name() {
            _ if block.encrypted => Err(form::encrypted()),
            Some("OPENSSH PRIVATE KEY") => Err(Error::unreadable(
                "private key",
                "it is a private key in the form of OpenSSH",
                "ssh-keygen -p -m PKCS8 -f FILE: it rewrites the file itself, so copy it first",
            )),
            Some("ENCRYPTED PRIVATE KEY") if Shape::of(&block.der).is_none() => {
                Err(form::encrypted())
            }
            Some("PGP PRIVATE KEY BLOCK") => Err(malformed("it is a key of PGP")),
            _ => Self::from_der(&block.der),
        }
    }

    /// Reads whatever private key the first structure of `der` is.
    fn from_der(der: &[u8]) -> Result<Self, Error> {
        // OpenSSL ignores what follows it.
        let (first, _) = form::first(der).unwrap_or((der, &[]));
        match Shape::of(first) {
            Some(Shape::Pkcs8) => Self::from_pkcs8_der(first),
            Some(Shape::EcKey) => Self::from_sec1_der(first, true),
            Some(Shape::EncryptedKey) => Err(form::encrypted()),
            Some(Shape::RsaKey) => Err(unsupported("RSA")),
            Some(Shape::DsaKey) => Err(unsupported("DSA")),
            other => Err(form::not_a("private key", other)),
        }
    }

    /// Reads PKCS#8 in DER.
    ///
    /// # Errors
    ///
    /// As [`PrivateKey::from_pem`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        // Own errors throughout: a foreign one might quote what it could not read.
        let info = Pkcs8::from_der(der).map_err(|_| malformed("is no PKCS#8 structure"))?;
        if !curve::is_p256(&info.algorithm) {
            return Err(unsupported(algorithm::known_key_name(&info.algorithm)));
        }
        Self::from_sec1_der(info.private_key.as_bytes(), false)
    }

    fn from_sec1_der(der: &[u8], curve_required: bool) -> Result<Self, Error> {
        let key = EcPrivateKey::from_der(der).map_err(|_| malformed("is no SEC1 structure"))?;
        match key.curve {
            Some(curve) if curve::is_p256_parameters(curve) => {}
            None if !curve_required => {}
            None => return Err(malformed("does not name its curve")),
            Some(curve) => return Err(unsupported(algorithm::known_curve_name(curve))),
        }
        let scalar =
            curve::scalar(key.scalar).ok_or_else(|| malformed("is no scalar of the curve"))?;
        let claimed = key.point.map(backend::read_point);
        let (signer, point) = Signer::from_scalar(&scalar, claimed.flatten().as_ref())
            .ok_or_else(|| malformed("is no scalar of the curve"))?;
        let private = Self {
            signer,
            scalar,
            point,
            public: PublicKey::from_point(point),
        };
        match claimed {
            Some(point) if point != Some(private.point) => {
                Err(malformed("its public half does not belong to it"))
            }
            _ => Ok(private),
        }
    }

    /// The same key once more, for a rehearsal: callers hold one, and none of this crate's types hands out two.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn copy(&self) -> Result<Self, Error> {
        Self::from_pkcs8_der(&self.to_pkcs8_der())
    }

    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The key as PKCS#8, a `PRIVATE KEY` block: what every TLS library reads.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        pem::encode_secret("PRIVATE KEY", &self.to_pkcs8_der())
    }

    /// The key as PKCS#8 in DER: 138 octets.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.assemble(&[&PKCS8_PREFIX], &[&POINT_PREFIX])
    }

    /// The key as SEC1, an `EC PRIVATE KEY` block: what OpenSSH and old tools read.
    pub fn to_sec1_pem(&self) -> Zeroizing<String> {
        let der = self.assemble(&[&SEC1_PREFIX], &[&SEC1_CURVE, &POINT_PREFIX]);
        pem::encode_secret("EC PRIVATE KEY", &der)
    }

    /// Puts the scalar between `before` and `between`, and the point, which is known and not computed again, last.
    fn assemble(&self, before: &[&[u8]], between: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        // Capacity for all of it: growing would leave a copy of the scalar behind.
        let mut der = Zeroizing::new(Vec::with_capacity(160));
        for part in before {
            der.extend_from_slice(part);
        }
        der.extend_from_slice(&self.scalar[..]);
        for part in between {
            der.extend_from_slice(part);
        }
        der.extend_from_slice(&self.point);
        der
    }

    /// The public half: 0x04, then both coordinates.
    pub(crate) fn point(&self) -> &Point {
        &self.point
    }

    /// Signs the SHA-256 of `message`: an ECDSA-Sig-Value in DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signer.sign(message)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

fn malformed(problem: &str) -> Error {
    Error::malformed("private key", problem)
}

fn unsupported(algorithm: &str) -> Error {
    Error::UnsupportedKey {
        algorithm: algorithm.to_owned(),
        purpose: "signing",
    }
}

/// The part of PKCS#8 that matters here; the pkcs8 crate would add nothing but its name to our errors.
struct Pkcs8<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    private_key: &'a OctetStringRef,
}

impl<'a> Pkcs8<'a> {
    fn from_der(der: &'a [u8]) -> x509_cert::der::Result<Self> {
        let mut outer = SliceReader::new(der)?;
        let parsed = outer.sequence(|reader| {
            let version = u8::decode(reader)?;
            if version > 1 {
                return Err(reader.error(x509_cert::der::ErrorKind::Failed));
            }
            let algorithm = AlgorithmIdentifierRef::decode(reader)?;
            let private_key = <&OctetStringRef>::decode(reader)?;
            // Attributes and a second copy of the public key may follow.
            while !reader.is_finished() {
                AnyRef::decode(reader)?;
            }
            Ok(Self {
                algorithm,
                private_key,
            })
        })?;
        outer.finish()?;
        Ok(parsed)
    }
}

fn tagged(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// `ECPrivateKey` (RFC 5915 3) with parameters of any kind: sec1's own knows named curves alone.
struct EcPrivateKey<'a> {
    scalar: &'a [u8],
    curve: Option<AnyRef<'a>>,
    point: Option<&'a [u8]>,
}

impl<'a> EcPrivateKey<'a> {
    fn from_der(der: &'a [u8]) -> x509_cert::der::Result<Self> {
        let mut outer = SliceReader::new(der)?;
        let parsed = outer.sequence(|reader| {
            if u8::decode(reader)? != 1 {
                return Err(reader.error(ErrorKind::Failed));
            }
            let scalar = <&OctetStringRef>::decode(reader)?.as_bytes();
            let (mut curve, mut point) = (None, None);
            while !reader.is_finished() {
                let part = AnyRef::decode(reader)?;
                match part.tag() {
                    tag if tag == tagged(0) => curve = Some(AnyRef::from_der(part.value())?),
                    tag if tag == tagged(1) => point = Some(BitStringRef::from_der(part.value())?),
                    _ => return Err(reader.error(ErrorKind::Failed)),
                }
            }
            Ok(Self {
                scalar,
                curve,
                point: point.map(|point| point.as_bytes().unwrap_or_default()),
            })
        })?;
        outer.finish()?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64UrlUnpadded, Encoding};
    use p256::ecdsa::SigningKey;
    use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};

    #[test]
    fn templates_equal_the_general_encoders() {
        let key = PrivateKey::generate().unwrap();
        let signing = SigningKey::from_slice(&key.scalar[..]).unwrap();
        assert_eq!(
            *key.to_pkcs8_pem(),
            *signing.to_pkcs8_pem(LineEnding::LF).unwrap()
        );
        assert_eq!(
            key.public.to_der(),
            signing
                .verifying_key()
                .to_public_key_der()
                .unwrap()
                .as_bytes()
        );
        let secret = p256::SecretKey::from(&signing);
        let sec1 = secret.to_sec1_der().unwrap();
        let pem = key.to_sec1_pem();
        let ours = pem::blocks(pem.as_bytes(), |_| true).unwrap();
        assert_eq!(*ours[0].der, *sec1);
    }

    #[test]
    fn both_forms_are_read_back() {
        let key = PrivateKey::generate().unwrap();
        for text in [key.to_pkcs8_pem(), key.to_sec1_pem()] {
            let again = PrivateKey::from_pem(text.as_bytes()).unwrap();
            assert_eq!(again.public_key(), key.public_key());
            assert_eq!(*again.to_pkcs8_pem(), *key.to_pkcs8_pem());
        }
        let public = key.public_key();
        assert_eq!(
            &PublicKey::from_pem(public.to_pem().as_bytes()).unwrap(),
            public
        );
    }

    #[test]
    fn a_key_has_its_name_in_tokens() {
        let public = PrivateKey::generate().unwrap().public_key().clone();
        let name = public.token_key_id();
        assert_eq!(name.len(), 43, "without padding");
        let hash = Base64UrlUnpadded::decode_vec(&name).unwrap();
        assert_eq!(public.pin(), format!("sha256:{}", crate::hex::hex(&hash)));
    }

    #[test]
    fn refusals_name_the_problem() {
        let key = PrivateKey::generate().unwrap();
        let other = PrivateKey::generate().unwrap();
        let mut swapped = key.to_pkcs8_der();
        let at = swapped.len() - 65;
        swapped[at..].copy_from_slice(&other.point);
        let swapped = pem::encode_secret("PRIVATE KEY", &swapped);
        let twice = format!("{}{}", *key.to_pkcs8_pem(), *other.to_pkcs8_pem());
        for (text, problem) in [
            ("", "there is none: it is empty"),
            ("text", "there is none: no PEM block and no DER"),
            (twice.as_str(), "more than one"),
            (swapped.as_str(), "public half does not belong"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "is encrypted",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "no structure that is known",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "no structure that is known",
            ),
        ] {
            let error = PrivateKey::from_pem(text.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PrivateKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }
}
