//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use caravan_lab::Faults;

use crate::exit::Exit;
use crate::state::lock::Holder;

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Another run holds the lab's lock.
    #[error("another run is at work on lab `{lab}`{}", by(holder.as_ref()))]
    Busy { lab: String, holder: Option<Holder> },
    /// Nothing here may install it.
    #[error("{what} must be installed, and there is neither `sudo` nor an administrator here")]
    CannotInstall { what: String, command: String },
    /// The lab's machines were made otherwise than is asked for now.
    #[error("lab `{lab}` was made with {what} `{was}`, and `{asked}` is asked for")]
    ChosenOtherwise {
        lab: String,
        what: String,
        was: String,
        asked: String,
    },
    /// The user said no, or could not be asked.
    #[error("{what} needs your word")]
    Declined { what: String },
    /// The container engine runs and does not let this user in.
    #[error("the container engine does not let you in")]
    EngineForbidden,
    /// The container engine was started and does not answer.
    #[error(
        "the container engine, started by {how}, does not answer{}",
        indented(tail)
    )]
    EngineSilent { how: String, tail: Vec<String> },
    /// The lab file is wrong.
    #[error("the lab file `{}` is not valid", .0.path.display())]
    Faults(Box<LabFile>),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The user's kubeconfig is left alone.
    #[error("`{}` is left as it is: {refusal}", path.display())]
    Kubeconfig {
        path: PathBuf,
        refusal: crate::kubeconfig::Refusal,
    },
    /// Another program changes the user's kubeconfig.
    #[error("another program holds `{}`", lock.display())]
    KubeconfigLocked { lock: PathBuf },
    /// The lab has no keys, because it was never brought up.
    #[error("lab `{lab}` was never brought up from here")]
    NotMade { lab: String },
    /// A verb needs a lab and none, or several, have machines.
    #[error("{}", which_lab(running))]
    NoLabNamed { running: Vec<String> },
    /// No package manager here has it.
    #[error("{what} must be installed, and no package manager here has it")]
    NoPackage { what: String, pages: String },
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
    /// A program failed.
    #[error(transparent)]
    Process(#[from] caravan_process::Error),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// Files could not be rendered.
    #[error(transparent)]
    Render(#[from] caravan_render::Error),
    /// Vagrant, the engine or ssh.
    #[error(transparent)]
    Vagrant(#[from] caravan_vagrant::Error),
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

impl Error {
    /// How the program exits with this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::ChosenOtherwise { .. }
            | Self::Faults(_)
            | Self::NoLabNamed { .. }
            | Self::NoSuchLab { .. }
            | Self::NoSuchMachine { .. }
            | Self::NoSuchServer { .. }
            | Self::NoWorkspace { .. } => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// Whether the user stopped it.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Interrupted
                | Self::Process(caravan_process::Error::Interrupted { .. })
                | Self::Vagrant(caravan_vagrant::Error::Process(
                    caravan_process::Error::Interrupted { .. }
                ))
        )
    }

    /// The next thing to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { holder, .. } => Some(match holder {
                Some(holder) => format!(
                    "wait for it to end, or stop it with `kill -INT {}`: the lab stays in a state that `up` and `destroy` accept",
                    holder.pid
                ),
                None => "wait for it to end".to_owned(),
            }),
            Self::CannotInstall { command, .. } => {
                Some(format!("as an administrator: `{command}`"))
            }
            Self::Kubeconfig { path, .. } => Some(format!(
                "use both without merging: `export KUBECONFIG={}:$(cargo xtask kubeconfig LAB)`",
                path.display()
            )),
            Self::KubeconfigLocked { lock } => Some(format!(
                "if no `kubectl` runs, a killed one left it: `rm {}`",
                lock.display()
            )),
            Self::NotMade { lab } => Some(format!("`cargo xtask up {lab}` makes it")),
            Self::NoPackage { pages, .. } => Some(format!("install it by hand: {pages}")),
            Self::ChosenOtherwise { lab, .. } => Some(format!(
                "leave the flag out to go on with the machines there are, or `cargo xtask destroy {lab}` first"
            )),
            Self::Declined { .. } => Some("say so with `--yes`".to_owned()),
            Self::EngineForbidden => Some(
                "`sudo usermod --append --groups docker $USER`, then log in again".to_owned(),
            ),
            Self::EngineSilent { .. } => Some(
                "mend what it says, or start it yourself; then run the same command again".to_owned(),
            ),
            Self::NoLabNamed { running } if running.is_empty() => {
                Some("name a lab; `cargo xtask list` shows them".to_owned())
            }
            Self::NoLabNamed { .. } => Some("name the lab".to_owned()),
            Self::NoSuchLab { name, labs } => Some(match nearest(name, labs) {
                Some(near) => format!("did you mean `{near}`?"),
                None if labs.is_empty() => "make a file in `labs/`".to_owned(),
                None => format!("the labs are {}", listed(labs)),
            }),
            Self::NoSuchMachine { name, machines, .. } => Some(match nearest(name, machines) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its machines are {}", listed(machines)),
            }),
            Self::NoSuchServer { name, servers, .. } => Some(match nearest(name, servers) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its servers are {}", listed(servers)),
            }),
            Self::NoWorkspace { .. } => Some(
                "go to the folder that holds `labs/`, or set `CARAVAN_ROOT` to it".to_owned(),
            ),
            Self::Pki(error) => error.hint(),
            Self::Process(error) => error.hint(),
            Self::Render(error) => error.hint(),
            Self::Vagrant(error) => error.hint(),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(
                "the disk is full: free some space (`cargo xtask bundle prune`), then run the same command again"
                    .to_owned(),
            ),
            _ => None,
        }
    }
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

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
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

/// The name that was probably meant by `name`.
fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a String> {
    names
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
