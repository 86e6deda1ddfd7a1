//! Certificate signing requests: a key's holder asks, an authority decides.

use std::fmt;

use x509_cert::attr::{Attribute, Attributes};
use x509_cert::der::asn1::{Any, BitString, ObjectIdentifier, SetOfVec};
use x509_cert::der::{Decode, Encode, Header, Reader, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfo};

use crate::pem::Kind;
use crate::signature::ECDSA_WITH_SHA256;
use crate::{
    Error, PrivateKey, PublicKey, San, Sans, Subject, form, pem, profile, signature, subject,
};

/// extensionRequest (RFC 2985 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// A certificate signing request (PKCS #10, RFC 2986).
///
/// Whoever holds one knows what was asked for, and nothing more: see
/// [`CertificateRequest::verify_possession`] and [`RequestPolicy`](crate::RequestPolicy).
///
/// ```
/// # use std::time::SystemTime;
/// use caravan_pki::{Authority, AuthoritySpec, CertificateRequest, CommonName, DnsName, PrivateKey, RequestPolicy, Sans, Subject};
/// # fn main() -> Result<(), caravan_pki::Error> {
/// # let now = SystemTime::now();
/// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("example ca")?), now)?;
/// // On the machine that keeps the key:
/// let key = PrivateKey::generate()?;
/// let subject = Subject::new(CommonName::try_from("web.example.com")?);
/// let request = CertificateRequest::create(&key, &subject, Some(&Sans::parse(["web.example.com"])?))?;
///
/// // Where the authority is:
/// let request = CertificateRequest::from_pem(request.to_pem().as_bytes())?;
/// let policy = RequestPolicy::server().with_domain(DnsName::try_from("example.com")?);
/// let certificate = ca.sign_request(&request, &policy, now)?;
/// assert_eq!(certificate.sans().len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    der: Vec<u8>,
    parsed: CertReq,
}

impl CertificateRequest {
    /// Asks for a certificate of `subject` and `sans` for `key`.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when the names cannot be encoded, which validated names always can.
    pub fn create(key: &PrivateKey, subject: &Subject, sans: Option<&Sans>) -> Result<Self, Error> {
        let mut attributes = Attributes::default();
        if let Some(sans) = sans {
            // Only when there is something to ask for: an empty request is refused by some authorities.
            let attribute = extension_request(vec![profile::alternative_names(sans)?])?;
            attributes.insert(attribute).map_err(malformed)?;
        }
        let info = CertReqInfo {
            version: Version::V1,
            subject: subject.to_name()?,
            public_key: SubjectPublicKeyInfo::try_from(&key.public_key().to_der()[..])
                .map_err(malformed)?,
            attributes,
        };
        let signature = key.sign(&info.to_der().map_err(malformed)?)?;
        let parsed = CertReq {
            info,
            algorithm: AlgorithmIdentifierOwned {
                oid: ECDSA_WITH_SHA256,
                parameters: None,
            },
            signature: BitString::from_bytes(&signature).map_err(malformed)?,
        };
        Ok(Self {
            der: parsed.to_der().map_err(malformed)?,
            parsed,
        })
    }

    /// Reads DER.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] for anything but one whole request.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parsed = CertReq::from_der(der).map_err(malformed)?;
        Ok(Self {
            der: der.to_vec(),
            parsed,
        })
    }

    /// Reads the one request in `text`.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when there is none, or more than one block.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        match &pem::blocks(text, |kind| kind == Kind::Request)?[..] {
            [block] => {
                let first = form::first(&block.der);
                Self::from_der(first.map_or(&block.der[..], |(first, _)| first))
            }
            [] => Err(form::nothing_found("certificate request", text)),
            _ => Err(malformed("more than one where one is expected")),
        }
    }

    /// A `CERTIFICATE REQUEST` block.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.der)
    }

    /// The DER bytes.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Proves that whoever asked has the private key, and returns the public one.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedKey`] for keys other than [`PublicKey`] holds; [`Error::UnsupportedSignature`] for unknown
    /// hashes, and, without the feature `ring`, for keys other than ECDSA P-256; [`Error::Malformed`] when the signature does
    /// not hold.
    pub fn verify_possession(&self) -> Result<PublicKey, Error> {
        let key = PublicKey::from_der(&self.parsed.info.public_key.to_der().map_err(malformed)?)?;
        let signature = self.parsed.signature.as_bytes().unwrap_or_default();
        let mut reader = SliceReader::new(&self.der).map_err(malformed)?;
        Header::decode(&mut reader).map_err(malformed)?;
        let signed = reader.tlv_bytes().map_err(malformed)?;
        if !signature::holds_by(&key, &self.parsed.algorithm, signed, signature)? {
            return Err(malformed("its signature is not that of its key"));
        }
        Ok(key)
    }

    /// The subject it asks for, for messages.
    pub fn subject_shown(&self) -> String {
        subject::shown(&self.parsed.info.subject)
    }

    /// The common names it asks for.
    pub fn common_names(&self) -> Vec<String> {
        subject::common_names(&self.parsed.info.subject)
    }

    /// The organizations it asks for.
    pub fn organizations(&self) -> Vec<String> {
        subject::organizations(&self.parsed.info.subject)
    }

    /// Whether the subject has attributes other than common name and organization.
    pub(crate) fn has_other_attributes(&self) -> bool {
        let known = self.common_names().len() + self.organizations().len();
        subject::attribute_count(&self.parsed.info.subject) != known
    }

    /// The alternative names it asks for.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when they cannot be read, or when there is one of a kind or form that this crate does not
    /// write, so that none is lost silently.
    pub fn sans(&self) -> Result<Vec<San>, Error> {
        let extensions = self.extensions()?;
        let found = profile::find_whole::<SubjectAltName>(&extensions);
        let Some(names) = found.map_err(malformed)? else {
            return Ok(Vec::new());
        };
        names
            .0
            .iter()
            .map(|name| {
                profile::san_of(name)
                    .ok_or_else(|| malformed("it asks for an alternative name of an unknown kind"))
            })
            .collect()
    }

    /// Whether it asks to become an authority.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when that cannot be told.
    pub fn asks_for_authority(&self) -> Result<bool, Error> {
        let extensions = self.extensions()?;
        let found = profile::find_whole::<BasicConstraints>(&extensions);
        Ok(found.map_err(malformed)?.is_some_and(|basic| basic.ca))
    }

    /// The extensions it asks for; refused if one is asked for twice.
    fn extensions(&self) -> Result<Vec<Extension>, Error> {
        let mut all = Vec::new();
        for attribute in self.parsed.info.attributes.iter() {
            if attribute.oid == EXTENSION_REQUEST {
                for value in attribute.values.iter() {
                    let request: ExtensionReq =
                        ExtensionReq::from_der(&value.to_der().map_err(malformed)?)
                            .map_err(malformed)?;
                    all.extend(request.0);
                }
            }
        }
        let mut oids: Vec<_> = all.iter().map(|extension| extension.extn_id).collect();
        oids.sort();
        if oids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(malformed("it asks for one extension twice"));
        }
        Ok(all)
    }
}

impl fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateRequest")
            .field("subject", &self.subject_shown())
            .finish_non_exhaustive()
    }
}

fn extension_request(extensions: Vec<Extension>) -> Result<Attribute, Error> {
    let mut values = SetOfVec::new();
    values
        .insert(Any::encode_from(&extensions).map_err(malformed)?)
        .map_err(malformed)?;
    Ok(Attribute {
        oid: EXTENSION_REQUEST,
        values,
    })
}

fn malformed(problem: impl ToString) -> Error {
    Error::malformed("certificate request", problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommonName;

    fn request(sans: Option<&[&str]>) -> CertificateRequest {
        let key = PrivateKey::generate().unwrap();
        let subject = Subject::new(CommonName::try_from("web").unwrap());
        let sans = sans.map(|names| Sans::parse(names.iter().copied()).unwrap());
        CertificateRequest::create(&key, &subject, sans.as_ref()).unwrap()
    }

    #[test]
    fn what_was_asked_is_read_back() {
        let made = request(Some(&["web.example.com", "10.0.0.1"]));
        let read = CertificateRequest::from_pem(made.to_pem().as_bytes()).unwrap();
        assert_eq!(read, made);
        assert_eq!(read.common_names(), ["web"]);
        assert_eq!(read.sans().unwrap().len(), 2);
        read.verify_possession().unwrap();
        assert_eq!(request(None).sans().unwrap(), []);
    }

    #[test]
    fn a_changed_request_proves_nothing() {
        let made = request(Some(&["web.example.com"]));
        let mut der = made.der.clone();
        let at = der.windows(3).position(|bytes| bytes == b"web").unwrap();
        der[at] = b'v';
        let changed = CertificateRequest::from_der(&der).unwrap();
        let error = changed.verify_possession().unwrap_err().to_string();
        assert!(error.contains("not that of its key"), "{error}");
    }
}
