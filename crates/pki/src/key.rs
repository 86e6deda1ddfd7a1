//! Private keys: ECDSA on the curve P-256.
//!
//! One algorithm is enough: every TLS library in use has P-256, and a choice would be one more thing to get wrong.

use std::fmt;

use sec1::EcPrivateKey;
use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use crate::backend::{Scalar, Signer};
use crate::{Error, PublicKey, algorithm, pem};

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
            public: PublicKey::from_point(point),
        })
    }

    /// Reads the one private key in `text`: PKCS#8 (`PRIVATE KEY`) or SEC1 (`EC PRIVATE KEY`).
    ///
    /// Text around the block is accepted, and so is the `EC PARAMETERS` block that `openssl ecparam` writes.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when there is no key, more than one, an encrypted one, or one whose public half does not
    /// belong to it; [`Error::UnsupportedKey`] for any algorithm but ECDSA on P-256.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let malformed = |problem: &str| Error::malformed("private key", problem);
        let blocks = pem::blocks(text)?;
        let mut keys = blocks
            .iter()
            .filter(|block| block.label.ends_with("PRIVATE KEY"));
        let block = keys
            .next()
            .ok_or_else(|| malformed("no `PRIVATE KEY` block"))?;
        if keys.next().is_some() {
            return Err(malformed("more than one `PRIVATE KEY` block"));
        }
        match block.label.as_str() {
            "PRIVATE KEY" => Self::from_pkcs8_der(&block.der),
            "EC PRIVATE KEY" => Self::from_sec1_der(&block.der, true),
            "ENCRYPTED PRIVATE KEY" => Err(malformed("is encrypted")),
            "RSA PRIVATE KEY" => Err(unsupported("RSA")),
            other => Err(malformed(&format!("unknown block `{other}`"))),
        }
    }

    /// Reads PKCS#8 in DER.
    ///
    /// # Errors
    ///
    /// As [`PrivateKey::from_pem`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        // Own errors throughout: a foreign one might quote what it could not read.
        let info = Pkcs8::from_der(der)
            .map_err(|_| Error::malformed("private key", "is no PKCS#8 structure"))?;
        algorithm::require_p256(&info.algorithm, "signing")?;
        Self::from_sec1_der(info.private_key.as_bytes(), false)
    }

    fn from_sec1_der(der: &[u8], curve_required: bool) -> Result<Self, Error> {
        let malformed = |problem: &str| Error::malformed("private key", problem);
        let key = EcPrivateKey::from_der(der).map_err(|_| malformed("is no SEC1 structure"))?;
        match key
            .parameters
            .as_ref()
            .and_then(|curve| curve.named_curve())
        {
            Some(algorithm::P256) => {}
            None if !curve_required => {}
            None => return Err(malformed("does not name its curve")),
            Some(curve) => return Err(unsupported(&algorithm::curve_name(curve))),
        }
        let not_of_curve = || malformed("is no scalar of the curve");
        let mut scalar = Scalar::default();
        if key.private_key.len() != scalar.len() {
            return Err(not_of_curve());
        }
        scalar.copy_from_slice(key.private_key);
        let (signer, point) = Signer::from_scalar(&scalar).ok_or_else(not_of_curve)?;
        let private = Self {
            signer,
            scalar,
            public: PublicKey::from_point(point),
        };
        match key.public_key {
            Some(point) if point != *private.public.point() => {
                Err(malformed("its public half does not belong to it"))
            }
            _ => Ok(private),
        }
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
        der.extend_from_slice(self.public.point());
        der
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

#[cfg(test)]
mod tests {
    use super::*;
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
        let ours = pem::blocks(pem.as_bytes()).unwrap();
        let parsed = EcPrivateKey::from_der(&ours[0].der).unwrap();
        assert_eq!(
            parsed.private_key,
            EcPrivateKey::from_der(&sec1).unwrap().private_key
        );
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
    fn refusals_name_the_problem() {
        let key = PrivateKey::generate().unwrap();
        let other = PrivateKey::generate().unwrap();
        let mut swapped = key.to_pkcs8_der();
        let at = swapped.len() - 65;
        swapped[at..].copy_from_slice(other.public.point());
        let swapped = pem::encode_secret("PRIVATE KEY", &swapped);
        let twice = format!("{}{}", *key.to_pkcs8_pem(), *other.to_pkcs8_pem());
        for (text, problem) in [
            ("", "no `PRIVATE KEY` block"),
            (twice.as_str(), "more than one"),
            (swapped.as_str(), "public half does not belong"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "is encrypted",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "cannot use RSA keys for signing",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "no PKCS#8 structure",
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
