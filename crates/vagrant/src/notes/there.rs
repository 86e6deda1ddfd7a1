//! Vagrant's notes on another computer.

use std::path::Path;
use std::time::Duration;

use caravan_process::Computer;
use serde_json::{Map, Value};

use super::{LOCK_WAIT, edited};
use crate::Error;

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(60);

/// Says where the index is, where there is one.
const FIND: &str = r#"index=${VAGRANT_HOME:-$HOME/.vagrant.d}/data/machine-index/index
[ ! -f "$index" ] || printf %s "$index"
"#;

/// Holds Vagrant's lock on the index until the input ends, and says so once it has it.
const LOCK: &str = r#"exec 9>>"$1.lock" && flock -w "$2" 9 && echo locked && cat >/dev/null"#;

/// Removes the folders of machines.
const REMOVE: &str = r#"cd -- "$1/.vagrant/machines" 2>/dev/null || exit 0; shift; rm -rf -- "$@""#;

/// Changes the index under Vagrant's own lock, if there is an index that is understood and `edit` says that it changed.
pub(super) fn change(
    computer: &Computer,
    edit: impl FnOnce(&mut Map<String, Value>) -> bool,
) -> Result<(), Error> {
    let found = computer.run(&["sh", "-c", FIND], "", QUESTION)?;
    if found.stdout.is_empty() {
        return Ok(());
    }
    let index = found.stdout;
    let seconds = LOCK_WAIT.as_secs().to_string();
    let mut lock = computer.converse(&["sh", "-c", LOCK, "lock", &index, &seconds])?;
    let locked = lock.ask("", QUESTION).is_some_and(|it| it.line == "locked");
    let text = computer.get(&index, QUESTION)?;
    let Some(text) = edited(&String::from_utf8_lossy(&text), edit) else {
        return Ok(());
    };
    if !locked {
        return Err(caravan_process::Error::Put {
            computer: computer.to_string(),
            path: index,
            said: "another Vagrant holds its lock".to_owned(),
        }
        .into());
    }
    Ok(computer.put(&index, 0o644, text, QUESTION)?)
}

/// Removes what Vagrant keeps of `machines` in a project.
pub(super) fn remove_notes(
    computer: &Computer,
    project: &Path,
    machines: &[&str],
) -> Result<(), Error> {
    let project = project.display().to_string();
    let words = [&["sh", "-c", REMOVE, "remove", &project][..], machines].concat();
    let output = computer.run(&words, "", QUESTION)?;
    match output.success() {
        true => Ok(()),
        false => Err(caravan_process::Error::Put {
            computer: computer.to_string(),
            path: project,
            said: output.stderr.trim().to_owned(),
        }
        .into()),
    }
}
