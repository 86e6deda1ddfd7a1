//! Which images of the user's own the machines of a lab are to have: what was asked for. What nodes have is asked of them.

use std::collections::BTreeSet;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::{Error, LabDir, state_file};

/// The images that were asked for, the latest last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Of those that have a name in common, the last that is for a machine holds there.
    #[serde(default, rename = "image")]
    pub images: Vec<KeptImage>,
}

/// An image that was asked for; its archive is kept beside the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptImage {
    /// Its names, in full, at least one.
    pub names: Vec<String>,
    /// The digest of its manifest, `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The digest of its configuration, likewise: what engines call its id.
    pub id: String,
    /// The size of its blobs, in bytes.
    pub bytes: u64,
    /// The machines that it is for; all nodes where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<String>,
    /// What the local engine calls it, where it came from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_id: Option<String>,
    /// When it was asked for, RFC 3339, UTC.
    pub since: String,
}

impl KeptImage {
    /// Whether it is for the machine called `machine`.
    pub fn is_for(&self, machine: &str) -> bool {
        self.machines.is_empty() || self.machines.iter().any(|it| it == machine)
    }

    /// Whether it is for all machines that `other` is for.
    fn covers(&self, other: &Self) -> bool {
        self.machines.is_empty()
            || !other.machines.is_empty() && other.machines.iter().all(|it| self.is_for(it))
    }
}

impl ImageRecord {
    /// Reads what was asked for; nothing where nothing was.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where the file makes no sense.
    pub fn read(dir: &LabDir) -> Result<Self, Error> {
        Ok(state_file::read(dir.image_record())?.unwrap_or_default())
    }

    /// Adds an image. Those before it lose the names that it has on the same machines.
    pub fn add(&mut self, image: KeptImage) {
        for before in &mut self.images {
            if image.covers(before) {
                before.names.retain(|name| !image.names.contains(name));
            }
        }
        self.images.retain(|before| !before.names.is_empty());
        self.images.push(image);
    }

    /// Takes a name away; returns whether any image had it.
    pub fn forget(&mut self, name: &str) -> bool {
        let mut had = false;
        for image in &mut self.images {
            let before = image.names.len();
            image.names.retain(|it| it != name);
            had |= image.names.len() < before;
        }
        self.images.retain(|image| !image.names.is_empty());
        had
    }

    /// The images that a machine is to have, each under the names that it is to have there.
    pub fn for_machine(&self, machine: &str) -> Vec<(&KeptImage, Vec<String>)> {
        let mut taken = BTreeSet::new();
        let mut wanted = Vec::new();
        for image in self.images.iter().rev().filter(|it| it.is_for(machine)) {
            let mut names = image.names.clone();
            names.retain(|name| taken.insert(name.clone()));
            if !names.is_empty() {
                wanted.push((image, names));
            }
        }
        wanted.reverse();
        wanted
    }

    /// Keeps it, and no archive that it does not speak of.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn write(&self, dir: &LabDir) -> Result<(), Error> {
        let comment = "# What `load` was asked for; `up` gives it to machines that lack it.\n";
        state_file::write(&dir.image_record(), comment, self)?;
        let kept: BTreeSet<_> = (self.images.iter())
            .map(|image| dir.image_archive(&image.digest))
            .collect();
        let Ok(entries) = fs::read_dir(dir.images()) else {
            return Ok(());
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path != dir.image_record() && !kept.contains(&path) {
                caravan_files::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, digest: &str, machines: &[&str]) -> KeptImage {
        KeptImage {
            names: vec![name.to_owned()],
            digest: digest.to_owned(),
            id: format!("id-{digest}"),
            bytes: 1,
            machines: machines.iter().map(|it| (*it).to_owned()).collect(),
            engine_id: None,
            since: "2026-11-21T12:00:00Z".to_owned(),
        }
    }

    fn on(record: &ImageRecord, machine: &str) -> Vec<String> {
        let wanted = record.for_machine(machine).into_iter();
        wanted
            .flat_map(|(image, names)| {
                names
                    .into_iter()
                    .map(move |name| format!("{name} is {}", image.digest))
            })
            .collect()
    }

    #[test]
    fn the_last_that_was_asked_for_holds() {
        let mut record = ImageRecord::default();
        record.add(image("app:1", "a", &[]));
        record.add(image("web:1", "w", &[]));
        record.add(image("app:1", "b", &["workerone"]));
        assert_eq!(on(&record, "workerone"), ["web:1 is w", "app:1 is b"]);
        assert_eq!(on(&record, "workertwo"), ["app:1 is a", "web:1 is w"]);
        record.add(image("app:1", "c", &["workerone", "masterone"]));
        assert_eq!(record.images.len(), 3, "{record:?}");
        record.add(image("app:1", "d", &[]));
        assert_eq!(record.images.len(), 2, "{record:?}");
        assert_eq!(on(&record, "workerone"), ["web:1 is w", "app:1 is d"]);
        assert!(record.forget("web:1"));
        assert!(!record.forget("web:1"));
        assert_eq!(on(&record, "workerone"), ["app:1 is d"]);
    }

    #[test]
    fn archives_go_with_what_was_asked_for() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        caravan_files::make_private_folder(&dir.images()).expect("made");
        assert_eq!(
            ImageRecord::read(&dir).expect("absent"),
            ImageRecord::default()
        );
        for name in ["sha256:aa", "sha256:bb"] {
            fs::write(dir.image_archive(name), "").expect("written");
        }
        fs::write(dir.images().join("incoming.part"), "").expect("written");
        let mut record = ImageRecord::default();
        record.add(image("app:1", "sha256:aa", &["workerone"]));
        record.write(&dir).expect("written");
        assert_eq!(ImageRecord::read(&dir).expect("read"), record);
        assert!(dir.image_archive("sha256:aa").exists());
        assert!(!dir.image_archive("sha256:bb").exists());
        assert!(!dir.images().join("incoming.part").exists());
        fs::write(dir.image_record(), "image = 1\n").expect("written");
        assert!(ImageRecord::read(&dir).is_err());
    }
}
