//! Results and errors: data on standard output, everything else on standard error.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use caravan_pki::Error;

/// How a verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Done,
    Degraded,
    Failed,
}

/// Prints the error, its causes and what to do.
pub(crate) fn show_error(error: &Error) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        eprintln!("  {inner}");
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        eprintln!("\nhint: {hint}");
    }
}

/// Prints a JSON value.
pub(crate) fn show_json(value: &serde_json::Value) {
    println!("{value:#}");
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
    let path = PathBuf::from(path);
    move |source| Error::InFile {
        path,
        source: Box::new(source),
    }
}
