//! Rules about certificates together.

use std::collections::HashMap;
use std::time::SystemTime;

use super::{Finding, Report, Severity, path};
use crate::Certificate;

/// Judges a certificate against its issuer, where that is among `all`.
pub(super) fn check_issuer(
    certificate: &Certificate,
    all: &[Certificate],
    now: SystemTime,
    report: &mut Report<'_>,
) {
    let above = path::above(certificate, all, now);
    let whole: Vec<&Certificate> = [certificate].into_iter().chain(above).collect();
    path::check(&whole, &certificate.usages(), report);
    let candidates: Vec<&Certificate> = all
        .iter()
        .filter(|other| other.is_authority() && other.subject() == certificate.issuer())
        .collect();
    let mut signer = None;
    let mut unchecked = None;
    let signed_by_a_leaf = candidates.is_empty()
        && all.iter().any(|other| {
            !other.is_authority()
                && other.subject() == certificate.issuer()
                && certificate.has_signature_by(other).unwrap_or(false)
        });
    if signed_by_a_leaf && certificate.subject() != certificate.issuer() {
        let message = "what signed it is no authority";
        report.error("issuer-no-authority", message, "RFC 5280 4.2.1.9");
    }
    for issuer in &candidates {
        match certificate.has_signature_by(issuer) {
            Ok(true) => signer = signer.or(Some(issuer)),
            Ok(false) => {}
            Err(error) => unchecked = Some(error),
        }
    }
    let Some(issuer) = signer else {
        // Whoever cannot be checked here may have signed it.
        if let Some(error) = unchecked {
            let message = format!("whether its issuer signed it is unknown: {error}");
            report.notice("signature-unchecked", message, "RFC 5280 6.1.3");
        } else if !candidates.is_empty() {
            let message = "an authority of its issuer's name is here, and did not sign it";
            report.error("issuer-signature", message, "RFC 5280 6.1.3");
        }
        return;
    };
    let (own, above) = (certificate.validity(), issuer.validity());
    if own.not_after() > above.not_after() {
        report.warning(
            "outlives-issuer",
            "is valid longer than its issuer",
            "RFC 5280 6.1.3",
        );
    }
    if own.not_before() < above.not_before() {
        report.notice(
            "predates-issuer",
            "starts before its issuer does",
            "RFC 5280 6.1.3",
        );
    }
}

/// etcd compares serial numbers only, whoever the issuer: one used twice revokes two certificates.
pub(super) fn check_serials(all: &[Certificate], findings: &mut Vec<Finding>) {
    let mut first: HashMap<String, &Certificate> = HashMap::new();
    for (index, certificate) in all.iter().enumerate() {
        match first.get(&certificate.serial()) {
            // The same certificate in two files is one certificate.
            Some(other) if other.as_der() != certificate.as_der() => findings.push(Finding {
                rule: "serial-twice",
                severity: if other.issuer() == certificate.issuer() {
                    Severity::Error
                } else {
                    Severity::Warning
                },
                certificate: index,
                subject: certificate.subject_shown(),
                message: format!("has the serial number of `{}`", other.subject_shown()),
                source: "RFC 5280 4.1.2.2; etcd checkCRL",
            }),
            Some(_) => {}
            None => {
                first.insert(certificate.serial(), certificate);
            }
        }
    }
}
