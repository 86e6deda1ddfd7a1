//! What the verbs are asked for that break a lab and make parts of it anew.

use std::path::PathBuf;

use caravan_cluster::drill::watched::WatchTarget;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::making::Origin;
use crate::completion::{lab_names, machine_names};

#[derive(Debug, Args)]
pub(crate) struct Replace {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The machine
    #[arg(add = ArgValueCompleter::new(machine_names))]
    pub(crate) machine: String,
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
pub(crate) struct Drill {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names), required_unless_present_any = ["judge", "list"])]
    pub(crate) lab: Option<String>,
    /// The drills, such as `etcd-leader` or `etcd-leader:freeze`; `all` for each that the lab can do
    #[arg(required_unless_present_any = ["judge", "list"])]
    pub(crate) names: Vec<String>,
    /// How many times each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) times: u16,
    /// Ask a Service of your own meanwhile: `NAMESPACE/SERVICE[:PORT][/PATH]`, or a URL at an address of the lab
    #[arg(long, value_name = "SERVICE|URL", conflicts_with_all = ["judge", "list"])]
    pub(crate) watch: Vec<WatchTarget>,
    /// Say which drills there are
    #[arg(long, conflicts_with_all = ["lab", "judge"])]
    pub(crate) list: bool,
    /// Compute all figures again from the records of a drill
    #[arg(long, value_name = "FILE", conflicts_with = "lab")]
    pub(crate) judge: Option<PathBuf>,
    /// Say what would be broken, and break nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
