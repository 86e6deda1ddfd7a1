//! What runs the machines of one lab: each server's group has its own provider, and a lab may have several.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use caravan_lab::{Ipv4Net, Lab, Provider, Server};
use caravan_vagrant::engine::{Conflict, Removed, Volume};
use caravan_vagrant::provider::{FoundMachine, LabProjects, LineListener, MachineProvider};

use crate::machines;
use crate::{Error, LabChoices};

/// The providers of one lab, which are asked as one.
pub struct LabProviders {
    /// In the order in which what is left of a lab is removed: virtual machines hang on a network of the container engine,
    /// and it can be removed only without them.
    all: Vec<(Provider, Box<dyn MachineProvider>)>,
    /// By server, as far as that is known.
    by_server: BTreeMap<String, Provider>,
}

/// What runs machines of the lab on this computer, by what runs them on each server; what runs any, where all are on
/// others.
pub(crate) fn kinds_here(lab: &Lab, by_server: &BTreeMap<String, Provider>) -> BTreeSet<Provider> {
    let is_here = |name: &str| lab.server(name).is_none_or(|it| it.host.is_none());
    let here = by_server.iter().filter(|(name, _)| is_here(name));
    let kinds: BTreeSet<Provider> = here.map(|(_, kind)| *kind).collect();
    match kinds.is_empty() {
        true => by_server.values().copied().collect(),
        false => kinds,
    }
}

impl LabProviders {
    /// Those of a lab whose choices are known, on this computer.
    pub fn of(lab: &Lab, choices: &LabChoices) -> Self {
        Self::new(choices.kinds_here(lab), choices.providers.clone())
    }

    /// Those of a lab of which no file tells, but what was chosen.
    pub fn of_choices(choices: &LabChoices) -> Self {
        Self::new(choices.kinds(), choices.providers.clone())
    }

    /// Those that a lab's file asks for, on this computer.
    pub fn of_file(lab: &Lab) -> Self {
        Self::of_file_and(lab, &BTreeSet::new())
    }

    /// Those that a lab's file asks for, on this computer, and others that have something of it all the same.
    pub(crate) fn of_file_and(lab: &Lab, others: &BTreeSet<Provider>) -> Self {
        let servers = lab.servers().iter();
        let by_server: BTreeMap<_, _> = servers
            .map(|it| (it.name.clone(), lab.provider_of(it).unwrap_or_default()))
            .collect();
        let mut kinds = kinds_here(lab, &by_server);
        kinds.extend(others);
        Self::new(kinds, by_server)
    }

    /// One for all servers.
    pub fn one(kind: Provider) -> Self {
        Self::of_kinds([kind].into())
    }

    /// These, of a lab of which no file tells; the usual one where there are none.
    pub(crate) fn of_kinds(kinds: BTreeSet<Provider>) -> Self {
        Self::new(kinds, BTreeMap::new())
    }

    fn new(mut kinds: BTreeSet<Provider>, by_server: BTreeMap<String, Provider>) -> Self {
        if kinds.is_empty() {
            kinds.insert(Provider::default());
        }
        let all = kinds.into_iter().rev();
        Self {
            all: all.map(|kind| (kind, machines::provider(kind))).collect(),
            by_server,
        }
    }

    /// What runs machines of the lab.
    pub fn kinds(&self) -> BTreeSet<Provider> {
        self.all.iter().map(|(kind, _)| *kind).collect()
    }

    /// The servers on this computer whose machines `kind` runs, in the order of the file; those that have any.
    pub fn servers_here<'a>(&self, lab: &'a Lab, kind: Provider) -> Vec<&'a Server> {
        let servers = lab.servers().iter().filter(|it| it.host.is_none());
        let servers = servers.filter(|it| self.by_server.get(&it.name) == Some(&kind));
        servers
            .filter(|it| lab.machines_on(it).next().is_some())
            .collect()
    }

    /// What runs the machines of the server called `server`.
    pub fn of_server(&self, server: &str) -> &dyn MachineProvider {
        let kind = self.by_server.get(server);
        let own = self.all.iter().find(|(it, _)| Some(it) == kind);
        let (_, provider) = own.unwrap_or(&self.all[0]);
        &**provider
    }

    /// The machines of the lab that are there, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`] when one of the providers does not answer.
    pub fn machines(&self, lab: &str, projects: &LabProjects) -> Result<Vec<FoundMachine>, Error> {
        let mut found = Vec::new();
        for (kind, provider) in &self.all {
            found.extend(provider.machines(lab, &self.projects(projects, *kind))?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The Vagrant projects of those servers whose machines `kind` runs; of all where there is no other kind.
    fn projects(&self, projects: &LabProjects, kind: Provider) -> LabProjects {
        if self.all.len() == 1 {
            return projects.clone();
        }
        let own = self.by_server.iter().filter(|(_, it)| **it == kind);
        projects.only(own.map(|(server, _)| server.clone()))
    }

    /// What outlives machines of the lab, by name.
    ///
    /// # Errors
    ///
    /// As [`LabProviders::machines`].
    pub fn volumes(&self, lab: &str) -> Result<Vec<Volume>, Error> {
        let mut found = Vec::new();
        for (_, provider) in &self.all {
            found.extend(provider.volumes(lab)?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Who stands in the way of the lab's network and of its machines' addresses; each conflict once.
    ///
    /// # Errors
    ///
    /// As [`LabProviders::machines`].
    pub fn conflicts(
        &self,
        lab: &str,
        subnet: Ipv4Net,
        addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error> {
        let mut found: Vec<Conflict> = Vec::new();
        for (_, provider) in &self.all {
            for conflict in provider.conflicts(lab, subnet, addresses)? {
                if !found.contains(&conflict) {
                    found.push(conflict);
                }
            }
        }
        Ok(found)
    }

    /// Tells machines to stop, all at once; see [`MachineProvider::stop`].
    ///
    /// # Errors
    ///
    /// The first provider's error, after the others have ended.
    pub fn stop(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        grace: Duration,
        heard: &LineListener<'_>,
    ) -> Result<(), caravan_vagrant::Error> {
        self.side_by_side(machines, |provider, machines| {
            provider.stop(projects, machines, grace, heard)
        })
    }

    /// Removes machines, all at once; see [`MachineProvider::remove`].
    ///
    /// # Errors
    ///
    /// As [`LabProviders::stop`].
    pub fn remove(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        goodbye: Option<Duration>,
        heard: &LineListener<'_>,
    ) -> Result<(), caravan_vagrant::Error> {
        self.side_by_side(machines, |provider, machines| {
            provider.remove(projects, machines, goodbye, heard)
        })
    }

    /// Puts right what Vagrant believes of machines that were stopped.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::note_stopped`].
    pub fn note_stopped(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
    ) -> Result<(), caravan_vagrant::Error> {
        self.side_by_side(machines, |provider, machines| {
            provider.note_stopped(projects, machines)
        })
    }

    /// Puts right what Vagrant believes of machines that were removed.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::note_removed`].
    pub fn note_removed(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
    ) -> Result<(), caravan_vagrant::Error> {
        self.side_by_side(machines, |provider, machines| {
            provider.note_removed(projects, machines)
        })
    }

    /// Does `act` with each provider and those of `machines` that it runs, in threads side by side.
    fn side_by_side(
        &self,
        machines: &[&FoundMachine],
        act: impl Fn(&dyn MachineProvider, &[&FoundMachine]) -> Result<(), caravan_vagrant::Error>
        + Sync,
    ) -> Result<(), caravan_vagrant::Error> {
        let groups: Vec<(&dyn MachineProvider, Vec<&FoundMachine>)> = (self.all.iter())
            .map(|(kind, provider)| {
                let own = machines.iter().copied();
                let own = own.filter(|machine| machine.provider == kind.word());
                (&**provider, own.collect())
            })
            .filter(|(_, own): &(_, Vec<_>)| !own.is_empty())
            .collect();
        let act = &act;
        thread::scope(|scope| {
            let threads: Vec<_> = groups
                .iter()
                .map(|(provider, own)| scope.spawn(move || act(*provider, own)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .fold(Ok(()), Result::and)
        })
    }

    /// Removes volumes, with all that is in them. No machine may use them.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`].
    pub fn remove_volumes(&self, lab: &str, volumes: &[&Volume]) -> Result<(), Error> {
        if volumes.is_empty() {
            return Ok(());
        }
        for (_, provider) in &self.all {
            let own = match self.all.len() {
                1 => volumes.iter().map(|it| (*it).clone()).collect(),
                _ => provider.volumes(lab)?,
            };
            let named = |it: &&Volume| volumes.contains(it);
            let names: Vec<&str> = (own.iter().filter(named))
                .map(|it| it.name.as_str())
                .collect();
            if !names.is_empty() {
                provider.remove_volumes(&names)?;
            }
        }
        Ok(())
    }

    /// Removes whatever carries the lab's label, virtual machines first.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`]: what was removed until then is gone.
    pub fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error> {
        let mut removed = Removed::default();
        for (_, provider) in &self.all {
            let more = provider.remove_leftovers(lab)?;
            removed.containers.extend(more.containers);
            removed.networks.extend(more.networks);
            removed.volumes.extend(more.volumes);
        }
        Ok(removed)
    }

    /// Puts back what machines changed on this computer, once no lab has a machine there any more.
    ///
    /// # Errors
    ///
    /// The first provider's error, after all were asked to.
    pub fn put_host_back(&self) -> Result<(), caravan_vagrant::Error> {
        let all = self.all.iter();
        all.map(|(_, provider)| provider.put_host_back())
            .fold(Ok(()), Result::and)
    }
}

#[cfg(test)]
mod tests;
