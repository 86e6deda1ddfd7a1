//! `cargo xtask bench`: starts the program that measures this one, a package of its own that only who measures compiles.

use std::path::Path;

use caravan_lifecycle::Workspace;
use caravan_process::Program;

use crate::environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::flags::{self, BenchAction, word};

/// Runs the verb.
pub(crate) fn run(flags: &flags::Bench, workspace: &Workspace, quiet: bool) -> Result<Exit, Error> {
    let this = std::env::current_exe().map_err(|source| Error::Read {
        path: "/proc/self/exe".into(),
        source,
    })?;
    let cargo = match std::env::var_os("CARGO") {
        Some(path) => Program::at(path),
        None => Program::find("cargo")?,
    };
    // The workspace that this was compiled in, whatever workspace holds the labs.
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    let call = cargo
        .call(["run", "--quiet", "--package", "caravan-bench"])
        .arg("--manifest-path")
        .arg(manifest)
        .args(["--", "--tool"])
        .arg(this)
        .arg("--workspace")
        .arg(workspace.root())
        .arg("--cache")
        .arg(environment::cache_folder())
        .args(quiet.then_some("--quiet"));
    let call = match &flags.action {
        BenchAction::Up {
            lab,
            keep,
            json,
            making,
            origin,
        } => {
            // What is wrong with its file is told here, with the file's lines.
            workspace.lab(lab)?;
            call.args(json.then_some("--json"))
                .args(["up", lab.as_str()])
                .args(keep.then_some("--keep"))
                .args(making.words())
                .args([
                    "--source",
                    &word(&origin.source),
                    "--base",
                    &word(&origin.base),
                ])
        }
        BenchAction::Plan { json } => call.args(json.then_some("--json")).arg("plan"),
        BenchAction::Compile { json } => call.args(json.then_some("--json")).arg("compile"),
    };
    Ok(Exit::of_status(call.attended()?))
}
