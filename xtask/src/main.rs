//! The lab tool: parses the command line, goes to the workspace, runs one verb.

mod error;
mod exit;
mod flags;
mod kubeconfig;
mod lab_dir;
mod lock;
mod report;
mod workspace;
mod write;

use std::process::ExitCode;

use clap::Parser;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags::{Flags, Verb};

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(flags) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report::error(&error);
            error.exit().into()
        }
    }
}

fn run(flags: Flags) -> Result<Exit, Error> {
    let workspace = workspace::Workspace::find()?;
    match flags.verb {
        Verb::Plan(plan) => {
            workspace.lab(&plan.lab)?;
            Ok(Exit::Done)
        }
        _ => Ok(Exit::Done),
    }
}
