//! `cargo xtask certs`: `list`, what is there and when it ends; `renew`, what ends soon is made anew; `check`, what pkilint, OpenSSL and kubeadm would say of a
//! lab's certificates, offline.

use std::time::SystemTime;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lifecycle::certificates::{self, CertificatesReport};
use caravan_lifecycle::renew::{Renewal, VERB};
use caravan_lifecycle::{Keys, LabLock, LabRun, LabTarget, Workspace, outcome_of, reach};
use caravan_pki::lint::{self, Severity};

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::kill_after::KillAfter;
use crate::show::screen::Screen;
use crate::show::table;
use crate::{kubeconfig, software};

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Certs,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    match &flags.action {
        flags::CertsAction::List(flags) => list(flags, workspace),
        flags::CertsAction::Renew(flags) => renew(flags, workspace, screen),
        flags::CertsAction::Check(flags) => check(flags, workspace),
    }
}

/// A certificate that has ended or does so soon, or a machine that was not heard, is [`Exit::Degraded`].
fn list(flags: &flags::CertsList, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let lab = target.lab(workspace)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    let access = keys.access(lab, &target.dir, target.pace())?;
    let report = certificates::list(&target, lab, &access)?;
    if flags.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).expect("plain data")
        );
    } else {
        println!("{}", shown(&report));
    }
    Ok(match report.is_well() {
        true => Exit::Done,
        false => Exit::Degraded,
    })
}

fn shown(report: &CertificatesReport) -> String {
    let mut table = table::plain(&[
        "machine",
        "certificate",
        "subject",
        "issuer",
        "ends in",
        "used by",
    ]);
    let mut problems = Vec::new();
    for line in &report.certificates {
        let machine = line.machine.as_deref().unwrap_or("here");
        table.add_row([
            machine,
            &line.place,
            &line.subject,
            &line.issuer,
            &format!("{} days", line.days_left),
            &line.used_by,
        ]);
        let problem = line.problem.as_ref();
        problems.extend(problem.map(|problem| format!("{machine}, {}: {problem}", line.place)));
    }
    problems.extend(report.silent.iter().cloned());
    let text = table::text(&table);
    match problems.is_empty() {
        true => text,
        false => format!(
            "{text}\n\nnot as it should be:\n  {}",
            problems.join("\n  ")
        ),
    }
}

fn renew(flags: &flags::CertsRenew, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    if Keys::load(lab, &target.dir).is_none() {
        return Err(Error::not_made(&target.name));
    }
    reach::check(lab)?;
    let software = software::versions(lab)?;
    let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
    let observer = KillAfter::new(screen);
    let run = LabRun::begin(VERB, &target.name, &target.dir, &observer);
    let renewal = Renewal {
        workspace,
        target: &target,
        lab,
        software: &software,
        all: flags.all,
    };
    let ended = renewal.run(&run);
    screen.clear();
    run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    let renewed = ended?;
    kubeconfig::follow(&target, screen)?;
    for entry in &renewed.entries {
        println!("{entry}");
    }
    for master in &renewed.masters {
        println!("{master}: what kubeadm has made");
    }
    screen.say(&format!(
        "{} certificates of the store and those of {} masters are new, {} files were brought to machines; {}",
        renewed.entries.len(),
        renewed.masters.len(),
        renewed.files.len(),
        run.so_far()
    ));
    Ok(Exit::Done)
}

/// Fails on an error, is degraded on a warning.
fn check(flags: &flags::CertsCheck, workspace: &Workspace) -> Result<Exit, Error> {
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
