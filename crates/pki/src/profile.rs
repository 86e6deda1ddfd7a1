//! What a certificate may be used for, and the extensions that say so.

use std::fmt;
use std::net::IpAddr;

use x509_cert::der::asn1::{Ia5String, ObjectIdentifier, OctetString};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
    KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};

use crate::constraints::Constraints;
use crate::{AuthoritySpec, DnsName, Error, San, Sans, Uri};

/// One purpose of an extended key usage (RFC 5280 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Usage {
    /// Proves a server's identity to clients.
    ServerAuth,
    /// Proves a client's identity to servers.
    ClientAuth,
    /// Signs code.
    CodeSigning,
    /// Signs or protects email.
    EmailProtection,
    /// Binds a hash to a time.
    TimeStamping,
    /// Signs OCSP responses.
    OcspSigning,
}

impl Usage {
    /// All of them, in the order of their object identifiers.
    pub const ALL: &[Self] = &[
        Self::ServerAuth,
        Self::ClientAuth,
        Self::CodeSigning,
        Self::EmailProtection,
        Self::TimeStamping,
        Self::OcspSigning,
    ];

    pub(crate) fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::ServerAuth => "1.3.6.1.5.5.7.3.1",
            Self::ClientAuth => "1.3.6.1.5.5.7.3.2",
            Self::CodeSigning => "1.3.6.1.5.5.7.3.3",
            Self::EmailProtection => "1.3.6.1.5.5.7.3.4",
            Self::TimeStamping => "1.3.6.1.5.5.7.3.8",
            Self::OcspSigning => "1.3.6.1.5.5.7.3.9",
        })
    }

    pub(crate) fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.iter().copied().find(|usage| usage.oid() == oid)
    }

    /// The name RFC 5280 gives it, for example `serverAuth`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerAuth => "serverAuth",
            Self::ClientAuth => "clientAuth",
            Self::CodeSigning => "codeSigning",
            Self::EmailProtection => "emailProtection",
            Self::TimeStamping => "timeStamping",
            Self::OcspSigning => "OCSPSigning",
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Builds one extension of standard criticality.
fn extension<T: Encode + AssociatedOid>(critical: bool, value: &T) -> Result<Extension, Error> {
    let encode = || -> x509_cert::der::Result<Extension> {
        Ok(Extension {
            extn_id: T::OID,
            critical,
            extn_value: OctetString::new(value.to_der()?)?,
        })
    };
    encode().map_err(|error| Error::malformed("certificate extension", error))
}

/// keyUsage and extendedKeyUsage of a leaf.
///
/// Elliptic curve keys sign and never encipher: kubeadm, cfssl and mkcert set keyEncipherment all the same (RFC 8813 3).
pub(crate) fn leaf_extensions(usages: &[Usage]) -> Result<Vec<Extension>, Error> {
    let oids = usages.iter().map(|usage| usage.oid()).collect();
    Ok(vec![
        extension(true, &leaf_key_usage())?,
        extension(false, &ExtendedKeyUsage(oids))?,
    ])
}

/// The key usage of a leaf of ours.
pub(crate) fn leaf_key_usage() -> KeyUsage {
    KeyUsage(KeyUsages::DigitalSignature.into())
}

/// keyUsage, basicConstraints and nameConstraints of an authority. All are critical (RFC 5280 4.2.1.3, 4.2.1.9-10).
pub(crate) fn authority_extensions(spec: &AuthoritySpec) -> Result<Vec<Extension>, Error> {
    let mut all = vec![
        extension(true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?,
        basic_constraints(spec.path_length())?,
    ];
    if !spec.constraints().is_empty() {
        all.push(name_constraints(spec.constraints())?);
    }
    Ok(all)
}

/// basicConstraints of an authority.
pub(crate) fn basic_constraints(path_length: Option<u8>) -> Result<Extension, Error> {
    extension(
        true,
        &BasicConstraints {
            ca: true,
            path_len_constraint: path_length,
        },
    )
}

pub(crate) fn name_constraints(constraints: &Constraints) -> Result<Extension, Error> {
    extension(true, &constraints.to_extension()?)
}

/// subjectKeyIdentifier and authorityKeyIdentifier; both non-critical (RFC 5280 4.2.1.1, 4.2.1.2).
pub(crate) fn identifiers(subject: &[u8], issuer: &[u8]) -> Result<[Extension; 2], Error> {
    Ok([subject_identifier(subject)?, authority_identifier(issuer)?])
}

/// authorityKeyIdentifier.
///
/// It is a copy of the issuer's own identifier, whatever hash once made it: recomputing it is how other tools come to
/// certificates that OpenSSL refuses.
pub(crate) fn authority_identifier(issuer: &[u8]) -> Result<Extension, Error> {
    extension(
        false,
        &AuthorityKeyIdentifier {
            key_identifier: Some(octets(issuer)?),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        },
    )
}

fn octets(bytes: &[u8]) -> Result<OctetString, Error> {
    OctetString::new(bytes).map_err(|error| Error::malformed("key identifier", error))
}

/// subjectKeyIdentifier; non-critical (RFC 5280 4.2.1.2).
pub(crate) fn subject_identifier(subject: &[u8]) -> Result<Extension, Error> {
    extension(false, &SubjectKeyIdentifier(octets(subject)?))
}

/// subjectAltName; not critical, since our subjects are never empty (RFC 5280 4.2.1.6).
pub(crate) fn alternative_names(sans: &Sans) -> Result<Extension, Error> {
    let text = |text: &str| {
        Ia5String::new(text).map_err(|error| Error::malformed("subject alternative name", error))
    };
    let names: Result<Vec<GeneralName>, Error> = sans
        .iter()
        .map(|san| {
            Ok(match san {
                San::Dns(name) => GeneralName::DnsName(text(name.as_str())?),
                San::Ip(address) => GeneralName::from(*address),
                San::Uri(uri) => GeneralName::UniformResourceIdentifier(text(uri.as_str())?),
            })
        })
        .collect();
    extension(false, &SubjectAltName(names?))
}

/// cRLDistributionPoints: one point, whose list is at all of `uris`; not critical (RFC 5280 4.2.1.13).
pub(crate) fn revocation_lists(uris: &[Uri]) -> Result<Extension, Error> {
    let names: Result<Vec<GeneralName>, Error> = uris
        .iter()
        .map(|uri| {
            Ia5String::new(uri.as_str())
                .map(GeneralName::UniformResourceIdentifier)
                .map_err(|error| Error::malformed("place of a revocation list", error))
        })
        .collect();
    let point = DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(names?)),
        reasons: None,
        crl_issuer: None,
    };
    extension(false, &CrlDistributionPoints(vec![point]))
}

/// Reads them back, whether one point has all or each has a point; empty where there are none, `None` for any other form.
pub(crate) fn revocation_lists_of(extensions: &[Extension]) -> Option<Vec<Uri>> {
    let mut all = extensions
        .iter()
        .filter(|extension| extension.extn_id == CrlDistributionPoints::OID);
    let Some(found) = all.next() else {
        return Some(Vec::new());
    };
    if found.critical || all.next().is_some() {
        return None;
    }
    let points = CrlDistributionPoints::from_der(found.extn_value.as_bytes()).ok()?;
    let mut uris = Vec::new();
    for point in points.0 {
        let whole = point.reasons.is_none() && point.crl_issuer.is_none();
        let Some(DistributionPointName::FullName(names)) =
            point.distribution_point.filter(|_| whole)
        else {
            return None;
        };
        for name in names {
            match san_of(&name) {
                Some(San::Uri(uri)) => uris.push(uri),
                _ => return None,
            }
        }
    }
    (!uris.is_empty()).then_some(uris)
}

/// Reads the names of ours back; `None` for a kind or form of name that [`San`] does not have.
pub(crate) fn san_of(name: &GeneralName) -> Option<San> {
    match name {
        GeneralName::DnsName(name) => DnsName::try_from(name.as_str()).ok().map(San::Dns),
        GeneralName::UniformResourceIdentifier(uri) => {
            Uri::try_from(uri.as_str()).ok().map(San::Uri)
        }
        GeneralName::IpAddress(octets) => ip_of(octets.as_bytes()).map(San::from),
        _ => None,
    }
}

pub(crate) fn ip_of(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// Decodes the extension of type `T`, if there is one, and refuses one that is there twice or cannot be read: nothing is
/// to be decided by what it might have said.
pub(crate) fn find_whole<'a, T: Decode<'a> + AssociatedOid>(
    extensions: &'a [Extension],
) -> Result<Option<T>, Error> {
    let mut all = extensions
        .iter()
        .filter(|extension| extension.extn_id == T::OID);
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let problem = if all.next().is_some() {
        "is there twice"
    } else if let Ok(value) = T::from_der(first.extn_value.as_bytes()) {
        return Ok(Some(value));
    } else {
        "cannot be read"
    };
    Err(Error::malformed(
        "extension",
        format!("{} {problem}", extension_name(T::OID)),
    ))
}

/// What an extension is called in RFC 5280, else its object identifier.
pub(crate) fn extension_name(oid: ObjectIdentifier) -> String {
    const NAMES: [(&str, &str); 19] = [
        ("2.5.29.14", "subjectKeyIdentifier"),
        ("2.5.29.15", "keyUsage"),
        ("2.5.29.17", "subjectAltName"),
        ("2.5.29.18", "issuerAltName"),
        ("2.5.29.19", "basicConstraints"),
        ("2.5.29.30", "nameConstraints"),
        ("2.5.29.31", "cRLDistributionPoints"),
        ("2.5.29.32", "certificatePolicies"),
        ("2.5.29.33", "policyMappings"),
        ("2.5.29.35", "authorityKeyIdentifier"),
        ("2.5.29.36", "policyConstraints"),
        ("2.5.29.37", "extendedKeyUsage"),
        ("2.5.29.46", "freshestCRL"),
        ("2.5.29.54", "inhibitAnyPolicy"),
        ("1.3.6.1.5.5.7.1.1", "authorityInfoAccess"),
        ("1.3.6.1.5.5.7.1.24", "tlsFeature"),
        ("2.16.840.1.113730.1.1", "netscapeCertType"),
        (TIMESTAMPS, "signedCertificateTimestampList"),
        (PRECERTIFICATE, "precertificate poison"),
    ];
    let oid = oid.to_string();
    let found = NAMES.iter().find(|(known, _)| *known == oid);
    found.map_or(oid.clone(), |(_, name)| (*name).to_owned())
}

/// Signed certificate timestamps (RFC 6962 3.3).
pub(crate) const TIMESTAMPS: &str = "1.3.6.1.4.1.11129.2.4.2";
/// What marks a precertificate (RFC 6962 3.1).
pub(crate) const PRECERTIFICATE: &str = "1.3.6.1.4.1.11129.2.4.3";

/// Decodes the extension of type `T`, if there is exactly one.
pub(crate) fn find<'a, T: Decode<'a> + AssociatedOid>(extensions: &'a [Extension]) -> Option<T> {
    let mut all = extensions
        .iter()
        .filter(|extension| extension.extn_id == T::OID);
    let first = all.next()?;
    if all.next().is_some() {
        return None;
    }
    T::from_der(first.extn_value.as_bytes()).ok()
}
