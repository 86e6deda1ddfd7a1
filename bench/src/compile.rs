//! A cold build of this tool: every crate, into an empty folder that is removed afterwards.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use caravan_cluster::timeline::RUN;
use caravan_lifecycle::Error;
use caravan_process::{Call, Program};
use serde::{Deserialize, Serialize};

use crate::Bench;
use caravan_files::WriteError;

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    /// From the start of Cargo to its end.
    seconds: f64,
    /// How many crates were compiled, ours included.
    crates: usize,
    /// How many of them are ours.
    own_crates: usize,
    /// How many CPUs worked on it.
    cpus: usize,
}

/// One line of `cargo build --message-format json`, as far as it matters here.
///
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
}

/// Measures.
///
/// # Errors
///
/// Where Cargo is not here or does not build, or there is no room for a temporary folder.
pub(crate) fn run(bench: &Bench) -> Result<(), Error> {
    let screen = &bench.screen;
    let cargo = cargo()?;
    // What must be downloaded first is no part of compiling.
    screen.now(RUN, "fetches sources");
    here(cargo.call(["fetch", "--locked", "--quiet"])).run()?;
    let target = tempfile::tempdir().map_err(|source| WriteError {
        path: std::env::temp_dir(),
        source,
    })?;
    screen.now(RUN, "compiles");
    let began = Instant::now();
    let args = "build --locked --offline --quiet --message-format json --package xtask";
    let built = here(cargo.call(args.split(' ')))
        .env("CARGO_TARGET_DIR", target.path())
        // A compiler cache would make it warm.
        .env("RUSTC_WRAPPER", "")
        .run()?;
    let seconds = began.elapsed().as_secs_f64();
    screen.clear();
    let (crates, own_crates) = count(&built.stdout);
    let figures = Figures {
        seconds,
        crates,
        own_crates,
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
    };
    bench.print(&figures, text);
    Ok(())
}

/// The Cargo that started this, else the one of the search path.
fn cargo() -> Result<Program, Error> {
    match std::env::var_os("CARGO") {
        Some(path) => Ok(Program::at(path)),
        None => Ok(Program::find("cargo")?),
    }
}

/// In the folder that this was compiled in, whatever workspace holds the labs.
fn here(call: Call) -> Call {
    call.dir(Path::new(env!("CARGO_MANIFEST_DIR")))
}

/// How many packages were compiled, and how many of them are of this workspace.
fn count(messages: &str) -> (usize, usize) {
    let packages: BTreeSet<String> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .map(|message| message.package_id)
        .collect();
    let own = packages.iter().filter(|id| id.starts_with("path+"));
    (packages.len(), own.count())
}

fn text(figures: &Figures) -> String {
    format!(
        "cold build of xtask: {:.1} s on {} CPUs, {} crates, {} of them ours",
        figures.seconds, figures.cpus, figures.crates, figures.own_crates
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once_whatever_it_consists_of() {
        let messages = r#"
{"reason":"compiler-artifact","package_id":"registry+https://github.com/rust-lang/crates.io-index#serde@1.0.1","target":{"kind":["custom-build"]}}
{"reason":"build-script-executed","package_id":"registry+https://github.com/rust-lang/crates.io-index#serde@1.0.1"}
{"reason":"compiler-artifact","package_id":"registry+https://github.com/rust-lang/crates.io-index#serde@1.0.1","target":{"kind":["lib"]}}
{"reason":"compiler-artifact","package_id":"path+file:///w/crates/lab#caravan-lab@0.1.0"}
{"reason":"compiler-message","package_id":"path+file:///w/crates/pki#caravan-pki@0.1.0"}
{"reason":"build-finished","success":true}
not a message
"#;
        assert_eq!(count(messages), (2, 1));
        assert_eq!(count(""), (0, 0));
    }

    #[test]
    fn the_line_says_all() {
        let figures = Figures {
            seconds: 61.04,
            crates: 210,
            own_crates: 8,
            cpus: 2,
        };
        assert_eq!(
            text(&figures),
            "cold build of xtask: 61.0 s on 2 CPUs, 210 crates, 8 of them ours"
        );
    }
}
