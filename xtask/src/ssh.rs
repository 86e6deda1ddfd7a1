//! `cargo xtask ssh`: a shell on a machine, or one command there.

use caravan_lifecycle::{self as lifecycle, LabTarget, Workspace};

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;

/// Runs the verb; its exit status is the command's.
pub(crate) fn run(flags: &flags::Ssh, workspace: &Workspace) -> Result<Exit, Error> {
    let (lab, machine) = match flags.place.as_slice() {
        [lab, machine, ..] => (Some(lab.as_str()), machine.as_str()),
        [one] => (None, one.as_str()),
        [] => (None, ""),
    };
    let target = LabTarget::of(workspace, lab)?;
    let lab = target.lab(workspace)?;
    let machine = lifecycle::machine(lab, machine)?;
    let ssh = lifecycle::ssh(lab, &target.dir, target.pace())?;
    let status = lifecycle::remote(&ssh, machine).interactive(&flags.command)?;
    Ok(Exit::of_status(status))
}
