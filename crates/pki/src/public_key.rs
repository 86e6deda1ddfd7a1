//! Public keys, their encodings and identifiers.

use std::fmt;

use sha2::{Digest, Sha256};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::backend::{self, Point};
use crate::hex::hex;
use crate::pem::Kind;
use crate::{Error, algorithm, form, pem};

/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING` before the 65 octets of a point (RFC 5480 2).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// What certificates are signed for.
const PURPOSE: &str = "certificates of ours";

/// A public key: ECDSA on P-256, as all that is made here, or, for certificates of keys that are made elsewhere, RSA of 2048
/// to 8192 bits, ECDSA on P-384, or Ed25519.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    P256(Point),
    /// The SubjectPublicKeyInfo in DER.
    Other(Vec<u8>),
}

impl PublicKey {
    pub(crate) fn from_point(point: Point) -> Self {
        Self(Form::P256(point))
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280 4.1.2.7).
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything else, [`Error::UnsupportedKey`] for other algorithms and lengths.
    pub fn from_der(spki: &[u8]) -> Result<Self, Error> {
        let info = SubjectPublicKeyInfoRef::try_from(spki)
            .map_err(|error| Error::malformed("public key", error))?;
        let octets = info.subject_public_key.as_bytes().unwrap_or_default();
        let Err(not_p256) = algorithm::require_p256(&info.algorithm, PURPOSE) else {
            let point = backend::read_point(octets)
                .ok_or_else(|| Error::malformed("public key", "is no point of the curve"))?;
            return Ok(Self::from_point(point));
        };
        let fits = match &algorithm::key_name(&info.algorithm)[..] {
            "ECDSA P-384" => octets.len() == 97 && octets[0] == 4,
            "Ed25519" => octets.len() == 32 && info.algorithm.parameters.is_none(),
            "RSA" => match rsa_bits(octets) {
                Some(2048..=8192) => true,
                Some(bits) => {
                    return Err(Error::UnsupportedKey {
                        algorithm: format!("RSA of {bits} bits"),
                        purpose: PURPOSE,
                    });
                }
                None => false,
            },
            _ => return Err(not_p256),
        };
        if !fits {
            return Err(Error::malformed("public key", "is none of its algorithm"));
        }
        let der = info
            .to_der()
            .map_err(|error| Error::malformed("public key", error))?;
        Ok(Self(Form::Other(der)))
    }

    /// Reads the first `PUBLIC KEY` block of `text`.
    ///
    /// # Errors
    ///
    /// As [`PublicKey::from_der`], and [`Error::Malformed`] when there is no such block.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let blocks = pem::blocks(text, |kind| kind == Kind::PublicKey)?;
        match blocks.first() {
            Some(block) => Self::from_der(&block.der),
            None => Err(form::nothing_found("public key", text)),
        }
    }

    /// The SubjectPublicKeyInfo in DER: of P-256, 91 octets.
    pub fn to_der(&self) -> Vec<u8> {
        match &self.0 {
            Form::P256(point) => [&SPKI_PREFIX[..], point].concat(),
            Form::Other(der) => der.clone(),
        }
    }

    /// The SubjectPublicKeyInfo as a `PUBLIC KEY` block, the format of kubeadm's `sa.pub`.
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.to_der())
    }

    /// The SHA-256 of [`PublicKey::to_der`], as `sha256:` and 64 lower-case hex digits.
    ///
    /// Of an authority's key, this is kubeadm's `--discovery-token-ca-cert-hash`
    /// (kubernetes `cmd/kubeadm/app/util/pubkeypin`).
    pub fn pin(&self) -> String {
        format!("sha256:{}", hex(&Sha256::digest(self.to_der())))
    }

    /// The subject key identifier: the leftmost 160 bits of the SHA-256 of the key's bits (RFC 7093 2, method 1).
    pub(crate) fn identifier(&self) -> [u8; 20] {
        let hash = match &self.0 {
            Form::P256(point) => Sha256::digest(point),
            Form::Other(der) => {
                let info = SubjectPublicKeyInfoRef::try_from(&der[..]).ok();
                let octets = info.and_then(|info| info.subject_public_key.as_bytes());
                Sha256::digest(octets.unwrap_or_default())
            }
        };
        let mut identifier = [0; 20];
        identifier.copy_from_slice(&hash[..20]);
        identifier
    }

    /// Whether it is on P-256, so that its holder can be an authority here.
    pub(crate) fn is_p256(&self) -> bool {
        matches!(self.0, Form::P256(_))
    }
}

/// The length of the modulus of an RSAPublicKey (RFC 8017 A.1.1).
pub(crate) fn rsa_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    Header::decode(&mut reader).ok()?;
    let modulus = UintRef::decode(&mut reader).ok()?;
    UintRef::decode(&mut reader).ok()?;
    reader.finish().ok()?;
    let bytes = modulus.as_bytes();
    let unused = bytes.first().map_or(0, |first| first.leading_zeros());
    Some(bytes.len() * 8 - unused as usize)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.pin())
    }
}
