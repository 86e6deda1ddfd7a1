//! Removing what carries a lab's label.

use std::path::PathBuf;

use super::{Domain, LibvirtMachines, PREFIX, is_gone};
use crate::Error;
use crate::engine::Removed;

/// The pool in which Vagrant keeps disks.
const POOL: &str = "default";

/// What the volumes of boxes of ours begin with; Vagrant makes one of each box, below all disks that are made from it.
const BOX_PREFIX: &str = "caravan-machine-";

/// What Vagrant puts between a box's name and its version.
const BOX_INFIX: &str = "_vagrant_box_image_";

impl LibvirtMachines {
    /// Takes the power from domains and removes them, with their disks.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::stop`].
    pub fn remove_domains(&self, domains: &[&Domain]) -> Result<(), Error> {
        self.stop_hard(domains)?;
        for domain in domains {
            // Checkpoints and saved memory may be of an older libvirt's knowledge only where it has some.
            self.unless_gone(&[
                "undefine",
                &domain.name,
                "--managed-save",
                "--snapshots-metadata",
                "--nvram",
            ])?;
            for disk in &domain.disks {
                self.unless_gone(&["vol-delete", &disk.display().to_string()])?;
            }
        }
        Ok(())
    }

    /// Removes whatever of `lab` is there: domains, disks that lost their domain, networks.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::stop`]: what was removed until then is gone.
    pub fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error> {
        let domains = self.machines(Some(lab))?;
        self.remove_domains(&domains.iter().collect::<Vec<_>>())?;
        let mut volumes = self.volumes()?;
        volumes.retain(|volume| is_disk_of(volume, lab));
        for volume in &volumes {
            self.unless_gone(&["vol-delete", "--pool", POOL, volume])?;
        }
        let networks: Vec<String> = self
            .networks()?
            .into_iter()
            .filter(|network| network.lab.as_deref() == Some(lab))
            .map(|network| network.name)
            .collect();
        for network in &networks {
            self.unless_gone(&["net-destroy", network])?;
            self.unless_gone(&["net-undefine", network])?;
        }
        Ok(Removed {
            containers: domains.into_iter().map(|it| it.machine).collect(),
            networks,
            volumes,
        })
    }

    /// Removes what Vagrant unpacked of our boxes into libvirt's pool, once no lab has a machine there any more: the boxes
    /// themselves are kept, and are unpacked again in seconds.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::stop`].
    pub fn remove_box_volumes(&self) -> Result<(), Error> {
        if !self.machines(None)?.is_empty() {
            return Ok(());
        }
        for volume in self.volumes()? {
            if volume.starts_with(BOX_PREFIX) && volume.contains(BOX_INFIX) {
                self.unless_gone(&["vol-delete", "--pool", POOL, &volume])?;
            }
        }
        Ok(())
    }

    /// The folder of the pool that disks are made in; none where there is no pool.
    ///
    /// # Errors
    ///
    /// [`Error::Libvirt`], [`Error::Process`].
    pub fn pool_folder(&self) -> Result<Option<PathBuf>, Error> {
        let said = match self.ask(["pool-dumpxml", POOL]) {
            Err(Error::Libvirt { said, .. }) if is_no_pool(&said) => return Ok(None),
            said => said?,
        };
        let path = said.split_once("<path>").map(|(_, rest)| rest);
        let path = path.and_then(|rest| rest.split_once("</path>"));
        Ok(path.map(|(path, _)| PathBuf::from(path.trim())))
    }

    /// The names of the volumes in the pool; none where there is no pool, or it is not active.
    fn volumes(&self) -> Result<Vec<String>, Error> {
        let said = match self.ask(["vol-list", "--pool", POOL]) {
            Err(Error::Libvirt { said, .. }) if is_no_pool(&said) => return Ok(Vec::new()),
            Err(error) if is_gone(&error) => return Ok(Vec::new()),
            answer => answer?,
        };
        Ok(said
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }
}

fn is_no_pool(said: &str) -> bool {
    said.contains("failed to get pool") || said.contains("Storage pool not found")
}

/// Whether a volume has the name of a disk of a machine of `lab`: `PREFIXES` in the Vagrantfile.
fn is_disk_of(volume: &str, lab: &str) -> bool {
    let machine = volume
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_prefix(lab))
        .and_then(|rest| rest.strip_suffix(".img"));
    let Some(machine) = machine else {
        return false;
    };
    match machine.split_at_checked(1) {
        Some(("-", name)) => !name.is_empty() && !name.contains(['-', '_']),
        Some(("_", name)) => name.contains('-') && !name.contains('_'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_labs_whose_names_begin_alike() {
        assert!(is_disk_of("caravan-a-b.img", "a"));
        assert!(is_disk_of("caravan-a_b-c.img", "a"));
        assert!(is_disk_of("caravan-a-b-c.img", "a-b"));
        for (volume, lab) in [
            ("caravan-a-b-c.img", "a"),
            ("caravan-a_b-c.img", "a-b"),
            ("caravan-ab.img", "a"),
            ("caravan-a-.img", "a"),
            ("caravan-a.img", "a"),
            ("caravan-machine-1_vagrant_box_image_0_box.img", "machine"),
            ("debian.img", "a"),
        ] {
            assert!(!is_disk_of(volume, lab), "{volume} is none of `{lab}`");
        }
    }
}
