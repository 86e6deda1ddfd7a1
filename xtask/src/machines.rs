//! Which machines of a lab there are, asked of whatever runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Provider, Role};
use caravan_vagrant::engine::{Container, Engine, Volume};
use caravan_vagrant::{MachineState, Vagrant};
use serde::Serialize;

use crate::error::Error;
use crate::lab_dir::LabDir;
use crate::show::screen::Screen;
use crate::workspace::read_lab;

/// A machine that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Found {
    /// Its name.
    pub(crate) name: String,
    /// The server whose Vagrant project it is of.
    pub(crate) server: String,
    /// Whether it runs.
    pub(crate) state: MachineState,
    /// The engine's id of its container; none for virtual machines.
    pub(crate) id: Option<String>,
    /// What it was made from; none for virtual machines.
    pub(crate) image: Option<String>,
    /// The folder of the Vagrant project that made it, if it is known.
    #[serde(skip)]
    pub(crate) folder: Option<PathBuf>,
}

impl Found {
    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        self.state == MachineState::Running
    }
}

impl From<Container> for Found {
    fn from(container: Container) -> Self {
        Self {
            name: container.machine,
            server: container.server,
            state: container.state,
            id: Some(container.id),
            image: Some(container.image),
            folder: Some(container.folder).filter(|folder| folder.is_absolute()),
        }
    }
}

/// Vagrant for the machines of a lab. Containers need no plugin and no box, so what the user keeps for projects of their own
/// takes no part; the plugins of virtual machines are the user's.
///
/// # Errors
///
/// [`Error::Vagrant`] when it is not there, or the lab's folder cannot be written.
pub(crate) fn vagrant(provider: Provider, dir: &LabDir) -> Result<Vagrant, Error> {
    let vagrant = Vagrant::find()?;
    match provider {
        Provider::Docker => Ok(vagrant.apart(dir.vagrant_home())?),
        Provider::Libvirt | Provider::VirtualBox => Ok(vagrant),
    }
}

/// The machines of the lab called `lab` that are there, in the order of their names.
///
/// # Errors
///
/// [`Error::Vagrant`] when nobody answers.
pub(crate) fn of(lab: &str, provider: Provider, dir: &LabDir) -> Result<Vec<Found>, Error> {
    match provider {
        Provider::Docker => {
            let containers = Engine::find()?.machines(Some(lab))?;
            Ok(containers.into_iter().map(Found::from).collect())
        }
        Provider::Libvirt | Provider::VirtualBox => {
            let vagrant = Vagrant::find()?;
            let mut found = Vec::new();
            for server in groups(dir) {
                let states = vagrant.group(dir.group(&server)).status()?;
                found.extend(states.into_iter().map(|machine| Found {
                    name: machine.name,
                    server: server.clone(),
                    state: machine.state,
                    id: None,
                    image: None,
                    folder: None,
                }));
            }
            found.retain(|machine| machine.state != MachineState::Absent);
            found.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(found)
        }
    }
}

/// Puts right what Vagrant believes of machines that the engine was asked to stop or remove, each project's machines by
/// `note`. What cannot be put right is told: `vagrant global-status` shows old states then, and nothing else is amiss.
pub(crate) fn note(
    dir: &LabDir,
    machines: &[&Found],
    screen: &Screen,
    note: impl Fn(&Path, &[&str]) -> Result<(), caravan_vagrant::Error>,
) {
    let mut projects: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for machine in machines {
        projects
            .entry(&machine.server)
            .or_default()
            .push(&machine.name);
    }
    for (server, names) in projects {
        if let Err(error) = note(&dir.group(server), &names) {
            screen.warn(&format!(
                "Vagrant's own notes are older than the machines ({error}): `vagrant global-status --prune` mends them"
            ));
        }
    }
}

/// Refuses machines, and volumes of such that are gone, that another workspace made, as long as that is there: its user
/// has their keys and counts on them.
///
/// # Errors
///
/// [`Error::MadeElsewhere`].
pub(crate) fn made_here(
    lab: &str,
    found: &[Found],
    volumes: &[Volume],
    dir: &LabDir,
) -> Result<(), Error> {
    let here = fs::canonicalize(dir.root()).unwrap_or_else(|_| dir.root().to_owned());
    // The folder of a Vagrant project is `<workspace>/.lab/<lab>/<server>`.
    let others = |project: &Path| -> Option<PathBuf> {
        let state = project.parent()?;
        (state != here && project.join("Vagrantfile").is_file())
            .then(|| state.ancestors().nth(2).map(Path::to_owned))
            .flatten()
    };
    let machines = found
        .iter()
        .filter_map(|it| Some((it.name.as_str(), it.folder.as_deref()?)));
    let volumes = volumes
        .iter()
        .map(|it| (it.machine.as_str(), it.folder.as_path()));
    let theirs: BTreeMap<&str, PathBuf> = machines
        .chain(volumes)
        .filter_map(|(name, project)| Some((name, others(project)?)))
        .collect();
    let Some(workspace) = theirs.values().next() else {
        return Ok(());
    };
    Err(Error::MadeElsewhere {
        lab: lab.to_owned(),
        workspace: workspace.clone(),
        machines: theirs.keys().map(|name| (*name).to_owned()).collect(),
    })
}

/// The labs that have containers on this computer, sorted; none where no engine was ever installed.
///
/// # Errors
///
/// [`Error::Vagrant`] when the engine does not answer.
pub(crate) fn labs() -> Result<Vec<String>, Error> {
    let containers = on_engine(|engine| engine.machines(None))?;
    Ok(sorted(containers.into_iter().map(|it| it.lab)))
}

/// The labs that have data on this computer and perhaps no machines, sorted; none where no engine was ever installed.
///
/// # Errors
///
/// As [`labs`].
pub(crate) fn labs_with_data() -> Result<Vec<String>, Error> {
    let volumes = on_engine(|engine| engine.volumes(None))?;
    Ok(sorted(volumes.into_iter().map(|it| it.lab)))
}

/// What the engine has; nothing where none was ever installed.
fn on_engine<T>(
    ask: impl FnOnce(&Engine) -> Result<Vec<T>, caravan_vagrant::Error>,
) -> Result<Vec<T>, Error> {
    match Engine::find() {
        Ok(engine) => Ok(ask(&engine)?),
        Err(caravan_vagrant::Error::Process(caravan_process::Error::NotFound { .. })) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

fn sorted(labs: impl Iterator<Item = String>) -> Vec<String> {
    let mut labs: Vec<String> = labs.collect();
    labs.sort();
    labs.dedup();
    labs
}

/// The servers whose Vagrant projects are in the lab's folder, sorted.
pub(crate) fn groups(dir: &LabDir) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir.root()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| dir.vagrantfile(name).is_file())
        .collect();
    names.sort();
    names
}

/// The roles of machines, as far as the lab file, or what is left of it, tells.
pub(crate) fn roles(lab: Option<&Lab>, found: &[Found]) -> BTreeMap<String, Role> {
    found
        .iter()
        .map(|machine| {
            let role = lab
                .and_then(|lab| lab.machine(&machine.name))
                // A machine that no file knows is stopped first: nobody counts on it.
                .map_or(Role::Worker, |known| known.role);
            (machine.name.clone(), role)
        })
        .collect()
}

/// The lab as its machines were made from it, if that was kept.
pub(crate) fn deployed_lab(name: &str, dir: &LabDir) -> Option<Lab> {
    let path = dir.deployed_lab();
    path.is_file()
        .then(|| read_lab(name, &path).ok())
        .flatten()
        .map(|(lab, _)| lab)
}
