//! Which machines of a lab there are, and whose they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::{Lab, Provider, Role};
use caravan_process::Computer;
use caravan_vagrant::engine::Volume;
use caravan_vagrant::provider::{self, FoundMachine, MachineProvider};

use crate::workspace::read_lab;
use crate::{Error, LabDir, LabTarget, Workspace};

/// What runs machines of this kind on this computer.
pub fn provider(kind: Provider) -> Box<dyn MachineProvider> {
    provider_on(kind, &Computer::Here)
}

/// What runs machines of this kind on a computer.
pub(crate) fn provider_on(kind: Provider, computer: &Computer) -> Box<dyn MachineProvider> {
    provider::of(kind.word(), computer)
        .expect("every provider of labs is one that Vagrant is known for")
}

/// The machines of a lab of which anything tells: its file, its state, or machines. One whose file became invalid may have
/// some all the same; one that was never brought up from here has none that an engine which was never installed could run.
///
/// # Errors
///
/// [`Error::Vagrant`] when nobody answers, [`Error::Read`].
pub fn of_any(workspace: &Workspace, name: &str) -> Result<Vec<FoundMachine>, Error> {
    let target = match LabTarget::of(workspace, Some(name)) {
        Err(error) if error.is_of_lab_file() => {
            match LabTarget::without_file(workspace, name) {
                // No machine can be of a lab whose name is none.
                Err(_) => return Ok(Vec::new()),
                target => target?,
            }
        }
        // A link that leads nowhere.
        Err(Error::NoSuchLab { .. } | Error::LabFileGone { .. }) => return Ok(Vec::new()),
        target => target?,
    };
    match target.machines() {
        Err(Error::Vagrant(caravan_vagrant::Error::Process(
            caravan_process::Error::NotFound { .. },
        ))) if target.choices.is_none() => Ok(Vec::new()),
        found => found,
    }
}

/// Refuses machines, and volumes of such that are gone, that another workspace made, as long as that is there: its user
/// has their keys and counts on them.
///
/// # Errors
///
/// [`Error::MadeElsewhere`].
pub fn made_here(
    lab: &str,
    found: &[FoundMachine],
    volumes: &[Volume],
    dir: &LabDir,
) -> Result<(), Error> {
    let here = fs::canonicalize(dir.root()).unwrap_or_else(|_| dir.root().to_owned());
    // What is on other computers is told apart by its key when files are sent.
    let on_this = |name: &str| found.iter().all(|it| it.name != name || it.host.is_none());
    // The folder of a Vagrant project is `<workspace>/.lab/<lab>/<server>`.
    let others = |project: &Path| -> Option<PathBuf> {
        let state = project.parent()?;
        (state != here && project.join("Vagrantfile").is_file())
            .then(|| state.ancestors().nth(2).map(Path::to_owned))
            .flatten()
    };
    let machines = found
        .iter()
        .filter(|it| it.host.is_none())
        .filter_map(|it| Some((it.name.as_str(), it.folder.as_deref()?)));
    let volumes = volumes
        .iter()
        .filter(|it| on_this(&it.machine))
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

/// The labs that have machines on this computer, whatever runs them, sorted; none where nothing that runs machines was ever
/// installed.
///
/// # Errors
///
/// [`Error::Vagrant`] when the container engine is installed and does not answer.
pub fn labs() -> Result<Vec<String>, Error> {
    of_all(|provider| provider.labs())
}

/// The labs that have data on this computer and perhaps no machines, sorted.
///
/// # Errors
///
/// As [`labs`].
pub fn labs_with_data() -> Result<Vec<String>, Error> {
    of_all(|provider| provider.labs_with_data())
}

/// What has something on this computer that carries the label of the lab called `lab`. One that does not answer has nothing.
pub(crate) fn kinds_with(lab: &str) -> BTreeSet<Provider> {
    let has_any = |kind: &Provider| {
        let labs = provider(*kind).labs_with_data();
        labs.is_ok_and(|labs| labs.iter().any(|it| it == lab)) || {
            let labs = provider(*kind).labs();
            labs.is_ok_and(|labs| labs.iter().any(|it| it == lab))
        }
    };
    Provider::ALL.into_iter().filter(has_any).collect()
}

fn of_all(
    ask: impl Fn(&dyn MachineProvider) -> Result<Vec<String>, caravan_vagrant::Error>,
) -> Result<Vec<String>, Error> {
    let mut labs = Vec::new();
    for kind in Provider::ALL {
        match ask(&*provider(kind)) {
            Ok(found) => labs.extend(found),
            Err(error) if kind == Provider::default() => return Err(error.into()),
            Err(error) => {
                let error = Error::from(error);
                if error.is_interrupt() {
                    return Err(error);
                }
                // People have hypervisors for reasons of their own, stopped or broken ones too. A lab on one is known by
                // what was chosen for it, and is asked for there.
            }
        }
    }
    labs.sort();
    labs.dedup();
    Ok(labs)
}

/// The roles of machines, as far as the lab file, or what is left of it, tells.
pub fn roles(lab: Option<&Lab>, found: &[FoundMachine]) -> BTreeMap<String, Role> {
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
pub fn deployed_lab(name: &str, dir: &LabDir) -> Option<Lab> {
    let path = dir.deployed_lab();
    path.is_file()
        .then(|| read_lab(name, &path).ok())
        .flatten()
        .map(|(lab, _)| lab)
}
