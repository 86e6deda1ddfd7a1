//! What Vagrant notes of machines, put right where the engine was asked without it.
//!
//! Vagrant keeps a folder for each machine in its project (`.vagrant/machines/<name>`), and one index of all machines of
//! the user, from which `vagrant global-status` answers. A machine that is gone, or has stopped, without Vagrant's doing
//! would be listed there as before until somebody says `--prune`.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use caravan_process::Computer;
use serde_json::{Map, Value};

use crate::{Error, MachineState, users_home};

mod there;

/// The version of the index that is understood; another one is left alone.
const VERSION: u64 = 1;

/// How long another program may hold the index; Vagrant does for some milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How often the lock is tried.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Forgets `machines` of the project in the folder `project` of a computer, which are gone.
///
/// # Errors
///
/// [`Error::File`], and [`Error::Process`] of another computer.
pub fn forget(computer: &Computer, project: &Path, machines: &[&str]) -> Result<(), Error> {
    if computer.is_here() {
        return forget_in(users_home().as_deref(), project, machines);
    }
    there::change(computer, |all| forget_entries(all, project, machines))?;
    there::remove_notes(computer, project, machines)
}

/// Notes the state of `machines` of the project in the folder `project` of a computer, as `vagrant global-status` tells it.
///
/// # Errors
///
/// As [`forget`].
pub fn note_state(
    computer: &Computer,
    project: &Path,
    machines: &[&str],
    state: &MachineState,
) -> Result<(), Error> {
    let edit = |all: &mut Map<String, Value>| {
        let mut changed = false;
        for entry in all.values_mut().filter(|it| is_of(it, project, machines)) {
            changed |= entry["state"] != state.word();
            entry["state"] = state.word().into();
        }
        changed
    };
    match (computer.is_here(), users_home()) {
        (true, Some(home)) => change(&home, edit),
        (true, None) => Ok(()),
        (false, _) => there::change(computer, edit),
    }
}

fn forget_entries(all: &mut Map<String, Value>, project: &Path, machines: &[&str]) -> bool {
    let before = all.len();
    all.retain(|_, entry| !is_of(entry, project, machines));
    all.len() != before
}

fn forget_in(home: Option<&Path>, project: &Path, machines: &[&str]) -> Result<(), Error> {
    if let Some(home) = home {
        change(home, |all| forget_entries(all, project, machines))?;
    }
    for machine in machines {
        let folder = project.join(".vagrant/machines").join(machine);
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(Error::File {
                    path: folder,
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether an entry of the index is one of `machines` of `project`.
fn is_of(entry: &Value, project: &Path, machines: &[&str]) -> bool {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let folder = Path::new(text("vagrantfile_path"));
    machines.contains(&text("name"))
        && (folder == project || fs::canonicalize(project).is_ok_and(|real| folder == real))
}

/// Changes the index under Vagrant's own lock, if there is an index that is understood and `edit` says that it changed.
fn change(home: &Path, edit: impl FnOnce(&mut Map<String, Value>) -> bool) -> Result<(), Error> {
    let folder = home.join("data/machine-index");
    let path = folder.join("index");
    let failed = |source| Error::File {
        path: path.clone(),
        source,
    };
    if !path.is_file() {
        return Ok(());
    }
    let _lock = lock(&folder.join("index.lock"))?;
    let text = fs::read_to_string(&path).map_err(failed)?;
    let Some(index) = edited(&text, edit) else {
        return Ok(());
    };
    // Whoever is killed half way leaves the whole old index or the whole new one.
    let mut written = tempfile::Builder::new()
        .prefix(".index-")
        .tempfile_in(&folder)
        .map_err(failed)?;
    written
        .write_all(index.as_bytes())
        .and_then(|()| fs::metadata(&path))
        .and_then(|old| written.as_file().set_permissions(old.permissions()))
        .map_err(failed)?;
    written
        .persist(&path)
        .map_err(|error| failed(error.error))?;
    Ok(())
}

/// The text of the index after `edit`; none where it does not change, or is not understood.
fn edited(text: &str, edit: impl FnOnce(&mut Map<String, Value>) -> bool) -> Option<String> {
    let mut index: Value = serde_json::from_str(text).ok()?;
    if index["version"].as_u64() != Some(VERSION) {
        return None;
    }
    let machines = index["machines"].as_object_mut()?;
    edit(machines).then(|| index.to_string())
}

/// Takes Vagrant's lock on the index; it is given back when the file is dropped.
fn lock(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if began.elapsed() > LOCK_WAIT => {
                return Err(failed(ErrorKind::WouldBlock.into()));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home with an index of two projects, one with a folder of a machine.
    fn home_of(project: &Path) -> tempfile::TempDir {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("data/machine-index");
        fs::create_dir_all(&folder).expect("made");
        let entry = |name: &str, path: &Path| {
            serde_json::json!({
                "local_data_path": path.join(".vagrant"), "name": name, "provider": "docker", "state": "running",
                "vagrantfile_name": null, "vagrantfile_path": path, "updated_at": null, "extra_data": {},
            })
        };
        let index = serde_json::json!({
            "version": 1,
            "machines": {
                "aa": entry("one", project),
                "bb": entry("two", project),
                "cc": entry("one", Path::new("/elsewhere")),
            },
        });
        fs::write(folder.join("index"), index.to_string()).expect("written");
        home
    }

    fn uuids(home: &Path) -> Vec<String> {
        let text = fs::read_to_string(home.join("data/machine-index/index")).expect("there");
        let index: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(index["version"], 1);
        let machines = index["machines"].as_object().expect("a table");
        machines.keys().cloned().collect()
    }

    #[test]
    fn machines_that_are_gone_are_forgotten_and_no_others() {
        let project = tempfile::tempdir().expect("a folder");
        let notes = project.path().join(".vagrant/machines");
        for name in ["one", "two"] {
            fs::create_dir_all(notes.join(name).join("docker")).expect("made");
        }
        let home = home_of(project.path());
        forget_in(Some(home.path()), project.path(), &["one", "three"]).expect("forgotten");
        assert_eq!(uuids(home.path()), ["bb", "cc"]);
        assert!(!notes.join("one").exists() && notes.join("two").exists());
        // Again, with nothing left to forget, and without an index.
        forget_in(Some(home.path()), project.path(), &["one"]).expect("forgotten");
        assert_eq!(uuids(home.path()), ["bb", "cc"]);
        let bare = tempfile::tempdir().expect("a folder");
        forget_in(Some(bare.path()), project.path(), &["two"]).expect("forgotten");
        assert!(!notes.join("two").exists());
    }

    #[test]
    fn a_project_behind_a_link_is_the_same() {
        let project = tempfile::tempdir().expect("a folder");
        let real = fs::canonicalize(project.path()).expect("there");
        let home = home_of(&real);
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        forget_in(Some(home.path()), &link, &["one"]).expect("forgotten");
        assert_eq!(uuids(home.path()), ["bb", "cc"]);
    }

    #[test]
    fn an_index_that_is_not_understood_stays_as_it_is() {
        let project = tempfile::tempdir().expect("a folder");
        for text in ["", "no JSON", "{\"version\":2,\"machines\":{}}", "[]"] {
            let home = home_of(project.path());
            let path = home.path().join("data/machine-index/index");
            fs::write(&path, text).expect("written");
            forget_in(Some(home.path()), project.path(), &["one"]).expect("left alone");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
    }
}
