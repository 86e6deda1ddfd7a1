//! How long it takes until this tool is there: a build with nothing built before.

use std::time::Instant;

use caravan_process::Program;

use super::{Figure, seconds};
use crate::error::Error;
use crate::show::screen::Screen;
use crate::show::timeline::RUN;
use crate::workspace::Workspace;

pub(super) fn measure(workspace: &Workspace, screen: &Screen) -> Result<Vec<Figure>, Error> {
    let folder = tempfile::tempdir().map_err(|source| Error::Write {
        path: std::env::temp_dir(),
        source,
    })?;
    let cargo = Program::find("cargo")?;
    let build = |offline: bool| {
        let mut call = cargo.call(["build", "--package", "xtask", "--target-dir"]);
        call = call.arg(folder.path()).dir(workspace.root());
        if offline { call.arg("--offline") } else { call }
    };
    // Downloads are the registry's speed, not ours.
    cargo
        .call(["fetch", "--quiet"])
        .dir(workspace.root())
        .run()?;
    screen.now(RUN, "building from nothing");
    let began = Instant::now();
    build(true).run()?;
    let cold = began.elapsed();
    let began = Instant::now();
    build(true).run()?;
    let again = began.elapsed();
    screen.clear();
    Ok(vec![
        seconds("cold build of xtask", cold),
        seconds("the same with nothing to do", again),
    ])
}
