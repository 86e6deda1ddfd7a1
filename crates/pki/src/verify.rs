//! Judging chains: is this certificate, for this purpose and name, vouched for by one of these authorities?
//!
//! The judge is rustls-webpki, the one inside rustls.
//! Without the feature `ring` it knows ECDSA P-256 only, verified by the same p256 crate that signs; with it, RSA, P-384
//! and Ed25519 too.

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

use crate::{Certificate, Error, RevocationList, San, Usage, rfc3339};

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
                found: found_instead(leaf, refusal, now),
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

#[cfg(not(feature = "ring"))]
fn algorithms() -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    vec![&P256Sha256]
}

#[cfg(feature = "ring")]
fn algorithms() -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    let mut all: Vec<&'static dyn SignatureVerificationAlgorithm> = vec![&P256Sha256];
    all.extend(webpki::ALL_VERIFICATION_ALGS);
    all
}

/// ECDSA with SHA-256 on P-256, by the p256 crate.
#[derive(Debug)]
struct P256Sha256;

impl SignatureVerificationAlgorithm for P256Sha256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let point = public_key.try_into().map_err(|_| InvalidSignature)?;
        if crate::backend::verify(point, message, signature) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
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
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Refusal::UnsupportedAlgorithm,
        // An out-of-date list says nothing about anyone.
        E::CrlExpired { .. } => Refusal::Expired,
        _ => Refusal::Malformed,
    }
}
