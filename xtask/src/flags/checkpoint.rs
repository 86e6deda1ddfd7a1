//! What `checkpoint` is told.

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use crate::completion::{checkpoint_names, lab_names};

#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    #[command(subcommand)]
    pub(crate) action: CheckpointAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointAction {
    /// Keep all of a halted lab as it is: what its machines have written, volumes, keys
    Save(CheckpointSave),
    /// Put all of a halted lab back as it was; what is there now is kept as another checkpoint
    Restore(CheckpointRestore),
    /// List checkpoints
    List(CheckpointList),
    /// Remove checkpoints
    #[command(visible_alias = "delete", alias = "rm")]
    Remove(CheckpointRemove),
}

#[derive(Debug, Args)]
pub(crate) struct CheckpointSave {
    /// The lab, all of whose machines are halted
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// What to call it [default: the time, such as 20261130T120000Z]
    pub(crate) name: Option<String>,
    /// Print JSON: what the checkpoint is of
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckpointRestore {
    /// The lab, all of whose machines are halted
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The checkpoint: its name, or `latest`; may be left out to go on with what is under way
    #[arg(add = ArgValueCompleter::new(checkpoint_names))]
    pub(crate) name: Option<String>,
    /// Return to what was there before; possible until all machines have what was saved
    #[arg(long, conflicts_with = "name")]
    pub(crate) give_up: bool,
    /// Say what would be done, step by step, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckpointList {
    /// The lab [default: all]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckpointRemove {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The checkpoints
    #[arg(required = true, add = ArgValueCompleter::new(checkpoint_names))]
    pub(crate) names: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}
