//! `cargo xtask logs`: a machine's journal, or what Vagrant said.

use std::time::Duration;

use caravan_lifecycle::{self as lifecycle, LabTarget, Workspace, read_text};
use caravan_process::interrupt;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;

/// How long a machine may take to tell its journal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the verb.
pub(crate) fn run(flags: &flags::Logs, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    match &flags.machine {
        Some(machine) => journal(flags, workspace, &target, machine),
        None => of_vagrant(&target),
    }
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
