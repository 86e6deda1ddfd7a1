//! `caravan-pki lint`

use std::time::SystemTime;

use caravan_pki::lint::{self, Severity};

use crate::flags::Lint;
use crate::output::{self, Exit, Failure};

pub(crate) fn run(args: &Lint, json: bool, now: SystemTime) -> Result<Exit, Failure> {
    let report = lint::files(&args.paths, now);
    if json {
        output::say(report.to_json());
    } else {
        for found in &report.findings {
            output::say(found);
        }
        for failure in &report.failures {
            eprintln!("{failure}");
            if let Some(hint) = &failure.hint {
                eprintln!("  hint: {hint}");
            }
        }
        let (certificates, findings) = (report.certificates.len(), report.findings.len());
        let not_judged = match report.failures.len() {
            0 => String::new(),
            count => format!(", {count} not judged"),
        };
        eprintln!("{certificates} certificates, {findings} findings{not_judged}");
    }
    Ok(match report.worst() {
        Some(Severity::Error) => Exit::Failed,
        Some(Severity::Warning) => Exit::Degraded,
        Some(Severity::Notice) | None => Exit::Done,
    })
}
