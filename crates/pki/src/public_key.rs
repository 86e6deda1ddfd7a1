//! Public keys, their encodings and identifiers.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use x509_cert::der::asn1::{AnyRef, UintRef};
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
                .ok_or_else(|| Error::malformed("public key", NO_POINT))?;
            return Ok(Self::from_point(point));
        };
        let problem = match &algorithm::key_name(&info.algorithm)[..] {
            "ECDSA P-384" if octets.len() != 97 || octets[0] != 4 => Some(NONE_OF_ALGORITHM),
            // The length alone says nothing: Go refuses a point that is not on the curve, whoever signed it.
            "ECDSA P-384" => p384::PublicKey::from_sec1_bytes(octets)
                .is_err()
                .then_some(NO_POINT),
            "Ed25519" => (octets.len() != 32 || info.algorithm.parameters.is_some())
                .then_some(NONE_OF_ALGORITHM),
            "RSA" => rsa_problem(&info)?,
            _ => return Err(not_p256),
        };
        if let Some(problem) = problem {
            return Err(Error::malformed("public key", problem));
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

    /// The name that Kubernetes' API servers give to it in the tokens that they sign (`kid`), and where they publish by what
    /// those are verified (`/openid/v1/jwks`): the SHA-256 of [`PublicKey::to_der`] in base64url, without padding
    /// (kubernetes `pkg/serviceaccount/jwt.go`).
    pub fn token_key_id(&self) -> String {
        Base64UrlUnpadded::encode_string(&Sha256::digest(self.to_der()))
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

/// What is wrong with a key of RSA, of which Go and ring refuse more than its length.
fn rsa_problem(info: &SubjectPublicKeyInfoRef<'_>) -> Result<Option<&'static str>, Error> {
    let octets = info.subject_public_key.as_bytes().unwrap_or_default();
    let Some((modulus, exponent)) = rsa_numbers(octets) else {
        return Ok(Some(NONE_OF_ALGORITHM));
    };
    let bits = bits(modulus);
    if !(2048..=8192).contains(&bits) {
        return Err(Error::UnsupportedKey {
            algorithm: format!("RSA of {bits} bits"),
            purpose: PURPOSE,
        });
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    Ok(if info.algorithm.parameters != Some(AnyRef::NULL) {
        Some("its algorithm lacks the parameters NULL (RFC 3279 2.3.1)")
    } else if !is_odd(modulus) {
        Some("its modulus is even")
    } else if !is_odd(exponent) || exponent == [1] || exponent.len() > 4 {
        Some("its exponent is even, 1, or longer than 32 bits")
    } else {
        None
    })
}

const NONE_OF_ALGORITHM: &str = "is none of its algorithm";
const NO_POINT: &str = "is no point of the curve";

/// Modulus and exponent of an RSAPublicKey (RFC 8017 A.1.1), without leading zeros.
fn rsa_numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(key).ok()?;
    Header::decode(&mut reader).ok()?;
    let modulus = UintRef::decode(&mut reader).ok()?;
    let exponent = UintRef::decode(&mut reader).ok()?;
    reader.finish().ok()?;
    Some((modulus.as_bytes(), exponent.as_bytes()))
}

/// The length of the modulus of an RSAPublicKey.
pub(crate) fn rsa_bits(key: &[u8]) -> Option<usize> {
    rsa_numbers(key).map(|(modulus, _)| bits(modulus))
}

fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    number.len() * 8 - unused as usize
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.pin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, AuthoritySpec, CommonName, Leaf};

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = content.len();
        let mut all = vec![tag];
        match length {
            0..=127 => all.push(length as u8),
            128..=255 => all.extend([0x81, length as u8]),
            _ => all.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        all.extend(content);
        all
    }

    fn spki(oid: &[u8], parameters: &[u8], key: &[u8]) -> Vec<u8> {
        let algorithm = tlv(0x30, &[&tlv(6, &[oid]), parameters]);
        tlv(0x30, &[&algorithm, &tlv(3, &[&[0], key])])
    }

    /// Keys that nobody can have: nothing is signed for them, whether they are proved by a request or given as they are.
    #[test]
    fn keys_that_cannot_be_are_refused() {
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];
        const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        const NULL: &[u8] = &[5, 0];
        let rsa = |modulus: &[u8], exponent: &[u8]| {
            tlv(0x30, &[&tlv(2, &[&[0], modulus]), &tlv(2, &[exponent])])
        };
        let (odd, mut even) = ([0xc5; 256], [0xc5; 256]);
        even[255] = 0xc4;
        let good = rsa(&odd, &[1, 0, 1]);
        PublicKey::from_der(&spki(RSA, NULL, &good)).unwrap();
        // The generator (SEC 2 2.5.1).
        let generator = "04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7\
                         3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
        let mut point: Vec<u8> = (0..generator.len() / 2)
            .map(|at| u8::from_str_radix(&generator[at * 2..at * 2 + 2], 16).unwrap())
            .collect();
        PublicKey::from_der(&spki(EC, P384, &point)).unwrap();
        point[96] ^= 1;
        let off_curve_256 = [&[4][..], &[1; 64]].concat();
        for (key, problem) in [
            (spki(RSA, &[], &good), "NULL"),
            (spki(RSA, &[4, 0], &good), "NULL"),
            (spki(RSA, NULL, &rsa(&even, &[1, 0, 1])), "modulus is even"),
            (spki(RSA, NULL, &rsa(&odd, &[1])), "exponent"),
            (spki(RSA, NULL, &rsa(&odd, &[2])), "exponent"),
            (spki(RSA, NULL, &rsa(&odd, &[1, 0, 0, 0, 1])), "exponent"),
            (spki(EC, P384, &point), "no point of the curve"),
            (spki(EC, P256, &off_curve_256), "no point of the curve"),
        ] {
            let error = PublicKey::from_der(&key).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
            assert!(error.to_string().contains(problem), "{error}");
        }
        // A certificate for a good one of each is made.
        let now = std::time::SystemTime::now();
        let name = |name| CommonName::try_from(name).unwrap();
        let ca = Authority::create(&AuthoritySpec::new(name("ca")), now).unwrap();
        let key = PublicKey::from_der(&spki(RSA, NULL, &good)).unwrap();
        ca.certify(&Leaf::client(name("x")), &key, now).unwrap();
    }
}
