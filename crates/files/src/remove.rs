//! Removes what need not be there.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::WriteError;

/// Removes a file; it need not be there.
///
/// # Errors
///
/// Where it is there and cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), WriteError> {
    unless_gone(fs::remove_file(path)).map_err(WriteError::at(path))
}

/// Removes a folder and all in it; it need not be there.
///
/// # Errors
///
/// Where it is there and cannot be removed whole.
pub fn remove_folder(path: &Path) -> Result<(), WriteError> {
    unless_gone(fs::remove_dir_all(path)).map_err(WriteError::at(path))
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_goes_and_what_is_not_is_no_error() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("folder");
        let file = folder.join("file");
        fs::create_dir(&folder).expect("made");
        fs::write(&file, "text").expect("written");
        remove_file(&file).expect("removed");
        assert!(!file.exists());
        remove_file(&file).expect("gone already");
        fs::write(&file, "text").expect("written");
        remove_folder(&folder).expect("removed");
        assert!(!folder.exists());
        remove_folder(&folder).expect("gone already");
    }

    #[test]
    fn what_cannot_be_removed_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let error = remove_file(root.path()).expect_err("a folder");
        assert_eq!(error.path, root.path());
    }
}
