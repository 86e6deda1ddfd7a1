//! Changes one of the user's kubeconfigs, whole or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use caravan_files::{Access, WriteError};

use crate::list::{behind_links, check_regular, text_of, with_suffix};
use crate::{Error, Refusal};

/// What becomes of a kubeconfig.
pub(crate) struct Edited {
    pub(crate) text: String,
    /// Whether something of the old text is lost, so that it is kept beside the new one.
    pub(crate) keep: bool,
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
/// [`Error::Refused`], [`Error::NotRegular`], [`Error::Locked`], [`Error::Read`], [`Error::Write`].
pub(crate) fn change(
    path: &Path,
    edit: impl FnOnce(&str) -> Result<Edited, Refusal>,
) -> Result<bool, Error> {
    check_regular(path)?;
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
            ErrorKind::AlreadyExists => Error::Locked { lock },
            _ => failed(&lock)(source).into(),
        });
    }
    let result = change_locked(&target, edit);
    let unlocked = fs::remove_file(&lock).map_err(failed(&lock));
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
    let edited = edit(old).map_err(|refusal| Error::Refused {
        path: path.to_owned(),
        refusal,
    })?;
    if before.is_some() && edited.text == old {
        return Ok(false);
    }
    let metadata = match before {
        None => None,
        Some(_) => {
            // A new file would take the place of one that may not be written, which kubectl leaves alone.
            let file = File::options()
                .write(true)
                .open(path)
                .map_err(failed(path))?;
            Some(file.metadata().map_err(failed(path))?)
        }
    };
    let access = match &metadata {
        Some(metadata) => Access::Like(metadata),
        None => Access::Mode(0o600),
    };
    if edited.keep {
        let kept = with_suffix(path, ".before-caravan");
        caravan_files::replace(&kept, old.as_bytes(), access)?;
    }
    caravan_files::replace(path, edited.text.as_bytes(), access)?;
    Ok(true)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> WriteError {
    |source| WriteError {
        path: path.to_owned(),
        source,
    }
}
