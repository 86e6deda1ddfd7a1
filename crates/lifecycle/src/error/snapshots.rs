//! What can be wrong with snapshots, and with going back to one.

use std::path::PathBuf;

use crate::snapshots::SnapshotFault;

/// Why a snapshot is not found, not used, or not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// A machine of etcd does not run, and all of them are needed.
    #[error("`{machine}` does not run, and a snapshot is restored on all etcd machines at once")]
    EtcdMachineDown {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
    },
    /// Nothing is lost that one member alone would have to bring back.
    #[error("etcd of lab `{lab}` has a majority, which knows more than one member alone")]
    HasMajority {
        /// The lab.
        lab: String,
    },
    /// No restoration is under way.
    #[error("no snapshot is being restored in lab `{lab}`")]
    NoRestoration {
        /// The lab.
        lab: String,
    },
    /// There is no such snapshot.
    #[error("lab `{lab}` has no snapshot `{name}`, and there is no file of that name")]
    NoSuch {
        /// The lab.
        lab: String,
        /// What was asked for.
        name: String,
        /// The names of the lab's own, the newest first.
        known: Vec<String>,
    },
    /// A restored member is not what the others are.
    #[error(
        "`{machine}` does not have the restored data in its place any more, so no member of lab `{lab}` is started"
    )]
    NotSwapped {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
    },
    /// A restoration cannot be undone any more.
    #[error(
        "all etcd members of lab `{lab}` have the restored data in its place: there is no way back"
    )]
    NoWayBack {
        /// The lab.
        lab: String,
    },
    /// A snapshot is not what it should be.
    #[error("snapshot `{}` is of no use here: {fault}", file.display())]
    Refused {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        fault: SnapshotFault,
    },
    /// The store's token of etcd's cluster is not one that the restoration under way knows.
    #[error(
        "the store of lab `{lab}` has another etcd cluster token than when the restoration began"
    )]
    TokenLost {
        /// The lab.
        lab: String,
    },
}

impl SnapshotError {
    /// The next thing to do about it; `tool` is how the program that calls this is started.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::EtcdMachineDown { lab, machine, .. } => Some(format!(
                "`{tool} up {lab} {machine}` starts it; then run the same command again"
            )),
            Self::HasMajority { lab } => Some(format!(
                "`{tool} up {lab}` makes members anew that are gone; `{tool} etcd restore {lab} SNAPSHOT` goes back to an earlier state"
            )),
            Self::NoRestoration { lab } => Some(format!(
                "`{tool} etcd restore {lab} SNAPSHOT` begins; `{tool} etcd status {lab}` lists snapshots"
            )),
            Self::NotSwapped { lab, .. } => Some(format!(
                "`{tool} etcd restore {lab}` again does that first"
            )),
            Self::NoWayBack { lab } => Some(format!(
                "`{tool} etcd restore {lab}` goes on; then the snapshot that was taken before can be restored"
            )),
            Self::Refused {
                fault: SnapshotFault::OtherAuthorities { .. },
                ..
            } => Some(
                "`--other-authorities` restores it all the same, as after a lab was destroyed and made anew: what it says of its authorities is put right"
                    .to_owned(),
            ),
            Self::NoSuch { lab, known, .. } => Some(match &known[..] {
                [] => format!("`{tool} etcd snapshot {lab}` takes one"),
                [newest, ..] => format!("the newest is `{newest}`; `{tool} etcd status {lab}` lists them"),
            }),
            _ => None,
        }
    }
}
