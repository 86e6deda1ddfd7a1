//! Judging chains: is this certificate, for this purpose and name, vouched for by one of these authorities?
//!
//! What is trusted here is trusted by OpenSSL's strict mode, Go and webpki, the one inside rustls: webpki finds the path
//! and checks its signatures and dates, and what the others ask beyond that is asked here ([`lint`] finds the same).
//! Where they differ, the strictest is followed unless it is at odds with RFC 5280; `tests/judges/differential` holds this
//! against all three and says of each difference whom we follow and why.
//!
//! Without the feature `ring` it knows ECDSA P-256 only, with every hash of the SHA-2 family, verified by the same p256
//! crate that signs; with it, RSA, P-384 and Ed25519 too. What was signed by others is refused as
//! [`Refusal::UnsupportedAlgorithm`], with the algorithm's name.

mod lists;
mod p256;

use std::cell::RefCell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use webpki::{CertRevocationList, EndEntityCert, KeyUsage, VerifiedPath};
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::{Certificate, Error, RevocationList, San, Usage, lint, rfc3339, signature};

/// What a certificate is presented for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// By a client, to a server.
    Client,
    /// By a server, to a client that wanted to reach this name. URIs are compared exactly.
    Server(San),
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Server(name) => write!(f, "server `{name}`"),
        }
    }
}

/// Why a chain was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It, or an authority above it, is past its end.
    Expired,
    /// A signature does not hold.
    InvalidSignature,
    /// It is an authority's own certificate.
    IsAuthority,
    /// Something in it breaks the rules: a duplicate or unknown critical extension, a bad encoding.
    Malformed,
    /// It, or an authority above it, is not valid yet.
    NotYetValid,
    /// An authority above it may not sign what it signed: path length, name constraints, or no authority at all.
    NotAllowedByIssuer,
    /// It was revoked.
    Revoked,
    /// None of the trusted authorities, nor any sent along, signed it.
    UnknownIssuer,
    /// It was signed by an algorithm that is not known here.
    UnsupportedAlgorithm,
    /// A revocation list of its issuer's name is not signed by it, out of date, or not to be read.
    UnusableList,
    /// It is for other names.
    WrongName,
    /// It is for other purposes.
    WrongUsage,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "it is expired",
            Self::InvalidSignature => "a signature does not hold",
            Self::IsAuthority => "it is an authority's own certificate",
            Self::Malformed => "it breaks the rules of X.509",
            Self::NotYetValid => "it is not valid yet",
            Self::NotAllowedByIssuer => "an authority above it may not sign it",
            Self::Revoked => "it was revoked",
            Self::UnknownIssuer => "none of the trusted authorities signed it",
            Self::UnsupportedAlgorithm => "it was signed by an unsupported algorithm",
            Self::UnusableList => "no revocation list of its issuer can be used",
            Self::WrongName => "it is for other names",
            Self::WrongUsage => "it is for other purposes",
        })
    }
}

/// Authorities that are trusted, and what they revoked.
///
/// ```
/// # use std::time::SystemTime;
/// use caravan_pki::verify::{Purpose, Verifier};
/// # use caravan_pki::{Authority, AuthoritySpec, CommonName, Leaf, San, Sans};
/// # fn main() -> Result<(), caravan_pki::Error> {
/// # let now = SystemTime::now();
/// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("ca")?), now)?;
/// # let web = ca.issue(&Leaf::server(CommonName::try_from("web")?, Sans::parse(["web.example.com"])?), now)?;
/// let verifier = Verifier::new([ca.certificate()]);
/// let name = San::try_from("web.example.com")?;
/// verifier.verify(&[web.certificate()], &Purpose::Server(name), now)?;
/// assert!(verifier.verify(&[web.certificate()], &Purpose::Client, now).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Verifier<'a> {
    roots: Vec<&'a Certificate>,
    revoked: Vec<&'a RevocationList>,
}

/// A refusal, and what was found.
struct Refused {
    refusal: Refusal,
    found: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            found: String::new(),
        }
    }
}

/// A trusted certificate, as the judge and as we have it.
struct Root<'a> {
    anchor: TrustAnchor<'a>,
    certificate: &'a Certificate,
}

impl<'a> Verifier<'a> {
    /// Trusts `roots`. One that is no authority vouches for nothing.
    pub fn new(roots: impl IntoIterator<Item = &'a Certificate>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
            revoked: Vec::new(),
        }
    }

    /// Refuses what `list` revokes.
    ///
    /// A list speaks for the authority that signed it, and a certificate of that authority is refused if no list of its
    /// name is signed by its key and in date. Of several, the latest counts.
    #[must_use]
    pub fn with_revocation_list(mut self, list: &'a RevocationList) -> Self {
        self.revoked.push(list);
        self
    }

    /// Judges `chain` (the certificate first, then authorities between it and a root, in any order) at `now`.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`] with the [`Refusal`]; [`Error::Malformed`] for an empty chain.
    pub fn verify(
        &self,
        chain: &[&Certificate],
        purpose: &Purpose,
        now: SystemTime,
    ) -> Result<(), Error> {
        let (leaf, between) = chain
            .split_first()
            .ok_or_else(|| Error::malformed("chain", "is empty"))?;
        self.judge(leaf, between, purpose, now)
            .map_err(|Refused { refusal, found }| Error::Untrusted {
                subject: leaf.subject_shown(),
                purpose: purpose.to_string(),
                found: match refusal {
                    _ if !found.is_empty() => found,
                    Refusal::UnsupportedAlgorithm => self.unsupported(chain),
                    _ => found_instead(leaf, refusal, now),
                },
                refusal,
            })
    }

    fn judge(
        &self,
        leaf: &Certificate,
        between: &[&Certificate],
        purpose: &Purpose,
        now: SystemTime,
    ) -> Result<(), Refused> {
        let since = now
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Refusal::NotYetValid)?;
        if self.roots.is_empty() {
            return Err(Refusal::UnknownIssuer.into());
        }
        let ders: Vec<CertificateDer<'_>> = self.roots.iter().map(|root| der(root)).collect();
        let mut roots = Vec::new();
        // One that cannot be read says nothing about the others.
        let mut unreadable = Vec::new();
        for (der, certificate) in ders.iter().zip(&self.roots) {
            match webpki::anchor_from_trusted_cert(der) {
                Ok(anchor) => roots.push(Root {
                    anchor,
                    certificate,
                }),
                Err(error) => unreadable.push((*certificate, refusal(error))),
            }
        }
        let anchors: Vec<TrustAnchor<'_>> = roots.iter().map(|root| root.anchor.clone()).collect();
        let between_ders: Vec<CertificateDer<'_>> = between.iter().map(|one| der(one)).collect();
        let partial = lists::partial(&self.revoked).map_err(refusal)?;
        let partial: Vec<&CertRevocationList<'_>> = partial.iter().collect();

        let leaf_der = der(leaf);
        let leaf_cert = EndEntityCert::try_from(&leaf_der).map_err(refusal)?;
        let (usage, wanted) = match purpose {
            Purpose::Client => (KeyUsage::client_auth(), Usage::ClientAuth),
            Purpose::Server(_) => (KeyUsage::server_auth(), Usage::ServerAuth),
        };
        // What is against a path whose signatures and dates are good; the last one that was tried.
        let against: RefCell<Option<Refused>> = RefCell::new(None);
        let judge_path = |path: &VerifiedPath<'_>| {
            let mut above: Vec<&Certificate> = Vec::new();
            for one in path.intermediate_certificates() {
                let der = one.der();
                above.extend(between.iter().find(|own| own.as_der() == &der[..]));
            }
            let anchor = path.anchor();
            let mut result = Err(Refusal::UnknownIssuer.into());
            let same = |root: &&Root<'_>| {
                root.anchor.subject == anchor.subject
                    && root.anchor.subject_public_key_info == anchor.subject_public_key_info
            };
            for root in roots.iter().filter(same) {
                let whole: Vec<&Certificate> = [leaf]
                    .into_iter()
                    .chain(above.iter().copied())
                    .chain([root.certificate])
                    .collect();
                result = self.judge_path(&whole, wanted, now);
                if result.is_ok() {
                    return Ok(());
                }
            }
            if let Err(refused) = result {
                *against.borrow_mut() = Some(refused);
            }
            Err(webpki::Error::UnknownIssuer)
        };
        let verified = leaf_cert.verify_for_usage(
            &algorithms(),
            &anchors,
            &between_ders,
            UnixTime::since_unix_epoch(since),
            usage,
            lists::options(&partial),
            Some(&judge_path),
        );
        if let Err(error) = verified {
            if let Some(refused) = against.into_inner() {
                return Err(refused);
            }
            let issuers = || [leaf].into_iter().chain(between.iter().copied());
            let mut unreadable = unreadable.into_iter();
            let issuer =
                unreadable.find(|(root, _)| issuers().any(|one| one.issuer() == root.subject()));
            return Err(match (refusal(error), issuer) {
                (Refusal::UnknownIssuer, Some((_, refusal))) => refusal.into(),
                (refusal, _) => refusal.into(),
            });
        }
        let name = match purpose {
            Purpose::Client => return Ok(()),
            Purpose::Server(San::Dns(name)) => ServerName::try_from(name.as_str().to_owned())
                // A wildcard is nothing that could be reached.
                .map_err(|_| Refusal::WrongName)?,
            Purpose::Server(San::Ip(address)) => ServerName::IpAddress((*address).into()),
            Purpose::Server(uri) => {
                return if leaf.sans().contains(uri) {
                    Ok(())
                } else {
                    Err(Refusal::WrongName.into())
                };
            }
        };
        leaf_cert
            .verify_is_valid_for_subject_name(&name)
            .map_err(|error| refusal(error).into())
    }

    /// What the judge does not look at: the root beyond its name and key, what only OpenSSL and Go ask of those below,
    /// and revocation.
    fn judge_path(
        &self,
        path: &[&Certificate],
        purpose: Usage,
        now: SystemTime,
    ) -> Result<(), Refused> {
        if let Some(root) = path.last() {
            let validity = root.validity();
            if now < validity.not_before() {
                return Err(Refusal::NotYetValid.into());
            }
            if !validity.contains(now) {
                return Err(Refusal::Expired.into());
            }
        }
        if let Some(fault) = lint::faults_of_path(path, &[purpose]).into_iter().next() {
            return Err(Refused {
                refusal: refusal_by_rule(fault.rule),
                found: match fault.certificate {
                    0 => fault.message,
                    _ => format!("`{}` {}", fault.subject, fault.message),
                },
            });
        }
        for pair in path.windows(2) {
            lists::judge(&self.revoked, pair[0], pair[1], now)?;
        }
        Ok(())
    }

    /// By what the first certificate of `chain` that cannot be checked was signed.
    fn unsupported(&self, chain: &[&Certificate]) -> String {
        let known = algorithms();
        let issuers = chain.iter().chain(&self.roots);
        let mut found = chain.iter().filter_map(|certificate| {
            let by = signature::name(certificate.outer_algorithm());
            let signature = contents(certificate.outer_algorithm())?;
            let mut keys = issuers
                .clone()
                .filter(|issuer| issuer.subject() == certificate.issuer())
                .map(|issuer| {
                    (
                        issuer.key_algorithm(),
                        contents(&issuer.tbs().subject_public_key_info().algorithm),
                    )
                });
            let checks = |key: &Option<Vec<u8>>| {
                known.iter().any(|one| {
                    one.signature_alg_id().as_ref() == signature
                        && key
                            .as_deref()
                            .is_none_or(|key| one.public_key_alg_id().as_ref() == key)
                })
            };
            let subject = certificate.subject_shown();
            match keys.next() {
                Some((key, algorithm)) if !checks(&algorithm) => {
                    Some(format!("`{subject}`: {by}, key {key}"))
                }
                None if !checks(&None) => Some(format!("`{subject}`: {by}")),
                _ => None,
            }
        });
        found.next().unwrap_or_default()
    }
}

/// What a refusal is about, as far as the certificate alone shows it.
fn found_instead(leaf: &Certificate, refusal: Refusal, now: SystemTime) -> String {
    let list = |all: Vec<String>| match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    };
    let validity = leaf.validity();
    match refusal {
        Refusal::WrongName => list(leaf.sans().iter().map(San::to_string).collect()),
        Refusal::WrongUsage => list(leaf.usages().iter().map(Usage::to_string).collect()),
        Refusal::UnknownIssuer => format!("its issuer is `{}`", leaf.issuer_shown()),
        Refusal::Expired if validity.contains(now) => "an authority's end is past".to_owned(),
        Refusal::Expired => format!("at {}", rfc3339(validity.not_after())),
        Refusal::NotYetValid if now < validity.not_before() => {
            format!("before {}", rfc3339(validity.not_before()))
        }
        _ => String::new(),
    }
}

fn der(certificate: &Certificate) -> CertificateDer<'_> {
    CertificateDer::from(certificate.as_der())
}

/// What an algorithm identifier holds, in the form that the judge compares.
fn contents(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    let whole = AnyRef::from_der(&der).ok()?;
    Some(whole.value().to_vec())
}

fn algorithms() -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    let own = p256::ALL
        .iter()
        .map(|one| one as &dyn SignatureVerificationAlgorithm);
    #[cfg(feature = "ring")]
    let own = own.chain(webpki::ALL_VERIFICATION_ALGS.iter().copied());
    own.collect()
}

/// What a rule that was broken means for whoever judges.
fn refusal_by_rule(rule: &str) -> Refusal {
    match rule {
        "ca-cert-sign"
        | "issuer-no-authority"
        | "name-constraint"
        | "name-constraint-unread"
        | "path-length" => Refusal::NotAllowedByIssuer,
        "issuer-purposes" | "key-usage-purpose" | "purposes-any" | "purposes-empty" => {
            Refusal::WrongUsage
        }
        "leaf-authority" => Refusal::IsAuthority,
        _ => Refusal::Malformed,
    }
}

fn refusal(error: webpki::Error) -> Refusal {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } => Refusal::Expired,
        E::CertNotValidYet { .. } => Refusal::NotYetValid,
        E::CertRevoked => Refusal::Revoked,
        E::CertNotValidForName(_) => Refusal::WrongName,
        E::RequiredEkuNotFoundContext(_) => Refusal::WrongUsage,
        E::UnknownIssuer => Refusal::UnknownIssuer,
        E::InvalidSignatureForPublicKey => Refusal::InvalidSignature,
        E::CaUsedAsEndEntity => Refusal::IsAuthority,
        E::EndEntityUsedAsCa | E::NameConstraintViolation | E::PathLenConstraintViolated => {
            Refusal::NotAllowedByIssuer
        }
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | E::UnsupportedCrlSignatureAlgorithmContext(_)
        | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            Refusal::UnsupportedAlgorithm
        }
        E::CrlExpired { .. }
        | E::InvalidCrlNumber
        | E::InvalidCrlSignatureForPublicKey
        | E::IssuerNotCrlSigner
        | E::UnsupportedCrlVersion
        | E::UnsupportedDeltaCrl
        | E::UnsupportedIndirectCrl
        | E::UnsupportedRevocationReason
        | E::UnsupportedRevocationReasonsPartitioning => Refusal::UnusableList,
        _ => Refusal::Malformed,
    }
}
