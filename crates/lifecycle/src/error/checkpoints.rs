//! What can be wrong with checkpoints, and with going back to one.

use std::fmt;
use std::path::PathBuf;

use caravan_lab::{Provider, listed};
use caravan_process::shell;

/// Why a checkpoint is not made, not found, or not put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A copy does not end as it should.
    #[error("not all of `{part}` arrived")]
    CutOff {
        /// The part of a machine, such as `etcdone.root`.
        part: String,
    },
    /// Machines are on another computer.
    #[error(
        "a checkpoint is made of machines on this computer, and those of server `{server}` of lab `{lab}` are on `{host}`"
    )]
    Elsewhere {
        /// The lab.
        lab: String,
        /// The server.
        server: String,
        /// The computer, as the lab file names it.
        host: String,
    },
    /// There is one of the name.
    #[error("lab `{lab}` has a checkpoint `{name}` already")]
    Exists {
        /// The lab.
        lab: String,
        /// Its name.
        name: String,
    },
    /// Machines have disks of their own, which are their hypervisor's.
    #[error(
        "a checkpoint is made of containers, and the disks of the machines of server `{server}` of lab `{lab}` are {provider}'s"
    )]
    Hypervisor {
        /// The lab.
        lab: String,
        /// The server.
        server: String,
        /// What runs its machines.
        provider: Provider,
        /// The folder of its Vagrant project.
        folder: PathBuf,
    },
    /// Machines are not there.
    #[error(
        "a checkpoint is of all machines of lab `{lab}`, and {} not there",
        are(machines)
    )]
    Missing {
        /// The lab.
        lab: String,
        /// Those machines.
        machines: Vec<String>,
        /// Whether a restoration is under way.
        is_begun: bool,
    },
    /// What was given is no name for one.
    #[error("`{name}` cannot be the name of a checkpoint")]
    Name {
        /// What was given.
        name: String,
    },
    /// The lab has no such checkpoint.
    #[error("lab `{lab}` has no checkpoint `{name}`")]
    NoSuch {
        /// The lab.
        lab: String,
        /// What was given.
        name: String,
        /// The names of those that it has.
        known: Vec<String>,
    },
    /// A disk is too full.
    #[error("{place} has {} MiB free, and {} MiB are needed", mib(*free), mib(*needed))]
    NoRoom {
        /// The folder, or whose disk it is.
        place: String,
        /// What is free, in bytes.
        free: u64,
        /// What is needed, in bytes.
        needed: u64,
    },
    /// A part was to take its place and does not have what is to be beside it.
    #[error("`{part}` of lab `{lab}` has not what is to take its place")]
    NotStaged {
        /// The lab.
        lab: String,
        /// The part.
        part: String,
    },
    /// Nothing is under way that could be gone on with or given up.
    #[error("no checkpoint is being restored in lab `{lab}`")]
    NotUnderWay {
        /// The lab.
        lab: String,
    },
    /// All machines have what was saved in its place.
    #[error(
        "all machines of lab `{lab}` have what `{name}` has in its place: there is no way back any more"
    )]
    NoWayBack {
        /// The lab.
        lab: String,
        /// The checkpoint.
        name: String,
    },
    /// It is not to be used.
    #[error("checkpoint `{name}` cannot be restored: {fault}")]
    Refused {
        /// Its name.
        name: String,
        /// What is wrong with it.
        fault: CheckpointFault,
    },
    /// Machines run, or stand still.
    #[error("a checkpoint is of a lab that is halted, and of lab `{lab}` these are not: {}", machines.join(", "))]
    Runs {
        /// The lab.
        lab: String,
        /// Those machines, each with its state.
        machines: Vec<String>,
    },
}

/// What is wrong with a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointFault {
    /// One of its files is not what it was.
    File {
        /// The file.
        file: String,
        /// Its size in bytes; none where it is gone.
        found: Option<u64>,
        /// The size that it had.
        expected: u64,
    },
    /// It is of another lab.
    OtherLab {
        /// Which.
        lab: String,
    },
    /// A machine was another one, or in another place.
    OtherMachine {
        /// Its name.
        machine: String,
        /// What and where it was; none where there was no such machine.
        then: Option<String>,
        /// What and where it is; none where there is none.
        now: Option<String>,
    },
    /// A machine was made from another image.
    OtherImage {
        /// The machine.
        machine: String,
        /// The image's id then.
        then: String,
        /// Its id now.
        now: String,
    },
    /// A machine had other volumes.
    OtherParts {
        /// The machine.
        machine: String,
        /// Its parts then.
        then: String,
        /// Its parts now.
        now: String,
    },
}

impl fmt::Display for CheckpointFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = |place: &Option<String>| place.clone().unwrap_or_else(|| "nowhere".to_owned());
        match self {
            Self::File {
                file, found: None, ..
            } => write!(f, "its file `{file}` is gone"),
            Self::File {
                file,
                found: Some(found),
                expected,
            } if found == expected => write!(
                f,
                "its file `{file}` has another SHA-256 than when it was made"
            ),
            Self::File {
                file,
                found: Some(found),
                expected,
            } => write!(f, "its file `{file}` has {found} bytes, and had {expected}"),
            Self::OtherLab { lab } => write!(f, "it is of lab `{lab}`"),
            Self::OtherMachine { machine, then, now } => write!(
                f,
                "`{machine}` was {} when it was made, and is {}",
                what(then),
                what(now)
            ),
            Self::OtherImage { machine, then, now } => write!(
                f,
                "`{machine}` was made from the image `{then}` then, and from `{now}` now"
            ),
            Self::OtherParts { machine, then, now } => {
                write!(f, "`{machine}` consisted of {then} then, and of {now} now")
            }
        }
    }
}

fn are(machines: &[String]) -> String {
    let is = if machines.len() == 1 { "is" } else { "are" };
    format!("{} {is}", listed(machines))
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

impl CheckpointError {
    /// The next thing to do about it; `tool` is how the program that calls this is started.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::CutOff { .. } => Some("run the same command again".to_owned()),
            Self::Elsewhere { lab, .. } => Some(format!(
                "`{tool} up {lab}`, then `{tool} etcd snapshot {lab}` keeps what etcd has, wherever its machines are"
            )),
            Self::Exists { lab, name } => Some(format!(
                "give it another name, or `{tool} checkpoint remove {lab} {name}`"
            )),
            Self::Hypervisor {
                lab,
                folder,
                provider: Provider::VirtualBox,
                ..
            } => Some(format!(
                "`cd {} && vagrant snapshot save NAME` has VirtualBox keep the disks of that server; `{tool} up {lab}`, then \
                 `{tool} etcd snapshot {lab}` keeps what etcd has",
                shell::path(folder)
            )),
            Self::Hypervisor { lab, .. } => Some(format!(
                "`virsh snapshot-create-as DOMAIN NAME` has libvirt keep the disk of one machine; `{tool} up {lab}`, then \
                 `{tool} etcd snapshot {lab}` keeps what etcd has"
            )),
            Self::Missing {
                lab,
                is_begun: false,
                ..
            } => Some(format!(
                "`{tool} up {lab}` makes them anew, and `{tool} halt {lab}` halts them; then run the same command again"
            )),
            Self::Missing { lab, .. } => Some(format!(
                "`{tool} checkpoint restore {lab} --give-up` returns to what was there before; then `{tool} up {lab}` makes \
                 them anew"
            )),
            Self::Name { .. } => Some(
                "letters, digits, `.`, `-` and `_`, at most 64, and a letter or digit first; `latest` is the newest one"
                    .to_owned(),
            ),
            Self::NoSuch { lab, known, .. } => Some(match known.is_empty() {
                true => format!("`{tool} halt {lab}`, then `{tool} checkpoint save {lab}` makes one"),
                false => format!("it has {}", listed(known)),
            }),
            Self::NoRoom { .. } => Some(format!(
                "`{tool} checkpoint remove` and `{tool} bundle prune` give room back; then run the same command again"
            )),
            Self::NotStaged { lab, .. } => Some(format!(
                "`{tool} checkpoint restore {lab}` again does that first"
            )),
            Self::NotUnderWay { lab } => Some(format!(
                "`{tool} checkpoint restore {lab} NAME` begins; `{tool} checkpoint list {lab}` lists them"
            )),
            Self::NoWayBack { lab, .. } => Some(format!(
                "`{tool} checkpoint restore {lab}` goes on; what was there before is in the newest checkpoint \
                 `before-restore-...`, and can be restored then"
            )),
            Self::Refused {
                fault: CheckpointFault::OtherImage { .. } | CheckpointFault::OtherMachine { .. },
                ..
            } => Some(
                "a checkpoint is put back upon the machines, and the image, that it was made of; what etcd had is in \
                 snapshots"
                    .to_owned(),
            ),
            Self::Refused { .. } => Some(format!("`{tool} checkpoint list` shows others")),
            Self::Runs { lab, .. } => Some(format!("`{tool} halt {lab}`, then run the same command again")),
        }
    }
}
