//! Results and errors: data on standard output, everything else on standard error.

use std::error::Error as _;
use std::fmt::{Display, Formatter};
use std::io::{ErrorKind, Write as _, stdout};
use std::path::Path;

use caravan_pki::Error;

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Done,
    Degraded,
    Failed,
}

/// Why a verb did not do its work.
pub(crate) enum Failure {
    /// The library says what is wrong.
    Pki(Error),
    /// What was asked for does not fit what is there.
    Request { problem: String, hint: String },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Pki(error)
    }
}

impl Display for Failure {
    /// What is wrong and its causes, a line each.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request { problem, .. } => f.write_str(problem),
            Self::Pki(error) => {
                write!(f, "{error}")?;
                let mut cause = error.source();
                while let Some(inner) = cause {
                    write!(f, "\n  {inner}")?;
                    cause = inner.source();
                }
                Ok(())
            }
        }
    }
}

impl Failure {
    /// Prints what is wrong, its causes and what to do.
    pub(crate) fn show(&self) {
        eprintln!("error: {self}");
        let hint = match self {
            Self::Request { hint, .. } => Some(hint.clone()),
            Self::Pki(error) => allowing(error).or_else(|| error.hint()),
        };
        if let Some(hint) = hint {
            eprintln!("\nhint: {hint}");
        }
    }
}

/// The option that allows a request what it was refused.
fn allowing(error: &Error) -> Option<String> {
    let Error::Refused { field, value, .. } = error else {
        return None;
    };
    let option = match *field {
        "alternative name" => "--san",
        "common name" => "--cn",
        "organization" => "--organization",
        _ => return None,
    };
    Some(format!("to allow it: {option} '{value}'"))
}

/// Prints a line on standard output.
pub(crate) fn say(line: impl Display) {
    print(format_args!("{line}\n"));
}

/// Prints text on standard output.
pub(crate) fn print(text: impl Display) {
    let mut out = stdout().lock();
    if let Err(error) = write!(out, "{text}").and_then(|()| out.flush()) {
        // A reader that has seen enough, such as `head`, is no failure.
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("error: cannot write standard output\n  {error}");
        std::process::exit(1);
    }
}

/// Prints a JSON value.
pub(crate) fn show_json(value: &serde_json::Value) {
    say(format_args!("{value:#}"));
}

/// Reads a file that the user named.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Says in which file the error was found.
pub(crate) fn in_file(path: &Path) -> impl FnOnce(Error) -> Error {
    |error| error.in_file(path)
}
