//! The tool that is measured, as a user starts it.

use std::path::{Path, PathBuf};

use caravan_process::{Call, Program, interrupt};

use crate::error::Error;

/// How the tool ends where a lab runs and not all of it is well.
const DEGRADED: i32 = 3;

/// The tool.
pub(crate) struct Tool {
    program: Program,
    root: PathBuf,
    quiet: bool,
}

impl Tool {
    pub(crate) fn new(program: PathBuf, root: &Path, quiet: bool) -> Self {
        Self {
            program: Program::at(program),
            root: root.to_owned(),
            quiet,
        }
    }

    /// A verb with its flags, in the workspace.
    pub(crate) fn call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Call {
        let call = self.program.call(args).env("CARAVAN_ROOT", &self.root);
        match self.quiet {
            true => call.arg("--quiet"),
            false => call,
        }
    }

    /// Runs a verb on the terminal; returns its exit status, which is 0 or, where the lab is degraded, 3.
    pub(crate) fn run(&self, call: Call) -> Result<u8, Error> {
        let status = call.attended().map_err(caravan_lifecycle::Error::from)?;
        ended(status)?;
        Ok(if status == Some(DEGRADED) { 3 } else { 0 })
    }

    /// Runs a verb on the terminal; returns the line that it prints.
    pub(crate) fn answer(&self, call: Call) -> Result<String, Error> {
        let output = call
            .attended_output()
            .map_err(caravan_lifecycle::Error::from)?;
        ended(output.status)?;
        Ok(output.stdout.trim().to_owned())
    }
}

/// What the tool says of its own end is enough, unless the user has ended all of this.
fn ended(status: Option<i32>) -> Result<(), Error> {
    match status {
        Some(0 | DEGRADED) if interrupt::raised() => {
            Err(caravan_lifecycle::Error::Interrupted.into())
        }
        Some(0 | DEGRADED) => Ok(()),
        status => Err(Error::Tool { status }),
    }
}
