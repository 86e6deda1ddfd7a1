//! Judging chains: is this certificate, for this purpose and name, vouched for by one of these authorities?
//!
//! The judge is rustls-webpki, the one inside rustls.
//! Without the feature `ring` it knows ECDSA P-256 only, with every hash of the SHA-2 family, verified by the same p256
//! crate that signs; with it, RSA, P-384 and Ed25519 too. What was signed by others is refused as
//! [`Refusal::UnsupportedAlgorithm`], with the algorithm's name.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName,
    SignatureVerificationAlgorithm, TrustAnchor, UnixTime, alg_id,
};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::backend::{self, Hash};
use crate::{Certificate, Error, RevocationList, San, Usage, rfc3339, signature};

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

impl<'a> Verifier<'a> {
    /// Trusts `roots`.
    pub fn new(roots: impl IntoIterator<Item = &'a Certificate>) -> Self {
        Self {
            roots: roots.into_iter().collect(),
            revoked: Vec::new(),
        }
    }

    /// Refuses what `list` revokes. The list must be signed by the issuer it speaks for, and be in date.
    #[must_use]
    pub fn with_revocation_list(mut self, list: &'a RevocationList) -> Self {
        self.revoked.push(list);
        self
    }

    /// Judges `chain` (the certificate first, then authorities between it and a root, in any order) at `now`.
    ///
    /// # Errors
    ///
    /// [`Error::Untrusted`] with the [`Refusal`]; [`Error::Malformed`] for an empty chain or one that cannot be read.
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
            .map_err(|refusal| Error::Untrusted {
                subject: leaf.subject_shown(),
                purpose: purpose.to_string(),
                found: match refusal {
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
    ) -> Result<(), Refusal> {
        let since = now
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Refusal::NotYetValid)?;
        // A trust anchor has no validity to webpki; to its owner it has.
        let roots = self.valid_roots(now)?;
        let roots: Vec<CertificateDer<'_>> = roots.iter().map(|root| der(root)).collect();
        let anchors: Result<Vec<TrustAnchor<'_>>, webpki::Error> =
            roots.iter().map(webpki::anchor_from_trusted_cert).collect();
        let anchors = anchors.map_err(refusal)?;
        let between: Vec<CertificateDer<'_>> = between.iter().map(|one| der(one)).collect();
        let lists: Result<Vec<CertRevocationList<'_>>, webpki::Error> = self
            .revoked
            .iter()
            .map(|list| BorrowedCertRevocationList::from_der(list.as_der()).map(Into::into))
            .collect();
        let lists = lists.map_err(refusal)?;
        let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
        // A list speaks for one issuer; that of another has no say.
        let options = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_status_policy(UnknownStatusPolicy::Allow)
                .build()
        });

        let leaf_der = der(leaf);
        let leaf_cert = EndEntityCert::try_from(&leaf_der).map_err(refusal)?;
        let usage = match purpose {
            Purpose::Client => KeyUsage::client_auth(),
            Purpose::Server(_) => KeyUsage::server_auth(),
        };
        leaf_cert
            .verify_for_usage(
                &algorithms(),
                &anchors,
                &between,
                UnixTime::since_unix_epoch(since),
                usage,
                options,
                None,
            )
            .map_err(refusal)?;
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
                    Err(Refusal::WrongName)
                };
            }
        };
        leaf_cert
            .verify_is_valid_for_subject_name(&name)
            .map_err(refusal)
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

    fn valid_roots(&self, now: SystemTime) -> Result<Vec<&'a Certificate>, Refusal> {
        let valid: Vec<&Certificate> = self
            .roots
            .iter()
            .copied()
            .filter(|root| root.validity().contains(now))
            .collect();
        if !valid.is_empty() {
            return Ok(valid);
        }
        Err(match self.roots.first() {
            None => Refusal::UnknownIssuer,
            Some(root) if now < root.validity().not_before() => Refusal::NotYetValid,
            Some(_) => Refusal::Expired,
        })
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
    let own = P256::ALL
        .iter()
        .map(|one| one as &dyn SignatureVerificationAlgorithm);
    #[cfg(feature = "ring")]
    let own = own.chain(webpki::ALL_VERIFICATION_ALGS.iter().copied());
    own.collect()
}

/// ECDSA on P-256 with one hash, by the p256 crate.
#[derive(Debug)]
struct P256 {
    hash: Hash,
    signature: AlgorithmIdentifier,
}

impl P256 {
    const ALL: [Self; 4] = [
        Self::new(Hash::Sha256, alg_id::ECDSA_SHA256),
        Self::new(Hash::Sha384, alg_id::ECDSA_SHA384),
        Self::new(Hash::Sha512, alg_id::ECDSA_SHA512),
        // ecdsa-with-SHA224 (RFC 5758 3.2).
        Self::new(
            Hash::Sha224,
            AlgorithmIdentifier::from_slice(&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1]),
        ),
    ];

    const fn new(hash: Hash, signature: AlgorithmIdentifier) -> Self {
        Self { hash, signature }
    }
}

impl SignatureVerificationAlgorithm for P256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let point = backend::read_point(public_key).ok_or(InvalidSignature)?;
        if backend::verify(&point, self.hash, message, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
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
        E::InvalidSignatureForPublicKey | E::InvalidCrlSignatureForPublicKey => {
            Refusal::InvalidSignature
        }
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
        // An out-of-date list says nothing about anyone.
        E::CrlExpired { .. } => Refusal::Expired,
        _ => Refusal::Malformed,
    }
}
