//! What can go wrong with a lab, and what to do about it.

mod certificates;
mod checkpoints;
mod hint;
mod kind;
mod snapshots;
mod stuck;
mod text;

use std::io;
use std::path::PathBuf;

use caravan_lab::{Faults, Ipv4Net, LabChange, Provider, Role};
use caravan_vagrant::engine::Conflict;

pub use caravan_lab::listed;

pub use self::certificates::CertificatesError;
pub use self::checkpoints::{CheckpointError, CheckpointFault};
pub use self::hint::{hint_of_file, nearest};
pub use self::snapshots::SnapshotError;
pub use self::stuck::StuckMachine;
use self::text::{
    by, cluster_lost, image_of_which, indented, irreplaceable, lines, not_loaded, of_verb, silent,
    which_lab,
};
use crate::SilentComputer;
use crate::lock::LockHolder;

/// Why something was not done to a lab, or not found out about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another run holds the lab's lock.
    #[error("another run is changing lab `{lab}`{}", by(holder.as_ref()))]
    Busy {
        /// The lab.
        lab: String,
        /// Who holds it, if that can be read.
        holder: Option<LockHolder>,
    },
    /// Software or the machine image.
    #[error(transparent)]
    Bundle(#[from] caravan_bundle::Error),
    /// The lab's machines were made otherwise than is asked for now.
    #[error("lab `{lab}` was made with {what} `{was}`, and `{asked}` is asked for")]
    ChosenOtherwise {
        /// The lab.
        lab: String,
        /// Which choice.
        what: String,
        /// What was chosen.
        was: String,
        /// What is asked for.
        asked: String,
    },
    /// The live cluster.
    #[error(transparent)]
    Cluster(#[from] caravan_cluster::Error),
    /// Too few etcd members have their data, so the cluster cannot come back.
    #[error("{}", cluster_lost(lab, seen, gone, kept, *machines))]
    ClusterLost {
        /// The lab.
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
    Conflicts {
        /// All of them.
        conflicts: Vec<Conflict>,
    },
    /// A machine stopped while it was waited for.
    #[error("machine `{machine}` stopped while it was being set up: it is {state}")]
    Died {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
        /// Its state.
        state: String,
    },
    /// What was given as an archive of images is a folder.
    #[error("`{}` is a folder, and an image comes as an archive", path.display())]
    ImageFolder {
        /// The folder.
        path: PathBuf,
    },
    /// An archive was to come from the standard input, where nobody gives one.
    #[error("the standard input is a terminal, and no archive of an image comes from there")]
    InputIsTerminal,
    /// The lab cannot do without a machine.
    #[error("{}", irreplaceable(machine, *role, faults))]
    Irreplaceable {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
        /// What it does.
        role: Role,
        /// What is wrong with the others that do the same, by name; nothing where there are none.
        faults: Vec<(String, String)>,
    },
    /// The lab file was changed while machines of it are there.
    #[error(
        "the file of lab `{lab}` was changed, and its machines were made from the file as it was before:{}",
        indented(changes)
    )]
    Edited {
        /// The lab.
        lab: String,
        /// What was changed, a sentence each.
        changes: Vec<LabChange>,
    },
    /// The lab file was changed, and nobody can be asked whether machines of it are there.
    #[error(
        "the file of lab `{lab}` was changed, and it is not known whether machines exist that were made from the file as it was before:{}",
        indented(changes)
    )]
    EditedUnasked {
        /// The lab.
        lab: String,
        /// What was changed, a sentence each.
        changes: Vec<LabChange>,
        /// Why.
        source: Box<Error>,
    },
    /// The machines belong on another computer.
    #[error("the machines of server `{server}` run on `{host}`, not on this computer")]
    Elsewhere {
        /// The lab.
        lab: String,
        /// The server.
        server: String,
        /// The computer that it is on.
        host: String,
    },
    /// The lab file is wrong.
    #[error("the lab file `{}` is not valid", .0.path.display())]
    Faults(Box<RefusedLabFile>),
    /// An image of which it is not known what machines are to be made from it.
    #[error("{}", image_of_which(lab, image, providers))]
    ImageOfWhich {
        /// The lab.
        lab: String,
        /// The image or box.
        image: String,
        /// What runs machines of the lab.
        providers: Vec<Provider>,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The lab was brought up, and its file is gone since.
    #[error("the lab file `{}` is gone, and lab `{lab}` was made from it", path.display())]
    LabFileGone {
        /// The lab.
        lab: String,
        /// The file.
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
        /// The lab.
        lab: String,
        /// The folder of that workspace.
        workspace: PathBuf,
        /// The machines.
        machines: Vec<String>,
    },
    /// No network of this computer is the lab's.
    #[error("no network of this computer has `{subnet}`: no machine of lab `{lab}` runs here")]
    NotNear {
        /// The lab.
        lab: String,
        /// The lab's subnet.
        subnet: Ipv4Net,
    },
    /// A new etcd member has no vote yet.
    #[error(
        "etcd member `{machine}` has no vote yet: it has not caught up with the others, which have a majority without it"
    )]
    NotJoined {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
    },
    /// An operation is under way that this would work against.
    #[error(
        "{} of `{machine}` has been under way in lab `{lab}` since {since}",
        of_verb(verb)
    )]
    OperationOpen {
        /// The lab.
        lab: String,
        /// The verb that began it.
        verb: String,
        /// The machine that it is done to.
        machine: String,
        /// Since when, RFC 3339.
        since: String,
    },
    /// The lab has no keys, because it was never brought up.
    #[error("lab `{lab}` was never brought up from this workspace")]
    NotMade {
        /// The lab.
        lab: String,
    },
    /// What has a lab file's name is none.
    #[error("`{}` is not a file", path.display())]
    NoLabFile {
        /// The file.
        path: PathBuf,
    },
    /// A verb needs a lab and none, or several, have machines.
    #[error("{}", which_lab(running))]
    NoLabNamed {
        /// The labs that have machines.
        running: Vec<String>,
    },
    /// No lab file has this name.
    #[error("there is no lab `{name}`")]
    NoSuchLab {
        /// The name that was given.
        name: String,
        /// The labs that there are.
        labs: Vec<String>,
    },
    /// The lab has no machine of this name.
    #[error("lab `{lab}` has no machine `{name}`")]
    NoSuchMachine {
        /// The lab.
        lab: String,
        /// The name that was given.
        name: String,
        /// The machines.
        machines: Vec<String>,
    },
    /// A drill has nothing to break.
    #[error("drill `{drill}` breaks {what}, and lab `{lab}` has none now")]
    NoTarget {
        /// The lab.
        lab: String,
        /// The drill.
        drill: String,
        /// What it breaks.
        what: &'static str,
    },
    /// No machine that is meant is known to be on the server.
    #[error("no such machine of lab `{lab}` is known to be on server `{server}`")]
    NoneOnServer {
        /// The lab.
        lab: String,
        /// The server.
        server: String,
    },
    /// The lab has no server of this name.
    #[error("lab `{lab}` has no server `{name}`")]
    NoSuchServer {
        /// The lab.
        lab: String,
        /// The name that was given.
        name: String,
        /// Its servers.
        servers: Vec<String>,
    },
    /// Keys and certificates.
    #[error(transparent)]
    Pki(#[from] caravan_pki::Error),
    /// The lab file is no text.
    #[error(
        "`{}:{line}:{column}` is not UTF-8 text: the byte 0x{byte:02x} stands there",
        path.display()
    )]
    NotText {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// The byte.
        byte: u8,
    },
    /// The cluster that is there is not the one that was made.
    #[error(
        "lab `{lab}` runs another cluster than the one that `up` made and saw ready at {seen}: the uid of its namespace \
         `kube-system` was `{made}`, and is `{found}`; what was stored in the old one is not in it"
    )]
    OtherCluster {
        /// The lab.
        lab: String,
        /// The uid of the cluster that was made.
        made: String,
        /// When it was first seen ready, RFC 3339.
        seen: String,
        /// The uid of the one that is there.
        found: String,
    },
    /// Machines of one computer whose providers share no network.
    #[error(
        "VirtualBox's machines on server `{alone}` and {provider}'s on server `{other}` share no network"
    )]
    ProvidersApart {
        /// The lab.
        lab: String,
        /// A server whose machines VirtualBox runs.
        alone: String,
        /// A server of the same computer whose machines it does not run.
        other: String,
        /// What does.
        provider: Provider,
    },
    /// An image has no name by which a pod could ask for it.
    #[error("the image `{id}` of {what} has no name")]
    NamelessImage {
        /// What was given.
        what: String,
        /// The digest of its configuration.
        id: String,
        /// Whether the container engine has it.
        is_of_engine: bool,
    },
    /// A machine on which no pod can run.
    #[error("machine `{machine}` of lab `{lab}` is {role}, and runs no images")]
    NoNode {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
        /// What it does.
        role: Role,
    },
    /// Nothing of the lab runs that could do what is asked.
    #[error("no {role} machine of lab `{lab}` runs")]
    NoneRuns {
        /// The lab.
        lab: String,
        /// What such a machine does.
        role: Role,
    },
    /// Some nodes could not be given images; the others have them.
    #[error("{}", not_loaded(failures))]
    NotLoaded {
        /// The lab.
        lab: String,
        /// The nodes, each with the image's names and what went wrong.
        failures: Vec<(String, String, String)>,
    },
    /// No image of this name was asked for.
    #[error("no image `{name}` is given to machines")]
    NotRemembered {
        /// The full name.
        name: String,
        /// The names of those that are.
        names: Vec<String>,
    },
    /// One name was given for several images.
    #[error("{what} holds {images} images, and one name is given for them")]
    SeveralImages {
        /// What was given.
        what: String,
        /// How many images it holds.
        images: usize,
    },
    /// A program failed.
    #[error(transparent)]
    Process(#[from] caravan_process::Error),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificates that are looked after.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// Checkpoints of a whole lab.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Snapshots and restorations.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Files could not be rendered.
    #[error(transparent)]
    Render(#[from] caravan_render::Error),
    /// What was sent of a lab to a computer is of another workspace.
    #[error(
        "a lab `{lab}` was sent to `{host}` from another workspace: its key in `{}` there is another one",
        folder.display()
    )]
    SentFromElsewhere {
        /// The lab.
        lab: String,
        /// The computer, as the lab file names it.
        host: String,
        /// The lab's folder there.
        folder: PathBuf,
    },
    /// A computer of the lab's servers does not answer.
    #[error("{}", silent(.0))]
    Silent(Box<SilentComputer>),
    /// Machines carry the lab's label, and nothing here tells of them.
    #[error(
        "lab `{lab}` has machines that were not made from this workspace: {}",
        listed(machines)
    )]
    Strangers {
        /// The lab.
        lab: String,
        /// The machines.
        machines: Vec<String>,
    },
    /// A machine does not go on.
    #[error("{0}")]
    Stuck(Box<StuckMachine>),
    /// Vagrant, the engine or ssh.
    #[error(transparent)]
    Vagrant(#[from] caravan_vagrant::Error),
    /// Somebody's Vagrant works on the lab and does not end.
    #[error("`{command}`, process {pid}, works on lab `{lab}` and does not end")]
    VagrantAtWork {
        /// The lab.
        lab: String,
        /// Its process id.
        pid: u32,
        /// Its command line.
        command: String,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A lab file that was refused.
#[derive(Debug)]
pub struct RefusedLabFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub source: String,
    /// What is wrong with it.
    pub faults: Faults,
}

impl From<caravan_files::WriteError> for Error {
    fn from(error: caravan_files::WriteError) -> Self {
        let caravan_files::WriteError { path, source } = error;
        Self::Write { path, source }
    }
}
