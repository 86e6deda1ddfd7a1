//! An operation of several steps that is under way on a lab: what was meant. How far it has come is asked of machines.

use std::io::{self, ErrorKind};

use caravan_lab::Machine;
use caravan_process::host_keys;
use caravan_vagrant::provider::FoundMachine;
use serde::{Deserialize, Serialize};

use crate::{Error, LabDir};

/// What is meant to be done, kept until it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// The verb, such as `replace`.
    pub verb: String,
    /// The machine that it is done to.
    pub machine: String,
    /// What tells the machine that is to go from the one that takes its place: its ssh host keys, as lines of a list of host
    /// keys; none where it was never entered.
    pub host_keys: Vec<String>,
    /// The machines that are broken on purpose, and that nobody but who goes on with this starts again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<String>,
    /// Since when, RFC 3339, UTC.
    pub since: String,
    /// What is restored, where that is what is done; then `machine` names a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreIntent>,
}

/// What a restoration is to do, the same for all members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreIntent {
    /// The SHA-256 of the snapshot's file, lower-case hex.
    pub sha256: String,
    /// The SHA-256 of the token of the cluster that is to be: the token itself follows from the one before it.
    pub token_sha256: String,
    /// How many revisions are left out after the snapshot's.
    pub bump: u64,
    /// Whether it may be of a lab of the same name with other certificate authorities.
    pub other_authorities: bool,
}

/// Which machine of the name there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineStanding {
    /// The one that is to go; it may be halted.
    Old {
        /// Whether it runs.
        runs: bool,
    },
    /// None.
    Gone,
    /// The one that takes its place.
    New,
}

impl OperationRecord {
    /// `verb` is to be done to `machine`, as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    pub fn begin(verb: &str, machine: &Machine, dir: &LabDir) -> Result<Self, Error> {
        Ok(Self {
            verb: verb.to_owned(),
            machine: machine.name.clone(),
            host_keys: keys_of(machine, dir)?,
            machines: Vec::new(),
            since: crate::state_file::now(),
            restore: None,
        })
    }

    /// Reads what is under way, if anything is.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where the file makes no sense.
    pub fn read(dir: &LabDir) -> Result<Option<Self>, Error> {
        let path = dir.operation();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Read { path, source }),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Error::Read {
                path,
                source: io::Error::new(ErrorKind::InvalidData, error),
            })
    }

    /// Keeps it; the lab's folder must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn write(&self, dir: &LabDir) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).expect("plain fields are JSON");
        caravan_files::write_if_changed(&dir.operation(), 0o600, &text)?;
        Ok(())
    }

    /// Forgets it: it is done. It need not be there.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn forget(dir: &LabDir) -> Result<(), Error> {
        Ok(caravan_files::remove_file(&dir.operation())?)
    }

    /// Leaves those machines alone that somebody halts on purpose meanwhile: they are not started when this is gone on with.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Write`].
    pub fn spare(dir: &LabDir, machines: &[&str]) -> Result<(), Error> {
        let Some(mut open) = Self::read(dir)? else {
            return Ok(());
        };
        let all = open.machines.len();
        open.machines.retain(|it| !machines.contains(&it.as_str()));
        match open.machines.len() == all {
            true => Ok(()),
            false => open.write(dir),
        }
    }

    /// Whether only its own verb can end it: `up` cannot do the rest.
    pub fn ends_by_its_own_verb(&self) -> bool {
        let own = [
            crate::restore::VERB,
            crate::checkpoints::VERB,
            crate::rotate::VERB,
        ];
        own.contains(&self.verb.as_str())
    }

    /// Forgets what is under way, as `up` has done the rest of it, and returns it; what only its own verb can end stays.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], [`Error::Write`].
    pub fn end(dir: &LabDir) -> Result<Option<Self>, Error> {
        let open = Self::read(dir)?.filter(|open| !open.ends_by_its_own_verb());
        if open.is_some() {
            Self::forget(dir)?;
        }
        Ok(open)
    }

    /// Which machine there is of the name, where `found` are all of the lab.
    ///
    /// A machine that is made anew has host keys of its own, and those of the one before are forgotten when that is removed.
    ///
    /// # Errors
    ///
    /// [`Error::Read`].
    pub fn standing(
        &self,
        machine: &Machine,
        found: &[FoundMachine],
        dir: &LabDir,
    ) -> Result<MachineStanding, Error> {
        let Some(there) = found.iter().find(|it| it.name == machine.name) else {
            return Ok(MachineStanding::Gone);
        };
        Ok(match keys_of(machine, dir)? == self.host_keys {
            true => MachineStanding::Old { runs: there.runs() },
            false => MachineStanding::New,
        })
    }

    /// What is under way and how to go on with it, in a sentence; `tool` is how the program that calls this is started.
    pub fn told(&self, tool: &str, lab: &str) -> String {
        let open = Error::open(lab, self);
        format!("{open}: `{}` goes on with it", self.command(tool, lab))
    }

    /// The command that goes on with it; `tool` is how the program that calls this is started.
    pub fn command(&self, tool: &str, lab: &str) -> String {
        format!("{tool} {} {lab} {}", self.verb, self.machine)
    }
}

fn keys_of(machine: &Machine, dir: &LabDir) -> Result<Vec<String>, Error> {
    let path = dir.known_hosts();
    host_keys(&path, &machine.ip.to_string()).map_err(|source| Error::Read { path, source })
}

#[cfg(test)]
mod tests {
    use caravan_lab::Lab;
    use caravan_vagrant::MachineState;

    use super::*;

    fn world() -> (tempfile::TempDir, LabDir, Lab) {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        std::fs::create_dir(dir.ssh()).expect("made");
        let lab = Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid");
        (workspace, dir, lab)
    }

    fn found(name: &str, state: MachineState) -> FoundMachine {
        FoundMachine {
            name: name.to_owned(),
            server: "server2".to_owned(),
            host: None,
            provider: "docker",
            state,
            id: None,
            image: None,
            folder: None,
        }
    }

    #[test]
    fn it_is_kept_and_forgotten() {
        let (_workspace, dir, lab) = world();
        let machine = lab.machine("etcdtwo").expect("there");
        assert_eq!(OperationRecord::read(&dir).expect("absent"), None);
        let meant = OperationRecord::begin("replace", machine, &dir).expect("begun");
        meant.write(&dir).expect("written");
        assert_eq!(
            meant.command("cargo xtask", "ha"),
            "cargo xtask replace ha etcdtwo"
        );
        assert_eq!(OperationRecord::read(&dir).expect("read"), Some(meant));
        OperationRecord::forget(&dir).expect("forgotten");
        OperationRecord::forget(&dir).expect("forgotten already");
        std::fs::write(dir.operation(), "{\"verb\":").expect("written");
        assert!(OperationRecord::read(&dir).is_err());
    }

    #[test]
    fn who_is_halted_meanwhile_stays_so() {
        let (_workspace, dir, lab) = world();
        OperationRecord::spare(&dir, &["etcdone"]).expect("nothing is under way");
        let machine = lab.machine("etcdtwo").expect("there");
        let mut open = OperationRecord::begin("drill", machine, &dir).expect("begun");
        open.machines = vec!["etcdone".to_owned(), "etcdtwo".to_owned()];
        open.write(&dir).expect("written");
        OperationRecord::spare(&dir, &["workerone", "etcdone"]).expect("written");
        let left = OperationRecord::read(&dir).expect("read").expect("there");
        assert_eq!(left.machines, ["etcdtwo"]);
    }

    #[test]
    fn up_ends_what_it_can_do_the_rest_of() {
        let (_workspace, dir, lab) = world();
        let machine = lab.machine("etcdtwo").expect("there");
        for (verb, ends) in [
            ("replace", true),
            (crate::restore::VERB, false),
            (crate::rotate::VERB, false),
            (crate::checkpoints::VERB, false),
        ] {
            let meant = OperationRecord::begin(verb, machine, &dir).expect("begun");
            meant.write(&dir).expect("written");
            let ended = OperationRecord::end(&dir).expect("read");
            assert_eq!(ended.is_some(), ends, "{verb}");
            assert_eq!(dir.operation().exists(), !ends, "{verb}");
        }
    }

    #[test]
    fn a_machine_made_anew_is_another_one() {
        let (_workspace, dir, lab) = world();
        let machine = lab.machine("etcdtwo").expect("there");
        let knows = |text: &str| std::fs::write(dir.known_hosts(), text).expect("written");
        knows("192.168.29.61 ecdsa one\n192.168.29.62 ecdsa two\n");
        let meant = OperationRecord::begin("replace", machine, &dir).expect("begun");
        assert_eq!(meant.host_keys, ["192.168.29.62 ecdsa two"]);
        let standing = |found: &[FoundMachine]| meant.standing(machine, found, &dir).expect("told");
        let (one, two) = (
            found("etcdone", MachineState::Running),
            found("etcdtwo", MachineState::Running),
        );
        assert_eq!(standing(std::slice::from_ref(&one)), MachineStanding::Gone);
        let there = [one, two];
        assert_eq!(standing(&there), MachineStanding::Old { runs: true });
        let halted = [found("etcdtwo", MachineState::Stopped)];
        assert_eq!(standing(&halted), MachineStanding::Old { runs: false });
        // Forgotten with the old one; the new one was not entered yet.
        knows("192.168.29.61 ecdsa one\n");
        assert_eq!(standing(&there), MachineStanding::New);
        knows("192.168.29.61 ecdsa one\n192.168.29.62 ecdsa three\n");
        assert_eq!(standing(&there), MachineStanding::New);
    }
}
