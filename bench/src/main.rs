//! How fast is it? Measures, prints the figures, and leaves nothing behind.
//!
//! `cargo xtask bench` starts this and says where everything is; what is measured is the tool itself, as a user starts it.

mod compile;
mod error;
mod plan;
mod tool;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use caravan_bundle::Cache;
use caravan_lifecycle::Workspace;
use caravan_process::interrupt;
use caravan_screen::Screen;
use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::error::Error;
use crate::tool::Tool;

/// How the tool is started by people.
const TOOL: &str = "cargo xtask";

/// Measures the tool; `cargo xtask bench` starts this.
#[derive(Debug, Parser)]
#[command(name = "caravan-bench", disable_version_flag = true)]
struct Flags {
    /// The tool, as a program
    #[arg(long)]
    tool: PathBuf,
    /// The folder that holds `labs/`
    #[arg(long)]
    workspace: PathBuf,
    /// The folder of made software
    #[arg(long)]
    cache: PathBuf,
    /// Print no progress
    #[arg(long)]
    quiet: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Bare machines against the whole of `up`, in one run
    Up(up::Flags),
    /// `plan` of ha and of a generated lab of 1,000 machines
    Plan,
    /// A cold build of the tool
    Compile,
}

/// What every measurement is given.
struct Bench {
    tool: Tool,
    workspace: Workspace,
    cache: PathBuf,
    screen: Screen,
    json: bool,
}

impl Bench {
    /// Opens the cache.
    fn cache(&self) -> Result<Cache, caravan_bundle::Error> {
        Cache::open(&self.cache)
    }

    /// Prints figures, for people or for programs.
    fn print<T: Serialize>(&self, figures: &T, text: fn(&T) -> String) {
        if self.json {
            let text = serde_json::to_string_pretty(figures).expect("figures are plain data");
            println!("{text}");
        } else {
            println!("{}", text(figures));
        }
    }
}

fn main() -> ExitCode {
    caravan_screen::pipe::end_when_nobody_reads();
    let flags = Flags::parse();
    // Ctrl-C and `kill` are noted here, and every loop that waits looks at it.
    if let Err(error) = ctrlc::set_handler(interrupt::raise) {
        eprintln!("warning: Ctrl-C will end this at once: {error}");
    }
    let bench = Bench {
        tool: Tool::new(flags.tool, &flags.workspace, flags.quiet),
        workspace: Workspace::at(flags.workspace),
        cache: flags.cache,
        screen: Screen::new(flags.quiet, TOOL),
        json: flags.json,
    };
    let ended = match flags.benchmark {
        Benchmark::Up(flags) => up::run(&flags, &bench),
        Benchmark::Plan => plan::run(&bench).map(|()| 0).map_err(Error::from),
        Benchmark::Compile => compile::run(&bench).map(|()| 0).map_err(Error::from),
    };
    match ended {
        Ok(status) => status.into(),
        Err(error) => error.tell(TOOL).into(),
    }
}
