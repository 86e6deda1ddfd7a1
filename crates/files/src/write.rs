//! Writes files so that a reader, or a run that was killed, sees the old one or the new one and nothing between.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::WriteError;

/// Whose a file becomes, and what may be done with it.
#[derive(Debug, Clone, Copy)]
pub enum Access<'a> {
    /// The file of who runs this program, with these permission bits, such as `0o600`.
    Mode(u32),
    /// The same, and the group of this number may do what the bits say.
    ModeAndGroup(u32, u32),
    /// The owner, group and permissions of another file.
    Like(&'a Metadata),
}

/// Writes `content` to `path` with `mode`, through a temporary file beside it; does nothing where the file is so already.
///
/// Returns whether anything was written. The folder must exist.
///
/// # Errors
///
/// Where it cannot be written: the source says so where the disk is full.
pub fn write_if_changed(path: &Path, mode: u32, content: &[u8]) -> Result<bool, WriteError> {
    if is_so(path, mode, content) {
        return Ok(false);
    }
    beside(path, content, Access::Mode(mode))
        .and_then(|file| put_in_place(file, path))
        .map_err(WriteError::at(path))?;
    Ok(true)
}

/// Writes `content` to `path` in the place of what is there, through a temporary file beside it, and waits until it is on the
/// disk: for a file that exists nowhere else.
///
/// The folder must exist.
///
/// # Errors
///
/// Where it cannot be written: the source says so where the disk is full.
pub fn replace(path: &Path, content: &[u8], access: Access<'_>) -> Result<(), WriteError> {
    let written = || {
        let file = beside(path, content, access)?;
        file.as_file().sync_all()?;
        put_in_place(file, path)
    };
    written().map_err(WriteError::at(path))
}

fn is_so(path: &Path, mode: u32, content: &[u8]) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return false;
    };
    metadata.is_file()
        && metadata.permissions().mode() & 0o7777 == mode
        && metadata.len() == content.len() as u64
        && fs::read(path).is_ok_and(|found| found == content)
}

/// A temporary file in the folder of `path`.
fn beside(path: &Path, content: &[u8], access: Access<'_>) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Made 0600, so that a secret is never readable by others, not even for a moment.
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .tempfile_in(folder)?;
    file.write_all(content)?;
    let mode = match access {
        Access::Mode(mode) => mode,
        Access::ModeAndGroup(mode, group) => {
            // Before the bits: they may say more than the group that it was made with is to read.
            fchown(file.as_file(), None, Some(group))?;
            mode
        }
        Access::Like(like) => {
            let made = file.as_file().metadata()?;
            if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
                fchown(file.as_file(), Some(like.uid()), Some(like.gid()))?;
            }
            like.permissions().mode() & 0o777
        }
    };
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

fn put_in_place(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o7777
    }

    #[test]
    fn writes_only_on_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        assert!(write_if_changed(&path, 0o600, b"one").expect("written"));
        let inode = fs::metadata(&path).expect("there").ino();
        assert!(!write_if_changed(&path, 0o600, b"one").expect("compared"));
        assert_eq!(fs::metadata(&path).expect("there").ino(), inode);
        assert!(write_if_changed(&path, 0o600, b"two").expect("written"));
        assert!(write_if_changed(&path, 0o644, b"two").expect("the mode counts"));
        assert_eq!(mode(&path), 0o644);
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn a_link_becomes_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        fs::write(&other, "one").expect("written");
        std::os::unix::fs::symlink(&other, &path).expect("linked");
        assert!(write_if_changed(&path, 0o600, b"one").expect("written"));
        assert!(fs::symlink_metadata(&path).expect("there").is_file());
        assert_eq!(fs::read(&other).expect("read"), b"one");
    }

    #[test]
    fn what_is_replaced_hands_on_its_permissions() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        replace(&path, b"one", Access::Mode(0o600)).expect("written");
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("set");
        let like = fs::metadata(&path).expect("there");
        replace(&path, b"two", Access::Like(&like)).expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        let now = fs::metadata(&path).expect("there");
        assert_eq!(mode(&path), 0o640);
        assert_eq!((now.uid(), now.gid()), (like.uid(), like.gid()));
        assert_ne!(now.ino(), like.ino());
        replace(&path, b"three", Access::ModeAndGroup(0o640, now.gid())).expect("written");
        let like = fs::metadata(&path).expect("there");
        assert_eq!((mode(&path), like.gid()), (0o640, now.gid()));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn what_fails_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        // A folder stands where the file is to be.
        let path = folder.path().join("file");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("inside"), "").expect("written");
        let error = write_if_changed(&path, 0o600, b"one").expect_err("a folder");
        assert_eq!(error.path, path);
        assert!(replace(&path, b"one", Access::Mode(0o600)).is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
        let nowhere = folder.path().join("none/file");
        let error = write_if_changed(&nowhere, 0o600, b"one").expect_err("no folder");
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }
}
