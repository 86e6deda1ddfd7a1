//! Which lab a verb is about, and how its machines are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use caravan_lab::{Lab, Machine, Provider};
use caravan_process::{Pace, SshComputer};
use caravan_vagrant::engine::Volume;
use caravan_vagrant::provider::FoundMachine;
use caravan_vagrant::ssh::{Remote, Ssh};

use crate::workspace::is_label;
use crate::{
    CertificatesError, Error, LabChoices, LabComputers, LabDir, LabProviders, SilentComputer,
    Workspace, machines, reach,
};

/// A lab that a verb is about, as far as it is known: its file may be gone, its machines may be.
pub struct LabTarget {
    /// Its name.
    pub name: String,
    /// Its state.
    pub dir: LabDir,
    /// What was chosen when its machines were made.
    pub choices: Option<LabChoices>,
    /// The lab as its machines were made from it, else as its file says now.
    lab: Option<Lab>,
    /// What has something that carries the lab's label, asked once and only where nothing was chosen.
    labelled: OnceLock<BTreeSet<Provider>>,
}

impl LabTarget {
    /// The lab called `name`, or the one that has machines.
    ///
    /// # Errors
    ///
    /// [`Error::NoLabNamed`], and those of [`Workspace::lab`] when only a broken lab file tells of it.
    pub fn of(workspace: &Workspace, name: Option<&str>) -> Result<Self, Error> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => the_one_with_machines(workspace)?,
        };
        if !is_label(&name) {
            return Err(workspace.no_lab(&name));
        }
        let dir = workspace.state(&name);
        let lab = match machines::deployed_lab(&name, &dir) {
            Some(lab) => Some(lab),
            None if workspace.lab_file(&name).exists() => Some(workspace.lab(&name)?.0),
            None => None,
        };
        Ok(Self {
            choices: LabChoices::read(&dir)?,
            name,
            dir,
            lab,
            labelled: OnceLock::new(),
        })
    }

    /// The lab called `name`, of which no file tells.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchLab`] where the name cannot be one, [`Error::Read`].
    pub fn without_file(workspace: &Workspace, name: &str) -> Result<Self, Error> {
        if !is_label(name) {
            return Err(workspace.no_lab(name));
        }
        let dir = workspace.state(name);
        Ok(Self {
            choices: LabChoices::read(&dir)?,
            name: name.to_owned(),
            dir,
            lab: None,
            labelled: OnceLock::new(),
        })
    }

    /// The lab, which must be known.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchLab`].
    pub fn lab(&self, workspace: &Workspace) -> Result<&Lab, Error> {
        self.lab
            .as_ref()
            .ok_or_else(|| workspace.no_such_lab(&self.name))
    }

    /// The lab, if anything still tells of it.
    pub fn known_lab(&self) -> Option<&Lab> {
        self.lab.as_ref()
    }

    /// What runs its machines: what was chosen when they were made, else what its file says and what has machines with its
    /// label, which may be all that is left of it.
    pub fn providers(&self) -> LabProviders {
        let labelled = || {
            self.labelled
                .get_or_init(|| machines::kinds_with(&self.name))
        };
        match (&self.lab, &self.choices) {
            (Some(lab), Some(choices)) => LabProviders::of(lab, choices, &self.dir),
            (None, Some(choices)) => LabProviders::of_choices(choices),
            (Some(lab), None) => LabProviders::of_file_and(lab, &self.dir, labelled()),
            (None, None) => LabProviders::of_kinds(labelled().clone()),
        }
    }

    /// The computers of its servers, as far as is known.
    pub fn computers(&self) -> LabComputers {
        let known = self.lab.as_ref();
        known.map_or_else(LabComputers::default, |lab| {
            LabComputers::of(lab, &self.dir)
        })
    }

    /// How fast its machines are, as far as is known.
    pub fn pace(&self) -> Pace {
        (self.choices.as_ref()).map_or(Pace::USUAL, LabChoices::pace)
    }

    /// Its machines that are there, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`].
    pub fn machines(&self) -> Result<Vec<FoundMachine>, Error> {
        self.providers().machines(&self.name, &self.dir.projects())
    }

    /// The names of its machines that run.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`].
    pub fn running(&self) -> Result<BTreeSet<String>, Error> {
        let running = self.machines()?.into_iter().filter(FoundMachine::runs);
        Ok(running.map(|machine| machine.name).collect())
    }

    /// Holds that all machines of `lab`, which this is, run: one that does not would come back with what is not so any more.
    ///
    /// # Errors
    ///
    /// [`CertificatesError::NotAllRun`], [`Error::Vagrant`].
    pub fn hold_all_run(&self, lab: &Lab) -> Result<(), Error> {
        let running = self.running()?;
        let down = (lab.machines().iter()).filter(|it| !running.contains(&it.name));
        let down: Vec<String> = down.map(|it| it.name.clone()).collect();
        match down.is_empty() {
            true => Ok(()),
            false => Err(Error::from(CertificatesError::NotAllRun {
                lab: self.name.clone(),
                machines: down,
            })),
        }
    }

    /// Its machines that are there, by name, on the computers that answer, and the computers that do not.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`].
    pub fn machines_reached(&self) -> Result<(Vec<FoundMachine>, Vec<SilentComputer>), Error> {
        (self.providers()).machines_reached(&self.name, &self.dir.projects())
    }

    /// What outlives its machines, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`].
    pub fn volumes(&self) -> Result<Vec<Volume>, Error> {
        self.providers().volumes(&self.name)
    }
}

/// The machine called `name`.
///
/// # Errors
///
/// [`Error::NoSuchMachine`].
pub fn machine<'a>(lab: &'a Lab, name: &str) -> Result<&'a Machine, Error> {
    lab.machine(name).ok_or_else(|| no_such_machine(lab, name))
}

/// The error for a name that no machine of the lab has.
pub fn no_such_machine(lab: &Lab, name: &str) -> Error {
    Error::NoSuchMachine {
        lab: lab.name().to_owned(),
        name: name.to_owned(),
        machines: lab.machines().iter().map(|it| it.name.clone()).collect(),
    }
}

/// The error for a name that no server of the lab has.
pub(crate) fn no_such_server(lab: &Lab, name: &str) -> Error {
    Error::NoSuchServer {
        lab: lab.name().to_owned(),
        name: name.to_owned(),
        servers: lab.servers().iter().map(|it| it.name.clone()).collect(),
    }
}

/// The way to the machines of a lab, which are as fast as `pace` says.
///
/// # Errors
///
/// [`Error::Vagrant`] when there is no `ssh`, [`Error::NotMade`] when the lab has no key yet, [`Error::NotNear`] when
/// none of its machines runs.
pub fn ssh(lab: &Lab, dir: &LabDir, pace: Pace) -> Result<Ssh, Error> {
    reach::check(lab)?;
    if !dir.ssh_key().is_file() {
        return Err(Error::NotMade {
            lab: lab.name().to_owned(),
        });
    }
    let ssh = Ssh::find(dir.ssh_key(), dir.known_hosts())?.with_pace(pace);
    Ok(ssh.with_ways(ways(lab, dir)))
}

/// The ways to the machines of each server through its computer: none where this computer is on the lab's network, and
/// reaches machines itself.
pub(crate) fn ways(lab: &Lab, dir: &LabDir) -> BTreeMap<String, SshComputer> {
    match reach::is_near(lab) {
        true => BTreeMap::new(),
        false => LabComputers::of(lab, dir).ways(lab),
    }
}

/// The way to one machine.
pub fn remote(ssh: &Ssh, machine: &Machine) -> Remote {
    ssh.to_machine(&machine.server, machine.ip)
}

/// The one lab that has machines, on the engine or in its Vagrant projects.
fn the_one_with_machines(workspace: &Workspace) -> Result<String, Error> {
    let (mut running, silent) = match machines::labs() {
        Ok(running) => (running, None),
        Err(error) if error.is_interrupt() => return Err(error),
        Err(error) => (Vec::new(), Some(error)),
    };
    if running.is_empty() {
        // Virtual machines carry no labels; a lab whose Vagrant project is here has them, or had them a moment ago.
        running = workspace
            .labs_with_state()
            .into_iter()
            .filter(|lab| !workspace.state(lab).projects().servers().is_empty())
            .collect();
    }
    match (running.as_slice(), silent) {
        ([one], _) => Ok(one.clone()),
        // Which labs have machines is what nobody could tell.
        (_, Some(error)) => Err(error),
        _ => Err(Error::NoLabNamed { running }),
    }
}
