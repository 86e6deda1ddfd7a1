//! `cargo xtask logs`: a machine's journal, or what Vagrant said.

use std::time::Duration;

use caravan_process::interrupt;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::machines;
use crate::target::{self, Target};
use crate::workspace::{self, Workspace};

/// How long a machine may take to tell its journal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the verb.
pub(crate) fn run(flags: &flags::Logs, workspace: &Workspace) -> Result<Exit, Error> {
    let target = Target::of(workspace, flags.lab.as_deref())?;
    match &flags.machine {
        Some(machine) => journal(flags, workspace, &target, machine),
        None => of_vagrant(&target),
    }
}

fn journal(
    flags: &flags::Logs,
    workspace: &Workspace,
    target: &Target,
    machine: &str,
) -> Result<Exit, Error> {
    let lab = target.lab(workspace)?;
    let machine = target::machine(lab, machine)?;
    let ssh = target::ssh(lab, &target.dir)?;
    let remote = target::remote(&ssh, lab, machine);
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

fn of_vagrant(target: &Target) -> Result<Exit, Error> {
    for server in machines::groups(&target.dir) {
        let log = target.dir.log(&server);
        if log.is_file() {
            println!("==> {} <==", log.display());
            print!("{}", workspace::read(&log)?);
        }
    }
    Ok(Exit::Done)
}
