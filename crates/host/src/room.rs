//! Whether this computer has room for the machines of a lab, asked before any is made.

use std::collections::BTreeSet;
use std::path::Path;

use caravan_lab::{Lab, Provider};
use caravan_process::Computer;

use crate::Error;
use crate::findings::{self, FullDisk, RemedyCommands};

/// Below this much free disk nothing is begun: the engine would stop half way with a worse message.
const LEAST_DISK_MIB: u64 = 1024;

/// What a machine is given room for on its provider's disk, MiB: a margin, and no measure. A virtual machine's disk begins at 5
/// MiB over its box; two segments of etcd's log are 64 MiB each, and a node's logs and journal come to some hundred.
const DISK_PER_VIRTUAL_MACHINE_MIB: u64 = 512;

/// What all virtual machines of a provider share, MiB: the box's disk, unpacked once (1,125 MiB as plain qcow2).
const DISK_PER_BOX_MIB: u64 = 1280;

/// The same for a container, whose image is in the engine already.
const DISK_PER_CONTAINER_MIB: u64 = 256;

/// Holds that the disks of `count` new machines of `kind` have room where its machines' disks lie. A provider that does not
/// tell where they do is not asked further.
///
/// # Errors
///
/// [`Error::DisksTooSmall`].
pub fn hold_disks(kind: Provider, count: usize) -> Result<(), Error> {
    let provider = caravan_vagrant::provider::of(kind.word(), &Computer::Here);
    let Some(place) = provider.and_then(|it| it.disks().ok().flatten()) else {
        return Ok(());
    };
    // The first machine may be what makes the folder.
    let there = place.ancestors().find(|folder| folder.exists());
    let Some(free_mib) = there.and_then(findings::free_disk_mib) else {
        return Ok(());
    };
    let needed_mib = needed_mib(kind, count);
    if free_mib >= needed_mib {
        return Ok(());
    }
    Err(Error::DisksTooSmall {
        provider: kind,
        count,
        place,
        needed_mib,
        free_mib,
    })
}

/// What `count` new machines of `kind` need on its disk, MiB.
fn needed_mib(kind: Provider, count: usize) -> u64 {
    let count = count as u64;
    match (kind, count) {
        (_, 0) => 0,
        (Provider::Docker, _) => count * DISK_PER_CONTAINER_MIB,
        (Provider::Libvirt | Provider::VirtualBox, _) => {
            DISK_PER_BOX_MIB + count * DISK_PER_VIRTUAL_MACHINE_MIB
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_unpacked_once() {
        assert_eq!(needed_mib(Provider::Libvirt, 0), 0);
        assert_eq!(needed_mib(Provider::Docker, 9), 2304);
        assert_eq!(needed_mib(Provider::VirtualBox, 1), 1792);
        assert_eq!(needed_mib(Provider::Libvirt, 9), 5888);
    }
}
