//! Certificates and lists written octet by octet, so that everything can be put wrong in them.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate;
use p256::pkcs8::EncodePublicKey;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{DateTime, Encode};
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

/// The time of every judgement, in seconds since 1970: 2027-01-15T08:00:00Z.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut all = vec![tag];
    match content.len() {
        short @ 0..=127 => all.push(short as u8),
        middle @ 128..=255 => all.extend([0x81, middle as u8]),
        long => {
            all.push(0x82);
            all.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    all.extend(content);
    all
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

fn oid(text: &str) -> Vec<u8> {
    ObjectIdentifier::new_unwrap(text).to_der().unwrap()
}

/// A name of one attribute per RDN; an empty list is an empty name.
pub(crate) fn name(attributes: &[(&str, &str)]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(kind, text)| {
            let value = tlv(0x0c, &[text.as_bytes()]);
            tlv(0x31, &[&sequence(&[&oid(kind), &value])])
        })
        .collect();
    let parts: Vec<&[u8]> = rdns.iter().map(Vec::as_slice).collect();
    sequence(&parts)
}

pub(crate) fn common_name(text: &str) -> Vec<u8> {
    name(&[("2.5.4.10", "Lab"), ("2.5.4.3", text)])
}

fn time(seconds: u64) -> Vec<u8> {
    let duration = std::time::Duration::from_secs(seconds);
    let date = DateTime::from_unix_duration(duration).unwrap();
    let text: String = date
        .to_string()
        .chars()
        .filter(|one| one.is_ascii_digit())
        .collect();
    // All of these are before 2050.
    tlv(0x17, &[&text.as_bytes()[2..], b"Z"])
}

/// An extension as it is written.
#[derive(Clone)]
pub(crate) struct Extension {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

impl Extension {
    pub(crate) fn raw(oid: &str, critical: bool, value: Vec<u8>) -> Self {
        Self {
            oid: oid.to_owned(),
            critical,
            value,
        }
    }

    pub(crate) fn of<T: Encode + AssociatedOid>(critical: bool, value: &T) -> Self {
        Self::raw(&T::OID.to_string(), critical, value.to_der().unwrap())
    }

    fn to_der(&self) -> Vec<u8> {
        let critical: &[u8] = if self.critical { &[1, 1, 0xff] } else { &[] };
        sequence(&[&oid(&self.oid), critical, &tlv(4, &[&self.value])])
    }
}

/// An algorithm of signatures: its identifier, and what makes one of a message.
pub(crate) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
pub(crate) const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";

/// One certificate before it is signed.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) key: SigningKey,
    /// 0 is version 1.
    pub(crate) version: u8,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) extensions: Vec<Extension>,
    /// What the certificate says that it is signed with; what it is signed with is ECDSA with SHA-256.
    pub(crate) inner_algorithm: &'static str,
    /// Whether the signature is spoilt.
    pub(crate) spoilt: bool,
    /// Who signs, if not the one that stands above it.
    pub(crate) other_signer: Option<SigningKey>,
    /// A SubjectPublicKeyInfo in the place of the key's own.
    pub(crate) other_spki: Option<Vec<u8>>,
}

/// A SubjectPublicKeyInfo: the algorithm, its parameters in DER, and the key's bits.
pub(crate) fn spki(algorithm: &str, parameters: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[
        &sequence(&[&oid(algorithm), parameters]),
        &tlv(3, &[&[0], key]),
    ])
}

impl Certificate {
    pub(crate) fn spki(&self) -> Vec<u8> {
        if let Some(other) = &self.other_spki {
            return other.clone();
        }
        let document = self.key.verifying_key().to_public_key_der().unwrap();
        document.as_bytes().to_vec()
    }

    /// 20 octets made of the key.
    pub(crate) fn key_id(&self) -> Vec<u8> {
        let spki = self.spki();
        spki[spki.len() - 20..].to_vec()
    }

    pub(crate) fn set(&mut self, extension: Extension) {
        self.remove(&extension.oid);
        self.extensions.push(extension);
    }

    pub(crate) fn remove(&mut self, oid: &str) {
        self.extensions.retain(|one| one.oid != oid);
    }

    pub(crate) fn extension(&mut self, oid: &str) -> &mut Extension {
        self.extensions
            .iter_mut()
            .find(|one| one.oid == oid)
            .unwrap()
    }

    pub(crate) fn sign(&self, signer: &SigningKey) -> Vec<u8> {
        let version = tlv(0xa0, &[&[2, 1, self.version]]);
        let version: &[u8] = if self.version == 0 { &[] } else { &version };
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(Extension::to_der).collect();
        let parts: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let extensions = tlv(0xa3, &[&sequence(&parts)]);
        let extensions: &[u8] = if parts.is_empty() { &[] } else { &extensions };
        let tbs = sequence(&[
            version,
            &tlv(2, &[&self.serial]),
            &sequence(&[&oid(self.inner_algorithm)]),
            &self.issuer,
            &sequence(&[&time(self.not_before), &time(self.not_after)]),
            &self.subject,
            &self.spki(),
            extensions,
        ]);
        signed(
            &tbs,
            self.other_signer.as_ref().unwrap_or(signer),
            self.spoilt,
        )
    }
}

fn signed(tbs: &[u8], signer: &SigningKey, spoilt: bool) -> Vec<u8> {
    let signature: DerSignature = signer.sign(tbs);
    let mut signature = signature.as_bytes().to_vec();
    if spoilt {
        // In the middle of one of both numbers, whose form it leaves.
        let at = signature.len() - 10;
        signature[at] ^= 1;
    }
    sequence(&[
        tbs,
        &sequence(&[&oid(ECDSA_SHA256)]),
        &tlv(3, &[&[0], &signature]),
    ])
}

/// A revocation list before it is signed.
#[derive(Clone)]
pub(crate) struct List {
    /// Whose name it has: an index in the chain.
    pub(crate) issuer: usize,
    /// Who signs it, if not its issuer.
    pub(crate) other_signer: Option<SigningKey>,
    pub(crate) this_update: u64,
    pub(crate) next_update: Option<u64>,
    pub(crate) number: u8,
    pub(crate) serials: Vec<Vec<u8>>,
    pub(crate) extensions: Vec<Extension>,
}

impl List {
    pub(crate) fn sign(&self, issuer: &Certificate) -> Vec<u8> {
        let revoked: Vec<Vec<u8>> = self
            .serials
            .iter()
            .map(|serial| sequence(&[&tlv(2, &[serial]), &time(self.this_update)]))
            .collect();
        let parts: Vec<&[u8]> = revoked.iter().map(Vec::as_slice).collect();
        let revoked = sequence(&parts);
        let revoked: &[u8] = if parts.is_empty() { &[] } else { &revoked };
        let identifier = AuthorityKeyIdentifier {
            key_identifier: Some(octets(&issuer.key_id())),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        let mut extensions = vec![
            Extension::of(false, &identifier),
            Extension::raw("2.5.29.20", false, vec![2, 1, self.number]),
        ];
        extensions.extend(self.extensions.iter().cloned());
        let extensions: Vec<Vec<u8>> = extensions.iter().map(Extension::to_der).collect();
        let parts: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let next = self.next_update.map(time).unwrap_or_default();
        let tbs = sequence(&[
            &[2, 1, 1],
            &sequence(&[&oid(ECDSA_SHA256)]),
            &issuer.subject,
            &time(self.this_update),
            &next,
            revoked,
            &tlv(0xa0, &[&sequence(&parts)]),
        ]);
        signed(
            &tbs,
            self.other_signer.as_ref().unwrap_or(&issuer.key),
            false,
        )
    }
}

pub(crate) fn octets(bytes: &[u8]) -> x509_cert::der::asn1::OctetString {
    x509_cert::der::asn1::OctetString::new(bytes).unwrap()
}

pub(crate) fn new_key() -> SigningKey {
    SigningKey::try_generate().unwrap()
}
