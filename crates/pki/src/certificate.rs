//! Certificates, whoever made them.

use std::fmt;

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::form::Shape;
use crate::hex::serial_hex;
use crate::pem::Kind;
use crate::{
    Error, PrivateKey, PublicKey, San, Usage, Validity, form, pem, profile, public_key, signature,
    subject,
};

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

    /// Reads the one certificate in `text`. Anything around it is accepted, as [`Certificate::all_from_pem`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when there is none, or more than one; errors as of [`Certificate::all_from_pem`].
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        Self::only(Self::all_from_pem(text)?, text)
    }

    /// Reads the one certificate in `bytes`, as [`Certificate::from_pem`] does, or in DER.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn from_pem_or_der(bytes: &[u8]) -> Result<Self, Error> {
        if form::is_der(bytes) {
            return Self::only(Self::all_from_structures(bytes)?, bytes);
        }
        Self::from_pem(bytes)
    }

    fn only(mut all: Vec<Self>, bytes: &[u8]) -> Result<Self, Error> {
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(Error::malformed(
                "certificate",
                format!("{} certificates where one is expected", all.len() + 1),
            )),
            (None, _) => Err(form::nothing_found("certificate", bytes)),
        }
    }

    /// Reads a bundle: every certificate in `text`, in order; an empty list when there is none.
    ///
    /// Blocks of the labels `CERTIFICATE`, `X509 CERTIFICATE` and `TRUSTED CERTIFICATE` are read, and anything may be
    /// around them.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for a damaged certificate, and for a private key, since one among certificates is about to be
    /// published; [`Error::Unreadable`] for PKCS#7, and for certificates that OpenSSL would not find, so that none is
    /// dropped in silence.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        if form::is_der(text) {
            return Err(match Shape::of(text) {
                Some(Shape::Certificate) => Error::unreadable(
                    "certificate",
                    "it is DER, where PEM is expected",
                    "openssl x509 -in FILE -out FILE.pem",
                ),
                shape => form::not_a("certificate", shape),
            });
        }
        let key = pem::labels(text)
            .into_iter()
            .find(|label| label.kind == Kind::PrivateKey);
        if let Some(label) = key {
            let problem = format!("{} among certificates", label.block());
            return Err(Error::malformed("certificate", problem));
        }
        Self::all_in_blocks(text)
    }

    /// The certificates in the blocks of `text`, whatever else is there.
    pub(crate) fn all_in_blocks(text: &[u8]) -> Result<Vec<Self>, Error> {
        let wanted = |kind| matches!(kind, Kind::Certificate | Kind::Pkcs7 | Kind::Unknown);
        let mut all = Vec::new();
        for block in pem::blocks(text, wanted)? {
            let shape = Shape::of(&block.der);
            match (block.label.kind, shape) {
                (Kind::Pkcs7, _) => return Err(form::pkcs7("certificate")),
                (Kind::Unknown, Some(Shape::Certificate | Shape::Pkcs7)) => {
                    let problem = "one is in a block whose label is unknown to OpenSSL";
                    return Err(Error::malformed("certificate", problem));
                }
                (Kind::Unknown, _) => {}
                _ if block.encrypted => {
                    let problem = "one is in an encrypted block";
                    return Err(Error::malformed("certificate", problem));
                }
                (_, Some(Shape::Certificate) | None) => {
                    all.extend(Self::all_from_structures(&block.der)?);
                }
                (_, shape) => return Err(form::not_a("certificate", shape)),
            }
        }
        Ok(all)
    }

    /// The certificates that `der` holds one after the other. What OpenSSL appends to a trusted certificate, and
    /// anything else that follows, is passed over.
    pub(crate) fn all_from_structures(der: &[u8]) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        let mut rest = der;
        loop {
            let (first, after) = form::first(rest).unwrap_or((rest, &[]));
            all.push(Self::from_der(first)?);
            if Shape::of(after) != Some(Shape::Certificate) {
                return Ok(all);
            }
            rest = after;
        }
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
        serial_hex(self.serial_bytes())
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

    /// Where its issuer's revocation list can be fetched; `None` when it says so in another way than by URIs.
    pub(crate) fn revocation_lists(&self) -> Option<Vec<crate::Uri>> {
        profile::revocation_lists_of(self.extensions())
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

    /// How many of its alternative names are of a kind or form that [`San`] does not have.
    pub(crate) fn foreign_name_count(&self) -> usize {
        let names = profile::find::<SubjectAltName>(self.extensions());
        let names = names.iter().flat_map(|names| names.0.iter());
        names.filter(|name| profile::san_of(name).is_none()).count()
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

    /// The public key.
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
    /// [`Error::UnsupportedSignature`] when the issuer's key is not ECDSA P-256 or the hash is unknown, so that nothing can
    /// be said.
    pub fn is_signed_by(&self, issuer: &Self) -> Result<bool, Error> {
        if self.issuer() != issuer.subject() {
            return Ok(false);
        }
        if let (Some(theirs), Some(ours)) = (issuer.subject_key_id(), self.authority_key_id()) {
            if theirs != ours {
                return Ok(false);
            }
        }
        self.has_signature_by(issuer)
    }

    /// Whether the signature alone holds, whatever the names say.
    pub(crate) fn has_signature_by(&self, issuer: &Self) -> Result<bool, Error> {
        if self.outer_algorithm() != self.tbs().signature() {
            return Ok(false);
        }
        let key = issuer.tbs().subject_public_key_info().owned_to_ref();
        let signature = self.parsed.signature().as_bytes().unwrap_or_default();
        signature::holds(
            &key,
            self.outer_algorithm(),
            self.signed_bytes()?,
            signature,
        )
    }

    /// The length of its key, if that is of RSA.
    pub(crate) fn rsa_bits(&self) -> Option<usize> {
        let info = self.tbs().subject_public_key_info();
        if info.algorithm.oid != crate::algorithm::RSA {
            return None;
        }
        public_key::rsa_bits(info.subject_public_key.as_bytes()?)
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
            Ok(key) if key.is_p256() => Ok(()),
            Ok(_) | Err(Error::UnsupportedKey { .. }) => Err(Error::UnsupportedKey {
                algorithm: self.key_algorithm(),
                purpose: "signing",
            }),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn require_key(&self, key: &PrivateKey) -> Result<(), Error> {
        // The keys, not their encodings: a point may be compressed.
        if self.public_key().is_ok_and(|own| &own == key.public_key()) {
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

    /// The extension of type `T`, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when it is there twice or cannot be read.
    pub(crate) fn find<'a, T: Decode<'a> + AssociatedOid>(&'a self) -> Result<Option<T>, Error> {
        profile::find_whole(self.extensions())
    }

    pub(crate) fn serial_number(&self) -> &SerialNumber {
        self.parsed.tbs_certificate().serial_number()
    }

    /// Whether it names its issuer by the issuer's serial number too, as easy-rsa has it.
    pub(crate) fn names_serial_of_issuer(&self) -> bool {
        profile::find::<AuthorityKeyIdentifier>(self.extensions())
            .is_some_and(|identifier| identifier.authority_cert_serial_number.is_some())
    }

    /// Whether it names `issuer`, which may have signed it, by the issuer's serial number.
    #[cfg(all(feature = "store", unix))]
    pub(crate) fn names_serial_of(&self, issuer: &Self) -> bool {
        let identifier = profile::find::<AuthorityKeyIdentifier>(self.extensions());
        let serial = identifier.and_then(|identifier| identifier.authority_cert_serial_number);
        self.issuer() == issuer.subject() && serial.as_ref() == Some(issuer.serial_number())
    }

    /// Whether what `identifier` says of an authority is true of this one, and enough to know it by: its key identifier,
    /// and where they are given, the name of its issuer and its serial number.
    pub(crate) fn is_named_by(&self, identifier: &AuthorityKeyIdentifier) -> bool {
        let key = identifier.key_identifier.as_ref();
        key.is_some_and(|key| self.subject_key_id().as_deref() == Some(key.as_bytes()))
            && !self.is_denied_by(identifier)
    }

    /// Whether something that `identifier` says of an authority is not true of this one; that is how OpenSSL judges.
    pub(crate) fn is_denied_by(&self, identifier: &AuthorityKeyIdentifier) -> bool {
        let key = identifier.key_identifier.as_ref();
        let other_key = match (key, self.subject_key_id()) {
            (Some(key), Some(own)) => own != key.as_bytes(),
            _ => false,
        };
        let serial = identifier.authority_cert_serial_number.as_ref();
        let other_serial = serial.is_some_and(|serial| serial != self.serial_number());
        let mut names = identifier.authority_cert_issuer.iter().flatten();
        let first = names.find_map(|name| match name {
            GeneralName::DirectoryName(name) => Some(name),
            _ => None,
        });
        other_key || other_serial || first.is_some_and(|name| name != self.issuer())
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
