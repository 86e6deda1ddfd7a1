//! Writes files so that a reader, or a run that was killed, sees the old one or the new one and nothing between.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::Error;

/// Writes `content` to `path` with `mode`, through a temporary file beside it; does nothing where the file is so already.
///
/// Returns whether anything was written. The folder must exist.
///
/// # Errors
///
/// [`Error::Write`], which says so where the disk is full.
pub(crate) fn if_changed(path: &Path, mode: u32, content: &[u8]) -> Result<bool, Error> {
    if is_so(path, mode, content) {
        return Ok(false);
    }
    replace(path, mode, content).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })?;
    Ok(true)
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

fn replace(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Made 0600, so that a secret is never readable by others, not even for a moment.
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn writes_only_on_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        assert!(if_changed(&path, 0o600, b"one").expect("written"));
        let inode = fs::metadata(&path).expect("there").ino();
        assert!(!if_changed(&path, 0o600, b"one").expect("compared"));
        assert_eq!(fs::metadata(&path).expect("there").ino(), inode);
        assert!(if_changed(&path, 0o600, b"two").expect("written"));
        assert!(if_changed(&path, 0o644, b"two").expect("the mode counts"));
        let metadata = fs::metadata(&path).expect("there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }
}
