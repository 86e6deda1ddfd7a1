//! `caravan-pki lint`

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_pki::lint::{self, Severity};
use caravan_pki::{Error, inspect};

use crate::flags::Lint;
use crate::output::{self, Outcome};

pub(crate) fn run(args: &Lint, json: bool, now: SystemTime) -> Result<Outcome, Error> {
    let mut files = Vec::new();
    for path in &args.paths {
        if path.is_dir() {
            collect(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    let (mut certificates, mut found_in) = (Vec::new(), Vec::new());
    for file in &files {
        let found = inspect::read(&output::read(file)?).map_err(output::in_file(file))?;
        found_in.resize(found_in.len() + found.len(), file.display().to_string());
        certificates.extend(found);
    }
    let findings = lint::certificates(&certificates, now);
    if json {
        output::show_json(&serde_json::json!({
            // A finding's `certificate` counts from 0 in this list.
            "certificates": found_in,
            "findings": findings,
        }));
    } else {
        for finding in &findings {
            println!("{}: {finding}", found_in[finding.certificate]);
        }
        eprintln!(
            "{} certificates, {} findings",
            certificates.len(),
            findings.len()
        );
    }
    let worst = findings.iter().map(|finding| finding.severity).max();
    Ok(match worst {
        Some(Severity::Error) => Outcome::Failed,
        Some(Severity::Warning) => Outcome::Degraded,
        Some(Severity::Notice) | None => Outcome::Done,
    })
}

/// The certificates below a folder, sorted, so that output does not depend on the filesystem.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let io = |source| Error::Io {
        action: "list",
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort();
    for path in paths {
        let wanted = ["crt", "pem", "conf"]
            .iter()
            .any(|wanted| path.extension().is_some_and(|found| found == *wanted));
        // Links to folders are not followed: they may lead back up.
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files)?;
        } else if wanted {
            files.push(path);
        }
    }
    Ok(())
}
