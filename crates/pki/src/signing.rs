//! From prepared parts to a signed certificate.

use p256::ecdsa::signature::Keypair;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::Document;
use x509_cert::der::asn1::BitString;
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
    SubjectPublicKeyInfo, SubjectPublicKeyInfoRef,
};

use crate::signature::ECDSA_WITH_SHA256;
use crate::{Certificate, Error, PrivateKey, PublicKey, Validity, secret};

/// Hands prepared parts to the builder, which adds nothing of its own.
struct Prepared {
    issuer: Name,
    subject: Name,
    extensions: Vec<Extension>,
}

impl BuilderProfile for Prepared {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _spk: SubjectPublicKeyInfoRef<'_>,
        _issuer_spk: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        Ok(self.extensions.clone())
    }
}

pub(crate) fn sign(
    signer: &PrivateKey,
    issuer: &Name,
    subject: &Name,
    key: &PublicKey,
    validity: Validity,
    extensions: Vec<Extension>,
) -> Result<Certificate, Error> {
    let names = (issuer, subject);
    sign_with_serial(serial()?, signer, names, key, validity, extensions)
}

/// Signs what it is given, rules kept or not: `names` are those of issuer and subject.
pub(crate) fn sign_with_serial(
    serial: SerialNumber,
    signer: &PrivateKey,
    (issuer, subject): (&Name, &Name),
    key: &PublicKey,
    validity: Validity,
    extensions: Vec<Extension>,
) -> Result<Certificate, Error> {
    let prepared = Prepared {
        issuer: issuer.clone(),
        subject: subject.clone(),
        extensions,
    };
    let spki = SubjectPublicKeyInfo::try_from(&key.to_der()[..])
        .map_err(|error| Error::malformed("public key", error))?;
    let malformed = |error| Error::malformed("certificate", error);
    let announced = Announced(signer.public_key());
    let mut builder =
        CertificateBuilder::new(prepared, serial, validity.to_x509()?, spki).map_err(malformed)?;
    let signed = builder.finalize(&announced).map_err(malformed)?;
    let signature = BitString::from_bytes(&signer.sign(&signed)?)
        .map_err(|error| Error::malformed("signature", error))?;
    let certificate = builder.assemble(signature, &announced).map_err(malformed)?;
    Certificate::from_parsed(certificate)
}

/// Tells the builder who will sign; the signature itself is made by [`PrivateKey::sign`].
struct Announced<'a>(&'a PublicKey);

impl Keypair for Announced<'_> {
    type VerifyingKey = AnnouncedKey;

    fn verifying_key(&self) -> AnnouncedKey {
        AnnouncedKey(self.0.clone())
    }
}

impl DynSignatureAlgorithmIdentifier for Announced<'_> {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned {
            oid: ECDSA_WITH_SHA256,
            // Absent, not NULL (RFC 5758 3.2).
            parameters: None,
        })
    }
}

#[derive(Clone)]
struct AnnouncedKey(PublicKey);

impl EncodePublicKey for AnnouncedKey {
    fn to_public_key_der(&self) -> x509_cert::spki::Result<Document> {
        Ok(Document::try_from(self.0.to_der())?)
    }
}

/// A random serial number of 16 octets with 126 random bits: never derived from the key, so that a renewal with the
/// same key gets a new one (RFC 5280 4.1.2.2; etcd's revocation check compares serial numbers only).
pub(crate) fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = secret::random(16)?;
    // Positive, and no leading zero octet that would make the length vary.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::new(&bytes).map_err(|error| Error::malformed("serial number", error))
}
