//! Certificates, whoever made them.

use std::fmt;

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::hex::hex;
use crate::{Error, PrivateKey, PublicKey, San, Usage, Validity, pem, profile, subject};

/// ecdsa-with-SHA256 (RFC 5758 3.2).
pub(crate) const ECDSA_WITH_SHA256: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A certificate: its DER bytes, and what they say.
///
/// Parsing proves nothing about who signed it; see [`Certificate::is_signed_by`].
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but one whole certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parsed = x509_cert::Certificate::from_der(der)
            .map_err(|error| Error::malformed("certificate", error))?;
        Ok(Self {
            der: der.to_vec(),
            parsed,
        })
    }

    pub(crate) fn from_parsed(parsed: x509_cert::Certificate) -> Result<Self, Error> {
        let der = parsed
            .to_der()
            .map_err(|error| Error::malformed("certificate", error))?;
        Ok(Self { der, parsed })
    }

    /// Reads the one certificate in `text`. Text around it is accepted, other blocks are not.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when there is none, or more than one block.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let mut all = Self::all_from_pem(text)?;
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(Error::malformed(
                "certificate",
                format!("{} certificates where one is expected", all.len() + 1),
            )),
            (None, _) => Err(Error::malformed("certificate", "no `CERTIFICATE` block")),
        }
    }

    /// Reads a bundle: every certificate in `text`, in order; an empty list when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for a damaged certificate or any other kind of block, since a private key among
    /// certificates is about to be published.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        pem::blocks(text)?
            .iter()
            .map(|block| match block.label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                    Self::from_der(&block.der)
                }
                other => Err(Error::malformed(
                    "certificate",
                    format!("a `{other}` block among certificates"),
                )),
            })
            .collect()
    }

    /// The DER bytes.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// A `CERTIFICATE` block.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE", &self.der)
    }

    /// The last common name of the subject, else the whole subject: for messages.
    pub fn subject_shown(&self) -> String {
        subject::shown(self.subject())
    }

    /// The last common name of the issuer, else the whole issuer: for messages.
    pub fn issuer_shown(&self) -> String {
        subject::shown(self.issuer())
    }

    /// The common names of the subject; one, unless a stranger made it.
    pub fn common_names(&self) -> Vec<String> {
        subject::common_names(self.subject())
    }

    /// The organizations of the subject, in order.
    pub fn organizations(&self) -> Vec<String> {
        subject::organizations(self.subject())
    }

    /// The serial number in lower-case hex, as `openssl x509 -serial` but for case.
    pub fn serial(&self) -> String {
        hex(self.serial_bytes())
    }

    pub(crate) fn serial_bytes(&self) -> &[u8] {
        self.parsed.tbs_certificate().serial_number().as_bytes()
    }

    /// From when to when it is valid.
    pub fn validity(&self) -> Validity {
        Validity::of(self.parsed.tbs_certificate().validity())
    }

    /// The alternative names that are DNS names, addresses or URIs of valid form.
    pub fn sans(&self) -> Vec<San> {
        let names = profile::find::<SubjectAltName>(self.extensions());
        let mut sans: Vec<San> = names
            .iter()
            .flat_map(|names| names.0.iter())
            .filter_map(profile::san_of)
            .collect();
        sans.sort();
        sans.dedup();
        sans
    }

    /// The purposes it lists, as far as they are known here.
    pub fn usages(&self) -> Vec<Usage> {
        profile::find::<ExtendedKeyUsage>(self.extensions())
            .iter()
            .flat_map(|usages| usages.0.iter())
            .filter_map(|oid| Usage::from_oid(*oid))
            .collect()
    }

    /// How many attributes the subject has, of whatever type.
    pub(crate) fn subject_attribute_count(&self) -> usize {
        subject::attribute_count(self.subject())
    }

    /// How many purposes it lists, known or not.
    pub(crate) fn usage_count(&self) -> usize {
        profile::find::<ExtendedKeyUsage>(self.extensions()).map_or(0, |usages| usages.0.len())
    }

    /// How many alternative names it lists, of whatever kind.
    pub(crate) fn name_count(&self) -> usize {
        profile::find::<SubjectAltName>(self.extensions()).map_or(0, |names| names.0.len())
    }

    /// The certificate as rustls takes it.
    #[cfg(feature = "rustls")]
    pub fn to_rustls(&self) -> rustls_pki_types::CertificateDer<'static> {
        rustls_pki_types::CertificateDer::from(self.der.clone())
    }

    /// Whether basicConstraints make it an authority.
    pub fn is_authority(&self) -> bool {
        profile::find::<BasicConstraints>(self.extensions()).is_some_and(|basic| basic.ca)
    }

    /// How many authorities may stand between this one and a leaf; `None` for no limit or no authority.
    pub fn path_length(&self) -> Option<u8> {
        profile::find::<BasicConstraints>(self.extensions())
            .and_then(|basic| basic.path_len_constraint)
    }

    /// The public key, when it is ECDSA on P-256.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedKey`] for other algorithms, [`Error::Malformed`].
    pub fn public_key(&self) -> Result<PublicKey, Error> {
        PublicKey::from_der(&self.public_key_der()?)
    }

    /// SubjectPublicKeyInfo in DER, of whatever algorithm.
    pub(crate) fn public_key_der(&self) -> Result<Vec<u8>, Error> {
        self.parsed
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .map_err(|error| Error::malformed("public key", error))
    }

    /// What people call the algorithm of its key, for example `ECDSA P-256`.
    pub fn key_algorithm(&self) -> String {
        let info = self.parsed.tbs_certificate().subject_public_key_info();
        crate::algorithm::key_name(&info.algorithm.owned_to_ref())
    }

    /// Whether `issuer` signed it: the names are equal octet for octet, the key identifiers agree where both are
    /// given, and the signature holds.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedKey`] when the issuer's key is not ECDSA P-256, so that nothing can be said.
    pub fn is_signed_by(&self, issuer: &Self) -> Result<bool, Error> {
        if self.issuer() != issuer.subject() {
            return Ok(false);
        }
        if let (Some(theirs), Some(ours)) = (issuer.subject_key_id(), self.authority_key_id()) {
            if theirs != ours {
                return Ok(false);
            }
        }
        self.has_signature_of(&issuer.public_key()?)
    }

    /// Whether the signature alone holds, whatever the names say.
    pub(crate) fn has_signature_by(&self, issuer: &Self) -> Result<bool, Error> {
        self.has_signature_of(&issuer.public_key()?)
    }

    pub(crate) fn tbs(&self) -> &x509_cert::TbsCertificate {
        self.parsed.tbs_certificate()
    }

    /// The algorithm beside the signature.
    pub(crate) fn outer_algorithm(&self) -> &AlgorithmIdentifierOwned {
        self.parsed.signature_algorithm()
    }

    /// The object identifier of the algorithm it was signed with.
    pub(crate) fn signature_algorithm(&self) -> ObjectIdentifier {
        self.outer_algorithm().oid
    }

    /// Whether the serial number's sign bit is set.
    pub(crate) fn serial_is_negative(&self) -> bool {
        let encoded = self.tbs().serial_number().to_der().unwrap_or_default();
        // Tag and length take two octets for any serial number that could be read.
        encoded.get(2).is_some_and(|byte| byte & 0x80 != 0)
    }

    fn has_signature_of(&self, key: &PublicKey) -> Result<bool, Error> {
        let algorithm = self.parsed.signature_algorithm();
        if algorithm.oid != ECDSA_WITH_SHA256
            || algorithm != self.parsed.tbs_certificate().signature()
        {
            return Ok(false);
        }
        let signature = self.parsed.signature().as_bytes().unwrap_or_default();
        Ok(key.verifies(self.signed_bytes()?, signature))
    }

    /// The bytes that were signed, as they came: encoding them again might not give the same.
    fn signed_bytes(&self) -> Result<&[u8], Error> {
        let read = || -> x509_cert::der::Result<&[u8]> {
            let mut reader = SliceReader::new(&self.der)?;
            Header::decode(&mut reader)?;
            reader.tlv_bytes()
        };
        read().map_err(|error| Error::malformed("certificate", error))
    }

    /// Refuses a certificate whose key cannot sign here, whatever its private half.
    pub(crate) fn require_signing_key(&self) -> Result<(), Error> {
        match self.public_key() {
            Err(Error::UnsupportedKey { .. }) => Err(Error::UnsupportedKey {
                algorithm: self.key_algorithm(),
                purpose: "signing",
            }),
            result => result.map(drop),
        }
    }

    pub(crate) fn require_key(&self, key: &PrivateKey) -> Result<(), Error> {
        if self.public_key_der()? == key.public_key().to_der() {
            return Ok(());
        }
        Err(Error::Mismatch {
            subject: self.subject_shown(),
        })
    }

    pub(crate) fn subject(&self) -> &Name {
        self.parsed.tbs_certificate().subject()
    }

    pub(crate) fn issuer(&self) -> &Name {
        self.parsed.tbs_certificate().issuer()
    }

    pub(crate) fn extensions(&self) -> &[Extension] {
        self.parsed
            .tbs_certificate()
            .extensions()
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn key_usage(&self) -> Option<KeyUsage> {
        profile::find(self.extensions())
    }

    pub(crate) fn subject_key_id(&self) -> Option<Vec<u8>> {
        profile::find::<SubjectKeyIdentifier>(self.extensions())
            .map(|identifier| identifier.0.as_bytes().to_vec())
    }

    pub(crate) fn authority_key_id(&self) -> Option<Vec<u8>> {
        profile::find::<AuthorityKeyIdentifier>(self.extensions())
            .and_then(|identifier| identifier.key_identifier)
            .map(|identifier| identifier.as_bytes().to_vec())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject_shown())
            .field("issuer", &self.issuer_shown())
            .field("serial", &self.serial())
            .finish_non_exhaustive()
    }
}
