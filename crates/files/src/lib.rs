//! How is a file written so that a kill loses nothing and nobody else reads it?
//!
//! A file is written beside its place, readable by its owner alone, and then given its name: a reader, or a run after one
//! that was killed, sees the old file or the new one and nothing between. Folders are made so that only their owner may
//! enter. What is to be removed need not be there.

mod folder;
mod remove;
mod write;

use std::io;
use std::path::{Path, PathBuf};

pub use self::folder::make_private_folder;
pub use self::remove::{remove_file, remove_folder};
pub use self::write::{Access, replace, write_if_changed};

/// A file or folder could not be written, made or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`", path.display())]
pub struct WriteError {
    /// Which one.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl WriteError {
    fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        |source| Self {
            path: path.to_owned(),
            source,
        }
    }
}
