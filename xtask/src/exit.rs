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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Degraded => 3,
        })
    }
}
