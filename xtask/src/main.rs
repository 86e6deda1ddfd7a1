//! The lab tool: parses the command line, goes to the workspace, runs one verb.

mod choices;
mod doctor;
mod engine;
mod error;
mod exit;
mod flags;
mod go;
mod kubeconfig;
mod lab_changes;
mod lab_dir;
mod lock;
mod needs;
mod packages;
mod plan;
mod report;
mod run;
mod screen;
mod setup;
mod timeline;
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
    let screen = screen::Screen::new(flags.quiet);
    let workspace = workspace::Workspace::find()?;
    match flags.verb {
        Verb::Doctor(doctor) => doctor::run(&doctor, &workspace),
        Verb::Setup(setup) => setup::run(&setup, &screen),
        Verb::Plan(plan) => plan::run(&plan, &workspace, &screen),
        _ => Ok(Exit::Done),
    }
}
