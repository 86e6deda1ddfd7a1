//! What can go wrong when a program is run.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::ssh::listed_host;
use crate::{Call, shell};

/// How many lines of a program's last words an error keeps.
const TAIL_LINES: usize = 20;

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It ran and ended with another status than 0.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// A way to a port behind a computer could not be made here.
    #[error("cannot reach `{target}` through `{host}`")]
    Forward {
        /// The computer that dials, as ssh takes it.
        host: String,
        /// The address and port behind it.
        target: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A computer's host key is not the one it had before, or is not known: nothing was sent to it.
    #[error(
        "the host key of `{host}` {}: nothing was sent to it",
        if *changed { "is another one than before" } else { "is not known" }
    )]
    HostKey {
        /// The computer, as ssh takes it.
        host: String,
        /// The list of the keys that are known.
        known_hosts: PathBuf,
        /// Whether another key was known.
        changed: bool,
    },
    /// The connection to a computer on which a program goes on was lost.
    #[error(
        "the connection to {computer} was lost{}: `{command}` goes on there",
        because(said)
    )]
    GoesOnThere {
        /// The command line.
        command: String,
        /// Which computer.
        computer: String,
        /// What ssh says.
        said: String,
    },
    /// The user interrupted the run (Ctrl-C).
    #[error("interrupted while `{command}` ran")]
    Interrupted {
        /// The command line, pasteable.
        command: String,
    },
    /// The file that takes its output could not be written or read back.
    #[error("cannot use the log file `{}` of `{command}`", log.display())]
    Log {
        /// The command line, pasteable.
        command: String,
        /// The file.
        log: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file has no room on the computer that it is for; nothing of it was sent.
    #[error(
        "the disk of `{path}` on {computer} is too full: {} MiB are needed, {} MiB are free",
        needed.div_ceil(1 << 20),
        free >> 20
    )]
    NoSpace {
        /// Which computer.
        computer: String,
        /// Where the file was to be.
        path: String,
        /// In bytes.
        needed: u64,
        /// In bytes.
        free: u64,
    },
    /// No folder of the search path holds it.
    #[error("the program `{program}` is not installed, or not on the search path")]
    NotFound {
        /// Its name.
        program: String,
        /// The search path.
        searched: String,
    },
    /// The computer that it is to run on has none.
    #[error(
        "the program `{program}` is not installed on `{host}`, or not on the search path there"
    )]
    NotFoundThere {
        /// Its name.
        program: String,
        /// The computer, as ssh takes it.
        host: String,
    },
    /// ssh did not get in.
    #[error("cannot get into `{host}` by ssh: {said}")]
    NotReached {
        /// The computer, as ssh takes it.
        host: String,
        /// What ssh says.
        said: String,
    },
    /// The operating system would not start it, or lost it.
    #[error("cannot start `{command}`")]
    NotStarted {
        /// The command line, pasteable.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file did not arrive whole on the computer that it was sent to; what was there before still is.
    #[error("cannot write `{path}` on {computer}: {said}")]
    Put {
        /// Which computer, such as `this computer`.
        computer: String,
        /// Where.
        path: String,
        /// What its shell says.
        said: String,
    },
    /// A file could not be read on the computer that has it.
    #[error("cannot read `{path}` on {computer}: {said}")]
    Get {
        /// Which computer, such as `this computer`.
        computer: String,
        /// Where.
        path: String,
        /// What it says there.
        said: String,
    },
    /// One that was started before, there, has not ended.
    #[error("`{command}`, which was started before, still runs on {computer}")]
    StillRuns {
        /// The command line.
        command: String,
        /// Which computer.
        computer: String,
    },
    /// It took longer than its limit and was ended.
    #[error("`{command}` did not end within {seconds} s and was stopped")]
    TimedOut {
        /// The command line, pasteable.
        command: String,
        /// The limit, in seconds.
        seconds: u64,
    },
}

/// A program that ran and did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The command line, pasteable.
    pub command: String,
    /// The folder it ran in, if not the current one.
    pub dir: Option<PathBuf>,
    /// The exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The last lines that it printed.
    pub tail: Vec<String>,
    /// The file that holds all of them.
    pub log: Option<PathBuf>,
}

/// The packages that bring a program on Debian and Ubuntu.
fn packages_of(program: &str) -> Option<&'static str> {
    Some(match program {
        "vagrant" => "vagrant",
        "docker" => "docker.io",
        "virsh" => "libvirt-daemon-system libvirt-clients qemu-system vagrant-libvirt",
        _ => return None,
    })
}

fn because(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(" ({said})"),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.command)?;
        match self.status {
            Some(status) => write!(f, " ended with status {status}")?,
            None => f.write_str(" was ended by a signal")?,
        }
        for line in &self.tail {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

impl Error {
    pub(crate) fn not_started(call: &Call, source: io::Error) -> Self {
        Self::NotStarted {
            command: call.to_string(),
            source,
        }
    }

    pub(crate) fn failed(
        call: &Call,
        status: Option<i32>,
        said: &str,
        log: Option<PathBuf>,
    ) -> Self {
        let lines: Vec<&str> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..]
            .iter()
            .map(|&line| line.to_owned())
            .collect();
        Self::Failed(Box::new(Failure {
            command: call.to_string(),
            dir: call.folder().map(ToOwned::to_owned),
            status,
            tail,
            log,
        }))
    }

    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Failed(failure) => failure
                .log
                .as_ref()
                .map(|log| format!("all of its output is in `{}`", log.display())),
            Self::HostKey {
                host,
                known_hosts,
                changed,
            } => {
                let host = shell::word(&listed_host(host));
                let list = shell::path(known_hosts);
                Some(if *changed {
                    format!("if you have made it anew: `ssh-keygen -R {host} -f {list}`")
                } else {
                    format!(
                        "compare `ssh-keyscan` of it with what its administrator says, and add that line to {list}"
                    )
                })
            }
            Self::NotFoundThere { program, host } => Some(match packages_of(program) {
                None => format!("install it there: `ssh {host}`"),
                Some(packages) => format!(
                    "install it there: `ssh -t {host} sudo apt install {packages}` where it is Debian or Ubuntu"
                ),
            }),
            Self::GoesOnThere { .. } => {
                Some("the same command takes it up again once the computer answers".to_owned())
            }
            Self::NoSpace { computer, .. } => Some(format!(
                "free some space on {computer}; what had arrived stays, and the same command sends the rest"
            )),
            Self::NotFound { .. } => Some(format!(
                "`{tool} doctor` lists what is missing, `{tool} setup` installs it"
            )),
            _ => None,
        }
    }
}
