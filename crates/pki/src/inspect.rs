//! What a certificate says, in plain fields and stable JSON.
//!
//! The JSON (feature `json`) is meant for programs: fields are only ever added, times are RFC 3339 in UTC, octets are
//! lower-case hex, and `pem` holds the certificate itself, so that nothing is lost.

use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, SubjectAltName};

use crate::form::Shape;
use crate::hex::hex;
use crate::{Certificate, Error, Uri, Usage, form, profile, rfc3339};

/// Whether a certificate is valid at the time of inspection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
pub enum State {
    /// Valid, with more than a third of its life left.
    Valid,
    /// Valid, with less than a third of its life left.
    Due,
    /// Past its end.
    Expired,
    /// Before its start.
    NotYetValid,
}

/// What a certificate says.
///
/// ```
/// # use std::time::SystemTime;
/// # use caravan_pki::{Authority, AuthoritySpec, CommonName};
/// use caravan_pki::inspect::{Inspection, State};
/// # fn main() -> Result<(), caravan_pki::Error> {
/// # let now = SystemTime::now();
/// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("example ca")?), now)?;
/// let seen = Inspection::of(ca.certificate(), now);
/// assert_eq!(seen.state, State::Valid);
/// assert_eq!(seen.subject, "CN=example ca");
/// assert_eq!(seen.key_usages, ["keyCertSign", "cRLSign"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Inspection {
    /// The subject as RFC 4514 writes it: the last attribute first.
    pub subject: String,
    /// The issuer, likewise.
    pub issuer: String,
    /// The subject's common names.
    pub common_names: Vec<String>,
    /// The subject's organizations.
    pub organizations: Vec<String>,
    /// The serial number.
    pub serial: String,
    /// The first valid second.
    pub not_before: String,
    /// The last valid second.
    pub not_after: String,
    /// Seconds until the end; 0 when past.
    pub remaining_seconds: u64,
    /// Whether it is valid.
    pub state: State,
    /// Whether it is an authority.
    pub is_authority: bool,
    /// How many authorities may stand between it and a leaf.
    pub path_length: Option<u8>,
    /// What its key may be used for, as RFC 5280 4.2.1.3 names it.
    pub key_usages: Vec<&'static str>,
    /// Its purposes; unknown ones as object identifiers.
    pub purposes: Vec<String>,
    /// Alternative names that are DNS names.
    pub dns_names: Vec<String>,
    /// Alternative names that are addresses.
    pub ip_addresses: Vec<String>,
    /// Alternative names that are URIs.
    pub uris: Vec<String>,
    /// Where the issuer's revocation list can be fetched; empty also where that is said in another way than by URIs.
    pub revocation_lists: Vec<String>,
    /// The number of alternative names of other kinds.
    pub other_names: usize,
    /// The key's algorithm, for example `ECDSA P-256`.
    pub key_algorithm: String,
    /// The object identifier of the signature's algorithm.
    pub signature_algorithm: String,
    /// subjectKeyIdentifier.
    pub subject_key_id: Option<String>,
    /// The key identifier of authorityKeyIdentifier.
    pub authority_key_id: Option<String>,
    /// The SHA-256 of the whole certificate.
    pub fingerprint: String,
    /// The SHA-256 of its public key, as kubeadm writes it: `sha256:...`.
    pub public_key_pin: String,
    /// The certificate in PEM.
    pub pem: String,
}

impl Inspection {
    /// Inspects `certificate` as of `now`.
    pub fn of(certificate: &Certificate, now: SystemTime) -> Self {
        let validity = certificate.validity();
        let names = Names::of(certificate);
        let lists = certificate.revocation_lists().unwrap_or_default();
        let spki = certificate.public_key_der().unwrap_or_default();
        Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            common_names: certificate.common_names(),
            organizations: certificate.organizations(),
            serial: certificate.serial(),
            not_before: rfc3339(validity.not_before()),
            not_after: rfc3339(validity.not_after()),
            remaining_seconds: validity.remaining(now).as_secs(),
            state: if now < validity.not_before() {
                State::NotYetValid
            } else if !validity.contains(now) {
                State::Expired
            } else if validity.is_due(now) {
                State::Due
            } else {
                State::Valid
            },
            is_authority: certificate.is_authority(),
            path_length: certificate.path_length(),
            key_usages: certificate.key_usage().map(key_usages).unwrap_or_default(),
            purposes: purposes(certificate),
            dns_names: names.dns,
            ip_addresses: names.ip,
            uris: names.uri,
            revocation_lists: lists.iter().map(Uri::to_string).collect(),
            other_names: names.other,
            key_algorithm: certificate.key_algorithm(),
            signature_algorithm: certificate.signature_algorithm().to_string(),
            subject_key_id: certificate.subject_key_id().map(|id| hex(&id)),
            authority_key_id: certificate.authority_key_id().map(|id| hex(&id)),
            fingerprint: hex(&Sha256::digest(certificate.as_der())),
            public_key_pin: format!("sha256:{}", hex(&Sha256::digest(spki))),
            pem: certificate.to_pem(),
        }
    }

    /// The JSON object, indented, without line end.
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> String {
        // Plain fields with text keys: there is nothing in them that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Certificates that stand together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Chain {
    /// The user of the kubeconfig whose certificates they are; `None` in other files.
    pub user: Option<String>,
    /// In the order of the file; of a user, its own certificate first.
    pub certificates: Vec<Certificate>,
}

/// What a file holds.
#[derive(Debug)]
#[non_exhaustive]
pub struct Contents {
    /// All certificates: one chain of a PEM or DER file, and of a kubeconfig one for each user that has one.
    pub chains: Vec<Chain>,
    /// Why the certificates of a kubeconfig's other users cannot be shown, one for each.
    pub faults: Vec<Error>,
}

/// Reads the certificates in `bytes`: DER, PEM with any number of them, or a kubeconfig with some inside.
///
/// Private keys among them are skipped, not shown. Of a kubeconfig, whose authorities are left out, these are the
/// certificates of its users, each named; where it refers to files, [`read_file`] finds them.
///
/// # Errors
///
/// [`Error::Malformed`] when there is no certificate, or a damaged one; [`Error::Unreadable`] when they are in a form
/// that is not read, with what to do. What is wrong with one user of a kubeconfig is in [`Contents::faults`].
pub fn read(bytes: &[u8]) -> Result<Contents, Error> {
    not_empty(bytes, contents(bytes, None)?)
}

/// As [`read`], of a file: what a kubeconfig refers to is looked for relative to its folder, and its users are named.
///
/// ```
/// # use std::time::SystemTime;
/// # use caravan_pki::{Authority, AuthoritySpec, CommonName};
/// use caravan_pki::inspect;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let now = SystemTime::now();
/// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("ca")?), now)?;
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("ca.crt");
/// # std::fs::write(&file, ca.certificate_pem())?;
/// let found = inspect::read_file(&file)?;
/// assert_eq!((found.chains.len(), found.faults.len()), (1, 0));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Io`], and as [`Error::InFile`] those of [`read`]. What is wrong with one user of several is in
/// [`Contents::faults`].
pub fn read_file(path: &Path) -> Result<Contents, Error> {
    let bytes = bytes_of(path)?;
    contents(&bytes, path.parent())
        .and_then(|found| not_empty(&bytes, found))
        .map_err(|error| error.in_file(path))
}

/// As [`read_file`]; nothing when there is no certificate and no user of a kubeconfig.
pub(crate) fn find_in(path: &Path) -> Result<Contents, Error> {
    contents(&bytes_of(path)?, path.parent()).map_err(|error| error.in_file(path))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

fn not_empty(bytes: &[u8], found: Contents) -> Result<Contents, Error> {
    if found.chains.is_empty() && found.faults.is_empty() {
        return Err(form::nothing_found("certificate", bytes));
    }
    Ok(found)
}

/// What is in `bytes`, which came from a file in `folder`.
fn contents(bytes: &[u8], folder: Option<&Path>) -> Result<Contents, Error> {
    let certificates = if form::is_der(bytes) {
        match Shape::of(bytes) {
            // What has no known shape may be a damaged certificate.
            Some(Shape::Certificate) | None => Certificate::all_from_structures(bytes)?,
            Some(shape) => return Err(form::not_a("certificate", Some(shape))),
        }
    } else {
        Certificate::all_in_blocks(bytes)?
    };
    if certificates.is_empty() {
        return in_kubeconfig(bytes, folder);
    }
    let user = None;
    Ok(Contents {
        chains: vec![Chain { user, certificates }],
        faults: Vec::new(),
    })
}

/// The client certificates of a kubeconfig. Its authorities are left out: expiry is that of the users.
fn in_kubeconfig(bytes: &[u8], folder: Option<&Path>) -> Result<Contents, Error> {
    let mut found = Contents {
        chains: Vec::new(),
        faults: Vec::new(),
    };
    #[cfg(feature = "yaml")]
    if let Ok(text) = std::str::from_utf8(bytes) {
        let users = crate::kubernetes::users::users(text)?.unwrap_or_default();
        let is_alone = users.len() == 1;
        for user in users {
            match certificates_of(&user, folder, is_alone) {
                Ok(certificates) => found.chains.push(Chain {
                    user: Some(user.name),
                    certificates,
                }),
                Err(fault) => found.faults.push(fault),
            }
        }
    }
    #[cfg(not(feature = "yaml"))]
    let _ = (bytes, folder, &mut found);
    Ok(found)
}

#[cfg(feature = "yaml")]
fn certificates_of(
    user: &crate::kubernetes::users::User,
    folder: Option<&Path>,
    is_alone: bool,
) -> Result<Vec<Certificate>, Error> {
    use crate::kubernetes::users::Proof;
    let malformed = |problem: String| Error::malformed("kubeconfig", problem);
    let said = |key: &str, what: String| {
        malformed(format!(
            "`{key}` of user `{}` {what}",
            user.name.escape_debug()
        ))
    };
    match &user.proof {
        Ok(Proof::Certificate(pem)) => match Certificate::all_in_blocks(pem) {
            Ok(none) if none.is_empty() => Err(said(
                "client-certificate-data",
                "holds no certificate in PEM".to_owned(),
            )),
            Err(error) => Err(said(
                "client-certificate-data",
                format!("is unusable: {error}"),
            )),
            found => found,
        },
        Ok(Proof::File(file)) => {
            let Some(folder) = folder else {
                let what = format!("is the file `{}`, which is not read here", file.display());
                return Err(said("client-certificate", what));
            };
            let path = folder.join(file);
            let found = Certificate::all_in_blocks(&bytes_of(&path)?)
                .map_err(|error| error.in_file(&path))?;
            if found.is_empty() {
                return Err(Error::NoCertificate { path });
            }
            Ok(found)
        }
        Ok(Proof::Other(instead)) => Err(Error::NoUserCertificate {
            user: (!is_alone).then(|| user.name.clone()),
            instead: *instead,
        }),
        Err(problem) => Err(malformed(problem.clone())),
    }
}

fn key_usages(usage: KeyUsage) -> Vec<&'static str> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

fn purposes(certificate: &Certificate) -> Vec<String> {
    let usages = profile::find::<ExtendedKeyUsage>(certificate.extensions());
    let oids = usages.iter().flat_map(|usages| usages.0.iter());
    oids.map(|oid| match Usage::from_oid(*oid) {
        Some(usage) => usage.name().to_owned(),
        None => oid.to_string(),
    })
    .collect()
}

#[derive(Default)]
struct Names {
    dns: Vec<String>,
    ip: Vec<String>,
    uri: Vec<String>,
    other: usize,
}

impl Names {
    fn of(certificate: &Certificate) -> Self {
        let mut names = Self::default();
        let found = profile::find::<SubjectAltName>(certificate.extensions());
        for name in found.iter().flat_map(|found| found.0.iter()) {
            match name {
                GeneralName::DnsName(name) => names.dns.push(name.as_str().to_owned()),
                GeneralName::UniformResourceIdentifier(uri) => {
                    names.uri.push(uri.as_str().to_owned())
                }
                GeneralName::IpAddress(octets) => {
                    names.ip.push(match profile::ip_of(octets.as_bytes()) {
                        Some(address) => address.to_string(),
                        None => hex(octets.as_bytes()),
                    })
                }
                _ => names.other += 1,
            }
        }
        names
    }
}
