//! Rules about a certificate and the authorities above it: one set for findings, for judging chains, and for what is about
//! to be signed.

use std::time::SystemTime;

use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, ExtendedKeyUsage, NameConstraints};

use super::{Finding, Report, Severity, extensions, fields, names};
use crate::{Certificate, Usage, profile};

/// Judges the first certificate of `path` by those that stand above it, nearest first. `purposes` are what it is wanted
/// for.
pub(super) fn check(path: &[&Certificate], purposes: &[Usage], report: &mut Report<'_>) {
    let Some((certificate, above)) = path.split_first() else {
        return;
    };
    let by_itself = (certificate.subject() == certificate.issuer()).then_some(certificate);
    if let Some(issuer) = above.first().or(by_itself) {
        key_identifier(certificate, issuer, report);
    }
    for (index, authority) in above.iter().enumerate() {
        depth(certificate, authority, index, report);
        for purpose in purposes {
            nested_purpose(*purpose, authority, report);
        }
        if let Some(constraints) = profile::find::<NameConstraints>(authority.extensions()) {
            let mut is_critical = authority.extensions().iter();
            let is_critical =
                is_critical.any(|one| one.extn_id == NameConstraints::OID && one.critical);
            let is_leaf = !certificate.is_authority();
            for problem in names::check(&constraints, is_critical, authority, certificate, is_leaf)
            {
                report.error(problem.rule, problem.message, "RFC 5280 4.2.1.10");
            }
        }
    }
}

fn key_identifier(certificate: &Certificate, issuer: &Certificate, report: &mut Report<'_>) {
    let identifier = profile::find::<AuthorityKeyIdentifier>(certificate.extensions());
    if identifier.is_some_and(|identifier| issuer.is_denied_by(&identifier)) {
        let message = "its authorityKeyIdentifier is not its issuer's subjectKeyIdentifier, or not its issuer's serial number: OpenSSL refuses it";
        report.error(
            "authority-key-id-mismatch",
            message,
            "RFC 5280 4.2.1.1; rcgen #195",
        );
    }
}

/// The path length of `authority`, with `between` other authorities before `certificate`.
fn depth(
    certificate: &Certificate,
    authority: &Certificate,
    between: usize,
    report: &mut Report<'_>,
) {
    let Some(limit) = authority.path_length().map(usize::from) else {
        return;
    };
    let by = authority.subject_shown();
    if certificate.is_authority() && between >= limit {
        let message = match (limit, between) {
            (0, 0) => "is an authority below one of path length 0".to_owned(),
            _ => format!("is an authority too deep below `{by}`, of path length {limit}"),
        };
        report.error("path-length", message, "RFC 5280 4.2.1.9");
    } else if between > limit {
        let message = format!("stands below {between} authorities, where `{by}` allows {limit}");
        report.error("path-length", message, "RFC 5280 4.2.1.9");
    }
}

/// Whether an authority's purposes, where it lists any, allow the one that something below it is wanted for.
fn nested_purpose(purpose: Usage, authority: &Certificate, report: &mut Report<'_>) {
    let listed = profile::find::<ExtendedKeyUsage>(authority.extensions());
    let Some(listed) = listed.filter(|listed| !listed.0.is_empty()) else {
        return;
    };
    if !listed.0.contains(&purpose.oid()) {
        let message = format!(
            "is refused as {purpose}, since `{}` above it lists other purposes",
            authority.subject_shown()
        );
        report.error("issuer-purposes", message, "RFC 5280 4.2.1.12; Go, OpenSSL");
    }
}

/// What no verifier refuses although it is against the rules: linters do.
const LINTERS_ALONE: [&str; 6] = [
    "ec-encipherment",
    "name-empty",
    "san-address-as-name",
    "serial-long",
    "serial-zero",
    "server-names",
];

/// Those of a certificate's time and signature, which are judged otherwise.
const NOT_OF_FORM: [&str; 5] = [
    "expired",
    "not-yet-valid",
    "validity-reversed",
    "weak-hash",
    "ecdsa-parameters",
];

/// What OpenSSL's strict mode, Go or webpki would refuse in `path` (the leaf, its issuer, and so on up to the anchor),
/// signatures and dates apart, if the leaf is presented for `purposes`.
#[cfg(feature = "verify")]
pub(crate) fn faults_of_path(path: &[&Certificate], purposes: &[Usage]) -> Vec<Finding> {
    faults(path, purposes, false)
}

/// `may_sign`: the first of `path` may be an authority, judged as one.
fn faults(path: &[&Certificate], purposes: &[Usage], may_sign: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, certificate) in path.iter().enumerate() {
        let mut report = Report {
            certificate: index,
            subject: certificate.subject_shown(),
            findings: &mut findings,
        };
        let own = certificate.validity().not_before();
        fields::check(certificate, own, &mut report);
        let as_authority = index > 0 || may_sign && certificate.is_authority();
        extensions::check_in_path(certificate, as_authority, &mut report);
        let purposes = if index == 0 { purposes } else { &[] };
        for purpose in purposes {
            extensions::key_usage_for(certificate, *purpose, &mut report);
        }
        check(&path[index..], purposes, &mut report);
    }
    findings.retain(|finding| {
        finding.severity == Severity::Error
            && !LINTERS_ALONE.contains(&finding.rule)
            && !NOT_OF_FORM.contains(&finding.rule)
    });
    findings
}

/// The first reason for which the leaf of `path`, just made, would be refused for one of its purposes.
///
/// What only rustls refuses, since it does not read constraints of URIs and mail addresses, is no reason: there are others
/// to whom such a certificate is of use.
pub(crate) fn first_fault_of_made(path: &[&Certificate]) -> Option<Finding> {
    let purposes = path.first().map(|made| made.usages()).unwrap_or_default();
    faults(path, &purposes, true)
        .into_iter()
        .find(|finding| finding.rule != names::UNREAD)
}

/// The authorities above `certificate` among `all`, nearest first, as far as they can be told: by signature, else, where
/// that cannot be checked, by name and key identifier.
pub(super) fn above<'a>(
    certificate: &'a Certificate,
    all: &'a [Certificate],
    now: SystemTime,
) -> Vec<&'a Certificate> {
    let mut found: Vec<&Certificate> = Vec::new();
    let mut current = certificate;
    // Longer than any path; what goes round in a circle ends.
    while found.len() < 10 && current.subject() != current.issuer() {
        let mut candidates: Vec<&Certificate> = all
            .iter()
            .filter(|other| other.is_authority() && other.subject() == current.issuer())
            .filter(|other| match current.has_signature_by(other) {
                Ok(signed) => signed,
                Err(_) => profile::find::<AuthorityKeyIdentifier>(current.extensions())
                    .is_none_or(|identifier| !other.is_denied_by(&identifier)),
            })
            .collect();
        // Of several with one key, the one that is valid.
        candidates.sort_by_key(|other| !other.validity().contains(now));
        let Some(next) = candidates.first().copied() else {
            break;
        };
        if found.contains(&next) {
            break;
        }
        found.push(next);
        current = next;
    }
    found
}
