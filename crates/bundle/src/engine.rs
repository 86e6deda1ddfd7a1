//! The container engine, through its command line.

use std::path::Path;

use caravan_process::{Call, Program};

use crate::Error;
use crate::progress::{Event, Progress};

/// A container engine with Docker's command line.
#[derive(Debug, Clone)]
pub struct Engine {
    program: Program,
}

impl Engine {
    /// Finds `docker` on the search path.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when there is none.
    pub fn find() -> Result<Self, Error> {
        Program::find("docker")
            .map(Self::of)
            .map_err(Error::program("find the container engine"))
    }

    /// The engine whose command is `program`.
    pub fn of(program: Program) -> Self {
        Self { program }
    }

    pub(crate) fn call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Call {
        self.program.call(args)
    }

    /// Asks a short question and returns the answer without the last line end.
    pub(crate) fn ask<'a>(
        &self,
        doing: &str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, Error> {
        let output = self.call(args).run().map_err(Error::program(doing))?;
        Ok(output.stdout.trim_end().to_owned())
    }

    /// Whether it has the image `name`.
    pub(crate) fn has_image(&self, name: &str) -> Result<bool, Error> {
        let doing = "ask the container engine for its images";
        let listed = self.ask(
            doing,
            [
                "image",
                "ls",
                "--quiet",
                "--filter",
                &format!("reference={name}"),
            ],
        )?;
        Ok(!listed.is_empty())
    }

    /// Builds the image `name` from the folder `context`.
    pub(crate) fn build(
        &self,
        name: &str,
        context: &Path,
        args: &[String],
        log: &Path,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let mut call = self.call(["build", "--tag", name]);
        for arg in args {
            call = call.args(["--build-arg", arg]);
        }
        // Where the new builder is not installed, the client has to be told to use the old one.
        let new_builder = self
            .call(["buildx", "version"])
            .output()
            .is_ok_and(|output| output.success());
        if !new_builder {
            call = call.env("DOCKER_BUILDKIT", "0");
        }
        call.arg(context)
            .logged(log, &mut |text| progress.event(&Event::Line { text }))
            .map_err(Error::program(format!("build the image `{name}`")))
    }

    /// Removes what `args` name, which need not be there.
    pub(crate) fn discard<'a>(&self, args: impl IntoIterator<Item = &'a str>) {
        // What is not there cannot be removed, and what is still in use is removed by the next run.
        drop(self.call(args).output());
    }
}
