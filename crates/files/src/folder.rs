//! Folders that only their owner may enter.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::WriteError;

/// Makes a folder, and those above it, that only its owner may enter; takes away what group and others may do in one that is
/// there, and touches none that is closed to them already, whoever owns it.
///
/// # Errors
///
/// Where it cannot be made or closed.
pub fn make_private_folder(folder: &Path) -> Result<(), WriteError> {
    make(folder).map_err(WriteError::at(folder))
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("made").permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_and_those_above_it_are_the_owners_alone() {
        let root = tempfile::tempdir().expect("a folder");
        let above = root.path().join("above");
        let folder = above.join("folder");
        make_private_folder(&folder).expect("made");
        assert_eq!((mode(&above), mode(&folder)), (0o700, 0o700));
        make_private_folder(&folder).expect("a second time");
    }

    #[test]
    fn one_that_was_open_is_closed_and_one_that_is_closed_is_left() {
        let root = tempfile::tempdir().expect("a folder");
        for (before, after) in [
            (0o755, 0o700),
            (0o710, 0o700),
            (0o701, 0o700),
            (0o500, 0o500),
        ] {
            let folder = root.path().join(format!("{before:o}"));
            fs::create_dir(&folder).expect("made");
            fs::set_permissions(&folder, Permissions::from_mode(before)).expect("set");
            make_private_folder(&folder).expect("closed");
            assert_eq!(mode(&folder), after, "{before:o}");
        }
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("file");
        fs::write(&file, "").expect("written");
        let error = make_private_folder(&file).expect_err("a file is there");
        assert_eq!(error.path, file);
        assert_eq!(
            error.to_string(),
            format!("cannot write `{}`", file.display())
        );
    }
}
