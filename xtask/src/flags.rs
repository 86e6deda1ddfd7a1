//! The command line. Every word of it is here; what a verb does is in the file of its name.

mod certs;
pub(crate) mod checkpoint;
mod daily;
mod day_two;
pub(crate) mod etcd;
pub(crate) mod making;
mod suggestion;

use std::path::PathBuf;

use caravan_lifecycle::ProviderChoice;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

pub(crate) use self::certs::{Certs, CertsAction, CertsCheck, CertsList, CertsRenew, CertsRotate};
pub(crate) use self::daily::{
    ClusterTool, Completion, Images, Kubeconfig, Load, Logs, New, Ssh, Version,
};
pub(crate) use self::day_two::{Drill, Replace};
pub(crate) use self::making::{AddOns, Making, Origin, Source, word};
pub(crate) use self::suggestion::parse;
use crate::completion::{lab_names, machine_names};
use crate::error::TOOL;
use crate::version::VERSION;

/// What a newcomer types, below the list of verbs.
fn begin() -> String {
    format!(
        "\
Begin with:
  {TOOL} doctor           what is missing here; changes nothing
  {TOOL} up ha            asks, installs that, and brings up nine machines: minutes the first time
  {TOOL} status ha
  {TOOL} load ha app:1    your own image, on every node
  {TOOL} destroy ha

README.md says what is changed on this computer, and how to undo it."
    )
}

/// Brings up production-shaped Kubernetes labs on Vagrant machines
#[derive(Debug, Parser)]
#[command(
    name = TOOL,
    bin_name = TOOL,
    version = VERSION,
    after_help = begin()
)]
pub(crate) struct Flags {
    /// Print no progress, only data and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Show each program that is run, with its arguments
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Bring a lab up, or whatever of it is missing or broken, and verify it
    #[command(visible_alias = "start", alias = "create")]
    Up(Up),
    /// Stop machines, etcd last
    #[command(visible_alias = "stop")]
    Halt(Halt),
    /// Remove machines, and the lab's state with the last of them
    #[command(visible_alias = "delete", alias = "rm")]
    Destroy(Destroy),
    /// Make a machine anew, dead or alive, while the lab goes on
    Replace(Replace),
    /// Break one thing of a lab on purpose, measure what its users see, repair it, and judge
    Drill(Drill),
    /// Give nodes images of your own: from the container engine, an archive, or standard input
    Load(Load),
    /// Show which images nodes have, and which they are to have
    Images(Images),
    /// Run the lab's kubectl: `kubectl LAB -- get nodes`
    Kubectl(ClusterTool),
    /// Run etcdctl on a member of the lab: `etcdctl LAB -- member list`
    Etcdctl(ClusterTool),
    /// Show what a lab's machines and its cluster are doing
    Status(Status),
    /// List labs, or the machines of one
    List(List),
    /// Open a shell on a machine, or run a command there
    Ssh(Ssh),
    /// Show a machine's bootstrap journal, or what Vagrant said
    Logs(Logs),
    /// Print the path of a lab's kubeconfig, or merge it into your own
    Kubeconfig(Kubeconfig),
    /// Test every promise of a lab live
    Verify(Verify),
    /// Write a lab as one page: what holds, what is where, what fails with what, how long users were without it
    Report(Report),
    /// Look after a lab's etcd: its members, copies of its data, and the way back to one
    Etcd(etcd::Etcd),
    /// Keep all of a lab that is halted as it is, and put it back
    Checkpoint(checkpoint::Checkpoint),
    /// Look after a lab's certificates
    Certs(Certs),
    /// Show what a lab makes, what would change, and what each failure costs
    Plan(Plan),
    /// Say why each line of a rendered file is there
    Explain(Explain),
    /// Write one archive for the administrator of a server, who needs Vagrant and a provider alone
    Export(Export),
    /// Say what this computer lacks
    Doctor(Doctor),
    /// Install what this computer lacks
    Setup(Setup),
    /// Make, list and carry the software that machines run
    Bundle(Bundle),
    /// Make what machines start from: an image for containers, a box for virtual machines
    Bake(Bake),
    /// Write a lab file of your own shape, on a subnet that nobody here uses
    New(New),
    /// Say which version this is, and which software it puts on machines
    Version(Version),
    /// Print what lets a shell complete verbs, labs and machines
    Completion(Completion),
    /// Measure
    Bench(Bench),
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The lab: the name of a file in `labs/`
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// Only these machines
    #[arg(add = ArgValueCompleter::new(machine_names))]
    pub(crate) machines: Vec<String>,
    /// Only the machines of this server
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Install what is missing without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Make a new, empty cluster without asking where the data of the old one is lost; nothing else is changed by it
    #[arg(long)]
    pub(crate) new_cluster: bool,
    /// Give up after this long, such as `10m` or `90s`; machines go on by themselves
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<jiff::SignedDuration>,
    /// Then add the lab's contexts to your own kubeconfig
    #[arg(long)]
    pub(crate) merge: bool,
    #[command(flatten)]
    pub(crate) making: Making,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

#[derive(Debug, Args)]
pub(crate) struct Halt {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Only these machines
    #[arg(add = ArgValueCompleter::new(machine_names))]
    pub(crate) machines: Vec<String>,
    /// Only the machines of this server
    #[arg(long)]
    pub(crate) server: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    /// The lab; its file may be gone
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// Only these machines
    #[arg(add = ArgValueCompleter::new(machine_names))]
    pub(crate) machines: Vec<String>,
    /// Only the machines of this server
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Do not ask
    #[arg(short, long, short_alias = 'f', alias = "force")]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// The lab whose machines to list
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The lab [default: the one that has machines]
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: Option<String>,
    /// Also break things for a moment: move the virtual address, stop an etcd member
    #[arg(long)]
    pub(crate) disrupt: bool,
    /// Wait until the lab is ready first
    #[arg(long)]
    pub(crate) wait: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write JUnit's XML there, which CI systems read
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The page to write [default: report-LAB.html]; its JSON twin and the pictures are written beside it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Say what has changed since this report's JSON twin [default: the one that is to be replaced]
    #[arg(long, value_name = "FILE")]
    pub(crate) before: Option<PathBuf>,
    /// Print the JSON twin, and write nothing
    #[arg(long, conflicts_with = "output")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// Write the Vagrant projects of all servers
    #[arg(long)]
    pub(crate) write: bool,
    /// Show every changed line
    #[arg(long)]
    pub(crate) diff: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) making: Making,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The archive to write: a tar
    pub(crate) file: PathBuf,
    /// The server
    #[arg(long)]
    pub(crate) server: String,
    /// Install what is missing without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) making: Making,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The lab
    #[arg(add = ArgValueCompleter::new(lab_names))]
    pub(crate) lab: String,
    /// The machine, or a server for its Vagrantfile; may be left out before a file
    pub(crate) machine: Option<String>,
    /// The file, such as `haproxy.cfg`; a line of it, as in `haproxy.cfg:28`; without it, files are listed
    pub(crate) file: Option<String>,
    /// Only the lines that have this text
    pub(crate) text: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Also look at what this lab needs
    pub(crate) lab: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Install without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// What is to run machines: `docker`, `libvirt`, `virtualbox`, or several with commas [default: docker]
    #[arg(
        long,
        value_delimiter = ',',
        env = "CARAVAN_PROVIDER",
        hide_env_values = true
    )]
    pub(crate) provider: Vec<ProviderChoice>,
    /// Also install the programs that check rendered files in tests
    #[arg(long)]
    pub(crate) checkers: bool,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

/// What the cache has several of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BundleListing {
    /// Software that machines run
    Bundles,
    /// Software of what labs may ask for: pod networks, volumes, metrics, addresses
    #[value(alias = "pod-networks")]
    AddOns,
    /// Boxes of virtual machines
    Boxes,
}

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    #[command(subcommand)]
    pub(crate) action: BundleAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BundleAction {
    /// Make the bundle, by whichever source works
    Build {
        /// Where software comes from
        #[arg(
            long,
            value_enum,
            env = "CARAVAN_SOURCE",
            hide_env_values = true,
            default_value = "auto"
        )]
        source: Source,
        /// The minor version of Kubernetes
        #[arg(long, default_value = "1.36")]
        kubernetes: String,
        #[command(flatten)]
        add_ons: AddOns,
        /// Install what is missing without asking
        #[arg(short, long)]
        yes: bool,
    },
    /// Make the bundle from published files
    Download {
        /// The minor version of Kubernetes
        #[arg(long, default_value = "1.36")]
        kubernetes: String,
        #[command(flatten)]
        add_ons: AddOns,
    },
    /// List what the cache has
    List {
        /// Print JSON: the list of bundles, or of what `--of` names
        #[arg(long)]
        json: bool,
        /// Whose list to print as JSON
        #[arg(long = "of", value_enum, default_value = "bundles", requires = "json")]
        only: BundleListing,
    },
    /// Compare every file of the cache's bundles with its checksum
    Verify,
    /// Write a bundle to one file, for a computer without a network
    Export {
        /// The file to write
        file: std::path::PathBuf,
        /// The minor version of Kubernetes
        #[arg(long, default_value = "1.36")]
        kubernetes: String,
    },
    /// Read a bundle from such a file
    Import {
        /// The file to read
        file: std::path::PathBuf,
    },
    /// Remove what no pin asks for any more
    Prune,
}

#[derive(Debug, Args)]
pub(crate) struct Bake {
    /// The minor version of Kubernetes
    #[arg(long, default_value = "1.36")]
    pub(crate) kubernetes: String,
    #[command(flatten)]
    pub(crate) add_ons: AddOns,
    /// What is to run the machines: containers start from an image, virtual machines from a box
    #[arg(long, value_enum, default_value = "docker")]
    pub(crate) provider: making::Runner,
    /// Install what is missing without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) origin: Origin,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) action: BenchAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchAction {
    /// Bare machines against the whole of `up`, in one run
    Up {
        /// The lab; it must have no machines
        #[arg(default_value = "ha")]
        lab: String,
        /// Leave the lab up afterwards
        #[arg(long)]
        keep: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        making: Making,
        #[command(flatten)]
        origin: Origin,
    },
    /// `plan` of ha and of a generated lab of 1,000 machines
    Plan {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// A cold build of this tool
    Compile {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Flags::command().debug_assert();
    }
}
