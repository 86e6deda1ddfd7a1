//! A lab of a story's own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Tool;

/// A lab file that is gone when this is dropped.
pub struct LabFile(PathBuf);

impl LabFile {
    /// Has `cargo xtask new` write it; `shape` is how many machines of each role, as that takes it.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn write(tool: &Tool, lab: &str, shape: &[&str]) -> Self {
        tool.ok(&[&["new", lab][..], shape].concat());
        Self(tool.root().join(format!("labs/{lab}.toml")))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for LabFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}
