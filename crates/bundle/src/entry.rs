//! One entry of the cache: files, and a manifest that says what they must be.
//!
//! `manifest.json` names every file with size, mode and sha256 and travels with an export. `seal.json` holds the files'
//! times of change on this computer: while they and the sizes are as sealed, the files are taken as good without reading
//! hundreds of megabytes; where they are not, the sums decide.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::progress::{BundleEvent, Progress};
use crate::{Error, cache, digest};

pub(crate) const MANIFEST: &str = "manifest.json";
const SEAL: &str = "seal.json";

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The entry's name: the sum of the recipe it was made by.
    pub(crate) id: String,
    /// What it is, for its kind to read.
    pub(crate) about: serde_json::Value,
    /// By path.
    pub(crate) files: Vec<FileRecord>,
}

/// One file of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRecord {
    /// Below the entry's folder.
    pub(crate) path: String,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Permission bits.
    pub(crate) mode: u32,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

/// Path -> time of change, in nanoseconds.
type Seal = BTreeMap<String, i128>;

impl Manifest {
    /// What the entry is, as its kind knows it.
    pub(crate) fn about<T: DeserializeOwned>(&self, folder: &Path) -> Result<T, Error> {
        serde_json::from_value(self.about.clone()).map_err(|source| Error::Malformed {
            path: folder.join(MANIFEST),
            source,
        })
    }

    /// The sum over all of its files: the same bytes, the same sum, whoever made them.
    pub(crate) fn content(&self) -> String {
        let mut recipe = digest::Recipe::new("content 1");
        for file in &self.files {
            recipe.add(&file.path);
            recipe.add(file.mode.to_be_bytes());
            recipe.add(&file.sha256);
        }
        recipe.name()
    }

    /// How much its files take, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Completes the entry that was made in `workshop`: writes its manifest and moves it to `place`, over a damaged one.
pub(crate) fn finish(
    workshop: &Path,
    place: &Path,
    about: impl Serialize,
) -> Result<Manifest, Error> {
    let mut files = Vec::new();
    collect(workshop, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = Manifest {
        id: place
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        about: serde_json::to_value(about).map_err(|source| Error::Malformed {
            path: workshop.join(MANIFEST),
            source,
        })?,
        files,
    };
    write_json(&workshop.join(MANIFEST), &manifest)?;
    put(workshop, place, &manifest)?;
    Ok(manifest)
}

/// Seals a folder whose manifest is written and whose files are as it says, and moves it to `place`.
pub(crate) fn put(workshop: &Path, place: &Path, manifest: &Manifest) -> Result<(), Error> {
    seal(workshop, manifest)?;
    cache::remove_tree(place)?;
    fs::rename(workshop, place).map_err(Error::file("move into place", workshop))?;
    if let Some(parent) = place.parent() {
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::file("write", parent))?;
    }
    Ok(())
}

/// The manifest of the entry at `place`, if there is one; its files are not looked at.
pub(crate) fn read(place: &Path) -> Result<Option<Manifest>, Error> {
    let path = place.join(MANIFEST);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| Error::Malformed { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

/// Checks the entry at `place` before it is used: sizes and times as sealed, else sums.
///
/// `None`: there is no entry. An entry that is not what it should be is [`Error::Damaged`] or [`Error::Malformed`].
pub(crate) fn open(place: &Path) -> Result<Option<Manifest>, Error> {
    let Some(manifest) = read(place)? else {
        return Ok(None);
    };
    let sealed: Seal = fs::read(place.join(SEAL))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let mut reseal = false;
    for file in &manifest.files {
        let path = place.join(&file.path);
        let found = look(&path, file)?;
        if sealed.get(&file.path) != Some(&changed(&found)) {
            check_sum(&path, file)?;
            reseal = true;
        }
    }
    if reseal {
        seal(place, &manifest)?;
    }
    Ok(Some(manifest))
}

/// Reads every file of the entry at `place` and compares it with the manifest; returns each that is damaged.
pub(crate) fn verify(place: &Path, manifest: &Manifest) -> Vec<Error> {
    manifest
        .files
        .iter()
        .filter_map(|file| {
            let path = place.join(&file.path);
            look(&path, file).and_then(|_| check_sum(&path, file)).err()
        })
        .collect()
}

fn look(path: &Path, file: &FileRecord) -> Result<fs::Metadata, Error> {
    let damaged = |what: String| Error::Damaged {
        path: path.to_owned(),
        what,
    };
    let found = fs::symlink_metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => damaged("it is not there".to_owned()),
        _ => Error::file("look at", path)(error),
    })?;
    if !found.is_file() {
        return Err(damaged("it is no file".to_owned()));
    }
    if found.len() != file.size {
        return Err(damaged(format!(
            "it has {} bytes, the manifest says {}",
            found.len(),
            file.size
        )));
    }
    if found.mode() & 0o7777 != file.mode {
        return Err(damaged(format!(
            "its mode is {:o}, the manifest says {:o}",
            found.mode() & 0o7777,
            file.mode
        )));
    }
    Ok(found)
}

fn check_sum(path: &Path, file: &FileRecord) -> Result<(), Error> {
    let (sum, _) = digest::of_file(path).map_err(Error::file("read", path))?;
    if sum == file.sha256 {
        return Ok(());
    }
    Err(Error::Damaged {
        path: path.to_owned(),
        what: format!("its sha256 is {sum}, the manifest says {}", file.sha256),
    })
}

fn changed(file: &fs::Metadata) -> i128 {
    i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec())
}

/// [`open`] for those who can make the entry again: one that is not what it should be is told of, as `what`, and counts as
/// none.
pub(crate) fn usable(
    place: &Path,
    what: impl Display,
    progress: &dyn Progress,
) -> Result<Option<Manifest>, Error> {
    match open(place) {
        Err(error @ (Error::Damaged { .. } | Error::Malformed { .. })) => {
            let text = format!("{error}; {what} is made again");
            progress.event(&BundleEvent::Note { text: &text });
            Ok(None)
        }
        other => other,
    }
}

fn seal(place: &Path, manifest: &Manifest) -> Result<(), Error> {
    let mut seal = Seal::new();
    for file in &manifest.files {
        let path = place.join(&file.path);
        // After a power cut a file that was not written through may be empty: the seal is only for what is on disk.
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(Error::file("write", &path))?;
        let found = fs::metadata(&path).map_err(Error::file("look at", &path))?;
        seal.insert(file.path.clone(), changed(&found));
    }
    write_json(&place.join(SEAL), &seal)
}

/// Writes a file of this cache's own: whole and on disk, or not at all.
///
/// # Errors
///
/// [`Error::File`].
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|source| Error::Malformed {
        path: path.to_owned(),
        source,
    })?;
    text.push('\n');
    let whole = path.with_extension("json.new");
    fs::write(&whole, text)
        .and_then(|()| File::open(&whole)?.sync_all())
        .and_then(|()| fs::rename(&whole, path))
        .map_err(Error::file("write", path))
}

fn collect(folder: &Path, below: &str, files: &mut Vec<FileRecord>) -> Result<(), Error> {
    let listing = fs::read_dir(folder).map_err(Error::file("read", folder))?;
    for entry in listing {
        let path = entry.map_err(Error::file("read", folder))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let found = fs::symlink_metadata(&path).map_err(Error::file("look at", &path))?;
        if found.is_dir() {
            collect(&path, &name, files)?;
        } else {
            let (sha256, size) = digest::of_file(&path).map_err(Error::file("read", &path))?;
            // Not what this user's umask made of it: the mode is part of the content.
            let mode = if found.mode() & 0o111 == 0 {
                0o644
            } else {
                0o755
            };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
                .map_err(Error::file("write", &path))?;
            files.push(FileRecord {
                path: name,
                size,
                mode,
                sha256,
            });
        }
    }
    Ok(())
}

/// Whether `path` stays below the folder it is joined to. Manifests come from other computers.
pub(crate) fn is_contained(path: &str) -> bool {
    let path = PathBuf::from(path);
    path.components().next().is_some()
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests;
