//! What `etcd` is told.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use super::making::Origin;
use crate::completion::lab_names;

#[derive(Debug, Args)]
pub(crate) struct Etcd {
    #[command(subcommand)]
    pub(crate) action: EtcdAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EtcdAction {
    /// Show a lab's etcd members, what their data takes, and its snapshots
    Status(EtcdStatus),
    /// Copy all that etcd has to this computer, while it works
    Snapshot(EtcdSnapshot),
    /// Give all members the data of a snapshot; the API is away meanwhile
    Restore(EtcdRestore),
    /// Forget old revisions, give the space back, member by member, and end alarms whose cause is gone
    Defrag(EtcdDefrag),
}

#[derive(Debug, Args)]
pub(crate) struct EtcdStatus {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdSnapshot {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The folder to write to, so that it outlives the lab [default: the lab's own state]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// How many snapshots of the lab to keep in that folder [default: 20 in the lab's own state, all elsewhere]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) keep: Option<u16>,
    /// How old those may be, in days; the newest three are kept in any case [default: 30 in the lab's own state]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) keep_days: Option<u16>,
    /// Print JSON: what the snapshot is of
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdRestore {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The snapshot: its name, `latest`, or a file; may be left out to go on with what is under way
    pub(crate) snapshot: Option<String>,
    /// Where etcd's majority is gone for good: what this member has, without a snapshot
    #[arg(long, value_name = "MACHINE", conflicts_with = "snapshot")]
    pub(crate) from: Option<String>,
    /// Also one of a lab of this name with other certificate authorities, as after `destroy` and `up`
    #[arg(long)]
    pub(crate) other_authorities: bool,
    /// Return to what was there before; possible until all members have the restored data in its place
    #[arg(long, conflicts_with_all = ["snapshot", "from", "other_authorities"])]
    pub(crate) give_up: bool,
    /// Say what would be done, step by step, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

#[derive(Debug, Args)]
pub(crate) struct EtcdDefrag {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
