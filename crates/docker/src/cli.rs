//! The command `docker`.

use std::ffi::OsStr;
use std::time::Duration;

use caravan_process::{Call, Computer, Program, interrupt};
use serde::de::DeserializeOwned;

use crate::Error;
use crate::error::is_gone;

/// How long the engine may take for a question.
const QUESTION: Duration = Duration::from_secs(15);

/// The client of a container engine, with Docker's command line.
#[derive(Debug, Clone)]
pub struct DockerCli {
    program: Program,
}

impl DockerCli {
    /// Finds `docker` on the search path.
    ///
    /// # Errors
    ///
    /// [`caravan_process::Error::NotFound`] when there is none.
    pub fn find() -> Result<Self, caravan_process::Error> {
        Program::find("docker").map(Self::with)
    }

    /// Finds `docker` on a computer.
    ///
    /// # Errors
    ///
    /// Those of [`Computer::program`].
    pub fn on(computer: &Computer) -> Result<Self, caravan_process::Error> {
        computer.program("docker").map(Self::with)
    }

    /// Takes `program` as the client.
    pub fn with(program: Program) -> Self {
        Self { program }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Prepares one start of the client with `args`, for what has no method here.
    pub fn call<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Call {
        self.program.call(args)
    }

    /// Asks a short question and returns what was printed.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] when no engine answers, [`Error::Process`].
    pub fn ask<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<String, Error> {
        let output = self.call(args).timeout(QUESTION).run()?;
        Ok(output.stdout)
    }

    /// Inspects what `ids` lists, line by line. What has gone meanwhile is left out.
    pub(crate) fn inspect<T: DeserializeOwned>(
        &self,
        kind: &str,
        ids: &str,
    ) -> Result<Vec<T>, Error> {
        if ids.trim().is_empty() {
            return Ok(Vec::new());
        }
        let call = self.call([kind, "inspect"]).args(ids.lines());
        // It prints what it found and fails when one id is gone.
        let output = call.clone().timeout(QUESTION).output()?;
        // An engine that stops just now is no engine without containers.
        if !output.success() && !is_gone(&output.stderr) {
            let said = output.stderr.trim().to_owned();
            let command = call.to_string();
            return Err(if interrupt::raised() {
                caravan_process::Error::Interrupted { command }.into()
            } else {
                Error::Down { said }
            });
        }
        serde_json::from_str(&output.stdout).map_err(|source| Error::Answer {
            command: format!("docker {kind} inspect"),
            source,
        })
    }
}
