//! `cargo xtask verify`: every promise of a lab, tested live.

use std::time::Duration;

use caravan_cluster::timeline::RUN;
use caravan_cluster::verify::{self, Depth, Options, Report, VerifyEvent, VerifyOutcome};
use caravan_cluster::watch::{self, JournalEvent};
use caravan_cluster::{Access, ready};
use caravan_lab::Lab;
use caravan_lifecycle::{Keys, LabDir, LabLock, LabTarget, Workspace, lab_secrets, reach};

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::software;

/// How long `--wait` waits: as long as machines themselves wait for each other, and a little more.
const WAIT_LIMIT: Duration = Duration::from_secs(900);

/// Runs the verb; a broken promise is [`Exit::Degraded`].
pub(crate) fn run(
    flags: &flags::Verify,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let lab = target.lab(workspace)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    reach::check(lab)?;
    let _lock = LabLock::take(&target.dir, &target.name, "verify")?;
    let access = keys.access(lab, &target.dir, target.pace())?;
    if flags.wait {
        screen.now(RUN, "waits until the lab is ready");
        // What the API tells of a machine that has just been started again may be of before; the machine itself knows.
        watch::until_ready(lab, &access.ssh, WAIT_LIMIT, &mut |news| {
            if let JournalEvent::Said(line) = &news.event {
                screen.detail(&news.machine, &format!("{} {}", line.phase, line.text));
            }
        })?;
        ready::wait(lab, &access, TOOL, WAIT_LIMIT, &mut |readiness| {
            if let Some(first) = readiness.missing.first() {
                screen.detail(RUN, &first.to_string());
            }
        })?;
        screen.done(RUN, "the lab is ready");
    }
    let depth = if flags.disrupt {
        Depth::Disrupt
    } else {
        Depth::Full
    };
    let airgap = target
        .choices
        .as_ref()
        .is_some_and(|choices| choices.airgap);
    let report = checked(lab, &access, &target.dir, airgap, depth, screen)?;
    if let Some(file) = &flags.junit {
        let text = caravan_report::junit::junit(&report, &lab_secrets(&target.dir)?)?;
        caravan_files::write_if_changed(file, 0o644, text.as_bytes())?;
    }
    if flags.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).expect("plain data")
        );
    } else {
        println!("{}", text(&report));
    }
    Ok(verdict(&report))
}

/// Tests the promises of `depth`, each shown as it ends, and keeps the report in the lab's state.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for the lab's Kubernetes.
pub(crate) fn checked(
    lab: &Lab,
    access: &Access,
    dir: &LabDir,
    airgap: bool,
    depth: Depth,
    screen: &Screen,
) -> Result<Report, Error> {
    let options = Options {
        depth,
        airgap,
        probe_image: Some(software::probe_image(lab)?),
        volume_image: Some(software::volume_image(lab)?),
        tool: TOOL.to_owned(),
    };
    screen.now(RUN, "tests the lab's promises");
    let report = verify::run(access, lab, &options, &mut |event| match event {
        // Three dozen checks begin at the same moment: their ends are news, their beginnings are not.
        VerifyEvent::Begins { .. } => {}
        VerifyEvent::Ends(check) if check.outcome == VerifyOutcome::Failed => {
            screen.done(
                RUN,
                &format!("{} {}: {}", word(check.outcome), check.id, check.evidence),
            );
        }
        VerifyEvent::Ends(check) => {
            screen.detail(RUN, &format!("{} {}", word(check.outcome), check.id))
        }
        VerifyEvent::CleansUp => screen.now(RUN, "takes away what was made for the checks"),
    });
    screen.clear();
    let text = serde_json::to_vec_pretty(&report).expect("plain data");
    // The report is shown whether or not it can be kept.
    if let Err(error) = caravan_files::write_if_changed(&dir.verify_report(), 0o600, &text) {
        screen.warn(&format!("the report is not kept: {error}"));
    }
    Ok(report)
}

/// How a verb ends that came to this report.
pub(crate) fn verdict(report: &Report) -> Exit {
    if report.passed() {
        Exit::Done
    } else {
        Exit::Degraded
    }
}

/// How many promises hold, in a line.
pub(crate) fn summary(report: &Report) -> String {
    let count = |outcome| report.of(outcome).count();
    format!(
        "{} promises hold, {} are broken, {} do not apply; {:.1} s",
        count(VerifyOutcome::Passed),
        count(VerifyOutcome::Failed),
        count(VerifyOutcome::Skipped),
        report.seconds
    )
}

fn text(report: &Report) -> String {
    let mut lines = Vec::new();
    for check in &report.checks {
        lines.push(format!(
            "{:<8}{:>5.1} s  {}: {}\n{:17}{}",
            word(check.outcome),
            check.seconds,
            check.id,
            check.promise,
            "",
            check.evidence
        ));
    }
    lines.push(format!("\n{}", summary(report)));
    lines.join("\n")
}

fn word(outcome: VerifyOutcome) -> &'static str {
    match outcome {
        VerifyOutcome::Passed => "holds",
        VerifyOutcome::Failed => "BROKEN",
        VerifyOutcome::Skipped => "skipped",
    }
}
