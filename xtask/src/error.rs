//! What can go wrong, and what to do about it.

use std::io;
use std::path::PathBuf;

use caravan_cluster::Error as ClusterError;
use caravan_cluster::drill::watched::WatchFault;
use caravan_files::WriteError;
use caravan_lab::UnknownDrill;
use caravan_lifecycle::{Interruptible, hint_of_file};
use caravan_render::explain::Refusal;

use crate::exit::Exit;

/// This program, where it is installed.
pub(crate) const PROGRAM: &str = "caravan";

/// This program, as people type it: it is compiled under two names.
pub(crate) const TOOL: &str = match env!("CARGO_BIN_NAME").as_bytes() {
    b"caravan" => PROGRAM,
    _ => "cargo xtask",
};

/// A command of this program, as people type it, where a constant is wanted.
macro_rules! command {
    ($words:literal) => {
        match env!("CARGO_BIN_NAME").as_bytes() {
            b"caravan" => concat!("caravan ", $words),
            _ => concat!("cargo xtask ", $words),
        }
    };
}
pub(crate) use command;

/// Why a verb did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Software or the machine image.
    #[error(transparent)]
    Bundle(#[from] caravan_bundle::Error),
    /// The user said no, or could not be asked.
    #[error("{what} was not confirmed")]
    Declined { what: String },
    /// There is no such drill.
    #[error(transparent)]
    UnknownDrill(#[from] UnknownDrill),
    /// There is nothing to explain.
    #[error(transparent)]
    Explain(#[from] Refusal),
    /// This computer lacks something.
    #[error(transparent)]
    Host(#[from] caravan_host::Error),
    /// The user's kubeconfig.
    #[error(transparent)]
    Kubeconfig(#[from] caravan_kubeconfig::Error),
    /// A lab, its machines or its cluster.
    #[error(transparent)]
    Lifecycle(#[from] caravan_lifecycle::Error),
    /// The cache has no bundle for this Kubernetes.
    #[error("the cache has no bundle for Kubernetes {minor}")]
    NoBundle { minor: String },
    /// There is a lab of the name.
    #[error("there is a lab `{name}` already")]
    LabExists { name: String },
    /// A lab was not up when the time was up that the user has given.
    #[error("lab `{lab}` is not up after {limit:#}")]
    NotInTime {
        lab: String,
        limit: jiff::SignedDuration,
    },
    /// All subnets that a new lab could have are used here.
    #[error("this computer uses every subnet from 192.168.30.0/24 to 192.168.249.0/24")]
    NoFreeSubnet,
    /// What a new lab is to be cannot be one.
    #[error("no lab can be of that shape: {}", what.join("; "))]
    NoShape {
        what: Vec<String>,
        help: Option<String>,
    },
    /// A subnet cannot be a new lab's.
    #[error("`{subnet}` cannot be the subnet of a new lab: {why}")]
    SubnetTaken {
        subnet: caravan_lab::Ipv4Net,
        why: String,
    },
    /// No folder with lab files is near.
    #[error("no folder `labs` in `{}` or above it", from.display())]
    NoWorkspace { from: PathBuf },
    /// What was to be printed could not be.
    #[error("cannot print what was asked for")]
    Print { source: io::Error },
    /// A report's page would be taken for what stands beside it.
    #[error("`{}` cannot be a page: files that end so stand beside it", path.display())]
    ReportName { path: PathBuf },
    /// A report, or a verification for CI systems.
    #[error(transparent)]
    Report(#[from] caravan_report::Error),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
}

/// What a lifecycle error may come from, so that a verb need not say so itself.
macro_rules! through_lifecycle {
    ($($source:ty),*) => {$(
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::Lifecycle(error.into())
            }
        }
    )*};
}

through_lifecycle!(
    caravan_cluster::Error,
    caravan_pki::Error,
    caravan_process::Error,
    caravan_render::Error,
    caravan_vagrant::Error,
    WriteError
);

impl Error {
    /// The user has asked to stop.
    pub(crate) const fn interrupted() -> Self {
        Self::Lifecycle(caravan_lifecycle::Error::Interrupted)
    }

    /// The lab has no keys, because it was never brought up.
    pub(crate) fn not_made(lab: &str) -> Self {
        Self::Lifecycle(caravan_lifecycle::Error::NotMade {
            lab: lab.to_owned(),
        })
    }

    /// How the program exits with this error.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Explain(Refusal::Render(_)) => Exit::Failed,
            Self::Explain(_)
            | Self::LabExists { .. }
            | Self::NoShape { .. }
            | Self::NoWorkspace { .. }
            | Self::SubnetTaken { .. }
            | Self::ReportName { .. }
            | Self::UnknownDrill(_) => Exit::Usage,
            Self::Lifecycle(caravan_lifecycle::Error::Cluster(ClusterError::NotWatched {
                fault: WatchFault::Outside { .. },
                ..
            })) => Exit::Usage,
            Self::Lifecycle(error) if error.is_usage() => Exit::Usage,
            _ if self.is_interrupt() => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }

    /// The next thing to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Bundle(error) => error.hint(TOOL),
            Self::Declined { .. } => {
                Some("answer `y` on a terminal, or run the same command with `--yes`".to_owned())
            }
            Self::UnknownDrill(unknown) => {
                let meant = unknown.suggestion();
                let meant =
                    meant.map_or(String::new(), |meant| format!("did you mean `{meant}`? "));
                Some(format!("{meant}`{TOOL} drill --list` shows all drills"))
            }
            Self::Explain(refusal) => refusal.hint(TOOL),
            Self::Host(error) => error.hint(TOOL).or_else(|| match error {
                caravan_host::Error::Read { path, source }
                | caravan_host::Error::Write { path, source } => hint_of_file(TOOL, path, source),
                _ => None,
            }),
            Self::Kubeconfig(error) => error.hint(TOOL).or_else(|| match error {
                caravan_kubeconfig::Error::Read { path, source }
                | caravan_kubeconfig::Error::Write(WriteError { path, source }) => {
                    hint_of_file(TOOL, path, source)
                }
                _ => None,
            }),
            Self::Lifecycle(error) => error.hint(TOOL),
            Self::NoBundle { .. } => Some(format!("`{TOOL} bundle build` makes it")),
            Self::NoWorkspace { .. } => {
                Some("go to the folder that holds `labs/`, or set `CARAVAN_ROOT` to it".to_owned())
            }
            Self::LabExists { name } => Some(format!(
                "`{TOOL} plan {name}` shows it; give the new one another name"
            )),
            Self::NotInTime { lab, .. } => Some(format!(
                "its machines go on by themselves: `{TOOL} up {lab}` goes on from here, `{TOOL} status {lab}` shows them"
            )),
            Self::NoFreeSubnet => Some("`--subnet` names one, a /24".to_owned()),
            Self::NoShape { help, .. } => help.clone(),
            Self::SubnetTaken { .. } => {
                Some("leave `--subnet` out, and one that nobody here uses is taken".to_owned())
            }
            Self::Print { .. } => None,
            Self::Read { path, source } => hint_of_file(TOOL, path, source),
            Self::Report(_) => None,
            Self::ReportName { path } => Some(format!(
                "name the page: `-o {}`",
                path.with_extension("html").display()
            )),
        }
    }
}

impl Interruptible for Error {
    fn is_interrupt(&self) -> bool {
        match self {
            Self::Bundle(error) => matches!(error, caravan_bundle::Error::Interrupted),
            Self::Host(error) => matches!(
                error,
                caravan_host::Error::Interrupted
                    | caravan_host::Error::Bundle(caravan_bundle::Error::Interrupted)
                    | caravan_host::Error::Process(caravan_process::Error::Interrupted { .. })
            ),
            Self::Lifecycle(error) => error.is_interrupt(),
            _ => false,
        }
    }
}
