//! `cargo xtask bench`: measures, and prints what it measured.

mod compile;
mod floor;
mod plan;
mod whole;

use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags::{self, BenchAction};
use crate::show::screen::Screen;
use crate::show::timeline::table;
use crate::workspace::Workspace;

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
}

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Bench,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let (figures, json) = match &flags.action {
        BenchAction::Up { json, .. } => (whole::measure(&flags.action, workspace, screen)?, *json),
        BenchAction::Plan { json } => (plan::measure(workspace)?, *json),
        BenchAction::Compile { json } => (compile::measure(workspace, screen)?, *json),
    };
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(&figures).expect("plain data")
        );
        return Ok(Exit::Done);
    }
    let mut table = table::plain(&["measured", "value", "unit"]);
    for figure in figures {
        table.add_row([
            figure.what,
            format!("{:.2}", figure.value),
            figure.unit.to_owned(),
        ]);
    }
    println!("{}", table::text(&table));
    Ok(Exit::Done)
}

fn seconds(what: &str, duration: std::time::Duration) -> Figure {
    Figure {
        what: what.to_owned(),
        value: duration.as_secs_f64(),
        unit: "s",
    }
}
