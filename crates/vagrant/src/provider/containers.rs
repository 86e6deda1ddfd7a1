//! Machines that are containers: the engine is asked, and asked to stop and remove, because Vagrant takes two seconds for
//! each project before it asks the engine for the same.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use caravan_docker::DockerCli;
use caravan_process::Computer;
use ipnet::Ipv4Net;

use super::{
    FoundMachine, LabProjects, LineListener, MachineHarm, MachineProvider, frozen_and_off,
    if_installed, in_projects, sorted,
};
use crate::engine::{Conflict, Container, DockerMachines, Removed, Volume};
use crate::parts::PartStore;
use crate::{Error, MachineState, Vagrant, notes};

/// Machines that a container engine runs.
#[derive(Debug)]
pub(super) struct Containers {
    /// The engine's computer.
    pub(super) computer: Computer,
}

impl Containers {
    fn engine(&self) -> Result<DockerMachines, Error> {
        DockerMachines::on(&self.computer)
    }
}

impl From<Container> for FoundMachine {
    fn from(container: Container) -> Self {
        Self {
            name: container.machine,
            server: container.server,
            host: None,
            provider: "docker",
            state: container.state,
            id: Some(container.id),
            image: Some(container.image),
            folder: Some(container.folder).filter(|folder| folder.is_absolute()),
        }
    }
}

impl MachineProvider for Containers {
    fn word(&self) -> &'static str {
        "docker"
    }

    /// Containers need no plugin and no box, so what the user keeps for projects of their own takes no part.
    fn vagrant(&self, projects: &LabProjects) -> Result<Vagrant, Error> {
        Vagrant::on(&self.computer)?.apart(&projects.vagrant_home)
    }

    fn machines(&self, lab: &str, _projects: &LabProjects) -> Result<Vec<FoundMachine>, Error> {
        let containers = self.engine()?.machines(Some(lab))?;
        Ok(containers.into_iter().map(FoundMachine::from).collect())
    }

    fn volumes(&self, lab: &str) -> Result<Vec<Volume>, Error> {
        self.engine()?.volumes(Some(lab))
    }

    fn labs(&self) -> Result<Vec<String>, Error> {
        let containers = if_installed(self.engine(), |engine| engine.machines(None))?;
        Ok(sorted(containers.into_iter().map(|it| it.lab)))
    }

    fn labs_with_data(&self) -> Result<Vec<String>, Error> {
        let volumes = if_installed(self.engine(), |engine| engine.volumes(None))?;
        Ok(sorted(volumes.into_iter().map(|it| it.lab)))
    }

    fn conflicts(
        &self,
        lab: &str,
        subnet: Ipv4Net,
        addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error> {
        self.engine()?.conflicts(lab, subnet, addresses)
    }

    fn stop(
        &self,
        _projects: &LabProjects,
        machines: &[&FoundMachine],
        grace: Duration,
        _heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        self.engine()?.stop(ids(machines), grace)
    }

    fn harm(&self, machines: &[&FoundMachine], harm: MachineHarm) -> Result<(), Error> {
        self.engine()?.harm(ids(machines), harm)
    }

    fn revive(&self, machines: &[&FoundMachine]) -> Result<(), Error> {
        let (frozen, off) = frozen_and_off(machines);
        self.engine()?.revive(ids(&frozen), ids(&off))
    }

    fn remove(
        &self,
        _projects: &LabProjects,
        machines: &[&FoundMachine],
        goodbye: Option<Duration>,
        _heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        let engine = self.engine()?;
        if let Some(goodbye) = goodbye {
            engine.stop(ids(machines), goodbye)?;
        }
        engine.remove_containers(ids(machines))
    }

    fn note_stopped(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
    ) -> Result<(), Error> {
        in_projects(projects, machines, |project, names| {
            notes::note_state(&self.computer, project, names, &MachineState::Stopped)
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
        let info = DockerCli::find()?.info()?;
        Ok(info.is_here().then_some(info.root))
    }

    fn parts(&self, lab: &str) -> Result<Option<Box<dyn PartStore>>, Error> {
        self.engine()?.parts(lab).map(Some)
    }

    fn remove_volumes(&self, names: &[&str]) -> Result<(), Error> {
        self.engine()?.remove_volumes(names.iter().copied())
    }

    fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error> {
        self.engine()?.remove_leftovers(lab)
    }

    fn put_host_back(&self) -> Result<(), Error> {
        self.engine()?.put_host_back().map(drop)
    }
}

fn ids<'a>(machines: &[&'a FoundMachine]) -> impl Iterator<Item = &'a str> {
    machines
        .iter()
        .filter_map(|machine| machine.id.as_deref())
        .collect::<Vec<_>>()
        .into_iter()
}
