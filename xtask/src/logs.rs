//! `cargo xtask logs`: a machine's journal, or what Vagrant said.

use std::path::Path;
use std::time::Duration;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lab::Machine;
use caravan_lifecycle::{
    self as lifecycle, LabRun, LabTarget, Workspace, outcome_of, read_text, support,
};
use caravan_process::interrupt;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;
use crate::way_in;

/// How long a machine may take to tell its journal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Logs,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    if let Some(folder) = &flags.all {
        return all(&target, workspace, folder, screen);
    }
    match &flags.machine {
        Some(machine) => journal(flags, workspace, &target, machine),
        None => of_vagrant(&target),
    }
}

/// Writes one archive of all that tells of the lab's state.
fn all(
    target: &LabTarget,
    workspace: &Workspace,
    folder: &Path,
    screen: &Screen,
) -> Result<Exit, Error> {
    let lab = target.lab(workspace)?;
    target.dir.make()?;
    let every: Vec<&Machine> = lab.machines().iter().collect();
    let (running, access) = way_in::running(target, lab, &every)?;
    let machines: Vec<&Machine> = (every.into_iter())
        .filter(|machine| running.contains(&machine.name))
        .collect();
    let run = LabRun::begin("logs", &target.name, &target.dir, screen);
    let made = support::archive(&run, lab, &target.dir, access.as_ref(), &machines, folder);
    screen.clear();
    run.finish(made.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    let made = made?;
    println!("{}", made.path.display());
    screen.say(&format!(
        "{} files of {} machines; no key of the lab is in it",
        made.files,
        machines.len() - made.silent.len()
    ));
    for (machine, why) in &made.silent {
        screen.warn(&format!("`{machine}` tells nothing: {why}"));
    }
    Ok(match made.silent.is_empty() {
        true => Exit::Done,
        false => Exit::Degraded,
    })
}

fn journal(
    flags: &flags::Logs,
    workspace: &Workspace,
    target: &LabTarget,
    machine: &str,
) -> Result<Exit, Error> {
    let lab = target.lab(workspace)?;
    let machine = lifecycle::machine(lab, machine)?;
    let ssh = lifecycle::ssh(lab, &target.dir, target.pace())?;
    let remote = lifecycle::remote(&ssh, machine);
    let words = [
        "journalctl",
        "--no-pager",
        "--output=short-iso",
        "--unit",
        &flags.unit,
    ];
    if flags.follow {
        let following = remote.follow(
            &[&words[..], &["--follow", "--lines=all"]].concat(),
            |line| {
                println!("{line}");
            },
        )?;
        while !following.ended() && !interrupt::raised() {
            std::thread::sleep(Duration::from_millis(50));
        }
        return Ok(Exit::Done);
    }
    let output = remote.run(&[&["sudo"], &words[..]].concat(), PATIENCE)?;
    print!("{}", output.stdout);
    eprint!("{}", output.stderr);
    Ok(Exit::of_status(output.status))
}

fn of_vagrant(target: &LabTarget) -> Result<Exit, Error> {
    for server in target.dir.projects().servers() {
        let log = target.dir.log(&server);
        if log.is_file() {
            println!("==> {} <==", log.display());
            print!("{}", read_text(&log)?);
        }
    }
    Ok(Exit::Done)
}
