//! Rules about extensions.

use std::collections::HashSet;

use x509_cert::der::Encode;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
    SubjectKeyIdentifier,
};

use super::Report;
use crate::{Certificate, DnsName, Usage, profile, subject};

pub(super) fn check(certificate: &Certificate, report: &mut Report<'_>) {
    let extensions = certificate.extensions();
    let mut seen = HashSet::new();
    for extension in extensions {
        if !seen.insert(extension.extn_id) {
            let message = format!("extension {} is there twice", extension.extn_id);
            report.error("extension-twice", message, "RFC 5280 4.2");
        }
    }
    if certificate.is_authority() {
        authority(certificate, report);
    } else {
        leaf(certificate, report);
    }
    identifiers(certificate, report);
    names(certificate, report);
}

fn critical<T: AssociatedOid>(extensions: &[Extension]) -> Option<bool> {
    extensions
        .iter()
        .find(|extension| extension.extn_id == T::OID)
        .map(|extension| extension.critical)
}

fn authority(certificate: &Certificate, report: &mut Report<'_>) {
    let extensions = certificate.extensions();
    if critical::<BasicConstraints>(extensions) == Some(false) {
        let message = "its basicConstraints are not critical";
        report.error("ca-constraints-critical", message, "RFC 5280 4.2.1.9");
    }
    match certificate.key_usage() {
        None => report.error(
            "ca-key-usage",
            "is an authority without keyUsage",
            "RFC 5280 4.2.1.3",
        ),
        Some(usage) => {
            if !usage.key_cert_sign() {
                report.error(
                    "ca-cert-sign",
                    "is an authority without keyCertSign",
                    "RFC 5280 4.2.1.3",
                );
            }
            if critical::<KeyUsage>(extensions) == Some(false) {
                report.warning(
                    "key-usage-critical",
                    "its keyUsage is not critical",
                    "RFC 5280 4.2.1.3",
                );
            }
        }
    }
    if critical::<ExtendedKeyUsage>(extensions).is_some() {
        let message = "is an authority with extendedKeyUsage, which limits what it can sign";
        report.notice("ca-purposes", message, "RFC 5280 4.2.1.12");
    }
    if certificate.subject_key_id().is_none() {
        report.error(
            "ca-key-id",
            "is an authority without subjectKeyIdentifier",
            "RFC 5280 4.2.1.2",
        );
    }
    if subject::attribute_count(certificate.subject()) == 0 {
        report.error(
            "ca-subject-empty",
            "is an authority with an empty subject",
            "RFC 5280 4.1.2.6",
        );
    }
}

fn leaf(certificate: &Certificate, report: &mut Report<'_>) {
    let extensions = certificate.extensions();
    if let Some(basic) = profile::find::<BasicConstraints>(extensions) {
        if basic.path_len_constraint.is_some() {
            let message = "is no authority but has a path length";
            report.error("leaf-path-length", message, "RFC 5280 4.2.1.9");
        }
    }
    match certificate.key_usage() {
        None => report.warning("leaf-key-usage", "has no keyUsage", "RFC 5280 4.2.1.3"),
        Some(usage) => {
            if usage.key_cert_sign() {
                let message = "is no authority but has keyCertSign";
                report.error("leaf-cert-sign", message, "RFC 5280 4.2.1.3");
            }
            let elliptic = certificate.key_algorithm().starts_with("ECDSA");
            if elliptic && (usage.key_encipherment() || usage.data_encipherment()) {
                let message = "has an elliptic curve key, which cannot encipher, for enciphering";
                report.warning("ec-encipherment", message, "RFC 8813 3");
            }
            if critical::<KeyUsage>(extensions) == Some(false) {
                report.warning(
                    "key-usage-critical",
                    "its keyUsage is not critical",
                    "RFC 5280 4.2.1.3",
                );
            }
        }
    }
    let usages = certificate.usages();
    if certificate.usage_count() == 0 {
        report.warning(
            "purposes-none",
            "lists no purpose and may serve any",
            "RFC 5280 4.2.1.12",
        );
    }
    if usages.contains(&Usage::ServerAuth) && certificate.name_count() == 0 {
        let message = "is a server's without alternative names, which clients refuse";
        report.error("server-names", message, "RFC 9525 6.3; Go 1.15");
    }
}

fn identifiers(certificate: &Certificate, report: &mut Report<'_>) {
    let extensions = certificate.extensions();
    let self_issued = certificate.subject() == certificate.issuer();
    if certificate.authority_key_id().is_none() {
        let message = "has no authorityKeyIdentifier";
        if self_issued {
            report.notice("authority-key-id", message, "RFC 5280 4.2.1.1");
        } else {
            report.error("authority-key-id", message, "RFC 5280 4.2.1.1");
        }
    }
    if !certificate.is_authority() && certificate.subject_key_id().is_none() {
        report.notice(
            "subject-key-id",
            "has no subjectKeyIdentifier",
            "RFC 5280 4.2.1.2",
        );
    }
    let either = [
        critical::<SubjectKeyIdentifier>(extensions),
        critical::<AuthorityKeyIdentifier>(extensions),
    ];
    if either.contains(&Some(true)) {
        let message = "has a key identifier that is critical";
        report.error("key-id-critical", message, "RFC 5280 4.2.1.1-2");
    }
}

fn names(certificate: &Certificate, report: &mut Report<'_>) {
    const SOURCE: &str = "RFC 5280 4.2.1.6";
    let extensions = certificate.extensions();
    let Some(names) = profile::find::<SubjectAltName>(extensions) else {
        return;
    };
    if names.0.is_empty() {
        report.error(
            "san-empty",
            "has an empty list of alternative names",
            SOURCE,
        );
    }
    let empty_subject = subject::attribute_count(certificate.subject()) == 0;
    if critical::<SubjectAltName>(extensions) != Some(empty_subject) {
        let message = "alternative names are critical if and only if the subject is empty";
        report.warning("san-critical", message, SOURCE);
    }
    let mut seen = HashSet::new();
    for name in &names.0 {
        match name {
            GeneralName::DnsName(name) => dns_name(name.as_str(), report),
            GeneralName::IpAddress(octets) if profile::ip_of(octets.as_bytes()).is_none() => {
                report.error(
                    "san-address",
                    "has an address of neither 4 nor 16 octets",
                    SOURCE,
                );
            }
            _ => {}
        }
        if !seen.insert(name.to_der().unwrap_or_default()) {
            report.notice("san-twice", "has an alternative name twice", SOURCE);
        }
    }
}

fn dns_name(name: &str, report: &mut Report<'_>) {
    if name.parse::<std::net::IpAddr>().is_ok() {
        let message = format!("has the address `{name}` as a DNS name, which matches nothing");
        report.error("san-address-as-name", message, "RFC 5280 4.2.1.6");
    } else if let Err(error) = DnsName::try_from(name) {
        report.warning(
            "san-name",
            error.to_string(),
            "RFC 5280 4.2.1.6; RFC 1123 2.1",
        );
    }
}
