//! Writing many files as one careful step.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use zeroize::Zeroizing;

use super::files::{self, Privacy, io_error};
use super::parallel;
use crate::hex::hex;
use crate::{Error, Plan, secret};

/// What temporary files start with, so that those of a killed process are known.
const TEMPORARY: &str = ".new-";

/// From this many files on, one sync of the whole filesystem is cheaper than one per file.
///
/// Below it is not: it would also wait for whatever else the computer is writing.
const SYNC_WHOLE_FILESYSTEM: usize = 256;

/// Whether a file may already be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// It must not be: refused, never overwritten.
    Create,
    /// It is, and is replaced in one step.
    Replace,
}

/// One file to be written.
pub(crate) struct Write {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) privacy: Privacy,
    pub(crate) verb: Verb,
}

/// Writes all files: private ones first, public ones last, each whole or not at all.
///
/// Nothing is visible under its own name before everything is on disk under another.
pub(crate) fn commit(writes: &[Write]) -> Result<(), Error> {
    if writes.is_empty() {
        return Ok(());
    }
    let folders: BTreeSet<&Path> = writes
        .iter()
        .filter_map(|write| write.path.parent())
        .collect();
    for folder in &folders {
        files::make_folder(folder)?;
    }
    let each = writes.len() < SYNC_WHOLE_FILESYSTEM || !cfg!(target_os = "linux");
    // One for all: within a folder, the files' own names tell them apart.
    let run = hex(&secret::random(8)?);
    // What an error leaves under other names is swept by the next run, as what a killed process leaves.
    let temporary = parallel::map(writes, |write| {
        let path = stage(write, &run, each)?;
        step();
        Ok(path)
    })?;
    publish(writes, &temporary, &folders, each)
}

fn publish(
    writes: &[Write],
    temporary: &[PathBuf],
    folders: &BTreeSet<&Path>,
    each: bool,
) -> Result<(), Error> {
    if !each {
        if let Some(folder) = folders.first() {
            sync_filesystem(folder)?;
        }
    }
    for privacy in [Privacy::Private, Privacy::Public] {
        for (write, from) in writes.iter().zip(temporary) {
            if write.privacy == privacy {
                rename(from, &write.path, write.verb)?;
                step();
            }
        }
        // Keys are durable under their names before any certificate is.
        for folder in folders {
            sync_folder(folder)?;
        }
        step();
    }
    Ok(())
}

/// Writes the bytes beside their final place.
fn stage(write: &Write, run: &str, sync: bool) -> Result<PathBuf, Error> {
    let path = temporary_name(&write.path, run);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("create", &path))?;
    let written = file
        .write_all(&write.bytes)
        .and_then(|()| match write.privacy {
            Privacy::Private => Ok(()),
            // Set explicitly, since the umask has its say in what a file is created with.
            Privacy::Public => {
                rustix::fs::fchmod(&file, Mode::from_raw_mode(write.privacy.mode() as _))
                    .map_err(io::Error::from)
            }
        })
        .and_then(|()| if sync { file.sync_data() } else { Ok(()) });
    if let Err(error) = written {
        // As in `commit`: the write error is the one to report.
        let _ = fs::remove_file(&path);
        return Err(io_error("write", &write.path)(error));
    }
    Ok(path)
}

fn temporary_name(path: &Path, run: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{TEMPORARY}{run}-{name}"))
}

fn rename(from: &Path, to: &Path, verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::Replace => fs::rename(from, to).map_err(io_error("replace", to)),
        Verb::Create => match rename_to_new(from, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::Exists {
                path: to.to_owned(),
            }),
            result => result.map_err(io_error("create", to)),
        },
    }
}

/// Renames, unless the new name is taken.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Old kernels and some filesystems do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_to_new(from, to),
        result => result.map_err(io::Error::from),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    link_to_new(from, to)
}

/// The same in two steps; a process killed between them leaves a second name, which the next run sweeps.
fn link_to_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Makes what happened to the name `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), Error> {
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error("sync", folder))
}

#[cfg(target_os = "linux")]
fn sync_filesystem(folder: &Path) -> Result<(), Error> {
    let file = File::open(folder).map_err(io_error("open", folder))?;
    rustix::fs::syncfs(&file).map_err(|errno| io_error("sync", folder)(errno.into()))
}

#[cfg(not(target_os = "linux"))]
fn sync_filesystem(_folder: &Path) -> Result<(), Error> {
    Ok(())
}

/// Removes what a killed process left in the folders of `plan`. Only called with the lock held.
pub(crate) fn sweep(root: &Path, plan: &Plan) -> Result<(), Error> {
    let mut folders: BTreeSet<PathBuf> = plan
        .entries()
        .iter()
        .filter_map(|entry| {
            root.join(entry.files().private)
                .parent()
                .map(Path::to_owned)
        })
        .collect();
    folders.insert(root.to_owned());
    for folder in folders {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error("list", &folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(io_error("list", &folder))?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                let path = entry.path();
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
    }
    Ok(())
}

/// Marks a point at which tests kill the process.
#[cfg(not(test))]
pub(crate) fn step() {}

#[cfg(test)]
pub(crate) use super::kill_tests::step;
