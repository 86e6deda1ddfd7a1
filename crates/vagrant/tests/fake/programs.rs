//! A stand-in for a program, in a folder of its own, with what it is to say and what it was asked.

use caravan_vagrant::output::VagrantEvent;
use caravan_vagrant::{Error, Group, Up, Vagrant};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a stand-in in it.
pub(crate) struct Fake {
    pub(crate) folder: TempDir,
    name: &'static str,
}

impl Fake {
    pub(crate) fn of(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [root.join("tests/fake"), root.join("../../fakes")];
        let real = folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no fake `{name}`"));
        symlink(real, folder.path().join(name)).expect("a link");
        fs::create_dir(folder.path().join("play")).expect("a folder");
        let fake = Self { folder, name };
        fake.write("version", "Vagrant 2.3.4\n");
        fake
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.path(self.name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("read")
    }

    /// What the call number `call` replays, and how it ends.
    pub(crate) fn play(&self, call: usize, text: &str, status: i32) {
        self.write(&format!("play/{call}"), text);
        self.write(&format!("play/{call}.status"), &status.to_string());
    }

    pub(crate) fn args(&self, call: usize) -> Vec<String> {
        let text = self.read(&format!("calls/{call}.args"));
        text.lines().map(ToOwned::to_owned).collect()
    }

    pub(crate) fn group(&self) -> Group {
        let dir = self.path("group");
        fs::create_dir_all(&dir).expect("a folder");
        Vagrant::at(self.program())
            .expect("recent enough")
            .group(dir)
    }

    /// Runs `up` of everything and returns what was told of the machine `one`.
    pub(crate) fn up(&self, up: &Up<'_>) -> Result<Vec<VagrantEvent>, Error> {
        let mut told = Vec::new();
        self.group().up(up, &self.path("log"), &mut |line| {
            if line.machine.as_deref() == Some("one") {
                told.push(line.what.clone());
            }
        })?;
        Ok(told)
    }
}
