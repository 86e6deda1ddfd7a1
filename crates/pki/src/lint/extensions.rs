//! Rules about extensions.

use std::collections::HashSet;

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints,
    SubjectAltName, SubjectKeyIdentifier,
};

use super::{Report, names};
use crate::{Certificate, DnsName, Error, Usage, profile, subject};

/// anyExtendedKeyUsage.
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

pub(super) fn check(certificate: &Certificate, report: &mut Report<'_>) {
    check_in_path(certificate, certificate.is_authority(), report);
    for usage in certificate.usages() {
        key_usage_for(certificate, usage, report);
    }
}

/// As [`check`], of a certificate that is used as an authority, or as a leaf.
pub(super) fn check_in_path(
    certificate: &Certificate,
    as_authority: bool,
    report: &mut Report<'_>,
) {
    let extensions = certificate.extensions();
    forms(certificate, report);
    let mut seen = HashSet::new();
    for extension in extensions {
        if !seen.insert(extension.extn_id) {
            let message = format!("extension {} is there twice", extension.extn_id);
            report.error("extension-twice", message, "RFC 5280 4.2");
        }
    }
    match (as_authority, certificate.is_authority()) {
        (true, true) => authority(certificate, report),
        (true, false) => {
            let message = "vouches for another, and is no authority";
            report.error("issuer-no-authority", message, "RFC 5280 4.2.1.9");
        }
        (false, true) => {
            let message = "is an authority's own certificate, which is no leaf";
            report.error("leaf-authority", message, "rustls");
        }
        (false, false) => leaf(certificate, report),
    }
    identifiers(certificate, report);
    alternative_names(certificate, report);
}

/// What all of OpenSSL, Go and webpki know when it is critical.
const KNOWN_IF_CRITICAL: [&str; 6] = [
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.37",
];

/// certificatePolicies, policyMappings, policyConstraints, inhibitAnyPolicy: what OpenSSL and Go know, and webpki does not.
const POLICIES: [&str; 4] = ["2.5.29.32", "2.5.29.33", "2.5.29.36", "2.5.29.54"];

/// Extensions that must be understood and are not, and such that are known and cannot be read.
fn forms(certificate: &Certificate, report: &mut Report<'_>) {
    for extension in certificate.extensions() {
        let oid = extension.extn_id.to_string();
        // Key identifiers have a rule of their own.
        let is_key_id = ["2.5.29.14", "2.5.29.35"].contains(&oid.as_str());
        // Of a root, rustls reads no extensions but name constraints.
        let is_policy = POLICIES.contains(&oid.as_str());
        let is_root = certificate.subject() == certificate.issuer();
        let is_known = KNOWN_IF_CRITICAL.contains(&oid.as_str()) || is_root && is_policy;
        if extension.critical && !is_key_id && !is_known {
            let name = profile::extension_name(extension.extn_id);
            let message =
                format!("its extension {name} is critical and not known to all verifiers");
            report.error("critical-unknown", message, "RFC 5280 4.2");
        }
    }
    let read = [
        certificate.find::<BasicConstraints>().err(),
        certificate.find::<KeyUsage>().err(),
        certificate.find::<ExtendedKeyUsage>().err(),
        certificate.find::<SubjectAltName>().err(),
        certificate.find::<SubjectKeyIdentifier>().err(),
        certificate.find::<AuthorityKeyIdentifier>().err(),
        certificate.find::<NameConstraints>().err(),
    ];
    for error in read.into_iter().flatten() {
        let shown = error.to_string();
        // One that is there twice has a rule of its own.
        if !shown.ends_with("twice") {
            report.error("extension-malformed", shown, "RFC 5280 4.2.1");
        }
    }
    if let Some(constraints) = profile::find::<NameConstraints>(certificate.extensions()) {
        for fault in names::faults(&constraints) {
            report.error("constraints-form", fault, "RFC 5280 4.2.1.10");
        }
        if critical::<NameConstraints>(certificate.extensions()) == Some(false) {
            let message =
                "its name constraints are not critical, so that some verifiers pass over them";
            report.warning("constraints-critical", message, "RFC 5280 4.2.1.10");
        }
    }
    let curve = &certificate.tbs().subject_public_key_info().algorithm;
    let spelled_out = curve.oid == crate::algorithm::EC_PUBLIC_KEY
        && curve
            .parameters
            .as_ref()
            .is_some_and(|parameters| parameters.tag() == Tag::Sequence);
    if spelled_out {
        let message = "its key spells its curve out in numbers";
        report.error("explicit-curve", message, "RFC 5480 2.1.1");
    }
    // Go reads the key of every certificate; OpenSSL and webpki read those of authorities, and of a leaf when it signs.
    if let Err(Error::Malformed { problem, .. }) = certificate.public_key() {
        let message = format!("its public key is unusable: {problem}");
        report.error("key-malformed", message, "RFC 5480 2.2; RFC 3279 2.3.1; Go");
    }
    if let Some(bits) = certificate.rsa_bits().filter(|bits| *bits < 2048) {
        let message = format!("its RSA key has {bits} bits, where rustls wants 2048 at least");
        report.error("weak-key", message, "NIST SP 800-131A");
    }
}

/// Whether the key usage allows what `purpose` needs, as OpenSSL has it.
pub(super) fn key_usage_for(certificate: &Certificate, purpose: Usage, report: &mut Report<'_>) {
    let Some(usage) = certificate
        .key_usage()
        .filter(|_| !certificate.is_authority())
    else {
        return;
    };
    let allowed = match purpose {
        Usage::ServerAuth => {
            usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
        }
        Usage::ClientAuth => usage.digital_signature() || usage.key_agreement(),
        _ => true,
    };
    if !allowed {
        let message = format!("its keyUsage does not allow what {purpose} needs");
        report.error("key-usage-purpose", message, "RFC 5280 4.2.1.12; OpenSSL");
    }
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
    let listed = profile::find::<ExtendedKeyUsage>(extensions);
    if listed.as_ref().is_some_and(|listed| listed.0.is_empty()) {
        let message = "has an empty list of purposes, which rustls refuses";
        report.error("purposes-empty", message, "RFC 5280 4.2.1.12");
    } else if usages.is_empty() && listed.is_some_and(|listed| listed.0.contains(&ANY_PURPOSE)) {
        let message = "lists any purpose and none by name: OpenSSL and rustls refuse it for each";
        report.error("purposes-any", message, "RFC 5280 4.2.1.12");
    } else if certificate.usage_count() == 0 {
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

fn alternative_names(certificate: &Certificate, report: &mut Report<'_>) {
    const SOURCE: &str = "RFC 5280 4.2.1.6";
    let extensions = certificate.extensions();
    let empty_subject = subject::attribute_count(certificate.subject()) == 0;
    let Some(names) = profile::find::<SubjectAltName>(extensions) else {
        if empty_subject && !certificate.is_authority() {
            let message = "has neither a subject nor alternative names";
            report.error("subject-empty", message, "RFC 5280 4.1.2.6");
        }
        return;
    };
    if names.0.is_empty() {
        report.error(
            "san-empty",
            "has an empty list of alternative names",
            SOURCE,
        );
    }
    if critical::<SubjectAltName>(extensions) != Some(empty_subject) {
        let message = "alternative names are critical if and only if the subject is empty";
        // OpenSSL's strict mode refuses the one that identifies nobody otherwise.
        if empty_subject {
            report.error("san-critical", message, SOURCE);
        } else {
            report.warning("san-critical", message, SOURCE);
        }
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
