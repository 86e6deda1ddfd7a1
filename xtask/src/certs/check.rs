//! `cargo xtask certs check`: what pkilint, OpenSSL and kubeadm would say of a lab's certificates, offline.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_pki::inspect;
use caravan_pki::lint::{self, Severity};
use serde_json::json;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::target::Target;
use crate::workspace::Workspace;

/// Runs the verb: fails on an error, is degraded on a warning.
pub(crate) fn run(flags: &flags::Certs, workspace: &Workspace) -> Result<Exit, Error> {
    let flags::CertsAction::Check(flags) = &flags.action;
    let target = Target::of(workspace, flags.lab.as_deref())?;
    let folder = target.dir.pki();
    if !folder.is_dir() {
        return Err(Error::NotMade { lab: target.name });
    }
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    let (mut certificates, mut found_in) = (Vec::new(), Vec::new());
    for file in &files {
        let bytes = std::fs::read(file).map_err(read(file))?;
        let found =
            inspect::read(&bytes).map_err(|error| read(file)(std::io::Error::other(error)))?;
        let name = file.strip_prefix(&folder).unwrap_or(file);
        found_in.resize(found_in.len() + found.len(), name.display().to_string());
        certificates.extend(found);
    }
    let findings = lint::certificates(&certificates, SystemTime::now());
    if flags.json {
        // A finding's `certificate` counts from 0 in this list.
        let report = json!({ "certificates": found_in, "findings": findings });
        println!(
            "{}",
            serde_json::to_string_pretty(&report).expect("plain data")
        );
    } else {
        for finding in &findings {
            println!("{}: {finding}", found_in[finding.certificate]);
        }
        eprintln!(
            "{} certificates in `{}`, {} findings",
            certificates.len(),
            folder.display(),
            findings.len()
        );
    }
    Ok(
        match findings.iter().map(|finding| finding.severity).max() {
            Some(Severity::Error) => Exit::Failed,
            Some(Severity::Warning) => Exit::Degraded,
            Some(Severity::Notice) | None => Exit::Done,
        },
    )
}

fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    |source| Error::Read { path, source }
}

/// The certificates below a folder of the store, sorted.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read(folder))? {
        paths.push(entry.map_err(read(folder))?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "crt") {
            files.push(path);
        }
    }
    Ok(())
}
