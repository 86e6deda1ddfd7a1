//! Stopping and removing.

use std::time::{Duration, Instant};

use caravan_process::interrupt;

use crate::{DockerCli, Error};

/// How long the engine may take to remove something.
const REMOVAL: Duration = Duration::from_secs(120);

/// For how long a removal that the engine refuses is tried again: it removes one container only once at a time, so one
/// that a killed run began stands in the way until it is done.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often it is tried.
const POLL: Duration = Duration::from_millis(200);

impl DockerCli {
    /// Tells containers to stop, all at once, and waits until they have; one that has not after `grace` is killed.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] and [`Error::Process`].
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
        self.call(["stop", "-t", &seconds])
            .args(ids)
            .timeout(grace + REMOVAL)
            .run()?;
        Ok(())
    }

    /// Kills containers, all at once, and leaves them there.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] and [`Error::Process`].
    pub fn kill<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        self.each("kill", ids)
    }

    /// Has the processes of containers stand still, all at once.
    ///
    /// # Errors
    ///
    /// As [`DockerCli::kill`].
    pub fn pause<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        self.each("pause", ids)
    }

    /// Has the processes of containers go on.
    ///
    /// # Errors
    ///
    /// As [`DockerCli::kill`].
    pub fn unpause<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        self.each("unpause", ids)
    }

    /// Starts containers that are there.
    ///
    /// # Errors
    ///
    /// As [`DockerCli::kill`].
    pub fn start<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        self.each("start", ids)
    }

    fn each<'a>(&self, verb: &str, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        let ids: Vec<&str> = ids.into_iter().collect();
        if !ids.is_empty() {
            self.call([verb]).args(ids).timeout(REMOVAL).run()?;
        }
        Ok(())
    }

    /// Kills and removes containers, all at once, with their anonymous volumes. One that is gone already is removed.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] and [`Error::Process`].
    pub fn remove_containers<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let mut ids: Vec<&str> = ids.into_iter().collect();
        let began = Instant::now();
        while !ids.is_empty() {
            let Err(error) = self.remove(&["rm", "--force", "--volumes"], &ids) else {
                break;
            };
            if matches!(error, Error::Down { .. }) || interrupt::raised() {
                return Err(error);
            }
            let left = self.ask(["ps", "-aq", "--no-trunc"])?;
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

    /// Removes networks by id. No running container may be on them.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] and [`Error::Process`].
    pub fn remove_networks<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        let ids: Vec<&str> = ids.into_iter().collect();
        self.remove(&["network", "rm"], &ids)
    }

    /// Removes volumes by name, with all that is in them. No container may use them.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] and [`Error::Process`].
    pub fn remove_volumes<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let names: Vec<&str> = names.into_iter().collect();
        self.remove(&["volume", "rm", "--force"], &names)
    }

    fn remove(&self, verb: &[&str], names: &[&str]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        self.call(verb).args(names).timeout(REMOVAL).run()?;
        Ok(())
    }
}
