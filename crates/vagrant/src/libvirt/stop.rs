//! Stopping domains, all at once.

use std::time::Duration;

use super::{Domain, LibvirtMachines, is_gone};
use crate::{Error, MachineState};

/// How long a domain that was stopped hard may take to be gone: its process writes what the disk's file lacks.
const HARD: Duration = Duration::from_secs(60);

impl LibvirtMachines {
    /// Tells domains to stop, by their power buttons, and waits until they have; one that has not after `grace`, or that
    /// cannot hear because it is paused, is stopped hard.
    ///
    /// # Errors
    ///
    /// [`Error::Libvirt`], [`Error::LibvirtSilent`], [`Error::Process`].
    pub fn stop(&self, domains: &[&Domain], grace: Duration) -> Result<(), Error> {
        let hearing: Vec<&Domain> = domains
            .iter()
            .copied()
            .filter(|domain| domain.state == MachineState::Running)
            .collect();
        for domain in &hearing {
            self.unless_gone(&["shutdown", &domain.name, "--mode", "acpi"])?;
        }
        let stopped = |states: &std::collections::BTreeMap<String, MachineState>| {
            hearing.iter().all(|domain| {
                states
                    .get(&domain.name)
                    .is_none_or(|state| *state != MachineState::Running)
            })
        };
        if !hearing.is_empty() {
            self.wait(grace, stopped)?;
        }
        self.stop_hard(domains)
    }

    /// Takes the power from those of `domains` that are not off.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::stop`].
    pub fn stop_hard(&self, domains: &[&Domain]) -> Result<(), Error> {
        let states = self.states()?;
        let on: Vec<&&Domain> = domains
            .iter()
            .filter(|domain| {
                states
                    .get(&domain.name)
                    .is_some_and(|state| *state != MachineState::Stopped)
            })
            .collect();
        // libvirt waits for the end of each process, so they are told side by side.
        std::thread::scope(|scope| {
            let threads: Vec<_> = on
                .iter()
                .map(|domain| scope.spawn(|| self.unless_gone(&["destroy", &domain.name])))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .fold(Ok(()), Result::and)
        })?;
        let off = self.wait(HARD, |states| {
            on.iter().all(|domain| {
                states
                    .get(&domain.name)
                    .is_none_or(|state| *state == MachineState::Stopped)
            })
        })?;
        if off {
            return Ok(());
        }
        Err(Error::Libvirt {
            command: format!("virsh destroy {}", on.first().map_or("", |it| &it.name)),
            said: format!("still there after {} s", HARD.as_secs()),
        })
    }

    /// Has domains stand still.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::stop`].
    pub fn suspend(&self, domains: &[&Domain]) -> Result<(), Error> {
        self.each("suspend", domains)
    }

    /// Has domains go on that stand still.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::stop`].
    pub fn resume(&self, domains: &[&Domain]) -> Result<(), Error> {
        self.each("resume", domains)
    }

    /// Starts domains that are off.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::stop`].
    pub fn start(&self, domains: &[&Domain]) -> Result<(), Error> {
        self.each("start", domains)
    }

    fn each(&self, verb: &str, domains: &[&Domain]) -> Result<(), Error> {
        let told = domains.iter().map(|domain| self.ask([verb, &domain.name]));
        // All of them are told, and then the first failure.
        let told: Vec<Result<String, Error>> = told.collect();
        told.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// Does what `words` say to something, which may have gone meanwhile.
    pub(super) fn unless_gone(&self, words: &[&str]) -> Result<(), Error> {
        match self.ask(words) {
            Err(error) if is_gone(&error) => Ok(()),
            answer => answer.map(drop),
        }
    }
}
