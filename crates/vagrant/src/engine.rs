//! The container engine, asked directly.
//!
//! `vagrant status` starts a Ruby program and reads every Vagrantfile, which takes a second for each group; the engine
//! answers in hundredths. Only labels are trusted: what carries a lab's label is the lab's, whoever made it, and nothing
//! else is ever removed.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use caravan_docker::{DockerCli, Network};
use caravan_process::{Computer, Program};
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::provider::MachineHarm;
use crate::{Error, MachineState};

mod conflict;
mod host;
mod parts;
mod remove;

pub(crate) use conflict::route_conflicts;
pub use conflict::{Conflict, NetworkOwner, NetworkWish, conflicts, on_bridge};
pub use host::HOST_VOLUME;
pub use remove::Removed;

/// The label that names the lab, on containers, networks and volumes.
pub const LAB_LABEL: &str = "caravan.lab";

/// The label that names the machine, on containers and volumes.
pub const MACHINE_LABEL: &str = "caravan.machine";

/// The label that names the server, on containers and volumes.
pub const SERVER_LABEL: &str = "caravan.server";

/// The label that names the Vagrant project's folder, on containers and volumes.
pub const FOLDER_LABEL: &str = "caravan.folder";

/// The label that says what a volume holds.
pub const VOLUME_LABEL: &str = "caravan.volume";

/// The machines of labs, as the engine has them.
#[derive(Debug, Clone)]
pub struct DockerMachines {
    docker: DockerCli,
    computer: Computer,
}

/// A container that is a machine of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// The engine's id, 64 hex digits.
    pub id: String,
    /// The lab it belongs to.
    pub lab: String,
    /// The machine's name.
    pub machine: String,
    /// The server it belongs to.
    pub server: String,
    /// The folder of the Vagrant project that made it; empty if it was not told.
    pub folder: PathBuf,
    /// Whether it runs.
    pub state: MachineState,
    /// The image it was made from, as it was named then.
    pub image: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Its address; also while it does not run, if it was given one by hand.
    pub ip: Option<Ipv4Addr>,
    /// The names of its volumes.
    pub volumes: Vec<String>,
}

/// A volume of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The lab it belongs to.
    pub lab: String,
    /// The machine whose data it holds.
    pub machine: String,
    /// The folder of the Vagrant project that made it; empty if it was not told.
    pub folder: PathBuf,
    /// What it holds, such as `etcd`; empty if it was not told.
    pub holds: String,
}

impl From<caravan_docker::Container> for Container {
    fn from(found: caravan_docker::Container) -> Self {
        let mut labels = found.labels;
        let mut label = |name| labels.remove(name).unwrap_or_default();
        Self {
            lab: label(LAB_LABEL),
            machine: label(MACHINE_LABEL),
            server: label(SERVER_LABEL),
            folder: label(FOLDER_LABEL).into(),
            state: match found.status.as_str() {
                "running" => MachineState::Running,
                "exited" | "created" | "dead" => MachineState::Stopped,
                other => MachineState::Other(other.to_owned()),
            },
            id: found.id,
            image: found.image,
            created: found.created,
            ip: found.ip,
            volumes: found.volumes,
        }
    }
}

impl From<caravan_docker::Volume> for Volume {
    fn from(found: caravan_docker::Volume) -> Self {
        let mut labels = found.labels;
        let mut label = |name| labels.remove(name).unwrap_or_default();
        Self {
            lab: label(LAB_LABEL),
            machine: label(MACHINE_LABEL),
            folder: label(FOLDER_LABEL).into(),
            holds: label(VOLUME_LABEL),
            name: found.name,
        }
    }
}

impl DockerMachines {
    /// Finds the engine's client on the search path.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is none.
    pub fn find() -> Result<Self, Error> {
        Self::on(&Computer::Here)
    }

    /// Finds the engine's client on a computer.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is none, or the computer is not reached.
    pub fn on(computer: &Computer) -> Result<Self, Error> {
        Ok(Self {
            docker: DockerCli::on(computer)?,
            computer: computer.clone(),
        })
    }

    /// The engine's client.
    pub fn client(&self) -> &DockerCli {
        &self.docker
    }

    /// Takes `docker` as the engine's client.
    pub fn with(docker: Program) -> Self {
        Self {
            docker: DockerCli::with(docker),
            computer: Computer::Here,
        }
    }

    /// The machines of `lab`, or of all labs, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::Process`].
    pub fn machines(&self, lab: Option<&str>) -> Result<Vec<Container>, Error> {
        let found = self.docker.containers(&filter(lab))?;
        let mut found: Vec<Container> = found.into_iter().map(Container::from).collect();
        found.sort_by(|a, b| (&a.lab, &a.machine).cmp(&(&b.lab, &b.machine)));
        Ok(found)
    }

    /// All networks of the engine, by name.
    ///
    /// # Errors
    ///
    /// As [`DockerMachines::machines`].
    pub fn networks(&self) -> Result<Vec<Network>, Error> {
        let mut found = self.docker.networks()?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The networks labelled with `lab`, by name.
    ///
    /// # Errors
    ///
    /// As [`DockerMachines::machines`].
    pub fn networks_of(&self, lab: &str) -> Result<Vec<Network>, Error> {
        let mut all = self.networks()?;
        all.retain(|network| lab_of(network) == Some(lab));
        Ok(all)
    }

    /// The volumes labelled with `lab`, or with any lab, by name. The container that used one may be gone.
    ///
    /// # Errors
    ///
    /// As [`DockerMachines::machines`].
    pub fn volumes(&self, lab: Option<&str>) -> Result<Vec<Volume>, Error> {
        let found = self.docker.volumes(&filter(lab))?;
        let mut found: Vec<Volume> = found.into_iter().map(Volume::from).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Tells containers to stop, all at once, and waits until they have; one that has not after `grace` is killed.
    ///
    /// # Errors
    ///
    /// As [`DockerMachines::machines`].
    pub fn stop<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
        grace: Duration,
    ) -> Result<(), Error> {
        Ok(self.docker.stop(ids, grace)?)
    }

    /// Does harm to containers, all at once.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`] and [`Error::Process`].
    pub fn harm<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
        harm: MachineHarm,
    ) -> Result<(), Error> {
        Ok(match harm {
            MachineHarm::Crash => self.docker.kill(ids),
            MachineHarm::Freeze => self.docker.pause(ids),
        }?)
    }

    /// Has containers run that stand still (`frozen`), or have ended (`off`).
    ///
    /// # Errors
    ///
    /// As [`DockerMachines::harm`].
    pub fn revive<'a>(
        &self,
        frozen: impl IntoIterator<Item = &'a str>,
        off: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        self.docker.unpause(frozen)?;
        Ok(self.docker.start(off)?)
    }

    /// Who stands in the way of `lab` taking `subnet`, and of its machines taking `addresses` in it.
    ///
    /// # Errors
    ///
    /// As [`DockerMachines::machines`], and [`Error::Routes`].
    pub fn conflicts(
        &self,
        lab: &str,
        subnet: Ipv4Net,
        addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error> {
        let own = self.machines(Some(lab))?;
        let wish = NetworkWish {
            lab,
            subnet,
            addresses,
        };
        Ok(conflicts(
            &wish,
            &own,
            &self.networks()?,
            &crate::routes::routes_of(&self.computer)?,
        ))
    }
}

/// The filter of the engine's questions for what is of `lab`, or of any lab.
fn filter(lab: Option<&str>) -> String {
    match lab {
        Some(lab) => format!("label={LAB_LABEL}={lab}"),
        None => format!("label={LAB_LABEL}"),
    }
}

/// The lab that a network is of, if any.
fn lab_of(network: &Network) -> Option<&str> {
    network.labels.get(LAB_LABEL).map(String::as_str)
}

#[cfg(test)]
mod tests;
