//! What strict verifiers would say, offline.
//!
//! No single verifier sees every fault: Go accepts a wrong authority key identifier, OpenSSL a serial number of zero.
//! The rules here are the union of what OpenSSL's strict mode, pkilint, Go, webpki and kubeadm refuse or should; each
//! finding names its source.
//!
//! ```
//! # use std::time::SystemTime;
//! # use caravan_pki::{Authority, AuthoritySpec, CommonName};
//! use caravan_pki::lint;
//! # fn main() -> Result<(), caravan_pki::Error> {
//! # let now = SystemTime::now();
//! # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("ca")?), now)?;
//! assert!(lint::certificates(&[ca.certificate().clone()], now).is_empty());
//! # Ok(())
//! # }
//! ```

mod chain;
mod extensions;
mod fields;
mod files;
#[cfg(test)]
mod forge;
mod names;
mod path;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::SystemTime;

pub use files::{FileFailure, FileFinding, FilesReport, files};
#[cfg(feature = "verify")]
pub(crate) use path::faults_of_path;
pub(crate) use path::first_fault_of_made;

use crate::Certificate;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "kebab-case"))]
pub enum Severity {
    /// Works, and should be known.
    Notice,
    /// Against the rules; most verifiers accept it.
    Warning,
    /// Some verifier in common use refuses it.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One fault of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Finding {
    /// The rule's stable name, for example `serial-zero`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Which of the certificates that were judged, counted from 0.
    pub certificate: usize,
    /// Whose certificate.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// Where the rule is written.
    pub source: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            severity,
            subject,
            message,
            source,
            ..
        } = self;
        write!(f, "{severity}[{rule}]: `{subject}`: {message} ({source})")
    }
}

/// Collects findings about one certificate.
struct Report<'a> {
    certificate: usize,
    subject: String,
    findings: &'a mut Vec<Finding>,
}

impl Report<'_> {
    fn add(
        &mut self,
        severity: Severity,
        rule: &'static str,
        message: impl Into<String>,
        source: &'static str,
    ) {
        self.findings.push(Finding {
            rule,
            severity,
            certificate: self.certificate,
            subject: self.subject.clone(),
            message: message.into(),
            source,
        });
    }

    fn error(&mut self, rule: &'static str, message: impl Into<String>, source: &'static str) {
        self.add(Severity::Error, rule, message, source);
    }

    fn warning(&mut self, rule: &'static str, message: impl Into<String>, source: &'static str) {
        self.add(Severity::Warning, rule, message, source);
    }

    fn notice(&mut self, rule: &'static str, message: impl Into<String>, source: &'static str) {
        self.add(Severity::Notice, rule, message, source);
    }
}

/// Judges `certificates` as of `now`: each by itself, each against its issuer where that is among them, and all
/// together (serial numbers).
///
/// Findings come in the order of the certificates; an empty list means that nothing is wrong.
pub fn certificates(certificates: &[Certificate], now: SystemTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, certificate) in certificates.iter().enumerate() {
        let mut report = Report {
            certificate: index,
            subject: certificate.subject_shown(),
            findings: &mut findings,
        };
        fields::check(certificate, now, &mut report);
        extensions::check(certificate, &mut report);
        chain::check_issuer(certificate, certificates, now, &mut report);
    }
    chain::check_serials(certificates, &mut findings);
    findings
}
