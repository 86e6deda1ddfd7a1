//! Results and errors: data on standard output, everything else on standard error.

use std::error::Error as _;
use std::fmt::{Display, Formatter};
use std::io::{ErrorKind, Read as _, StdoutLock, Write as _, stdin, stdout};
use std::path::Path;

use caravan_pki::{Certificate, Error, inspect};

use crate::server;

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
            Self::Pki(error) => f.write_str(&causes(error)),
        }
    }
}

impl Failure {
    /// Prints what is wrong, its causes and what to do.
    pub(crate) fn show(&self) {
        eprintln!("error: {self}");
        if let Some(hint) = self.hint() {
            eprintln!("\nhint: {hint}");
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Request { hint, .. } => Some(hint.clone()),
            Self::Pki(error) => allowing(error).or_else(|| error.hint()),
        }
    }

    /// The same for programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "error": self.to_string(), "hint": self.hint() })
    }
}

/// What is wrong and its causes, a line each.
pub(crate) fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!("\n  {inner}"));
        cause = inner.source();
    }
    text
}

/// Prints what is wrong with one of several things, and what to do.
pub(crate) fn show_failure(id: &str, error: &Error, hint: Option<String>) {
    eprintln!("error: {id}: {}", causes(error));
    if let Some(hint) = hint {
        eprintln!("  hint: {hint}");
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
    written(|out| write!(out, "{text}"));
}

/// Prints bytes on standard output.
pub(crate) fn print_bytes(bytes: &[u8]) {
    written(|out| out.write_all(bytes));
}

fn written(write: impl FnOnce(&mut StdoutLock<'_>) -> std::io::Result<()>) {
    let mut out = stdout().lock();
    if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
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

/// Reads a file that the user named; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || match is_stdin(path) {
        true => {
            let mut bytes = Vec::new();
            stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        false => std::fs::read(path),
    };
    read().map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// Whether the user means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The certificates of a file that the user named, each chain with the user of the kubeconfig whose it is, and what is wrong
/// with the other users.
pub(crate) fn read_chains(path: &Path) -> Result<(Vec<Chain>, Vec<Error>), Error> {
    if let Some(address) = server::address(path) {
        let certificates = server::certificates(&address)?;
        let user = None;
        return Ok((vec![Chain { user, certificates }], Vec::new()));
    }
    let found = match is_stdin(path) {
        true => inspect::read(&read(path)?).map_err(in_file(path))?,
        false => inspect::read_file(path)?,
    };
    let chains = found.chains.into_iter().map(|chain| Chain {
        user: chain.user,
        certificates: chain.certificates,
    });
    Ok((chains.collect(), found.faults))
}

/// Certificates that stand together.
pub(crate) struct Chain {
    pub(crate) user: Option<String>,
    pub(crate) certificates: Vec<Certificate>,
}

/// Says that a file could not be written.
pub(crate) fn not_written(error: caravan_files::WriteError) -> Error {
    Error::Io {
        action: "write",
        path: error.path,
        source: error.source,
    }
}

/// Says in which file the error was found.
pub(crate) fn in_file(path: &Path) -> impl FnOnce(Error) -> Error {
    |error| error.in_file(path)
}
