//! What runs the machines of one lab: each server's group has its own provider, and a lab may have several.

mod harm;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use caravan_lab::{Ipv4Net, Lab, Provider, Server};
use caravan_process::Computer;
use caravan_vagrant::engine::{Conflict, Removed, Volume};
use caravan_vagrant::provider::{FoundMachine, LabProjects, LineListener, MachineProvider};

use crate::{Error, LabChoices, LabComputers, LabDir, machines};

/// The providers of one lab, which are asked as one.
pub struct LabProviders {
    /// In the order in which what is left of a lab is removed: virtual machines hang on a network of the container engine,
    /// and it can be removed only without them.
    all: Vec<PlacedProvider>,
    /// By server, as far as that is known.
    by_server: BTreeMap<String, ServerPlace>,
    computers: LabComputers,
}

/// A provider on one computer.
struct PlacedProvider {
    place: ServerPlace,
    computer: Computer,
    provider: Box<dyn MachineProvider>,
}

/// Where machines of a server are, and what runs them there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ServerPlace {
    kind: Provider,
    /// The computer, as the lab file names it; none for this one.
    host: Option<String>,
}

/// A computer of a lab's servers that does not answer.
#[derive(Debug)]
pub struct SilentComputer {
    /// As the lab file names it.
    pub host: String,
    /// The lab's servers on it.
    pub servers: Vec<String>,
    /// Why.
    pub error: caravan_process::Error,
}

/// Whether an error says that a computer does not answer, or not us.
fn is_silence(error: &caravan_process::Error) -> bool {
    use caravan_process::Error as E;
    matches!(
        error,
        E::NotReached { .. } | E::HostKey { .. } | E::TimedOut { .. } | E::NotStarted { .. }
    )
}

/// What runs machines of the lab on this computer, by what runs them on each server.
pub(crate) fn kinds_here(lab: &Lab, by_server: &BTreeMap<String, Provider>) -> BTreeSet<Provider> {
    let is_here = |name: &str| lab.server(name).is_none_or(|it| it.host.is_none());
    let here = by_server.iter().filter(|(name, _)| is_here(name));
    here.map(|(_, kind)| *kind).collect()
}

/// Where the machines of each server are.
fn places(lab: &Lab, by_server: &BTreeMap<String, Provider>) -> BTreeMap<String, ServerPlace> {
    let place = |(name, kind): (&String, &Provider)| {
        let host = lab.server(name).and_then(|server| server.host.clone());
        (name.clone(), ServerPlace { kind: *kind, host })
    };
    by_server.iter().map(place).collect()
}

impl LabProviders {
    /// Those of a lab whose choices are known; `dir` is its state.
    pub fn of(lab: &Lab, choices: &LabChoices, dir: &LabDir) -> Self {
        let by_server = places(lab, &choices.providers);
        Self::new(BTreeSet::new(), by_server, LabComputers::of(lab, dir))
    }

    /// Those of a lab of which no file tells, but what was chosen.
    pub fn of_choices(choices: &LabChoices) -> Self {
        let here = choices.providers.iter().map(|(server, kind)| {
            let place = ServerPlace {
                kind: *kind,
                host: None,
            };
            (server.clone(), place)
        });
        Self::new(BTreeSet::new(), here.collect(), LabComputers::default())
    }

    /// Those that a lab's file asks for.
    pub fn of_file(lab: &Lab, dir: &LabDir) -> Self {
        Self::of_file_and(lab, dir, &BTreeSet::new())
    }

    /// Those that a lab's file asks for, and others that have something of it on this computer all the same.
    pub(crate) fn of_file_and(lab: &Lab, dir: &LabDir, others: &BTreeSet<Provider>) -> Self {
        let servers = lab.servers().iter();
        let by_server: BTreeMap<_, _> = servers
            .map(|it| (it.name.clone(), lab.provider_of(it).unwrap_or_default()))
            .collect();
        let by_server = places(lab, &by_server);
        Self::new(others.clone(), by_server, LabComputers::of(lab, dir))
    }

    /// One for all servers, on this computer.
    pub fn one(kind: Provider) -> Self {
        Self::of_kinds([kind].into())
    }

    /// These, of a lab of which no file tells, on this computer; the usual one where there are none.
    pub(crate) fn of_kinds(kinds: BTreeSet<Provider>) -> Self {
        Self::new(kinds, BTreeMap::new(), LabComputers::default())
    }

    fn new(
        kinds_here: BTreeSet<Provider>,
        by_server: BTreeMap<String, ServerPlace>,
        computers: LabComputers,
    ) -> Self {
        let here = kinds_here
            .into_iter()
            .map(|kind| ServerPlace { kind, host: None });
        let mut places: BTreeSet<ServerPlace> = here.chain(by_server.values().cloned()).collect();
        if places.is_empty() {
            places.insert(ServerPlace {
                kind: Provider::default(),
                host: None,
            });
        }
        let all = places.into_iter().rev().map(|place| {
            let computer = computers.computer(place.host.as_deref());
            PlacedProvider {
                provider: machines::provider_on(place.kind, &computer),
                computer,
                place,
            }
        });
        Self {
            all: all.collect(),
            by_server,
            computers,
        }
    }

    /// The computers of the lab's servers.
    pub fn computers(&self) -> &LabComputers {
        &self.computers
    }

    /// What runs machines of the lab on this computer.
    pub fn kinds_here(&self) -> BTreeSet<Provider> {
        let here = self.all.iter().filter(|it| it.place.host.is_none());
        here.map(|it| it.place.kind).collect()
    }

    /// What runs machines of the lab, wherever.
    pub fn kinds(&self) -> BTreeSet<Provider> {
        self.all.iter().map(|it| it.place.kind).collect()
    }

    /// The servers on this computer whose machines `kind` runs, in the order of the file; those that have any.
    pub fn servers_here<'a>(&self, lab: &'a Lab, kind: Provider) -> Vec<&'a Server> {
        let here = ServerPlace { kind, host: None };
        let servers = lab.servers().iter();
        let servers = servers.filter(|it| self.by_server.get(&it.name) == Some(&here));
        servers
            .filter(|it| lab.machines_on(it).next().is_some())
            .collect()
    }

    /// What runs the machines of the server called `server`.
    pub fn of_server(&self, server: &str) -> &dyn MachineProvider {
        &*self.placed(server).provider
    }

    /// The kind of what runs the machines of the server called `server`.
    pub fn kind_of(&self, server: &str) -> Provider {
        self.placed(server).place.kind
    }

    fn placed(&self, server: &str) -> &PlacedProvider {
        let place = self.by_server.get(server);
        let own = self.all.iter().find(|it| Some(&it.place) == place);
        own.unwrap_or(&self.all[0])
    }

    /// The Vagrant projects of the computer that the server called `server` is on; `here` are those of this one.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] where that computer is not reached.
    pub fn projects_of(&self, server: &str, here: &LabProjects) -> Result<LabProjects, Error> {
        self.projects(here, self.placed(server))
    }

    /// The machines of the lab that are there, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`] when one of the providers does not answer.
    pub fn machines(&self, lab: &str, projects: &LabProjects) -> Result<Vec<FoundMachine>, Error> {
        let (found, silent) = self.machines_reached(lab, projects)?;
        match silent.into_iter().next() {
            None => Ok(found),
            Some(silent) => Err(Error::Silent(Box::new(silent))),
        }
    }

    /// The machines of the lab that are there, by name, on the computers that answer, and the computers that do not.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`] when a provider on this computer does not answer.
    pub fn machines_reached(
        &self,
        lab: &str,
        projects: &LabProjects,
    ) -> Result<(Vec<FoundMachine>, Vec<SilentComputer>), Error> {
        let ask = |placed: &PlacedProvider| {
            let projects = self.projects(projects, placed)?;
            Ok(placed.provider.machines(lab, &projects)?)
        };
        let (mut found, mut silent) = (Vec::new(), Vec::<SilentComputer>::new());
        for (placed, answer) in self.all.iter().zip(self.each(ask)) {
            let host = placed.place.host.clone();
            match (answer, &host) {
                (Ok(machines), _) => found.extend(machines.into_iter().map(|mut machine| {
                    machine.host.clone_from(&host);
                    machine
                })),
                (
                    Err(
                        Error::Process(error)
                        | Error::Vagrant(caravan_vagrant::Error::Process(error)),
                    ),
                    Some(host),
                ) if is_silence(&error) => {
                    if !silent.iter().any(|it| it.host == *host) {
                        silent.push(self.silent(host, error));
                    }
                }
                // Where nothing that runs machines is installed, there are none.
                (
                    Err(Error::Vagrant(caravan_vagrant::Error::Process(
                        caravan_process::Error::NotFoundThere { .. },
                    ))),
                    Some(_),
                ) => {}
                (Err(error), _) => return Err(error),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((found, silent))
    }

    fn silent(&self, host: &str, error: caravan_process::Error) -> SilentComputer {
        let on_it = (self.by_server.iter())
            .filter(|(_, place)| place.host.as_deref() == Some(host))
            .map(|(server, _)| server.clone());
        SilentComputer {
            host: host.to_owned(),
            servers: on_it.collect(),
            error,
        }
    }

    /// Does `act` with each provider: one after the other on this computer, which answers at once, and side by side where
    /// others are asked too.
    fn each<T: Send>(
        &self,
        act: impl Fn(&PlacedProvider) -> Result<T, Error> + Sync,
    ) -> Vec<Result<T, Error>> {
        if self.computers.are_here() {
            return self.all.iter().map(act).collect();
        }
        let act = &act;
        thread::scope(|scope| {
            let threads: Vec<_> = (self.all.iter())
                .map(|placed| scope.spawn(move || act(placed)))
                .collect();
            (threads.into_iter())
                .map(|thread| {
                    (thread.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }

    /// The Vagrant projects of those servers whose machines a provider runs; of all where there is no other one.
    fn projects(&self, here: &LabProjects, placed: &PlacedProvider) -> Result<LabProjects, Error> {
        if self.all.len() == 1 && placed.place.host.is_none() {
            return Ok(here.clone());
        }
        let own = self.by_server.iter().filter(|(_, it)| **it == placed.place);
        let own = here.only(own.map(|(server, _)| server.clone()));
        let Some(host) = &placed.place.host else {
            return Ok(own);
        };
        let folder = self.computers.folder(host)?;
        Ok(LabProjects {
            computer: placed.computer.clone(),
            vagrant_home: folder.join("vagrant.d"),
            folder,
            ..own
        })
    }

    /// What outlives machines of the lab, by name, on the computers that answer.
    ///
    /// # Errors
    ///
    /// As [`LabProviders::machines_reached`].
    pub fn volumes(&self, lab: &str) -> Result<Vec<Volume>, Error> {
        let mut found = Vec::new();
        let ask = |placed: &PlacedProvider| Ok(placed.provider.volumes(lab)?);
        for (placed, volumes) in self.all.iter().zip(self.each(ask)) {
            match volumes {
                // Told when its machines were asked for.
                Err(_) if placed.place.host.is_some() => {}
                volumes => found.extend(volumes?),
            }
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
        // Who is on other computers is asked there: see `doctor`.
        let here = self.all.iter().filter(|it| it.place.host.is_none());
        for placed in here {
            for conflict in placed.provider.conflicts(lab, subnet, addresses)? {
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
    ) -> Result<(), Error> {
        self.side_by_side(projects, machines, |provider, projects, machines| {
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
    ) -> Result<(), Error> {
        self.side_by_side(projects, machines, |provider, projects, machines| {
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
    ) -> Result<(), Error> {
        self.side_by_side(projects, machines, |provider, projects, machines| {
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
    ) -> Result<(), Error> {
        self.side_by_side(projects, machines, |provider, projects, machines| {
            provider.note_removed(projects, machines)
        })
    }

    /// Does `act` with each provider and those of `machines` that it runs, in threads side by side.
    fn side_by_side(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        act: impl Fn(
            &dyn MachineProvider,
            &LabProjects,
            &[&FoundMachine],
        ) -> Result<(), caravan_vagrant::Error>
        + Sync,
    ) -> Result<(), Error> {
        let groups: Vec<(&PlacedProvider, Vec<&FoundMachine>)> = (self.all.iter())
            .map(|placed| {
                let own = machines.iter().copied().filter(|machine| {
                    machine.provider == placed.place.kind.word()
                        && machine.host == placed.place.host
                });
                (placed, own.collect())
            })
            .filter(|(_, own): &(_, Vec<_>)| !own.is_empty())
            .collect();
        let act = |placed: &PlacedProvider, own: &[&FoundMachine]| {
            let projects = self.projects(projects, placed)?;
            Ok(act(&*placed.provider, &projects, own)?)
        };
        let act = &act;
        thread::scope(|scope| {
            let threads: Vec<_> = groups
                .iter()
                .map(|(placed, own)| scope.spawn(move || act(placed, own)))
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
        for PlacedProvider { provider, .. } in &self.all {
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
        for PlacedProvider { provider, .. } in &self.all {
            let more = provider.remove_leftovers(lab)?;
            removed.containers.extend(more.containers);
            removed.networks.extend(more.networks);
            removed.volumes.extend(more.volumes);
        }
        Ok(removed)
    }

    /// Puts back what machines changed on their computers, once no lab has a machine there any more.
    ///
    /// # Errors
    ///
    /// The first provider's error, after all were asked to.
    pub fn put_host_back(&self) -> Result<(), caravan_vagrant::Error> {
        let all = self.all.iter();
        all.map(|it| it.provider.put_host_back())
            .fold(Ok(()), Result::and)
    }
}

#[cfg(test)]
mod tests;
