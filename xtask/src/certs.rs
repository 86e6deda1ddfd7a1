//! `cargo xtask certs check`: what pkilint, OpenSSL and kubeadm would say of a lab's certificates, offline.

use std::time::SystemTime;

use caravan_lifecycle::{LabTarget, Workspace};
use caravan_pki::lint::{self, Severity};

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;

/// Runs the verb: fails on an error, is degraded on a warning.
pub(crate) fn run(flags: &flags::Certs, workspace: &Workspace) -> Result<Exit, Error> {
    let flags::CertsAction::Check(flags) = &flags.action;
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let folder = target.dir.pki();
    if !folder.is_dir() {
        return Err(Error::not_made(&target.name));
    }
    let report = lint::files([&folder], SystemTime::now());
    if flags.json {
        println!("{}", report.to_json());
    } else {
        for found in &report.findings {
            println!("{found}");
        }
        for failure in &report.failures {
            eprintln!("{failure}");
            if let Some(hint) = &failure.hint {
                eprintln!("  hint: {hint}");
            }
        }
        eprintln!(
            "{} certificates in `{}`, {} findings",
            report.certificates.len(),
            folder.display(),
            report.findings.len()
        );
    }
    Ok(match report.worst() {
        Some(Severity::Error) => Exit::Failed,
        Some(Severity::Warning) => Exit::Degraded,
        Some(Severity::Notice) | None => Exit::Done,
    })
}
