//! Removing what carries a lab's label.

use serde::Serialize;

use super::{DockerMachines, filter};
use crate::Error;

/// What was removed, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Containers, by their machine's name.
    pub containers: Vec<String>,
    /// Networks.
    pub networks: Vec<String>,
    /// Labelled volumes; a container's anonymous ones go with it and are not listed.
    pub volumes: Vec<String>,
}

impl Removed {
    /// Whether there was nothing to remove.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl DockerMachines {
    /// Removes what carries the label of `lab`: containers with their anonymous volumes, networks, volumes. Containers
    /// that run are killed; it all is thrown away, so nothing in it has to end in peace.
    ///
    /// Nothing without the label is touched, whatever else is known of the lab.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::NetworkInUse`] and [`Error::Process`]: what was removed until then is gone.
    pub fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error> {
        let containers = self.machines(Some(lab))?;
        self.end_part_helpers(lab)?;
        self.remove_containers(containers.iter().map(|it| it.id.as_str()))?;
        let networks = self.networks_of(lab)?;
        // The lab's own containers are gone, so whoever is still there is somebody else's.
        if let Some(used) = networks.iter().find(|network| !network.members.is_empty()) {
            let strangers = used.members.iter().map(|member| member.name.clone());
            return Err(Error::NetworkInUse {
                network: used.name.clone(),
                containers: strangers.collect(),
            });
        }
        let ids = networks.iter().map(|network| network.id.as_str());
        self.docker.remove_networks(ids)?;
        let volumes = self.docker.volume_names(&filter(Some(lab)))?;
        self.remove_volumes(volumes.iter().map(String::as_str))?;
        Ok(Removed {
            containers: containers.into_iter().map(|it| it.machine).collect(),
            networks: networks.into_iter().map(|it| it.name).collect(),
            volumes,
        })
    }

    /// Kills and removes containers, all at once, with their anonymous volumes. One that is gone already is removed.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`] and [`Error::Process`].
    pub fn remove_containers<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        Ok(self.docker.remove_containers(ids)?)
    }

    /// Removes volumes by name, with all that is in them. No container may use them.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`] and [`Error::Process`].
    pub fn remove_volumes<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        Ok(self.docker.remove_volumes(names)?)
    }
}
