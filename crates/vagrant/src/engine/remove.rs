//! Stopping and removing what carries a lab's label.

use std::time::{Duration, Instant};

use caravan_process::interrupt;
use serde::Serialize;

use super::{Engine, REMOVAL, down, label};
use crate::Error;

/// For how long a removal that the engine refuses is tried again: it removes one container only once at a time, so one
/// that a killed run began stands in the way until it is done.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is tried.
const POLL: Duration = Duration::from_millis(200);

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

impl Engine {
    /// Tells containers to stop, all at once, and waits until they have; one that has not after `grace` is killed.
    ///
    /// # Errors
    ///
    /// [`Error::EngineDown`] and [`Error::Process`].
    pub fn stop<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
        grace: Duration,
    ) -> Result<(), Error> {
        let ids: Vec<&str> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let seconds = grace.as_secs().to_string();
        self.docker
            .call(["stop", "-t", &seconds])
            .args(ids)
            .timeout(grace + REMOVAL)
            .run()
            .map(drop)
            .map_err(down)
    }

    /// Removes what carries the label of `lab`: containers with their anonymous volumes, networks, volumes. Containers
    /// that run are killed; it all is thrown away, so nothing in it has to end in peace.
    ///
    /// Nothing without the label is touched, whatever else is known of the lab.
    ///
    /// # Errors
    ///
    /// [`Error::EngineDown`], [`Error::NetworkInUse`] and [`Error::Process`]: what was removed until then is gone.
    pub fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error> {
        let containers = self.machines(Some(lab))?;
        self.remove_containers(containers.iter().map(|it| it.id.as_str()))?;
        let networks = self.networks_of(lab)?;
        if !networks.is_empty() {
            // The lab's own containers are gone, so whoever is still there is somebody else's.
            if let Some(used) = networks.iter().find(|network| !network.members.is_empty()) {
                let strangers = used.members.iter().map(|member| member.name.clone());
                return Err(Error::NetworkInUse {
                    network: used.name.clone(),
                    containers: strangers.collect(),
                });
            }
            let ids = networks.iter().map(|network| network.id.as_str());
            self.remove(&["network", "rm"], ids)?;
        }
        let volumes = self.ask(&["volume", "ls", "-q", "--filter", &label(Some(lab))])?;
        let volumes: Vec<String> = volumes.lines().map(ToOwned::to_owned).collect();
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
    /// [`Error::EngineDown`] and [`Error::Process`].
    pub fn remove_containers<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let mut ids: Vec<&str> = ids.into_iter().collect();
        let began = Instant::now();
        while !ids.is_empty() {
            let Err(error) = self.remove(&["rm", "--force", "--volumes"], ids.iter().copied())
            else {
                break;
            };
            if matches!(error, Error::EngineDown { .. }) || interrupt::raised() {
                return Err(error);
            }
            let left = self.ask(&["ps", "-aq", "--no-trunc"])?;
            ids.retain(|id| left.lines().any(|it| it == *id));
            if !ids.is_empty() {
                if began.elapsed() > PATIENCE {
                    return Err(error);
                }
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Removes volumes by name, with all that is in them. No container may use them.
    ///
    /// # Errors
    ///
    /// [`Error::EngineDown`] and [`Error::Process`].
    pub fn remove_volumes<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let names: Vec<&str> = names.into_iter().collect();
        if names.is_empty() {
            return Ok(());
        }
        self.remove(&["volume", "rm", "--force"], names.into_iter())
    }

    fn remove<'a>(&self, verb: &[&str], names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        self.docker
            .call(verb)
            .args(names)
            .timeout(REMOVAL)
            .run()
            .map(drop)
            .map_err(down)
    }
}
