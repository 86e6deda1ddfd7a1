//! Which snapshots there are, and which of them are kept.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::{EXTENSION, Snapshot};
use crate::Error;

/// What the name of a snapshot begins with that is being taken.
pub(super) const PART: &str = ".snapshot-";

/// Which snapshots are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRetention {
    /// So many at most.
    pub count: usize,
    /// None that is older, in days.
    pub days: u16,
    /// So many in any case, however old.
    pub least: usize,
}

impl Default for SnapshotRetention {
    /// Twenty, of a month: one before each operation of a busy day, and what a lab that is used now and then had last.
    fn default() -> Self {
        Self {
            count: 20,
            days: 30,
            least: 3,
        }
    }
}

/// The snapshots of `lab` in `folder`, the oldest first; none where there is no folder. What was cut off, or is of other
/// labs, is passed over.
///
/// # Errors
///
/// [`Error::Read`] where the folder cannot be read.
pub fn list(folder: &Path, lab: &str) -> Result<Vec<Snapshot>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(Error::Read {
                path: folder.to_owned(),
                source,
            });
        }
    };
    let files = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<Snapshot> = files
        .filter(|path| path.extension().is_some_and(|it| it == "db"))
        .filter_map(|path| Snapshot::read(&path).ok())
        .filter(|snapshot| snapshot.record.lab == lab)
        .collect();
    found.sort_by(|a, b| (&a.record.taken, &a.file).cmp(&(&b.record.taken, &b.file)));
    Ok(found)
}

impl SnapshotRetention {
    /// Removes the snapshots of `lab` in `folder` that are not kept, and what snapshots that were cut off have left there.
    /// Returns the names of those removed. `now` is the time that ages are counted to.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Write`].
    pub fn prune(self, folder: &Path, lab: &str, now: Timestamp) -> Result<Vec<String>, Error> {
        let found = list(folder, lab)?;
        let age = SignedDuration::from_hours(24 * i64::from(self.days));
        let oldest = now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let mut removed = Vec::new();
        for (newer, snapshot) in found.iter().rev().enumerate() {
            let is_old = (snapshot.record.taken.parse::<Timestamp>()).is_ok_and(|at| at < oldest);
            if newer >= self.count.max(self.least) || (is_old && newer >= self.least) {
                // First what tells of it: then the rest is none any more.
                caravan_files::remove_file(&snapshot.file.with_extension(EXTENSION))?;
                caravan_files::remove_file(&snapshot.file)?;
                removed.push(snapshot.name());
            }
        }
        sweep(folder, lab)?;
        Ok(removed)
    }
}

/// Removes what snapshots of `lab` that were cut off have left. The lab's lock is held, so nobody is taking one.
fn sweep(folder: &Path, lab: &str) -> Result<(), Error> {
    let begin = format!("{lab}-");
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_db = name.starts_with(&begin) && name.ends_with(".db");
        let is_half = is_db && !path.with_extension(EXTENSION).exists();
        if name.starts_with(PART) || is_half {
            caravan_files::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check::tests::whole;
    use super::*;

    fn write(folder: &Path, name: &str, lab: &str, taken: &str) {
        let (content, mut record) = whole();
        record.lab = lab.to_owned();
        record.taken = taken.to_owned();
        fs::write(folder.join(format!("{name}.db")), &content[..10]).expect("written");
        let text = serde_json::to_vec(&record).expect("JSON");
        fs::write(folder.join(format!("{name}.json")), text).expect("written");
    }

    fn names(folder: &Path) -> Vec<String> {
        let found = list(folder, "ha").expect("listed");
        found.iter().map(Snapshot::name).collect()
    }

    #[test]
    fn the_newest_are_kept_and_some_in_any_case() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        for (name, day) in [
            ("ha-e", 25),
            ("ha-a", 1),
            ("ha-b", 2),
            ("ha-c", 3),
            ("ha-d", 24),
        ] {
            write(folder, name, "ha", &format!("2026-11-{day:02}T12:00:00Z"));
        }
        write(folder, "other-a", "other", "2020-01-01T00:00:00Z");
        fs::write(folder.join("ha-cut.db"), "half").expect("written");
        fs::write(folder.join(".snapshot-x1"), "half").expect("written");
        fs::write(folder.join("theirs.db"), "not ours").expect("written");
        assert_eq!(names(folder), ["ha-a", "ha-b", "ha-c", "ha-d", "ha-e"]);
        let now: Timestamp = "2026-11-30T00:00:00Z".parse().expect("a time");
        let keep = |count, days, least| SnapshotRetention { count, days, least };
        let removed = keep(4, 30, 3).prune(folder, "ha", now).expect("pruned");
        assert_eq!(removed, ["ha-a"]);
        let removed = keep(20, 10, 3).prune(folder, "ha", now).expect("pruned");
        assert_eq!(removed, ["ha-b"], "three are kept, however old");
        let removed = keep(1, 10, 1).prune(folder, "ha", now).expect("pruned");
        assert_eq!(removed, ["ha-d", "ha-c"]);
        let mut left: Vec<String> = fs::read_dir(folder)
            .expect("read")
            .map(|it| it.expect("read").file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "ha-e.db",
                "ha-e.json",
                "other-a.db",
                "other-a.json",
                "theirs.db"
            ]
        );
        assert_eq!(names(&folder.join("none")), [""; 0]);
    }
}
