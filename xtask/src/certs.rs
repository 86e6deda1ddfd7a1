//! `cargo xtask certs`: `list`, what is there and when it ends; `renew`, what ends soon is made anew; `rotate`,
//! another authority takes the place of one; `check`, what pkilint,
//! OpenSSL and kubeadm would say of a lab's store, and what is wrong with what machines have and servers show.

use std::time::SystemTime;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lifecycle::certificates::{self, CertificatesReport};
use caravan_lifecycle::renew::{Renewal, RenewalKind, VERB};
use caravan_lifecycle::{Keys, LabLock, LabRun, LabTarget, Workspace, outcome_of, reach};
use caravan_pki::lint::{self, Severity};
use caravan_vagrant::provider::FoundMachine;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::kill_after::KillAfter;
use crate::show::screen::Screen;
use crate::show::table;
use crate::{kubeconfig, software};

mod rotate;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Certs,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    match &flags.action {
        flags::CertsAction::List(flags) => list(flags, workspace),
        flags::CertsAction::Renew(flags) => renew(flags, workspace, screen),
        flags::CertsAction::Rotate(flags) => rotate::run(flags, workspace, screen),
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
    for line in &report.certificates {
        table.add_row([
            line.machine.as_deref().unwrap_or("here"),
            &line.place,
            &line.subject,
            &line.issuer,
            &format!("{} days", line.days_left),
            &line.used_by,
        ]);
    }
    let text = table::text(&table);
    let problems = problems(report);
    match problems.is_empty() {
        true => text,
        false => format!(
            "{text}\n\nnot as it should be:\n  {}",
            problems.join("\n  ")
        ),
    }
}

/// What is not as it should be, a line each.
fn problems(report: &CertificatesReport) -> Vec<String> {
    let lines = report.certificates.iter();
    let found = lines.filter_map(|line| {
        let machine = line.machine.as_deref().unwrap_or("here");
        let problem = line.problem.as_ref()?;
        Some(format!("{machine}, {}: {problem}", line.place))
    });
    found.chain(report.silent.iter().cloned()).collect()
}

fn renew(flags: &flags::CertsRenew, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    if Keys::load(lab, &target.dir).is_none() {
        return Err(Error::not_made(&target.name));
    }
    reach::check(lab)?;
    let software = software::versions(workspace, lab)?;
    let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
    let observer = KillAfter::new(screen);
    let run = LabRun::begin(VERB, &target.name, &target.dir, &observer);
    let renewal = Renewal {
        workspace,
        target: &target,
        lab,
        software: &software,
        kind: match (flags.all, flags.expired) {
            (_, true) => RenewalKind::Expired,
            (true, false) => RenewalKind::All,
            (false, false) => RenewalKind::Due,
        },
        tool: TOOL,
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

/// Fails on an error in the store, is degraded on a warning, and where machines and servers do not have and show what they
/// should.
fn check(flags: &flags::CertsCheck, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let folder = target.dir.pki();
    if !folder.is_dir() {
        return Err(Error::not_made(&target.name));
    }
    let report = lint::files([&folder], SystemTime::now());
    let live = live(flags, &target, workspace)?;
    if flags.json {
        let mut all: serde_json::Value =
            serde_json::from_str(&report.to_json()).expect("it is JSON");
        all["live"] = serde_json::to_value(&live).expect("plain data");
        println!("{all:#}");
    } else {
        for found in &report.findings {
            println!("{found}");
        }
        for problem in live.iter().flat_map(problems) {
            println!("{problem}");
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
        match &live {
            Some(live) => eprintln!(
                "{} certificates here, on machines and as servers show them, {} not as they should be",
                live.certificates.len(),
                problems(live).len()
            ),
            None => eprintln!("no machine was asked"),
        }
    }
    let is_well = live.is_none_or(|live| live.is_well());
    Ok(match report.worst() {
        Some(Severity::Error) => Exit::Failed,
        Some(Severity::Warning) => Exit::Degraded,
        Some(Severity::Notice) | None if !is_well => Exit::Degraded,
        Some(Severity::Notice) | None => Exit::Done,
    })
}

/// What machines have and servers show; none where nobody is asked, since nothing runs, or the store tells no keys.
fn live(
    flags: &flags::CertsCheck,
    target: &LabTarget,
    workspace: &Workspace,
) -> Result<Option<CertificatesReport>, Error> {
    if flags.offline || !target.machines()?.iter().any(FoundMachine::runs) {
        return Ok(None);
    }
    let lab = target.lab(workspace)?;
    let Some(keys) = Keys::load(lab, &target.dir) else {
        return Ok(None);
    };
    let access = keys.access(lab, &target.dir, target.pace())?;
    Ok(Some(certificates::list(target, lab, &access)?))
}
