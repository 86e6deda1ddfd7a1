//! What of a lab's state fits to what its machines have: what they were made from, keys, and what was chosen.
//!
//! What happened (logs, timelines, drills, snapshots) and what Vagrant notes of machines stays as it is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use caravan_lab::Lab;

use super::CheckpointFile;
use super::keep::Summing;
use crate::{Error, LabDir};

/// The archive's name in a checkpoint.
const ARCHIVE: &str = "state.tar";

/// Where the state of a checkpoint is unpacked, among the checkpoints.
const UNPACKED: &str = ".unpacked";

/// Where the state lies that was there before. It is made when all parts of all machines are in their place, and not before,
/// and goes when the restoration is done.
const ASIDE: &str = ".aside";

/// What belongs to it, below the lab's folder, whether or not it is there.
fn items(lab: &Lab, dir: &LabDir) -> Vec<PathBuf> {
    let mut paths = vec![
        dir.choices(),
        dir.cluster(),
        dir.deployed(),
        dir.kubeconfig(),
        dir.pki(),
        dir.ssh(),
    ];
    for server in lab.servers() {
        let vagrantfile = dir.vagrantfile(&server.name);
        paths.push(dir.group(&server.name).join("machines"));
        paths.push(vagrantfile);
    }
    let below = |path: PathBuf| path.strip_prefix(dir.root()).map(Path::to_owned).ok();
    paths.into_iter().filter_map(below).collect()
}

/// Writes an archive of the state to `folder`.
///
/// # Errors
///
/// [`Error::Write`], also where what is to be in it cannot be read.
pub(super) fn pack(lab: &Lab, dir: &LabDir, folder: &Path) -> Result<CheckpointFile, Error> {
    let path = folder.join(ARCHIVE);
    let failed = |source| Error::Write {
        path: path.clone(),
        source,
    };
    let mut archive = tar::Builder::new(Summing::create(folder, ARCHIVE)?);
    archive.follow_symlinks(false);
    for item in items(lab, dir) {
        let from = dir.root().join(&item);
        if from.is_dir() {
            archive.append_dir_all(&item, &from).map_err(failed)?;
        } else if from.exists() {
            archive
                .append_path_with_name(&from, &item)
                .map_err(failed)?;
        }
    }
    let written = archive.into_inner().map_err(failed)?;
    written.finish(ARCHIVE.to_owned(), folder)
}

/// Whether the state is being put back, or was: then all machines have what is to be.
pub(super) fn is_being_put_back(dir: &LabDir) -> bool {
    dir.checkpoints().join(ASIDE).is_dir()
}

/// Puts the state of the checkpoint in `checkpoint` into its place, and what is there aside. May be done again.
///
/// # Errors
///
/// [`Error::Read`], [`Error::Write`].
pub(super) fn put_back(lab: &Lab, dir: &LabDir, checkpoint: &Path) -> Result<(), Error> {
    let all = dir.checkpoints();
    let (unpacked, aside) = (all.join(UNPACKED), all.join(ASIDE));
    caravan_files::make_private_folder(&aside)?;
    caravan_files::remove_folder(&unpacked)?;
    caravan_files::make_private_folder(&unpacked)?;
    unpack(&checkpoint.join(ARCHIVE), &unpacked)?;
    for item in items(lab, dir) {
        let (now, then, kept) = (
            dir.root().join(&item),
            unpacked.join(&item),
            aside.join(&item),
        );
        for path in [&now, &kept] {
            if let Some(folder) = path.parent() {
                caravan_files::make_private_folder(folder)?;
            }
        }
        match (now.exists(), kept.exists()) {
            (false, _) => {}
            (true, false) => rename(&now, &kept)?,
            // What is aside already was there before; this is what was put here by whoever was cut off.
            (true, true) if now.is_dir() => caravan_files::remove_folder(&now)?,
            (true, true) => caravan_files::remove_file(&now)?,
        }
        if then.exists() {
            rename(&then, &now)?;
        }
    }
    // Nothing else tells that it is whole, once the operation is forgotten.
    let synced = File::open(dir.root()).and_then(|root| Ok(rustix::fs::syncfs(&root)?));
    synced.map_err(|source| Error::Write {
        path: dir.root().to_owned(),
        source,
    })?;
    Ok(caravan_files::remove_folder(&unpacked)?)
}

/// Removes what was there before.
///
/// # Errors
///
/// [`Error::Write`].
pub(super) fn forget_before(dir: &LabDir) -> Result<(), Error> {
    Ok(caravan_files::remove_folder(
        &dir.checkpoints().join(ASIDE),
    )?)
}

fn unpack(archive: &Path, to: &Path) -> Result<(), Error> {
    let file = File::open(archive).map_err(|source| Error::Read {
        path: archive.to_owned(),
        source,
    })?;
    let mut archive = tar::Archive::new(file);
    // Keys are their owner's alone.
    archive.set_preserve_permissions(true);
    archive.unpack(to).map_err(|source| Error::Write {
        path: to.to_owned(),
        source,
    })
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|source| Error::Write {
        path: to.to_owned(),
        source,
    })
}
