//! What can go wrong, and what to do about it.

mod hint;
mod stuck;

use std::fmt;
use std::io;
use std::path::PathBuf;

use caravan_lab::{Faults, Ipv4Net, LabChange, Provider};
use caravan_vagrant::engine::Conflict;

pub(crate) use self::stuck::Stuck;
use crate::exit::Exit;
use crate::state::lock::Holder;

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Another run holds the lab's lock.
    #[error("another run is changing lab `{lab}`{}", by(holder.as_ref()))]
    Busy { lab: String, holder: Option<Holder> },
    /// Software or the machine image.
    #[error(transparent)]
    Bundle(#[from] caravan_bundle::Error),
    /// The lab's machines were made otherwise than is asked for now.
    #[error("lab `{lab}` was made with {what} `{was}`, and `{asked}` is asked for")]
    ChosenOtherwise {
        lab: String,
        what: String,
        was: String,
        asked: String,
    },
    /// The live cluster.
    #[error(transparent)]
    Cluster(#[from] caravan_cluster::Error),
    /// Too few etcd members have their data, so the cluster cannot come back.
    #[error("{}", cluster_lost(lab, seen, gone, kept, *machines))]
    ClusterLost {
        lab: String,
        /// When the cluster was first seen ready, RFC 3339.
        seen: String,
        /// The etcd machines that are gone with their data.
        gone: Vec<String>,
        /// Those that have a copy.
        kept: Vec<String>,
        /// How many machines of the lab are there.
        machines: usize,
    },
    /// Something else has what the lab needs.
    #[error("{}", lines(conflicts.iter()))]
    Conflicts { conflicts: Vec<Conflict> },
    /// A machine stopped while it was waited for.
    #[error("machine `{machine}` stopped while it was being set up: it is {state}")]
    Died {
        lab: String,
        machine: String,
        state: String,
    },
    /// The user said no, or could not be asked.
    #[error("{what} was not confirmed")]
    Declined { what: String },
    /// There is too little room for machines.
    #[error(
        "only {free_mib} MiB are free on the disk of `{}`, and starting machines needs at least {least_mib} MiB",
        path.display()
    )]
    DiskFull {
        path: PathBuf,
        free_mib: u64,
        least_mib: u64,
    },
    /// The lab file was changed while machines of it are there.
    #[error(
        "the file of lab `{lab}` was changed, and its machines were made from the file as it was before:{}",
        indented(changes)
    )]
    Edited {
        lab: String,
        changes: Vec<LabChange>,
    },
    /// The lab file was changed, and nobody can be asked whether machines of it are there.
    #[error(
        "the file of lab `{lab}` was changed, and it is not known whether machines exist that were made from the file as it was before:{}",
        indented(changes)
    )]
    EditedUnasked {
        lab: String,
        changes: Vec<LabChange>,
        source: Box<Error>,
    },
    /// The machines belong on another computer.
    #[error("the machines of server `{server}` run on `{host}`, not on this computer")]
    Elsewhere {
        lab: String,
        server: String,
        host: String,
    },
    /// This computer lacks something.
    #[error(transparent)]
    Host(#[from] caravan_host::Error),
    /// There is nothing to explain.
    #[error(transparent)]
    Explain(#[from] crate::explain::refusal::Refusal),
    /// The lab file is wrong.
    #[error("the lab file `{}` is not valid", .0.path.display())]
    Faults(Box<LabFile>),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The user's kubeconfig was not changed.
    #[error(transparent)]
    Kubeconfig(#[from] caravan_kubeconfig::Error),
    /// The lab was brought up, and its file is gone since.
    #[error("the lab file `{}` is gone, and lab `{lab}` was made from it", path.display())]
    LabFileGone {
        lab: String,
        path: PathBuf,
        /// What is kept of it.
        kept: PathBuf,
    },
    /// Another workspace made the machines, and is still there.
    #[error(
        "the machines of a lab `{lab}` were made from `{}`: {}",
        workspace.display(),
        listed(machines)
    )]
    MadeElsewhere {
        lab: String,
        workspace: PathBuf,
        machines: Vec<String>,
    },
    /// There is no machine image for virtual machines.
    #[error("there is no baked box for `{provider}`")]
    NoBox { provider: Provider },
    /// The cache has no bundle for this Kubernetes.
    #[error("the cache has no bundle for Kubernetes {minor}")]
    NoBundle { minor: String },
    /// No network of this computer is the lab's.
    #[error("no network of this computer has `{subnet}`: no machine of lab `{lab}` runs here")]
    NotNear { lab: String, subnet: Ipv4Net },
    /// The lab has no keys, because it was never brought up.
    #[error("lab `{lab}` was never brought up from this workspace")]
    NotMade { lab: String },
    /// What has a lab file's name is none.
    #[error("`{}` is not a file", path.display())]
    NoLabFile { path: PathBuf },
    /// A verb needs a lab and none, or several, have machines.
    #[error("{}", which_lab(running))]
    NoLabNamed { running: Vec<String> },
    /// No lab file has this name.
    #[error("there is no lab `{name}`")]
    NoSuchLab { name: String, labs: Vec<String> },
    /// The lab has no machine of this name.
    #[error("lab `{lab}` has no machine `{name}`")]
    NoSuchMachine {
        lab: String,
        name: String,
        machines: Vec<String>,
    },
    /// The lab has no server of this name.
    #[error("lab `{lab}` has no server `{name}`")]
    NoSuchServer {
        lab: String,
        name: String,
        servers: Vec<String>,
    },
    /// No folder with lab files is near.
    #[error("no folder `labs` in `{}` or above it", from.display())]
    NoWorkspace { from: PathBuf },
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] caravan_pki::Error),
    /// The lab file is no text.
    #[error(
        "`{}:{line}:{column}` is not UTF-8 text: the byte 0x{byte:02x} stands there",
        path.display()
    )]
    NotText {
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        byte: u8,
    },
    /// The lab has machines, and what is measured needs it without.
    #[error("lab `{lab}` has machines, and the measurement must start without any")]
    Occupied { lab: String },
    /// The cluster that is there is not the one that was made.
    #[error(
        "lab `{lab}` runs another cluster than the one that `up` made and saw ready at {seen}: the uid of its namespace \
         `kube-system` was `{made}`, and is `{found}`; what was stored in the old one is not in it"
    )]
    OtherCluster {
        lab: String,
        made: String,
        seen: String,
        found: String,
    },
    /// A program failed.
    #[error(transparent)]
    Process(#[from] caravan_process::Error),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// Files could not be rendered.
    #[error(transparent)]
    Render(#[from] caravan_render::Error),
    /// Machines carry the lab's label, and nothing here tells of them.
    #[error(
        "lab `{lab}` has machines that were not made from this workspace: {}",
        listed(machines)
    )]
    Strangers { lab: String, machines: Vec<String> },
    /// A machine does not go on.
    #[error("{0}")]
    Stuck(Box<Stuck>),
    /// Vagrant, the engine or ssh.
    #[error(transparent)]
    Vagrant(#[from] caravan_vagrant::Error),
    /// Somebody's Vagrant works on the lab and does not end.
    #[error("`{command}`, process {pid}, works on lab `{lab}` and does not end")]
    VagrantAtWork {
        lab: String,
        pid: u32,
        command: String,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A lab file that was refused.
#[derive(Debug)]
pub(crate) struct LabFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) source: String,
    /// What is wrong with it.
    pub(crate) faults: Faults,
}

impl From<caravan_files::WriteError> for Error {
    fn from(error: caravan_files::WriteError) -> Self {
        let caravan_files::WriteError { path, source } = error;
        Self::Write { path, source }
    }
}

impl Error {
    /// How the program exits with this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::ChosenOtherwise { .. }
            | Self::Faults(_)
            | Self::LabFileGone { .. }
            | Self::NoLabFile { .. }
            | Self::NoLabNamed { .. }
            | Self::NotText { .. }
            | Self::Explain(_)
            | Self::NoSuchLab { .. }
            | Self::NoSuchMachine { .. }
            | Self::NoSuchServer { .. }
            | Self::NoWorkspace { .. } => Exit::Usage,
            _ if self.is_interrupt() => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }

    /// Whether the user stopped it.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Interrupted
                | Self::Bundle(caravan_bundle::Error::Interrupted)
                | Self::Host(
                    caravan_host::Error::Interrupted
                        | caravan_host::Error::Bundle(caravan_bundle::Error::Interrupted)
                        | caravan_host::Error::Process(caravan_process::Error::Interrupted { .. })
                )
                | Self::Cluster(caravan_cluster::Error::Interrupted)
                | Self::Process(caravan_process::Error::Interrupted { .. })
                | Self::Vagrant(caravan_vagrant::Error::Process(
                    caravan_process::Error::Interrupted { .. }
                ))
        )
    }
}

fn cluster_lost(
    lab: &str,
    seen: &str,
    gone: &[String],
    kept: &[String],
    machines: usize,
) -> String {
    let copy = match kept {
        [] => String::new(),
        kept => format!(
            "; {} still has a copy, which is no majority of {}",
            listed(kept),
            kept.len() + gone.len()
        ),
    };
    let left = match machines {
        0 => "no machine of the lab is left".to_owned(),
        1 => "1 machine of the lab is left, and is of no use without it".to_owned(),
        count => format!("{count} machines of the lab are left, and are of no use without it"),
    };
    let (are, them) = match gone {
        [_] => ("is", "it"),
        _ => ("are", "them"),
    };
    format!(
        "the cluster of lab `{lab}`, first seen ready at {seen}, is lost: {} {are} gone, and etcd's data with {them}{copy}. \
         All that was stored in the cluster goes with it; {left}",
        listed(gone)
    )
}

fn by(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!(
            ": `{}`, process {}, since {}",
            holder.verb, holder.pid, holder.since
        ),
        None => String::new(),
    }
}

fn indented<T: fmt::Display>(lines: &[T]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}

fn lines<T: fmt::Display>(things: impl Iterator<Item = T>) -> String {
    let all: Vec<String> = things.map(|thing| thing.to_string()).collect();
    all.join("\n")
}

fn which_lab(running: &[String]) -> String {
    match running {
        [] => "no lab has machines".to_owned(),
        labs => format!("several labs have machines: {}", listed(labs)),
    }
}

/// `names` in backticks, with commas.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}
