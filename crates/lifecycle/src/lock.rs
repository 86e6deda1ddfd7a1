//! One verb at a time changes a lab: the lock file, and who holds it.
//!
//! The operating system gives the lock back when its holder ends, however it ends; what the file says only names the holder.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use serde::{Deserialize, Serialize};

use crate::{Error, LabDir};

/// The lock of a lab, held until this is dropped.
#[derive(Debug)]
pub struct LabLock {
    _file: File,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Process id.
    pub pid: u32,
    /// What it does, such as `up`.
    pub verb: String,
    /// Since when, RFC 3339, UTC.
    pub since: String,
}

impl LabLock {
    /// Takes the lock of the lab, or says who has it. The folder must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while another run holds it; [`Error::Write`].
    pub fn take(dir: &LabDir, lab: &str, verb: &str) -> Result<Self, Error> {
        let path = dir.lock();
        let failed = |source| Error::Write {
            path: path.clone(),
            source,
        };
        loop {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).map_err(failed)?;
                    return Err(Error::Busy {
                        lab: lab.to_owned(),
                        holder: toml::from_str(&text).ok(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // `destroy` removes the file while it holds it: a lock on a file that nobody else can find is none.
            let ours = file.metadata().map_err(failed)?.ino();
            if !fs::metadata(&path).is_ok_and(|found| found.ino() == ours) {
                continue;
            }
            let holder = LockHolder {
                pid: std::process::id(),
                verb: verb.to_owned(),
                since: crate::state_file::now(),
            };
            let text = toml::to_string(&holder).expect("three plain fields are TOML");
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(text.as_bytes()))
                .map_err(failed)?;
            return Ok(Self { _file: file });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab_dir() -> (tempfile::TempDir, LabDir) {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        (workspace, dir)
    }

    #[test]
    fn the_second_is_told_who_holds_it() {
        let (_workspace, dir) = lab_dir();
        let held = LabLock::take(&dir, "ha", "up").expect("free");
        let Err(Error::Busy {
            lab,
            holder: Some(holder),
        }) = LabLock::take(&dir, "ha", "destroy")
        else {
            panic!("the lock was given twice");
        };
        assert_eq!((lab.as_str(), holder.verb.as_str()), ("ha", "up"));
        assert_eq!(holder.pid, std::process::id());
        drop(held);
        LabLock::take(&dir, "ha", "destroy").expect("free again");
    }

    #[test]
    fn what_a_killed_run_left_in_the_file_is_harmless() {
        let (_workspace, dir) = lab_dir();
        for left in [
            "",
            "pid = 1\nverb = \"up\"\nsince = \"2026\"\n",
            "no toml at all",
        ] {
            fs::write(dir.lock(), left).expect("written");
            LabLock::take(&dir, "ha", "up").expect("nobody holds it");
        }
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_none() {
        let (_workspace, dir) = lab_dir();
        let held = LabLock::take(&dir, "ha", "destroy").expect("free");
        fs::remove_file(dir.lock()).expect("removed");
        drop(held);
        let _again = LabLock::take(&dir, "ha", "up").expect("free");
        assert!(dir.lock().exists());
    }
}
