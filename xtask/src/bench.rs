//! `cargo xtask bench`: measures, prints the figures, and leaves nothing behind.

mod compile;
mod plan;
mod up;

use caravan_lifecycle::Workspace;
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags::{self, BenchAction};
use crate::show::screen::Screen;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Bench,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    match &flags.action {
        BenchAction::Up {
            lab,
            keep,
            json,
            making,
            origin,
        } => {
            let asked = up::Asked {
                lab,
                making,
                origin,
                keep: *keep,
                json: *json,
            };
            up::run(&asked, workspace, screen)
        }
        BenchAction::Plan { json } => plan::run(*json, workspace, screen),
        BenchAction::Compile { json } => compile::run(*json, screen),
    }
}

/// Prints figures, for people or for programs.
fn print<T: Serialize>(json: bool, figures: &T, text: fn(&T) -> String) {
    if json {
        let text = serde_json::to_string_pretty(figures).expect("figures are plain data");
        println!("{text}");
    } else {
        println!("{}", text(figures));
    }
}
