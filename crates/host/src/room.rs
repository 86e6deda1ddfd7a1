//! Whether this computer has room for the machines of a lab, asked before any is made.

use std::collections::BTreeSet;
use std::path::Path;

use caravan_lab::{Lab, Provider};

use crate::Error;
use crate::findings::{self, FullDisk, RemedyCommands};

/// Below this much free disk nothing is begun: the engine would stop half way with a worse message.
const LEAST_DISK_MIB: u64 = 1024;

/// What is scarce, and stops nothing yet.
#[derive(Debug)]
pub enum ScarceRoom {
    /// The disk of the container engine's images.
    Disk(FullDisk),
    /// Memory.
    Memory {
        /// What is free, MiB.
        free_mib: u64,
        /// What the lab uses when idle, MiB.
        wanted_mib: u64,
    },
}

impl ScarceRoom {
    /// What is scarce and what to do about it.
    pub fn text(&self, commands: RemedyCommands) -> String {
        match self {
            Self::Disk(full) => format!("{}\n  hint: {}", full.text(), full.hint(commands)),
            Self::Memory {
                free_mib,
                wanted_mib,
            } => format!(
                "{free_mib} MiB of memory are free, and the lab uses about {wanted_mib} MiB when idle"
            ),
        }
    }
}

/// Holds that there is room for machines of `lab`, which `providers` run and whose state is in the folder `state`; returns what is scarce.
///
/// # Errors
///
/// [`Error::DiskFull`], and where this computer's kernel cannot run what it has to.
pub fn check(
    lab: &Lab,
    providers: &BTreeSet<Provider>,
    state: &Path,
) -> Result<Vec<ScarceRoom>, Error> {
    let mut scarce = Vec::new();
    if providers.contains(&Provider::Docker) {
        let info = findings::engine_info();
        findings::check_kernel(info.as_ref())?;
        scarce.extend(findings::full_disk(info.as_ref()).map(ScarceRoom::Disk));
    }
    if let Some(free_mib) = findings::free_disk_mib(state).filter(|free| *free < LEAST_DISK_MIB) {
        return Err(Error::DiskFull {
            path: state.to_owned(),
            free_mib,
            least_mib: LEAST_DISK_MIB,
        });
    }
    let wanted_mib = findings::idle_mib(lab);
    if let Some(free_mib) = findings::available_mib().filter(|free| *free < wanted_mib) {
        scarce.push(ScarceRoom::Memory {
            free_mib,
            wanted_mib,
        });
    }
    Ok(scarce)
}
