//! Public keys, their encodings and identifiers.

use std::fmt;

use sha2::{Digest, Sha256};
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

/// A public key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    point: Point,
}

impl PublicKey {
    pub(crate) fn from_point(point: Point) -> Self {
        Self { point }
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280 4.1.2.7).
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything else, [`Error::UnsupportedKey`] for any algorithm but ECDSA on P-256.
    pub fn from_der(spki: &[u8]) -> Result<Self, Error> {
        let info = SubjectPublicKeyInfoRef::try_from(spki)
            .map_err(|error| Error::malformed("public key", error))?;
        algorithm::require_p256(&info.algorithm, "certificates of ours")?;
        let point = info.subject_public_key.as_bytes().unwrap_or_default();
        let point = backend::read_point(point)
            .ok_or_else(|| Error::malformed("public key", "is no point of the curve"))?;
        Ok(Self { point })
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

    /// The SubjectPublicKeyInfo in DER: 91 octets.
    pub fn to_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.point].concat()
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

    /// The subject key identifier: the leftmost 160 bits of the SHA-256 of the point (RFC 7093 2, method 1).
    pub(crate) fn identifier(&self) -> [u8; 20] {
        let mut identifier = [0; 20];
        identifier.copy_from_slice(&Sha256::digest(self.point)[..20]);
        identifier
    }

    /// The uncompressed point: 0x04, then both coordinates.
    pub(crate) fn point(&self) -> &Point {
        &self.point
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.pin())
    }
}
