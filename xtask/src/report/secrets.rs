//! The secrets of a lab, to be struck out of its report wherever they stand.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_lifecycle::LabDir;
use caravan_report::records::KnownSecrets;

/// What files of secrets end in: keys, and what the store calls a secret.
const KEYS: &str = "key";

/// The folder of the store whose files are secrets whatever they end in.
const SECRETS: &str = "secrets";

/// The shortest line of a key that is looked for; a shorter one is its last.
const LINE: usize = 24;

/// Everything below the lab's store that is secret, and its ssh key: keys line by line, as they may be quoted in part.
pub(super) fn known(dir: &LabDir) -> KnownSecrets {
    let mut known = Vec::new();
    for path in below(&dir.pki()) {
        let is_secret = path.extension().is_some_and(|end| end == KEYS)
            || path.components().any(|part| part.as_os_str() == SECRETS);
        if is_secret {
            take(&path, &mut known);
        }
    }
    take(&dir.ssh_key(), &mut known);
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    known.dedup();
    KnownSecrets(known)
}

fn take(path: &Path, known: &mut Vec<String>) {
    let Ok(text) = fs::read_to_string(path) else {
        return;
    };
    let text = text.trim();
    if !text.contains("-----BEGIN") {
        known.push(text.to_owned());
        return;
    }
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    let lines: Vec<&str> = lines.map(str::trim).collect();
    known.push(lines.concat());
    let long = lines.iter().filter(|line| line.len() >= LINE);
    known.extend(long.map(|line| (*line).to_owned()));
}

/// All files below a folder, in the order of their names. Links are not followed.
pub(super) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
