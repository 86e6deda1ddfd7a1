//! `cargo xtask kubeconfig`: a lab's own kubeconfig, and its contexts in the user's.

mod merge;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(crate) use self::merge::Refusal;
use crate::certs::{Keys, context};
use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::lab_dir;
use crate::show::screen::Screen;
use crate::state::write;
use crate::target::Target;
use crate::workspace::{self, Workspace};

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Kubeconfig,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = Target::of(workspace, flags.lab.as_deref())?;
    let own = target.dir.kubeconfig();
    let users = users_file();
    if flags.unmerge {
        match take_out(&target, &users)? {
            true => screen.say(&format!(
                "took the contexts of lab `{}` out of `{}`",
                target.name,
                users.display()
            )),
            false => screen.say(&format!(
                "`{}` has no contexts of lab `{}`",
                users.display(),
                target.name
            )),
        }
        return Ok(Exit::Done);
    }
    let lab = target.lab(workspace)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::NotMade {
        lab: target.name.clone(),
    })?;
    let text = keys.kubeconfig(lab)?;
    write::if_changed(&own, 0o600, text.as_bytes())?;
    if !flags.merge {
        println!("{}", own.display());
        return Ok(Exit::Done);
    }
    let name = context(&target.name);
    change(&users, |theirs| {
        merge::merge(theirs, &merge::entries(&text), &name, &|found| {
            is_ours(&name, &text, found)
        })
    })?;
    screen.say(&format!(
        "merged into `{}`; next: `kubectl --context {name} get nodes`",
        users.display()
    ));
    println!("{}", users.display());
    Ok(Exit::Done)
}

/// Takes the lab's contexts out of the user's kubeconfig, if they are in it.
///
/// # Errors
///
/// [`Error::Kubeconfig`], [`Error::Read`], [`Error::Write`].
pub(crate) fn forget(target: &Target) -> Result<(), Error> {
    take_out(target, &users_file()).map(drop)
}

fn take_out(target: &Target, users: &Path) -> Result<bool, Error> {
    let name = context(&target.name);
    // Without the lab's own file, which lists what was merged, only the endpoint's context and user are surely ours.
    let own = fs::read_to_string(target.dir.kubeconfig()).unwrap_or_default();
    if !fs::read_to_string(users).is_ok_and(|text| text.contains(&name)) {
        return Ok(false);
    }
    change(users, |theirs| {
        merge::unmerge(theirs, &|found| is_ours(&name, &own, found))
    })
}

/// Whether an entry of this name is the lab's: its endpoint, its user, or one that its own file has.
fn is_ours(context: &str, own: &str, name: &str) -> bool {
    name == context
        || name.strip_prefix(context) == Some("-admin")
        || merge::entries(own).iter().any(|entry| entry.name == name)
}

/// The kubeconfig that the user's `kubectl` writes to: the first of `KUBECONFIG`, else `~/.kube/config`.
fn users_file() -> PathBuf {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    std::env::split_paths(&listed)
        .find(|path| !path.as_os_str().is_empty())
        .unwrap_or_else(|| {
            std::env::home_dir()
                .unwrap_or_default()
                .join(".kube/config")
        })
}

/// Replaces a kubeconfig by what `edit` makes of it; the file as it was stays beside it.
///
/// Holds the lock file that `kubectl config` uses, so that neither loses the other's change.
fn change(path: &Path, edit: impl FnOnce(&str) -> Result<String, Refusal>) -> Result<bool, Error> {
    // A link stays a link: what it leads to is changed.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
        lab_dir::make_private(folder)?;
    }
    let lock = with_suffix(&path, ".lock");
    let held = File::options().write(true).create_new(true).open(&lock);
    if let Err(source) = held {
        return Err(match source.kind() {
            ErrorKind::AlreadyExists => Error::KubeconfigLocked { lock },
            _ => Error::Write { path: lock, source },
        });
    }
    let result = change_locked(&path, edit);
    let unlocked = fs::remove_file(&lock).map_err(|source| Error::Write { path: lock, source });
    let changed = result?;
    unlocked?;
    Ok(changed)
}

fn change_locked(
    path: &Path,
    edit: impl FnOnce(&str) -> Result<String, Refusal>,
) -> Result<bool, Error> {
    let before = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        _ => Some(workspace::read(path)?),
    };
    let after =
        edit(before.as_deref().unwrap_or_default()).map_err(|refusal| Error::Kubeconfig {
            path: path.to_owned(),
            refusal,
        })?;
    let Some(before) = before else {
        return write::if_changed(path, 0o600, after.as_bytes());
    };
    if before == after {
        return Ok(false);
    }
    let mode = fs::metadata(path).map_or(0o600, |found| found.permissions().mode() & 0o777);
    write::if_changed(
        &with_suffix(path, ".before-caravan"),
        0o600,
        before.as_bytes(),
    )?;
    write::if_changed(path, mode, after.as_bytes())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
