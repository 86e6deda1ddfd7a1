//! The command `docker`.

use std::ffi::OsStr;
use std::time::Duration;

use caravan_process::{Call, Computer, Program, interrupt};
use serde::de::DeserializeOwned;

use crate::Error;
use crate::error::is_gone;

/// How long the engine may take for a question.
const QUESTION: Duration = Duration::from_secs(15);

/// How often a question is asked that is not answered in that time. It changes nothing, and an engine that starts nine machines
/// on two processors answers the next one.
const TRIES: usize = 3;

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
        let call = self.call(args);
        Ok(patiently(|| call.clone().timeout(QUESTION).run())?.stdout)
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
        let output = patiently(|| call.clone().timeout(QUESTION).output())?;
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

/// Asks again where an answer took too long.
fn patiently<T>(
    ask: impl Fn() -> Result<T, caravan_process::Error>,
) -> Result<T, caravan_process::Error> {
    let mut tries = 1;
    loop {
        match ask() {
            Err(caravan_process::Error::TimedOut { .. })
                if tries < TRIES && !interrupt::raised() =>
            {
                tries += 1;
            }
            ended => return ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_question_that_took_too_long_is_asked_again() {
        let late = || caravan_process::Error::TimedOut {
            command: "docker ps".to_owned(),
            seconds: 15,
        };
        let asked = Cell::new(0);
        let answer = patiently(|| {
            asked.set(asked.get() + 1);
            if asked.get() < 3 { Err(late()) } else { Ok(7) }
        });
        assert_eq!((answer.ok(), asked.get()), (Some(7), 3));
        asked.set(0);
        let never: Result<(), _> = patiently(|| {
            asked.set(asked.get() + 1);
            Err(late())
        });
        assert!(matches!(
            never,
            Err(caravan_process::Error::TimedOut { .. })
        ));
        assert_eq!(asked.get(), TRIES);
        // What is answered with no is not asked again.
        asked.set(0);
        let refused: Result<(), _> = patiently(|| {
            asked.set(asked.get() + 1);
            Err(caravan_process::Error::Interrupted {
                command: "docker ps".to_owned(),
            })
        });
        assert!(refused.is_err());
        assert_eq!(asked.get(), 1);
    }
}
