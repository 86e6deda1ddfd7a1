//! What people do with a lab that is up: their own images in it, its cluster, and this program itself.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use crate::completion::{lab_names, lab_or_machine_names, machine_names};

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// Names or ids of images in the container engine, archives (Docker's or OCI's), `-` for one on the standard input
    #[arg(required = true, value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,
    /// Only to this node, now and later; may be repeated
    #[arg(long = "machine", value_name = "MACHINE", add = ArgValueCompleter::new(machine_names))]
    pub(crate) machines: Vec<String>,
    /// The name that the image is to have in the lab, in place of its own
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Images {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Do not give the image of this name to machines that are made or started later; those that have it keep it
    #[arg(long, value_name = "NAME", requires = "lab")]
    pub(crate) forget: Option<String>,
    /// Also those that machines came with
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A program of the cluster's, and what it is given.
#[derive(Debug, Args)]
pub(crate) struct ClusterTool {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// Its arguments
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Ssh {
    /// The lab, which may be left out where one alone has machines, and the machine
    #[arg(
        required = true,
        num_args = 1..=2,
        value_names = ["LAB", "MACHINE"],
        add = ArgValueCompleter::new(lab_or_machine_names)
    )]
    pub(crate) place: Vec<String>,
    /// A command to run there instead of a shell
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// The machine whose bootstrap journal to show; without it, what Vagrant said
    #[arg(add = ArgValueCompleter::new(machine_names))]
    pub(crate) machine: Option<String>,
    /// Go on as lines are added
    #[arg(short, long, requires = "machine")]
    pub(crate) follow: bool,
    /// Show another unit's journal, such as `kubelet`
    #[arg(short, long, requires = "machine", default_value = "caravan-bootstrap")]
    pub(crate) unit: String,
    /// Write all that tells of the lab's state, of every machine, to one archive in this folder; no key is in it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["machine", "follow", "unit"])]
    pub(crate) all: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Kubeconfig {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Print the kubeconfig itself
    #[arg(long, conflicts_with_all = ["merge", "unmerge"])]
    pub(crate) print: bool,
    /// Add the lab's contexts to your own kubeconfig
    #[arg(long, conflicts_with = "unmerge")]
    pub(crate) merge: bool,
    /// Take the lab's contexts out of your own kubeconfig
    #[arg(long)]
    pub(crate) unmerge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The lab's name
    pub(crate) name: String,
    /// How many etcd members: an odd number
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(crate) etcd: u8,
    /// How many masters
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(crate) masters: u8,
    /// How many load balancers; none needs one master alone
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) balancers: u8,
    /// How many workers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=99))]
    pub(crate) workers: u8,
    /// The subnet, a /24 [default: one that nobody here uses]
    #[arg(long, value_name = "RANGE")]
    pub(crate) subnet: Option<caravan_lab::Ipv4Net>,
    /// Print the file instead of writing it
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A shell for which there are completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// Bash
    Bash,
    /// Elvish
    Elvish,
    /// Fish
    Fish,
    /// PowerShell
    Powershell,
    /// Zsh
    Zsh,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
