//! `cargo xtask ssh`: a shell on a machine, or one command there.

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::target::{self, Target};
use crate::workspace::Workspace;

/// Runs the verb; its exit status is the command's.
pub(crate) fn run(flags: &flags::Ssh, workspace: &Workspace) -> Result<Exit, Error> {
    let target = Target::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let machine = target::machine(lab, &flags.machine)?;
    let ssh = target::ssh(lab, &target.dir)?;
    let status = target::remote(&ssh, lab, machine).interactive(&flags.command)?;
    Ok(Exit::of_status(status))
}
