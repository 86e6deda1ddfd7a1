//! Which checkpoints there are: listed, found, removed, and whether one is whole.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Checkpoint, CheckpointFile, RECORD};
use crate::files::hex;
use crate::{CheckpointError, CheckpointFault, Error, LabDir};

/// The word for the newest checkpoint that somebody asked for; no checkpoint has it for a name.
const LATEST: &str = "latest";

/// How much is read at once, in bytes.
const CHUNK: usize = 1 << 17;

/// How many zeros a tar archive ends with, in bytes.
const END: usize = 1024;

/// The longest name, in bytes: it is a folder's.
const LONGEST: usize = 64;

/// Holds that a checkpoint may be called `name`.
///
/// # Errors
///
/// [`CheckpointError::Name`].
pub fn hold_name(name: &str) -> Result<(), Error> {
    let is_word = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    let begins = name.starts_with(|it: char| it.is_ascii_alphanumeric());
    match begins && name.chars().all(is_word) && name.len() <= LONGEST && name != LATEST {
        true => Ok(()),
        false => Err(Error::from(CheckpointError::Name {
            name: name.to_owned(),
        })),
    }
}

/// The names of a lab's checkpoints, sorted; their records are not read.
pub fn names(dir: &LabDir) -> Vec<String> {
    let mut names: Vec<String> = folders(&dir.checkpoints())
        .into_iter()
        .filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// The checkpoints of a lab, the oldest first. What was cut off, or tells nothing that is understood, is passed over.
pub fn list(dir: &LabDir) -> Vec<Checkpoint> {
    let all = folders(&dir.checkpoints()).into_iter();
    let mut found: Vec<Checkpoint> = all.filter_map(|folder| read(folder).ok()).collect();
    found.sort_by(|a, b| (&a.record.taken, &a.folder).cmp(&(&b.record.taken, &b.folder)));
    found
}

/// The checkpoint called `named`, or the newest that somebody asked for where that is `latest`.
///
/// # Errors
///
/// [`CheckpointError::NoSuch`], [`Error::Read`] where what tells of it makes no sense.
pub fn find(dir: &LabDir, named: &str) -> Result<Checkpoint, Error> {
    let none = || {
        Error::from(CheckpointError::NoSuch {
            lab: dir.lab(),
            name: named.to_owned(),
            known: names(dir),
        })
    };
    if named == LATEST {
        let mut asked_for = list(dir)
            .into_iter()
            .rev()
            .filter(|it| !it.record.automatic);
        return asked_for.next().ok_or_else(none);
    }
    match names(dir).iter().any(|it| it == named) {
        true => read(dir.checkpoints().join(named)),
        false => Err(none()),
    }
}

/// Removes the checkpoint called `name`. It is none any more before the first of its files goes.
///
/// # Errors
///
/// [`CheckpointError::NoSuch`], [`Error::Write`].
pub fn remove(dir: &LabDir, name: &str) -> Result<(), Error> {
    if !names(dir).iter().any(|it| it == name) {
        return Err(Error::from(CheckpointError::NoSuch {
            lab: dir.lab(),
            name: name.to_owned(),
            known: names(dir),
        }));
    }
    let all = dir.checkpoints();
    let (from, to) = (all.join(name), all.join(format!(".removed-{name}")));
    caravan_files::remove_folder(&to)?;
    fs::rename(&from, &to).map_err(|source| Error::Write { path: from, source })?;
    sync_folder(&all)?;
    Ok(caravan_files::remove_folder(&to)?)
}

/// Removes all checkpoints that nobody asked for but the newest; returns their names.
///
/// # Errors
///
/// [`Error::Write`].
pub(super) fn prune(dir: &LabDir) -> Result<Vec<String>, Error> {
    let all = list(dir).into_iter().filter(|it| it.record.automatic);
    let mut older: Vec<String> = all.map(|it| it.name()).collect();
    older.pop();
    for name in &older {
        remove(dir, name)?;
    }
    Ok(older)
}

/// Removes what checkpoints that were cut off, and restorations that have ended, have left. The lab's lock is held and nothing
/// is under way.
///
/// # Errors
///
/// [`Error::Write`].
pub(super) fn sweep(dir: &LabDir) -> Result<(), Error> {
    for entry in entries(&dir.checkpoints()) {
        let name = entry.file_name();
        if name.is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            caravan_files::remove_folder(&entry)?;
        }
    }
    Ok(())
}

/// Holds that all files of a checkpoint are what they were when it was made, to the byte.
///
/// # Errors
///
/// [`CheckpointError::Refused`], [`Error::Read`].
pub(super) fn hold_whole(checkpoint: &Checkpoint) -> Result<(), Error> {
    for expected in checkpoint.record.files() {
        let path = checkpoint.folder.join(&expected.file);
        let found = match sum_of(&path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Read { path, source }),
        };
        let is_whole = (found.as_ref())
            .is_some_and(|(bytes, sha256)| *bytes == expected.bytes && *sha256 == expected.sha256);
        if !is_whole {
            return Err(Error::from(CheckpointError::Refused {
                name: checkpoint.name(),
                fault: CheckpointFault::File {
                    file: expected.file.clone(),
                    found: found.map(|(bytes, _)| bytes),
                    expected: expected.bytes,
                },
            }));
        }
    }
    Ok(())
}

/// Reads what the checkpoint in `folder` is of.
fn read(folder: PathBuf) -> Result<Checkpoint, Error> {
    let path = folder.join(RECORD);
    let failed = |source| Error::Read {
        path: path.clone(),
        source,
    };
    let text = fs::read(&path).map_err(failed)?;
    let record = serde_json::from_slice(&text)
        .map_err(|error| failed(io::Error::new(ErrorKind::InvalidData, error)))?;
    Ok(Checkpoint { folder, record })
}

/// The folders of checkpoints in `all`.
fn folders(all: &Path) -> Vec<PathBuf> {
    let found = entries(all).into_iter();
    let is_named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        !name.to_string_lossy().starts_with('.')
    };
    found
        .filter(|path| is_named(path) && path.join(RECORD).is_file())
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).collect()
}

/// The size of a file in bytes, and its SHA-256.
fn sum_of(path: &Path) -> io::Result<(u64, String)> {
    let mut sum = Summing::new(io::sink());
    io::copy(
        &mut BufReader::with_capacity(CHUNK, File::open(path)?),
        &mut sum,
    )?;
    let (_, bytes, sha256) = sum.end();
    Ok((bytes, sha256))
}

/// Hands on what is written, and sums it.
pub(super) struct Summing<W> {
    to: W,
    sha256: Sha256,
    bytes: u64,
    /// The last bytes.
    end: Vec<u8>,
}

impl<W: Write> Summing<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            sha256: Sha256::new(),
            bytes: 0,
            end: Vec::new(),
        }
    }

    /// Whether what was written ends as a tar archive does.
    pub(super) fn is_whole_archive(&self) -> bool {
        self.end.len() == END
            && self.bytes.is_multiple_of(512)
            && self.end.iter().all(|it| *it == 0)
    }

    /// Where it went, how many bytes it was, and their SHA-256.
    pub(super) fn end(self) -> (W, u64, String) {
        (self.to, self.bytes, hex(&self.sha256.finalize()))
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let count = self.to.write(piece)?;
        let written = &piece[..count];
        self.sha256.update(written);
        self.bytes += count as u64;
        self.end
            .extend_from_slice(&written[count.saturating_sub(END)..]);
        let over = self.end.len().saturating_sub(END);
        self.end.drain(..over);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Summing<File> {
    /// A new file in `folder`, for its owner alone.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, Error> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = folder.join(name);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| Error::Write { path, source })?;
        Ok(Self::new(file))
    }

    /// Has it on the disk; `name` is that of the file.
    pub(super) fn finish(self, name: String, folder: &Path) -> Result<CheckpointFile, Error> {
        let (file, bytes, sha256) = self.end();
        file.sync_all().map_err(|source| Error::Write {
            path: folder.join(&name),
            source,
        })?;
        Ok(CheckpointFile {
            file: name,
            bytes,
            sha256,
        })
    }
}

/// Has the folder's names on the disk: a file that is synced and has no name there is lost.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    let synced = crate::snapshots::sync_folder(folder);
    synced.map_err(|source| Error::Write {
        path: folder.to_owned(),
        source,
    })
}
