//! What can go wrong while this computer is judged or made ready, and what to do about it.

use std::io;
use std::path::PathBuf;

use caravan_lab::Provider;

use crate::Cure;
use crate::bridges::BridgeFault;
use crate::computers::ComputerFault;
use crate::virtualbox::VirtualBoxFault;

/// Why this computer could not be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bridges of a lab file that machines cannot be put on.
    #[error("{}", told(faults))]
    Bridges {
        /// All of them.
        faults: Vec<BridgeFault>,
    },
    /// Computers of a lab's servers on which machines cannot be made.
    #[error("{}", told(faults))]
    Computers {
        /// All that is wrong with them.
        faults: Vec<ComputerFault>,
    },
    /// What `bundle` says of a compiler.
    #[error(transparent)]
    Bundle(#[from] caravan_bundle::Error),
    /// Nothing here may install it.
    #[error("{what} must be installed, and there is neither `sudo` nor an administrator here")]
    CannotInstall {
        /// What lacks.
        what: String,
        /// What an administrator can run, as one line for a shell.
        command: String,
    },
    /// The user said no, or could not be asked.
    #[error("{what} was not confirmed")]
    Declined {
        /// What was asked for.
        what: String,
    },
    /// There is too little room for the disks of machines.
    #[error(
        "{count} new machines of `{provider}` need about {needed_mib} MiB on the disk of `{}`, and {free_mib} MiB are free there",
        place.display()
    )]
    DisksTooSmall {
        /// What is to run them.
        provider: Provider,
        /// How many are to be made.
        count: usize,
        /// The folder of their disks.
        place: PathBuf,
        /// What they need there, MiB.
        needed_mib: u64,
        /// What is free there, MiB.
        free_mib: u64,
    },
    /// There is too little room for machines.
    #[error(
        "only {free_mib} MiB are free on the disk of `{}`, and starting machines needs at least {least_mib} MiB",
        path.display()
    )]
    DiskFull {
        /// The folder that is to be written to.
        path: PathBuf,
        /// What is free there, MiB.
        free_mib: u64,
        /// What must be, MiB.
        least_mib: u64,
    },
    /// The container engine was started and does not answer.
    #[error(
        "the container engine, started by {how}, does not answer{}",
        indented(tail)
    )]
    EngineSilent {
        /// By what it was started.
        how: String,
        /// The end of its log.
        tail: Vec<String>,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The kernel that containers would run on is too old.
    #[error("the kernel is {found}, and kube-proxy's nftables mode needs {least} or later")]
    KernelTooOld {
        /// Such as `5.10.0-28-amd64`.
        found: String,
        /// Such as `5.13`.
        least: String,
    },
    /// libvirt was started and does not answer.
    #[error("libvirt, started by {how}, does not answer: {found}")]
    LibvirtSilent {
        /// By what it was started.
        how: String,
        /// What is seen of it instead.
        found: String,
    },
    /// No package manager here has it.
    #[error("{what} must be installed, and no package manager here has it")]
    NoPackage {
        /// What lacks.
        what: String,
        /// Where to get it by hand.
        pages: String,
    },
    /// A program failed.
    #[error(transparent)]
    Process(#[from] caravan_process::Error),
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is here cannot be used, and only people may change that.
    #[error("{}", found(needs))]
    Unfit {
        /// Each need that is not met.
        needs: Vec<UnfitNeed>,
    },
    /// VirtualBox, as it is here, cannot run the lab's machines.
    #[error("{}", all(faults))]
    VirtualBox {
        /// All that keeps it from that.
        faults: Vec<VirtualBoxFault>,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A need that people must meet themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitNeed {
    /// What people call it.
    pub name: &'static str,
    /// What was seen.
    pub found: String,
    /// What helps.
    pub cure: Cure,
}

impl From<caravan_files::WriteError> for Error {
    fn from(error: caravan_files::WriteError) -> Self {
        let caravan_files::WriteError { path, source } = error;
        Self::Write { path, source }
    }
}

impl Error {
    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Bridges { faults } => faults.first().map(BridgeFault::hint),
            Self::Computers { faults } => faults.first().map(ComputerFault::hint),
            Self::Bundle(error) => error.hint(tool),
            Self::Process(error) => error.hint(tool),
            Self::CannotInstall { command, .. } => {
                Some(format!("as an administrator: `{command}`"))
            }
            Self::Declined { .. } => Some(
                "answer `y` on a terminal, or run the same command with `--yes`".to_owned(),
            ),
            Self::DisksTooSmall { provider, .. } => Some(match provider {
                Provider::VirtualBox => format!(
                    "free some space (`{tool} bundle prune`), or have new machines made elsewhere: `VBoxManage setproperty \
                     machinefolder FOLDER`"
                ),
                Provider::Libvirt => format!(
                    "free some space (`{tool} bundle prune`; `virsh vol-list default` shows disks), or give the pool `default` \
                     another folder"
                ),
                Provider::Docker => format!(
                    "free some space: `docker system df` shows what the engine holds, `{tool} bundle prune` removes what no lab \
                     needs"
                ),
            }),
            Self::DiskFull { .. } => Some(format!(
                "free some space (`{tool} bundle prune`), then run the same command again"
            )),
            Self::EngineSilent { .. } => Some(
                "correct what it reports, or start the engine yourself; then run the same command again"
                    .to_owned(),
            ),
            Self::LibvirtSilent { .. } => Some(
                "correct what it reports, or start libvirt yourself; then run the same command again"
                    .to_owned(),
            ),
            Self::KernelTooOld { .. } => Some(
                "start this computer with a newer kernel, or use virtual machines, which have their own (`--provider libvirt`)"
                    .to_owned(),
            ),
            Self::NoPackage { pages, .. } => Some(format!("install it by hand: {pages}")),
            Self::Unfit { needs } => {
                let setup = format!("{tool} setup");
                let remedies: Vec<String> = needs.iter().map(|it| it.cure.text(&setup)).collect();
                Some(all_of(remedies.iter().map(String::as_str)))
            }
            Self::VirtualBox { faults } => Some(all_of(faults.iter().map(|it| it.remedy.as_str()))),
            Self::Interrupted | Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

fn told<T: std::fmt::Display>(faults: &[T]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn found(needs: &[UnfitNeed]) -> String {
    let lines: Vec<String> = needs
        .iter()
        .map(|need| format!("{}: {}", need.name, need.found))
        .collect();
    lines.join("\n")
}

fn all(faults: &[VirtualBoxFault]) -> String {
    let lines: Vec<&str> = faults.iter().map(|fault| fault.found.as_str()).collect();
    lines.join("\n")
}

/// Each remedy once.
fn all_of<'a>(remedies: impl Iterator<Item = &'a str>) -> String {
    let mut each: Vec<&str> = Vec::new();
    for remedy in remedies {
        if !each.contains(&remedy) {
            each.push(remedy);
        }
    }
    each.join("; ")
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n    {line}")).collect()
}
