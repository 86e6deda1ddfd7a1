//! What runs machines, behind one trait: which machines exist, who stands in their way, how they start, stop and go.
//!
//! Whoever brings labs up and down knows [`MachineProvider`] alone. Another kind of machine is one more implementation of
//! it, and one more arm of [`of`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::Computer;
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::engine::{Conflict, Removed, Volume};
use crate::output::VagrantOutputLine;
use crate::parts::PartStore;
use crate::{Error, MachineState, Up, Vagrant};

mod containers;
mod libvirt;
mod virtualbox;

use containers::Containers;
use libvirt::Libvirt;
use virtualbox::VirtualBoxMachines;

/// A machine of a lab that is there, whether or not it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundMachine {
    /// Its name.
    pub name: String,
    /// The server whose Vagrant project it is of.
    pub server: String,
    /// The computer that it is on, as the lab file names it; none for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What runs it: [`MachineProvider::word`].
    pub provider: &'static str,
    /// Whether it runs.
    pub state: MachineState,
    /// What whatever runs it calls it: the engine's id of its container, VirtualBox's UUID, libvirt's name of its domain.
    pub id: Option<String>,
    /// What it was made from, where that is known.
    pub image: Option<String>,
    /// The folder of the Vagrant project that made it, if it is known.
    #[serde(skip)]
    pub folder: Option<PathBuf>,
}

impl FoundMachine {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state == MachineState::Running
    }
}

/// The Vagrant projects of one lab on one computer: a folder for each server. Vagrant's logs are on this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabProjects {
    /// The computer.
    pub computer: Computer,
    /// The folder there that holds one Vagrant project for each server, named like it.
    pub folder: PathBuf,
    /// Where what Vagrant says is kept, as `<server>.log`.
    pub logs: PathBuf,
    /// What Vagrant takes for the user's own folder, where machines need nothing of the user's.
    pub vagrant_home: PathBuf,
    /// The servers that are meant, where not all are.
    pub only: Option<BTreeSet<String>>,
}

impl LabProjects {
    /// The Vagrant project of a server.
    pub fn project(&self, server: &str) -> PathBuf {
        self.folder.join(server)
    }

    /// Everything that Vagrant said about a server.
    pub fn log(&self, server: &str) -> PathBuf {
        self.logs.join(format!("{server}.log"))
    }

    /// The same projects, of these servers alone.
    pub fn only(&self, servers: impl IntoIterator<Item = String>) -> Self {
        Self {
            only: Some(servers.into_iter().collect()),
            ..self.clone()
        }
    }

    /// The servers that have a project and are meant, sorted; those that are known by name, on another computer.
    pub fn servers(&self) -> Vec<String> {
        if !self.computer.is_here() {
            return self.only.iter().flatten().cloned().collect();
        }
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| self.only.as_ref().is_none_or(|only| only.contains(name)))
            .filter(|name| self.project(name).join("Vagrantfile").is_file())
            .collect();
        names.sort();
        names
    }
}

/// What is done to a machine as a whole, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineHarm {
    /// Its power is cut: nothing in it ends in peace.
    Crash,
    /// It stands still: what is in it neither runs nor ends.
    Freeze,
}

/// Hears each line that Vagrant says while it works; several projects may be worked on at the same time.
pub type LineListener<'a> = dyn Fn(&VagrantOutputLine) + Sync + 'a;

/// What runs the machines of labs.
///
/// Questions name the lab; what is done names machines, which are all of one lab. A provider asks whatever runs its
/// machines each time, and remembers nothing.
pub trait MachineProvider: Send + Sync {
    /// Vagrant's word for it, such as `docker`.
    fn word(&self) -> &'static str;

    /// The Vagrant that starts its machines.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] and [`Error::TooOld`] where it is not there, [`Error::File`] where the lab's folder cannot be
    /// written.
    fn vagrant(&self, projects: &LabProjects) -> Result<Vagrant, Error>;

    /// The machines of the lab that are there, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::Refused`], [`Error::Process`] when nobody answers.
    fn machines(&self, lab: &str, projects: &LabProjects) -> Result<Vec<FoundMachine>, Error>;

    /// What outlives machines of the lab that are removed by others, by name; none where a machine's data is its own disk.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::machines`].
    fn volumes(&self, lab: &str) -> Result<Vec<Volume>, Error>;

    /// The labs that have machines, sorted; those that are known here where machines carry no labels.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::machines`]; nothing is there where what runs machines was never installed.
    fn labs(&self) -> Result<Vec<String>, Error>;

    /// The labs that have data and perhaps no machines, sorted.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::labs`].
    fn labs_with_data(&self) -> Result<Vec<String>, Error>;

    /// Who stands in the way of `lab` taking `subnet`, and of its machines taking `addresses` in it.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::machines`].
    fn conflicts(
        &self,
        lab: &str,
        subnet: Ipv4Net,
        addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error>;

    /// Creates and starts machines of one server's project, and runs their provisioners.
    ///
    /// # Errors
    ///
    /// As [`crate::Group::up`].
    fn start(
        &self,
        vagrant: &Vagrant,
        projects: &LabProjects,
        server: &str,
        machines: &[&str],
        heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        start_by_vagrant(self.word(), vagrant, projects, server, machines, heard)
    }

    /// Tells machines to stop, all at once, and waits until they have; one that has not after `grace` is stopped hard,
    /// where the provider can.
    ///
    /// # Errors
    ///
    /// As [`crate::Group::halt`], [`Error::Docker`].
    fn stop(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        grace: Duration,
        heard: &LineListener<'_>,
    ) -> Result<(), Error>;

    /// Does harm to machines that run, all at once; returns when it is done.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::Libvirt`], [`Error::Process`].
    fn harm(&self, machines: &[&FoundMachine], harm: MachineHarm) -> Result<(), Error>;

    /// Has machines run that [`MachineProvider::harm`] was done to, as they are, all at once: those that stand still go on,
    /// and those that are off start. Vagrant and its provisioners take no part. A machine that runs is left alone.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::harm`].
    fn revive(&self, machines: &[&FoundMachine]) -> Result<(), Error>;

    /// Removes machines, all at once. With `goodbye` they are told to stop first and have that long for it, so that those
    /// that stay hear of it; without, they are killed.
    ///
    /// # Errors
    ///
    /// As [`crate::Group::destroy`], [`Error::Docker`].
    fn remove(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        goodbye: Option<Duration>,
        heard: &LineListener<'_>,
    ) -> Result<(), Error>;

    /// Puts right what Vagrant believes of machines that were stopped, where it was not Vagrant that stopped them.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    fn note_stopped(&self, projects: &LabProjects, machines: &[&FoundMachine])
    -> Result<(), Error>;

    /// Puts right what Vagrant believes of machines that were removed, where it was not Vagrant that removed them.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    fn note_removed(&self, projects: &LabProjects, machines: &[&FoundMachine])
    -> Result<(), Error>;

    /// The folder of this computer that machines' disks lie in, or are made in; none where that cannot be told, or they lie on
    /// another computer.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::machines`].
    fn disks(&self) -> Result<Option<PathBuf>, Error>;

    /// What halted machines of the lab consist of; none where that is the hypervisor's own, and kept by its own means alone.
    ///
    /// # Errors
    ///
    /// As [`MachineProvider::machines`], [`Error::NoLayers`], [`Error::StrangeVolume`].
    fn parts(&self, _lab: &str) -> Result<Option<Box<dyn PartStore>>, Error> {
        Ok(None)
    }

    /// Removes volumes by name, with all that is in them. No machine may use them.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`] and [`Error::Process`].
    fn remove_volumes(&self, names: &[&str]) -> Result<(), Error>;

    /// Removes whatever carries the lab's label, also of machines that are gone.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::NetworkInUse`] and [`Error::Process`]: what was removed until then is gone.
    fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error>;

    /// Puts back what machines changed on the computer that runs them, once no lab has a machine there any more.
    ///
    /// # Errors
    ///
    /// [`Error::Docker`], [`Error::Process`].
    fn put_host_back(&self) -> Result<(), Error>;
}

/// The provider that Vagrant calls `word` (`docker`, `libvirt` or `virtualbox`) on a computer; none of another name.
pub fn of(word: &str, computer: &Computer) -> Option<Box<dyn MachineProvider>> {
    let computer = computer.clone();
    match word {
        "docker" => Some(Box::new(Containers { computer })),
        "libvirt" => Some(Box::new(Libvirt { computer })),
        "virtualbox" => Some(Box::new(VirtualBoxMachines { computer })),
        _ => None,
    }
}

/// `vagrant up` of machines of one server's project.
fn start_by_vagrant(
    word: &str,
    vagrant: &Vagrant,
    projects: &LabProjects,
    server: &str,
    machines: &[&str],
    heard: &LineListener<'_>,
) -> Result<(), Error> {
    let up = Up {
        provider: Some(word),
        machines,
        provision: true,
    };
    let group = vagrant.group(projects.project(server));
    group.up(&up, &projects.log(server), &mut |line| heard(line))
}

/// What is found when whatever runs machines is asked; nothing where it was never installed.
fn if_installed<C, T>(
    client: Result<C, Error>,
    ask: impl FnOnce(&C) -> Result<Vec<T>, Error>,
) -> Result<Vec<T>, Error> {
    match client {
        Ok(client) => ask(&client),
        Err(Error::Process(
            caravan_process::Error::NotFound { .. } | caravan_process::Error::NotFoundThere { .. },
        )) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Machines that stand still, and those that are off.
fn frozen_and_off<'a>(
    machines: &[&'a FoundMachine],
) -> (Vec<&'a FoundMachine>, Vec<&'a FoundMachine>) {
    let of = |is: fn(&MachineState) -> bool| {
        let found = machines.iter().copied();
        found.filter(|machine| is(&machine.state)).collect()
    };
    (
        of(MachineState::is_frozen),
        of(|state| *state == MachineState::Stopped),
    )
}

/// The names of labs, each once, sorted.
fn sorted(labs: impl Iterator<Item = String>) -> Vec<String> {
    let mut labs: Vec<String> = labs.collect();
    labs.sort();
    labs.dedup();
    labs
}

/// Machines by the server whose project they are of, by name.
fn by_server<'a>(machines: &[&'a FoundMachine]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut servers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for machine in machines {
        servers
            .entry(&machine.server)
            .or_default()
            .push(&machine.name);
    }
    servers
}

/// Does `note` to the machines of each project; all of them, and then tells the first failure.
fn in_projects(
    projects: &LabProjects,
    machines: &[&FoundMachine],
    note: impl Fn(&Path, &[&str]) -> Result<(), Error>,
) -> Result<(), Error> {
    by_server(machines)
        .into_iter()
        .map(|(server, names)| note(&projects.project(server), &names))
        .fold(Ok(()), Result::and)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_known_by_its_own_word() {
        for word in ["docker", "libvirt", "virtualbox"] {
            let provider = of(word, &Computer::Here);
            assert_eq!(provider.map(|it| it.word()), Some(word));
        }
        assert!(of("hyperv", &Computer::Here).is_none());
    }

    #[test]
    fn servers_are_those_with_a_vagrantfile() {
        let folder = tempfile::tempdir().expect("a folder");
        let projects = LabProjects {
            computer: Computer::Here,
            folder: folder.path().to_owned(),
            logs: folder.path().join("logs"),
            vagrant_home: folder.path().join("vagrant.d"),
            only: None,
        };
        assert_eq!(projects.servers(), [""; 0]);
        for name in ["server2", "server1", "pki"] {
            fs::create_dir(projects.project(name)).expect("made");
        }
        for name in ["server2", "server1"] {
            fs::write(projects.project(name).join("Vagrantfile"), "").expect("written");
        }
        assert_eq!(projects.servers(), ["server1", "server2"]);
        let some = projects.only(["server2", "server3"].map(str::to_owned));
        assert_eq!(some.servers(), ["server2"]);
    }
}
