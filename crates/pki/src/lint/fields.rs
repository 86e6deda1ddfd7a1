//! Rules about the fields every certificate has.

use std::time::SystemTime;

use x509_cert::Version;
use x509_cert::der::Tagged;
use x509_cert::name::Name;

use super::Report;
use crate::{Certificate, rfc3339, subject};

pub(super) fn check(certificate: &Certificate, now: SystemTime, report: &mut Report<'_>) {
    version(certificate, report);
    serial(certificate, report);
    signature(certificate, report);
    for (which, name) in [
        ("subject", certificate.subject()),
        ("issuer", certificate.issuer()),
    ] {
        distinguished_name(which, name, report);
    }
    validity(certificate, now, report);
    groups(certificate, report);
}

fn version(certificate: &Certificate, report: &mut Report<'_>) {
    let tbs = certificate.tbs();
    if tbs.version() != Version::V3 {
        report.error("version", "is not version 3", "RFC 5280 4.1.2.1");
    }
    if tbs.issuer_unique_id().is_some() || tbs.subject_unique_id().is_some() {
        report.error("unique-id", "has a unique identifier", "RFC 5280 4.1.2.8");
    }
}

fn serial(certificate: &Certificate, report: &mut Report<'_>) {
    let bytes = certificate.serial_bytes();
    let significant = bytes.iter().skip_while(|byte| **byte == 0).count();
    if significant == 0 {
        report.error(
            "serial-zero",
            "its serial number is zero",
            "RFC 5280 4.1.2.2",
        );
    } else if certificate.serial_is_negative() {
        report.error(
            "serial-negative",
            "its serial number is negative",
            "RFC 5280 4.1.2.2",
        );
    } else if bytes.len() > 20 {
        report.error(
            "serial-long",
            "its serial number is longer than 20 octets",
            "RFC 5280 4.1.2.2",
        );
    } else if significant < 8 {
        let message = "its serial number has fewer than 64 bits and may be guessed or used twice";
        report.warning("serial-short", message, "CABF BR 7.1");
    }
}

fn signature(certificate: &Certificate, report: &mut Report<'_>) {
    if certificate.outer_algorithm() != certificate.tbs().signature() {
        let message = "the signature algorithms inside and outside differ";
        report.error("algorithm-mismatch", message, "RFC 5280 4.1.1.2");
    }
    let algorithm = certificate.outer_algorithm();
    let oid = algorithm.oid.to_string();
    if oid.starts_with("1.2.840.10045.4.") && algorithm.parameters.is_some() {
        report.error(
            "ecdsa-parameters",
            "its ECDSA algorithm has parameters",
            "RFC 5758 3.2",
        );
    }
    // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1.
    if [
        "1.2.840.113549.1.1.4",
        "1.2.840.113549.1.1.5",
        "1.2.840.10045.4.1",
    ]
    .contains(&oid.as_str())
    {
        report.error(
            "weak-hash",
            "it is signed with MD5 or SHA-1",
            "RFC 9155; Go 1.18",
        );
    }
}

fn distinguished_name(which: &str, name: &Name, report: &mut Report<'_>) {
    let attributes = name.as_ref().iter().flat_map(|rdn| rdn.iter());
    for attribute in attributes {
        let bytes = attribute.value.value();
        let text = String::from_utf8_lossy(bytes);
        if bytes.is_empty() {
            report.error(
                "name-empty",
                format!("its {which} has an empty attribute"),
                "RFC 5280 appendix A",
            );
        }
        if text.chars().any(char::is_control) {
            let message = format!("its {which} holds a control character");
            report.warning("name-control", message, "RFC 5280 appendix A");
        }
        if text.chars().count() > 64 {
            let message = format!("its {which} has an attribute longer than 64 characters");
            report.warning("name-long", message, "RFC 5280 appendix A");
        }
        let tag = attribute.value.tag();
        use x509_cert::der::Tag;
        if !matches!(tag, Tag::Utf8String | Tag::PrintableString | Tag::Ia5String) {
            let message = format!("its {which} uses a retired string type");
            report.notice("name-type", message, "RFC 5280 4.1.2.4");
        }
    }
    if which == "issuer" && subject::attribute_count(name) == 0 {
        report.error("issuer-empty", "its issuer is empty", "RFC 5280 4.1.2.4");
    }
}

fn validity(certificate: &Certificate, now: SystemTime, report: &mut Report<'_>) {
    let validity = certificate.validity();
    if validity.not_after() < validity.not_before() {
        report.error(
            "validity-reversed",
            "it ends before it starts",
            "RFC 5280 4.1.2.5",
        );
    } else if now < validity.not_before() {
        let message = format!("is not valid before {}", rfc3339(validity.not_before()));
        report.error("not-yet-valid", message, "RFC 5280 6.1.3");
    } else if !validity.contains(now) {
        let message = format!("expired at {}", rfc3339(validity.not_after()));
        report.error("expired", message, "RFC 5280 6.1.3");
    } else if validity.is_due(now) {
        let message = format!(
            "less than a third of its life is left: it ends at {}",
            rfc3339(validity.not_after())
        );
        report.notice("due", message, "smallstep: renew at 66 %");
    }
}

fn groups(certificate: &Certificate, report: &mut Report<'_>) {
    if certificate
        .organizations()
        .iter()
        .any(|name| name == "system:masters")
    {
        let message = "it is a member of `system:masters`, which no authorization rule can stop and Kubernetes cannot revoke";
        report.notice("system-masters", message, "kubeadm #2414");
    }
}
