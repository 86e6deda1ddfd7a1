//! Small TOML files of a lab's state: whole or absent, and never taken for absent where they make no sense.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Now, as state files tell times: RFC 3339, UTC, to the second.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Reads the file at `path`, if it is there.
///
/// # Errors
///
/// [`Error::Read`], also where the file makes no sense.
pub(crate) fn read<T: DeserializeOwned>(path: PathBuf) -> Result<Option<T>, Error> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Read { path, source }),
    };
    toml::from_str(&text)
        .map(Some)
        .map_err(|error| Error::Read {
            path,
            source: io::Error::new(ErrorKind::InvalidData, error.message().to_owned()),
        })
}

/// Writes `state` to `path`, below `comment`, which is empty or ends with a line's end. The folder must exist.
///
/// # Errors
///
/// [`Error::Write`].
pub(crate) fn write(path: &Path, comment: &str, state: &impl Serialize) -> Result<(), Error> {
    let text = toml::to_string(state).expect("plain fields are TOML");
    caravan_files::write_if_changed(path, 0o600, format!("{comment}{text}").as_bytes())?;
    Ok(())
}
