//! Rules about certificates together.

use std::collections::HashMap;

use super::{Finding, Report, Severity};
use crate::Certificate;

/// Judges a certificate against its issuer, where that is among `all`.
pub(super) fn check_issuer(
    certificate: &Certificate,
    all: &[Certificate],
    report: &mut Report<'_>,
) {
    let candidates: Vec<&Certificate> = all
        .iter()
        .filter(|other| other.is_authority() && other.subject() == certificate.issuer())
        .collect();
    let mut signer = None;
    let mut unchecked = None;
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
    if let (Some(theirs), Some(named)) = (issuer.subject_key_id(), certificate.authority_key_id()) {
        if theirs != named {
            let message = "its authorityKeyIdentifier is not its issuer's subjectKeyIdentifier: OpenSSL refuses it";
            report.error(
                "authority-key-id-mismatch",
                message,
                "RFC 5280 4.2.1.1; rcgen #195",
            );
        }
    }
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
    let self_signed = certificate.subject() == certificate.issuer();
    if certificate.is_authority() && !self_signed && issuer.path_length() == Some(0) {
        let message = "is an authority below one of path length 0";
        report.error("path-length", message, "RFC 5280 4.2.1.9");
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
