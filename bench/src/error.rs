//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use caravan_lifecycle::hint_of_file;
use caravan_process::interrupt;
use caravan_screen::{failure_text, to_stderr};

/// Why something was not measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Software.
    #[error(transparent)]
    Bundle(#[from] caravan_bundle::Error),
    /// This computer lacks something.
    #[error(transparent)]
    Host(#[from] caravan_host::Error),
    /// A lab, or its machines.
    #[error(transparent)]
    Lifecycle(#[from] caravan_lifecycle::Error),
    /// The lab has machines, and what is measured needs it without.
    #[error("lab `{lab}` has machines, and the measurement must start without any")]
    Occupied { lab: String },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The tool did not do its work, and has said why.
    #[error("a verb ended with status {status:?}")]
    Tool { status: Option<i32> },
}

impl Error {
    /// Tells it to people, and returns the exit status.
    pub(crate) fn tell(&self, tool: &str) -> u8 {
        let interrupted = caravan_lifecycle::Error::Interrupted;
        match self {
            Self::Tool { status } => status.and_then(|it| u8::try_from(it).ok()).unwrap_or(1),
            // What was cut short is no news to who cut it.
            _ if interrupt::raised() => {
                to_stderr(&failure_text(&interrupted, interrupted.hint(tool), tool));
                130
            }
            Self::Lifecycle(error) if error.is_usage() => {
                to_stderr(&failure_text(self, self.hint(tool), tool));
                2
            }
            _ => {
                to_stderr(&failure_text(self, self.hint(tool), tool));
                1
            }
        }
    }

    fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Bundle(error) => error.hint(tool),
            Self::Host(error) => error.hint(tool),
            Self::Lifecycle(error) => error.hint(tool),
            Self::Occupied { lab } => Some(format!("`{tool} destroy {lab}`")),
            Self::Read { path, source } => hint_of_file(tool, path, source),
            Self::Tool { .. } => None,
        }
    }
}
