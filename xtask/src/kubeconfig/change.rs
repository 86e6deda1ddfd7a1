//! Changes one of the user's kubeconfigs, whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use super::list::{behind_links, hold_regular, text_of, with_suffix};
use super::merge::Refusal;
use crate::error::Error;

/// What becomes of a kubeconfig.
pub(super) struct Edited {
    pub(super) text: String,
    /// Whether something of the old text is lost, so that it is kept beside the new one.
    pub(super) keep: bool,
}

/// Replaces the kubeconfig at `path` by what `edit` makes of its text, which is empty where there is no file.
///
/// Holds the lock file that `kubectl config` uses, so that neither loses the other's change. A link stays a link: what it
/// leads to is changed. A file that was there keeps its mode and its owner.
///
/// Returns whether anything was written.
///
/// # Errors
///
/// [`Error::Kubeconfig`], [`Error::KubeconfigKind`], [`Error::KubeconfigLocked`], [`Error::Read`],
/// [`Error::Write`].
pub(super) fn change(
    path: &Path,
    edit: impl FnOnce(&str) -> Result<Edited, Refusal>,
) -> Result<bool, Error> {
    hold_regular(path)?;
    let target = behind_links(path);
    for file in [path, target.as_path()] {
        if let Some(folder) = file.parent().filter(|folder| !is_there(folder)) {
            caravan_files::make_private_folder(folder)?;
        }
    }
    // kubectl's lock is beside what it was told to write, be that a link.
    let lock = with_suffix(path, ".lock");
    let held = File::options().write(true).create_new(true).open(&lock);
    if let Err(source) = held {
        return Err(match source.kind() {
            ErrorKind::AlreadyExists => Error::KubeconfigLocked { lock },
            _ => Error::Write { path: lock, source },
        });
    }
    let result = change_locked(&target, edit);
    let unlocked = fs::remove_file(&lock).map_err(|source| Error::Write { path: lock, source });
    let changed = result?;
    unlocked?;
    Ok(changed)
}

/// A bare file name's folder is the empty path, which is the current one.
fn is_there(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || folder.is_dir()
}

fn change_locked(
    path: &Path,
    edit: impl FnOnce(&str) -> Result<Edited, Refusal>,
) -> Result<bool, Error> {
    let before = text_of(path)?;
    let old = before.as_deref().unwrap_or_default();
    let edited = edit(old).map_err(|refusal| Error::Kubeconfig {
        path: path.to_owned(),
        refusal,
    })?;
    if before.is_some() && edited.text == old {
        return Ok(false);
    }
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let metadata = match before {
        None => None,
        Some(_) => {
            // A new file would take the place of one that may not be written, which kubectl leaves alone.
            let file = File::options().write(true).open(path).map_err(failed)?;
            Some(file.metadata().map_err(failed)?)
        }
    };
    if edited.keep {
        let kept = with_suffix(path, ".before-caravan");
        replace(&kept, old, metadata.as_ref()).map_err(|source| Error::Write {
            path: kept.clone(),
            source,
        })?;
    }
    replace(path, &edited.text, metadata.as_ref()).map_err(failed)?;
    Ok(true)
}

/// Writes a file beside `path` and gives it that name; `like` says whose it is and who may read it, else only the owner.
fn replace(path: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Made 0600, so that a secret is never readable by others, not even for a moment.
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(like) = like {
        let made = file.as_file().metadata()?;
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            fchown(file.as_file(), Some(like.uid()), Some(like.gid()))?;
        }
        let mode = like.permissions().mode() & 0o777;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(mode))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
