//! What can go wrong when a program is run.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::Call;

/// How many lines of a program's last words an error keeps.
const TAIL_LINES: usize = 20;

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It ran and ended with another status than 0.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// The user interrupted the run (Ctrl-C).
    #[error("interrupted while `{command}` ran")]
    Interrupted {
        /// The command line, pasteable.
        command: String,
    },
    /// The file that takes its output could not be written or read back.
    #[error("cannot use the log file `{}` of `{command}`", log.display())]
    Log {
        /// The command line, pasteable.
        command: String,
        /// The file.
        log: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No folder of the search path holds it.
    #[error("the program `{program}` is not installed, or not on the search path")]
    NotFound {
        /// Its name.
        program: String,
        /// The search path.
        searched: String,
    },
    /// The operating system would not start it, or lost it.
    #[error("cannot start `{command}`")]
    NotStarted {
        /// The command line, pasteable.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It took longer than its limit and was ended.
    #[error("`{command}` did not end within {seconds} s and was stopped")]
    TimedOut {
        /// The command line, pasteable.
        command: String,
        /// The limit, in seconds.
        seconds: u64,
    },
}

/// A program that ran and did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The command line, pasteable.
    pub command: String,
    /// The folder it ran in, if not the current one.
    pub dir: Option<PathBuf>,
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The last lines that it printed.
    pub tail: Vec<String>,
    /// The file that holds all of them.
    pub log: Option<PathBuf>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.command)?;
        match self.status {
            Some(status) => write!(f, " ended with status {status}")?,
            None => f.write_str(" was ended by a signal")?,
        }
        for line in &self.tail {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

impl Error {
    pub(crate) fn not_started(call: &Call, source: io::Error) -> Self {
        Self::NotStarted {
            command: call.to_string(),
            source,
        }
    }

    pub(crate) fn failed(
        call: &Call,
        status: Option<i32>,
        said: &str,
        log: Option<PathBuf>,
    ) -> Self {
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..]
            .iter()
            .map(|&line| line.to_owned())
            .collect();
        Self::Failed(Box::new(Failure {
            command: call.to_string(),
            dir: call.folder().map(ToOwned::to_owned),
            status,
            tail,
            log,
        }))
    }

    /// The next thing to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(failure) => failure
                .log
                .as_ref()
                .map(|log| format!("all of its output is in `{}`", log.display())),
            Self::NotFound { .. } => Some(
                "`cargo xtask doctor` lists what is missing, `cargo xtask setup` installs it"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
