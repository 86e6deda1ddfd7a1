//! All of a lab as it was once, on this computer: what its halted machines had written, their volumes, and what of the lab's
//! state fits to that.
//!
//! 1. [`hold_possible`] holds that the lab's machines can be copied at all, and says how.
//! 2. [`HaltedLab::save`] makes a checkpoint, [`CheckpointRestoration`] puts one back.
//!
//! A checkpoint is a folder, `checkpoints/NAME`: an archive for each part of each machine, one of the lab's state, and
//! `checkpoint.json`, which tells what they are of. It gets its name when all of it is on the disk, so a folder of another name
//! is none: it was cut off.

mod keep;
mod restore;
mod save;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Provider};
use caravan_vagrant::MachineState;
use caravan_vagrant::parts::PartStore;
use serde::{Deserialize, Serialize};

pub use self::keep::{find, hold_name, list, names, remove};
pub use self::restore::{CheckpointPlan, CheckpointRestoration, CheckpointStep, VERB};
pub use self::save::CheckpointRequest;
use crate::{CheckpointError, Error, LabDir, LabTarget, machines};

/// What tells of a checkpoint, in its folder.
const RECORD: &str = "checkpoint.json";

/// What is left free of a disk, in bytes: what else is written meanwhile must have room, too.
const MARGIN: u64 = 64 << 20;

/// What a checkpoint is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// The lab.
    pub lab: String,
    /// When it was made, RFC 3339, UTC.
    pub taken: String,
    /// What for: `asked for`, ``before restoring `monday` ``.
    pub reason: String,
    /// Whether nobody asked for it: then the next one of the kind takes its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// The uid of the cluster's namespace `kube-system`; none where no `up` has seen it ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The versions of what wrote it: `etcd`, `kubernetes`, `caravan`, and the name of the machine `image`.
    pub versions: BTreeMap<String, String>,
    /// The machines, in the order of the lab file.
    pub machines: Vec<CheckpointMachine>,
    /// The archive of the lab's state.
    pub state: CheckpointFile,
}

/// A machine in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointMachine {
    /// Its name.
    pub name: String,
    /// The server that it was on.
    pub server: String,
    /// What it did, in the lab file's word.
    pub role: String,
    /// Its address.
    pub ip: String,
    /// The id of the image that it was made from.
    pub image: String,
    /// Its parts, by name.
    pub parts: Vec<CheckpointPart>,
}

/// A part of a machine in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPart {
    /// `root`, or what a volume holds.
    pub name: String,
    /// What it took on the machine's disk, in bytes.
    pub used: u64,
    /// Its archive.
    #[serde(flatten)]
    pub archive: CheckpointFile,
}

/// A file of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointFile {
    /// Its name in the checkpoint's folder.
    pub file: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
}

/// A checkpoint on this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is of.
    pub record: CheckpointRecord,
}

impl Checkpoint {
    /// Its name: that of its folder.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// How much of this computer's disk it takes, in bytes.
    pub fn bytes(&self) -> u64 {
        self.record.files().map(|file| file.bytes).sum()
    }
}

impl CheckpointRecord {
    /// All files but the one that has this.
    pub fn files(&self) -> impl Iterator<Item = &CheckpointFile> {
        let parts = self.machines.iter().flat_map(|machine| &machine.parts);
        let archives = parts.map(|part| &part.archive);
        archives.chain(std::iter::once(&self.state))
    }
}

/// A lab that is halted, for who copies it and puts copies back.
#[derive(Clone, Copy)]
pub struct HaltedLab<'a> {
    /// The lab, as its machines were made from it.
    pub lab: &'a Lab,
    /// Its state.
    pub dir: &'a LabDir,
    /// The way to what its machines have written.
    pub store: &'a dyn PartStore,
    /// The versions of what wrote it, as [`CheckpointRecord::versions`].
    pub versions: &'a BTreeMap<String, String>,
    /// Asks again, between the steps, which machines of the lab are not there; [`CheckpointError::Runs`] where any runs.
    pub missing: &'a (dyn Fn() -> Result<Vec<String>, Error> + Sync),
}

impl HaltedLab<'_> {
    /// Holds that all machines are there and none runs.
    fn hold_halted(&self, is_begun: bool) -> Result<(), Error> {
        let machines = (self.missing)()?;
        match machines.is_empty() {
            true => Ok(()),
            false => Err(Error::from(CheckpointError::Missing {
                lab: self.lab.name().to_owned(),
                machines,
                is_begun,
            })),
        }
    }
}

/// Holds that what runs the lab's machines lets them be copied, asks nobody where it does not, and returns the way to what
/// they have written.
///
/// # Errors
///
/// [`Error::NotMade`], [`CheckpointError::Elsewhere`], [`CheckpointError::Hypervisor`], [`Error::Vagrant`] where the engine
/// does not say where that is.
pub fn hold_possible(target: &LabTarget, lab: &Lab) -> Result<Box<dyn PartStore>, Error> {
    if target.choices.is_none() {
        return Err(Error::NotMade {
            lab: target.name.clone(),
        });
    }
    let providers = target.providers();
    let servers = lab.servers().iter();
    let used: Vec<_> = servers
        .filter(|server| lab.machines_on(server).next().is_some())
        .collect();
    for server in &used {
        if let Some(host) = &server.host {
            return Err(Error::from(CheckpointError::Elsewhere {
                lab: target.name.clone(),
                server: server.name.clone(),
                host: host.clone(),
            }));
        }
    }
    let hypervisor = |server: &str, provider: Provider| {
        Error::from(CheckpointError::Hypervisor {
            lab: target.name.clone(),
            folder: target.dir.group(server),
            server: server.to_owned(),
            provider,
        })
    };
    let kind = |server: &str| providers.kind_of(server);
    let mut other = used.iter().filter(|it| kind(&it.name) != Provider::Docker);
    if let Some(server) = other.next() {
        return Err(hypervisor(&server.name, kind(&server.name)));
    }
    let first = used.first().map_or("", |it| it.name.as_str());
    let parts = providers.of_server(first).parts(&target.name)?;
    parts.ok_or_else(|| hypervisor(first, kind(first)))
}

/// The machines of the lab that are not there, where none runs.
///
/// # Errors
///
/// [`CheckpointError::Runs`], [`Error::MadeElsewhere`], [`Error::Vagrant`].
pub fn missing(target: &LabTarget, lab: &Lab) -> Result<Vec<String>, Error> {
    let found = target.machines()?;
    machines::made_here(&target.name, &found, &[], &target.dir)?;
    let running = found.iter().filter(|it| it.state != MachineState::Stopped);
    let running: Vec<String> = running
        .map(|it| format!("{} ({})", it.name, it.state.word()))
        .collect();
    if !running.is_empty() {
        return Err(Error::from(CheckpointError::Runs {
            lab: target.name.clone(),
            machines: running,
        }));
    }
    let all = lab.machines().iter();
    let gone = all.filter(|machine| found.iter().all(|it| it.name != machine.name));
    Ok(gone.map(|machine| machine.name.clone()).collect())
}

/// The versions of what wrote a lab's data, as [`CheckpointRecord::versions`].
pub fn versions(target: &LabTarget, lab: &Lab) -> BTreeMap<String, String> {
    crate::drill::versions(target, lab).into_iter().collect()
}

/// Holds that `needed` bytes are free where `path` is.
fn hold_room(path: &Path, needed: u64) -> Result<(), Error> {
    let found = rustix::fs::statvfs(path).map_err(|error| Error::Read {
        path: path.to_owned(),
        source: error.into(),
    })?;
    hold_free(
        format!("`{}`", path.display()),
        found.f_bavail * found.f_frsize,
        needed,
    )
}

/// Holds that `needed` bytes and what else is written meanwhile are at most `free`.
fn hold_free(place: String, free: u64, needed: u64) -> Result<(), Error> {
    match free >= needed + MARGIN {
        true => Ok(()),
        false => Err(Error::from(CheckpointError::NoRoom {
            place,
            free,
            needed: needed + MARGIN,
        })),
    }
}

#[cfg(test)]
mod tests;
