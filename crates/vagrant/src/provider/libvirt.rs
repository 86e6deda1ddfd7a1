//! Machines that libvirt runs, by KVM or emulated by QEMU: libvirt is asked, and asked to stop and remove, because Vagrant
//! stops one machine after the other and needs its own notes for it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use caravan_process::Computer;
use ipnet::Ipv4Net;

use super::{
    FoundMachine, LabProjects, LineListener, MachineHarm, MachineProvider, frozen_and_off,
    if_installed, in_projects, sorted,
};
use crate::engine::{Conflict, Removed, Volume};
use crate::libvirt::{Domain, LibvirtMachines};
use crate::{Error, MachineState, Vagrant, notes};

/// Machines that libvirt runs.
#[derive(Debug)]
pub(super) struct Libvirt {
    /// libvirt's computer.
    pub(super) computer: Computer,
}

impl Libvirt {
    fn libvirt(&self) -> Result<LibvirtMachines, Error> {
        LibvirtMachines::on(&self.computer)
    }
}

impl From<Domain> for FoundMachine {
    fn from(domain: Domain) -> Self {
        Self {
            name: domain.machine,
            server: domain.server,
            host: None,
            provider: "libvirt",
            state: domain.state,
            id: Some(domain.name),
            image: domain.image,
            folder: Some(domain.folder).filter(|folder| folder.is_absolute()),
        }
    }
}

impl MachineProvider for Libvirt {
    fn word(&self) -> &'static str {
        "libvirt"
    }

    /// Its plugin is the user's, and so is the folder that boxes lie in.
    fn vagrant(&self, _projects: &LabProjects) -> Result<Vagrant, Error> {
        Vagrant::on(&self.computer)
    }

    fn machines(&self, lab: &str, _projects: &LabProjects) -> Result<Vec<FoundMachine>, Error> {
        let domains = if_installed(self.libvirt(), |libvirt| libvirt.machines(Some(lab)))?;
        Ok(domains.into_iter().map(FoundMachine::from).collect())
    }

    /// A machine's data is on its disk, and goes with it.
    fn volumes(&self, _lab: &str) -> Result<Vec<Volume>, Error> {
        Ok(Vec::new())
    }

    fn labs(&self) -> Result<Vec<String>, Error> {
        let domains = if_installed(self.libvirt(), |libvirt| libvirt.machines(None))?;
        Ok(sorted(domains.into_iter().map(|domain| domain.lab)))
    }

    fn labs_with_data(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn conflicts(
        &self,
        lab: &str,
        subnet: Ipv4Net,
        _addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error> {
        self.libvirt()?.conflicts(lab, subnet)
    }

    fn stop(
        &self,
        _projects: &LabProjects,
        machines: &[&FoundMachine],
        grace: Duration,
        _heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        let libvirt = self.libvirt()?;
        let domains = libvirt.machines(None)?;
        libvirt.stop(&of(&domains, machines), grace)
    }

    fn harm(&self, machines: &[&FoundMachine], harm: MachineHarm) -> Result<(), Error> {
        let libvirt = self.libvirt()?;
        let domains = libvirt.machines(None)?;
        let domains = of(&domains, machines);
        match harm {
            MachineHarm::Crash => libvirt.stop_hard(&domains),
            MachineHarm::Freeze => libvirt.suspend(&domains),
        }
    }

    fn revive(&self, machines: &[&FoundMachine]) -> Result<(), Error> {
        let libvirt = self.libvirt()?;
        let domains = libvirt.machines(None)?;
        let (frozen, off) = frozen_and_off(machines);
        libvirt.resume(&of(&domains, &frozen))?;
        libvirt.start(&of(&domains, &off))
    }

    fn remove(
        &self,
        _projects: &LabProjects,
        machines: &[&FoundMachine],
        goodbye: Option<Duration>,
        _heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        let libvirt = self.libvirt()?;
        let domains = libvirt.machines(None)?;
        let domains = of(&domains, machines);
        if let Some(goodbye) = goodbye {
            libvirt.stop(&domains, goodbye)?;
        }
        libvirt.remove_domains(&domains)
    }

    fn note_stopped(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
    ) -> Result<(), Error> {
        in_projects(projects, machines, |project, names| {
            let off = MachineState::Other("shutoff".to_owned());
            notes::note_state(&self.computer, project, names, &off)
        })
    }

    fn note_removed(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
    ) -> Result<(), Error> {
        in_projects(projects, machines, |project, names| {
            notes::forget(&self.computer, project, names)
        })
    }

    fn disks(&self) -> Result<Option<PathBuf>, Error> {
        match self.computer.is_here() {
            true => self.libvirt()?.pool_folder(),
            false => Ok(None),
        }
    }

    fn remove_volumes(&self, _names: &[&str]) -> Result<(), Error> {
        Ok(())
    }

    fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error> {
        self.libvirt()?.remove_leftovers(lab)
    }

    /// What was unpacked of boxes into libvirt's pool is of no use without machines.
    fn put_host_back(&self) -> Result<(), Error> {
        self.libvirt()?.remove_box_volumes()
    }
}

/// The domains of `machines`, by libvirt's own name for each.
fn of<'a>(domains: &'a [Domain], machines: &[&FoundMachine]) -> Vec<&'a Domain> {
    domains
        .iter()
        .filter(|domain| {
            machines
                .iter()
                .any(|machine| machine.id.as_deref() == Some(&domain.name))
        })
        .collect()
}
