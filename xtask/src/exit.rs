//! How the program ends.

use std::process::ExitCode;

/// The exit status, which scripts read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is as asked: 0.
    Done,
    /// The work was not done: 1.
    Failed,
    /// The command line or the lab file is wrong: 2.
    Usage,
    /// The lab runs, but not all of it is well: 3.
    Degraded,
    /// The user stopped it, by Ctrl-C or a signal: 130, which is how a shell tells of SIGINT.
    Interrupted,
    /// As a program that was run for the user ended.
    Status(u8),
}

impl Exit {
    /// As a program with this exit status ended; a signal counts as a failure.
    pub(crate) fn of_status(status: Option<i32>) -> Self {
        match status.map(u8::try_from) {
            Some(Ok(0)) => Self::Done,
            Some(Ok(status)) => Self::Status(status),
            Some(Err(_)) | None => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Degraded => 3,
            Exit::Interrupted => 130,
            Exit::Status(status) => status,
        })
    }
}
