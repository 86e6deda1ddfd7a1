//! What can go wrong with a user's kubeconfig, and what to do about it.

use std::io;
use std::path::PathBuf;

use caravan_files::WriteError;
use caravan_process::shell;

use crate::Refusal;

/// Why a user's kubeconfig was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two of the user's kubeconfigs would say different things of one name.
    #[error(
        "`{}` has an entry `{name}` of another cluster, and of two files in `KUBECONFIG` that have a name kubectl reads the \
         first alone: nothing was merged into `{}`",
        other.display(),
        file.display()
    )]
    Conflict {
        /// The lab whose contexts were to be merged.
        lab: String,
        /// The name that both have.
        name: String,
        /// The file that has it.
        other: PathBuf,
        /// The file that was to get it.
        file: PathBuf,
    },
    /// Another program changes the file.
    #[error("another program holds `{}`", lock.display())]
    Locked {
        /// The file that says so.
        lock: PathBuf,
    },
    /// The list of files is there, and names none.
    #[error("`KUBECONFIG` names no file")]
    NoFile,
    /// It is something that must not be replaced.
    #[error("`{}` is {kind}, and only a regular file can be changed: it is left as it is", path.display())]
    NotRegular {
        /// Where it is.
        path: PathBuf,
        /// What it is, such as `a named pipe`.
        kind: &'static str,
    },
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says does not allow the change.
    #[error("`{}` is left as it is: {refusal}", path.display())]
    Refused {
        /// Where it is.
        path: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// The list names a file by a sign that only a shell knows.
    #[error("`KUBECONFIG` lists `{}`: only a shell, and not in quotes, makes a folder of `~`", part.display())]
    Tilde {
        /// As it is listed.
        part: PathBuf,
        /// What was meant, where that is known.
        meant: Option<PathBuf>,
    },
    /// It, its lock or its folder cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Error {
    /// The next thing to do about it; `tool` is the command whose verb `kubeconfig` merges, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Conflict { lab, .. } => Some(format!(
                "`{tool} kubeconfig {lab} --unmerge` takes it out there; then merge again"
            )),
            Self::Locked { lock } => Some(format!(
                "if no `kubectl` runs, a killed one left it: `rm {}`",
                shell::path(lock)
            )),
            Self::NoFile | Self::NotRegular { .. } => Some(
                "`unset KUBECONFIG` for `~/.kube/config`, or `export KUBECONFIG=FILE`".to_owned(),
            ),
            Self::Refused { path, refusal } => Some(refusal.hint(path, tool)),
            Self::Tilde { meant, .. } => Some(match meant {
                Some(meant) => format!("write it as `{}`", shell::path(meant)),
                None => "write the whole path".to_owned(),
            }),
            Self::Read { .. } | Self::Write(_) => None,
        }
    }
}
