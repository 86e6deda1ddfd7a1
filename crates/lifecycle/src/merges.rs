//! Which files a lab's contexts were merged into: what was done, for the day when `KUBECONFIG` says something else.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, LabDir};

/// The files that a lab's contexts were merged into, in the order of the merges.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRecord {
    #[serde(default)]
    files: Vec<Merged>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Merged {
    path: PathBuf,
    /// Whether there was no such file before.
    made: bool,
}

impl MergeRecord {
    /// What is kept of the merges of a lab; nothing where that is gone or damaged.
    pub fn of(dir: &LabDir) -> Self {
        let text = fs::read_to_string(dir.merged()).unwrap_or_default();
        toml::from_str(&text).unwrap_or_default()
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|merged| merged.path.as_path())
    }

    /// Whether the contexts were merged into `path`.
    pub fn has(&self, path: &Path) -> bool {
        let path = absolute(path);
        self.paths().any(|known| known == path)
    }

    /// Whether `path` was made for the contexts.
    pub fn made(&self, path: &Path) -> bool {
        let path = absolute(path);
        self.files
            .iter()
            .any(|known| known.path == path && known.made)
    }

    /// Adds `path`.
    pub fn add(&mut self, path: &Path, made: bool) {
        if !self.has(path) {
            let path = absolute(path);
            self.files.push(Merged { path, made });
        }
    }

    /// Takes `path` out.
    pub fn remove(&mut self, path: &Path) {
        let path = absolute(path);
        self.files.retain(|known| known.path != path);
    }

    /// Writes it; a record without files is no file.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn save(&self, dir: &LabDir) -> Result<(), Error> {
        let path = dir.merged();
        // A path that is no text cannot be kept here; `KUBECONFIG` still leads to it.
        let files = self
            .files
            .iter()
            .filter(|known| known.path.to_str().is_some());
        let text = Self {
            files: files.cloned().collect(),
        };
        if text.files.is_empty() {
            return Ok(caravan_files::remove_file(&path)?);
        }
        let text = toml::to_string(&text).unwrap_or_default();
        caravan_files::write_if_changed(&path, 0o600, text.as_bytes())?;
        Ok(())
    }
}

/// `path` from the root on: the current folder will be another one.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
