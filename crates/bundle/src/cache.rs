//! Where bundles and base systems are kept: one folder per user, safe for several runners at once.
//!
//! ```text
//! bundles/ID/      complete bundles      bases/ID/    base systems
//! add-ons/ID/      pod networks          boxes/ID/    boxes of virtual machines
//! digests.json     what tags of published images stood for
//! images/NAME      machine images as files, to be sent
//! downloads/SUM    pinned files; `.part` while they come
//! tmp/KIND-ID/     what is being made    logs/        what the programs said
//! locks/NAME       held by who makes it
//! ```
//!
//! An entry is complete or absent: it is made under `tmp/` and renamed when whole.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::interrupt;

use crate::Error;
use crate::progress::{BundleEvent, Progress};

/// Held while files come: two runners would write the same parts.
pub(crate) const DOWNLOADS: &str = "downloads";

/// How often a lock that another runner holds is tried again.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// The folder of everything that is made once and used by many labs.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Held while an entry is made or removed; released when dropped, also by a runner that is killed.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// A folder to make one thing in. What is still in it when it is dropped is removed: a failure leaves nothing.
#[derive(Debug)]
pub(crate) struct Workshop {
    folder: PathBuf,
}

impl Deref for Workshop {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next runner that makes the same, or by a prune.
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Cache {
    /// Opens the cache at `root`, and makes its folder.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(Error::file("make the folder", root))?;
        // Programs are started in other folders than ours and given paths below it.
        let root = fs::canonicalize(root).map_err(Error::file("find", root))?;
        Ok(Self { root })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn bundles(&self) -> Result<PathBuf, Error> {
        self.folder("bundles")
    }

    pub(crate) fn add_ons(&self) -> Result<PathBuf, Error> {
        self.folder("add-ons")
    }

    pub(crate) fn boxes(&self) -> Result<PathBuf, Error> {
        self.folder("boxes")
    }

    pub(crate) fn bases(&self) -> Result<PathBuf, Error> {
        self.folder("bases")
    }

    pub(crate) fn images(&self) -> Result<PathBuf, Error> {
        self.folder("images")
    }

    pub(crate) fn downloads(&self) -> Result<PathBuf, Error> {
        self.folder("downloads")
    }

    pub(crate) fn tmp(&self) -> Result<PathBuf, Error> {
        self.folder("tmp")
    }

    /// The log of the programs that work on `name`.
    pub(crate) fn log(&self, name: &str) -> Result<PathBuf, Error> {
        Ok(self.folder("logs")?.join(format!("{name}.log")))
    }

    fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
        Ok(folder)
    }

    /// An empty folder to make `name` in. The caller holds the lock of that name, so what is left there is a dead
    /// runner's.
    pub(crate) fn workshop(&self, name: &str) -> Result<Workshop, Error> {
        let folder = self.tmp()?.join(name);
        remove_tree(&folder)?;
        fs::create_dir(&folder).map_err(Error::file("make the folder", &folder))?;
        Ok(Workshop { folder })
    }

    /// Waits until no other runner holds the lock `name`, and holds it.
    pub(crate) fn lock(&self, name: &str, progress: &dyn Progress) -> Result<Lock, Error> {
        let mut told = false;
        loop {
            let (path, held_by) = match self.try_lock(name)? {
                Ok(lock) => return Ok(lock),
                Err(refused) => refused,
            };
            if !told {
                told = true;
                let text = format!(
                    "waiting for {held_by}, which works on the same (lock `{}`)",
                    path.display()
                );
                progress.event(&BundleEvent::Note { text: &text });
            }
            if interrupt::raised() {
                return Err(Error::Interrupted);
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    /// Holds the lock `name` if nobody does; else says which file it is and who holds it.
    pub(crate) fn try_lock(&self, name: &str) -> Result<Result<Lock, (PathBuf, String)>, Error> {
        let path = self.folder("locks")?.join(name);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                let note = format!("process {}", std::process::id());
                // Only for the message of those who wait.
                drop(
                    file.set_len(0)
                        .and_then(|()| file.rewind())
                        .and_then(|()| file.write_all(note.as_bytes())),
                );
                Ok(Ok(Lock { _file: file }))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                drop(file.read_to_string(&mut holder));
                if holder.is_empty() {
                    holder = "another process".to_owned();
                }
                Ok(Err((path, holder)))
            }
            Err(TryLockError::Error(source)) => Err(Error::file("lock", &path)(source)),
        }
    }
}

/// Removes a folder and what is in it; one that is not there is fine.
pub(crate) fn remove_tree(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn a_lock_names_its_holder_and_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let held = cache.lock("x", &Silent).unwrap();
        let (_, holder) = cache.try_lock("x").unwrap().unwrap_err();
        assert_eq!(holder, format!("process {}", std::process::id()));
        drop(held);
        // Waits where it is held: a program that another test is about to start has all files of this one for a moment.
        cache.lock("x", &Silent).unwrap();
    }

    #[test]
    fn a_workshop_is_empty_whatever_was_left_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let left = cache.tmp().unwrap().join("x");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("left"), "by a runner that was killed").unwrap();
        let workshop = cache.workshop("x").unwrap();
        assert_eq!(*workshop, left);
        assert_eq!(fs::read_dir(&left).unwrap().count(), 0);
        fs::write(workshop.join("half"), "of something").unwrap();
        drop(workshop);
        assert!(!left.exists());
    }
}
