//! Machines that a hypervisor runs: all is asked of Vagrant, each project in a thread of its own.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::{FoundMachine, LabProjects, LineListener, MachineProvider, by_server};
use crate::engine::{Conflict, Removed, Volume};
use crate::output::VagrantOutputLine;
use crate::{Error, Group, MachineState, Vagrant};

/// Machines that a hypervisor runs, by a provider of Vagrant's.
#[derive(Debug)]
pub(super) struct VirtualMachines {
    pub(super) word: &'static str,
}

impl MachineProvider for VirtualMachines {
    fn word(&self) -> &'static str {
        self.word
    }

    fn runs_baked_images(&self) -> bool {
        false
    }

    /// Its plugins and boxes are the user's.
    fn vagrant(&self, _projects: &LabProjects) -> Result<Vagrant, Error> {
        Vagrant::find()
    }

    fn machines(&self, _lab: &str, projects: &LabProjects) -> Result<Vec<FoundMachine>, Error> {
        let vagrant = Vagrant::find()?;
        let mut found = Vec::new();
        for server in projects.servers() {
            let states = vagrant.group(projects.project(&server)).status()?;
            found.extend(states.into_iter().map(|machine| FoundMachine {
                name: machine.name,
                server: server.clone(),
                provider: self.word,
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

    /// A machine's data is on its disk, and goes with it.
    fn volumes(&self, _lab: &str) -> Result<Vec<Volume>, Error> {
        Ok(Vec::new())
    }

    /// They carry no labels.
    fn labs(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn labs_with_data(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    /// Vagrant itself refuses what stands in the way of its networks.
    fn conflicts(
        &self,
        _lab: &str,
        _subnet: Ipv4Net,
        _addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error> {
        Ok(Vec::new())
    }

    fn stop(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        _grace: Duration,
        heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        side_by_side(
            &self.vagrant(projects)?,
            projects,
            machines,
            heard,
            &Group::halt,
        )
    }

    fn remove(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
        _goodbye: Option<Duration>,
        heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        side_by_side(
            &self.vagrant(projects)?,
            projects,
            machines,
            heard,
            &Group::destroy,
        )
    }

    /// Vagrant did it.
    fn note_stopped(
        &self,
        _projects: &LabProjects,
        _machines: &[&FoundMachine],
    ) -> Result<(), Error> {
        Ok(())
    }

    fn note_removed(
        &self,
        _projects: &LabProjects,
        _machines: &[&FoundMachine],
    ) -> Result<(), Error> {
        Ok(())
    }

    fn remove_volumes(&self, _names: &[&str]) -> Result<(), Error> {
        Ok(())
    }

    fn remove_leftovers(&self, _lab: &str) -> Result<Removed, Error> {
        Ok(Removed::default())
    }

    fn put_host_back(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What is done with some machines of a project.
type GroupAction =
    dyn Fn(&Group, &[&str], &Path, &mut dyn FnMut(&VagrantOutputLine)) -> Result<(), Error> + Sync;

/// Does `action` to the machines of each project, in threads side by side; the first project's error, after the others
/// have ended.
fn side_by_side(
    vagrant: &Vagrant,
    projects: &LabProjects,
    machines: &[&FoundMachine],
    heard: &LineListener<'_>,
    action: &GroupAction,
) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = by_server(machines)
            .into_iter()
            .map(|(server, names)| {
                scope.spawn(move || {
                    let group = vagrant.group(projects.project(server));
                    action(&group, &names, &projects.log(server), &mut |line| {
                        heard(line)
                    })
                })
            })
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
