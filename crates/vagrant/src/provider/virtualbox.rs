//! Machines that VirtualBox runs: Vagrant makes them, one after the other, and everything else is asked of VirtualBox.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::Computer;
use ipnet::Ipv4Net;

use super::{
    FoundMachine, LabProjects, LineListener, MachineHarm, MachineProvider, frozen_and_off,
    if_installed, in_projects, sorted, start_by_vagrant,
};
use crate::engine::{Conflict, NetworkOwner, Removed, Volume, route_conflicts};
use crate::routes::{self, Route, overlap};
use crate::virtualbox::{self, HostInterface, VirtualBox, VirtualMachine};
use crate::{Error, MachineState, Vagrant, notes};

/// Machines that VirtualBox runs.
#[derive(Debug)]
pub(super) struct VirtualBoxMachines {
    /// VirtualBox's computer.
    pub(super) computer: Computer,
}

impl VirtualBoxMachines {
    fn virtualbox(&self) -> Result<VirtualBox, Error> {
        VirtualBox::on(&self.computer)
    }
}

impl From<VirtualMachine> for FoundMachine {
    fn from(machine: VirtualMachine) -> Self {
        let folder = PathBuf::from(machine.label("folder"));
        Self {
            name: machine.label("machine").to_owned(),
            server: machine.label("server").to_owned(),
            host: None,
            provider: "virtualbox",
            image: Some(machine.label("image").to_owned()).filter(|image| !image.is_empty()),
            folder: Some(folder).filter(|folder| folder.is_absolute()),
            state: machine.state,
            id: Some(machine.uuid),
        }
    }
}

impl MachineProvider for VirtualBoxMachines {
    fn word(&self) -> &'static str {
        "virtualbox"
    }

    /// Its boxes are the user's, and the masters of their clones with them.
    fn vagrant(&self, _projects: &LabProjects) -> Result<Vagrant, Error> {
        Vagrant::on(&self.computer)
    }

    /// Those with the lab's label, and those that Vagrant has a note of and that it was killed over before they got one.
    fn machines(&self, lab: &str, projects: &LabProjects) -> Result<Vec<FoundMachine>, Error> {
        let virtualbox = self.virtualbox()?;
        let labelled = virtualbox.machines(Some(lab))?;
        let mut found: Vec<FoundMachine> = labelled.into_iter().map(FoundMachine::from).collect();
        // What is kept of Vagrant's notes elsewhere is not read: there a machine without a label is removed by hand.
        let noted = match self.computer.is_here() {
            true => noted(projects),
            false => Vec::new(),
        };
        if noted.is_empty() {
            return Ok(found);
        }
        let known: BTreeSet<Option<String>> = found.iter().map(|it| it.id.clone()).collect();
        let registered = virtualbox.registered()?;
        for mut machine in noted {
            let Some(uuid) = machine.id.clone().filter(|it| registered.contains(it)) else {
                continue;
            };
            // A label, of this lab or of another one, says whose it is, whatever a note says.
            if known.contains(&machine.id) || virtualbox.labels(&uuid)?.contains_key("lab") {
                continue;
            }
            if let Some(state) = virtualbox.state(&uuid)? {
                machine.state = state;
                found.push(machine);
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// A machine's data is on its disk, and goes with it.
    fn volumes(&self, _lab: &str) -> Result<Vec<Volume>, Error> {
        Ok(Vec::new())
    }

    fn labs(&self) -> Result<Vec<String>, Error> {
        let machines = if_installed(self.virtualbox(), |virtualbox| virtualbox.machines(None))?;
        Ok(sorted(
            machines
                .iter()
                .map(|machine| machine.label("lab").to_owned()),
        ))
    }

    fn labs_with_data(&self) -> Result<Vec<String>, Error> {
        self.labs()
    }

    fn conflicts(
        &self,
        lab: &str,
        subnet: Ipv4Net,
        _addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error> {
        let virtualbox = self.virtualbox()?;
        let (networks, labels) = (virtualbox.host_only()?, virtualbox.networks()?);
        let owner = |name: &str| labels.get(name).map(String::as_str);
        Ok(conflicts(
            lab,
            subnet,
            &networks,
            owner,
            &routes::routes_of(&self.computer)?,
        ))
    }

    fn start(
        &self,
        vagrant: &Vagrant,
        projects: &LabProjects,
        server: &str,
        machines: &[&str],
        heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        start_by_vagrant(self.word(), vagrant, projects, server, machines, heard)
            .map_err(virtualbox::refusal_of)
    }

    fn stop(
        &self,
        _projects: &LabProjects,
        machines: &[&FoundMachine],
        grace: Duration,
        _heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        self.virtualbox()?.stop(&uuids(machines), grace)
    }

    fn harm(&self, machines: &[&FoundMachine], harm: MachineHarm) -> Result<(), Error> {
        let virtualbox = self.virtualbox()?;
        match harm {
            MachineHarm::Crash => virtualbox.crash(&uuids(machines)),
            MachineHarm::Freeze => virtualbox.control(&uuids(machines), "pause"),
        }
    }

    fn revive(&self, machines: &[&FoundMachine]) -> Result<(), Error> {
        let virtualbox = self.virtualbox()?;
        let (frozen, off) = frozen_and_off(machines);
        virtualbox.control(&uuids(&frozen), "resume")?;
        virtualbox.start(&uuids(&off))
    }

    fn remove(
        &self,
        _projects: &LabProjects,
        machines: &[&FoundMachine],
        goodbye: Option<Duration>,
        _heard: &LineListener<'_>,
    ) -> Result<(), Error> {
        let virtualbox = self.virtualbox()?;
        let uuids = uuids(machines);
        if let Some(goodbye) = goodbye {
            virtualbox.stop(&uuids, goodbye)?;
        }
        virtualbox.remove(&uuids)
    }

    fn note_stopped(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
    ) -> Result<(), Error> {
        // Vagrant's word for it, with this provider.
        let off = MachineState::Other("poweroff".to_owned());
        in_projects(projects, machines, |project, names| {
            notes::note_state(&self.computer, project, names, &off)
        })
    }

    fn note_removed(
        &self,
        projects: &LabProjects,
        machines: &[&FoundMachine],
    ) -> Result<(), Error> {
        in_projects(projects, machines, |project, names| {
            notes::forget(&self.computer, project, names)
        })
    }

    fn disks(&self) -> Result<Option<PathBuf>, Error> {
        match self.computer.is_here() {
            true => self.virtualbox()?.machine_folder(),
            false => Ok(None),
        }
    }

    fn remove_volumes(&self, _names: &[&str]) -> Result<(), Error> {
        Ok(())
    }

    fn remove_leftovers(&self, lab: &str) -> Result<Removed, Error> {
        let virtualbox = self.virtualbox()?;
        let machines = virtualbox.machines(Some(lab))?;
        let uuids: Vec<&str> = machines.iter().map(|it| it.uuid.as_str()).collect();
        virtualbox.remove(&uuids)?;
        let mut networks = Vec::new();
        for (name, owner) in virtualbox.networks()? {
            if owner == lab {
                virtualbox.remove_network(&name)?;
                networks.push(name);
            }
        }
        Ok(Removed {
            containers: machines
                .iter()
                .map(|it| it.label("machine").to_owned())
                .collect(),
            networks,
            volumes: Vec::new(),
        })
    }

    /// Nothing that machines change is outside of them.
    fn put_host_back(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn uuids<'a>(machines: &[&'a FoundMachine]) -> Vec<&'a str> {
    machines.iter().filter_map(|it| it.id.as_deref()).collect()
}

/// The machines of which Vagrant's own folders have a note, whether or not they are there.
fn noted(projects: &LabProjects) -> Vec<FoundMachine> {
    let mut found = Vec::new();
    for server in projects.servers() {
        let project = projects.project(&server);
        let Ok(entries) = fs::read_dir(project.join(".vagrant/machines")) else {
            continue;
        };
        for entry in entries.flatten() {
            let Some(uuid) = noted_uuid(&entry.path()) else {
                continue;
            };
            found.push(FoundMachine {
                name: entry.file_name().to_string_lossy().into_owned(),
                server: server.clone(),
                host: None,
                provider: "virtualbox",
                state: MachineState::Absent,
                id: Some(uuid),
                image: None,
                folder: fs::canonicalize(&project).ok(),
            });
        }
    }
    found
}

fn noted_uuid(machine: &Path) -> Option<String> {
    let id = fs::read_to_string(machine.join("virtualbox/id")).ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Who stands in the way: host-only networks of other labs, and whatever this computer's routes say of the subnet. The
/// lab's own network does not, and neither does another one of the same range that nobody labelled: Vagrant takes that one.
fn conflicts<'a>(
    lab: &str,
    subnet: Ipv4Net,
    networks: &[HostInterface],
    owner: impl Fn(&str) -> Option<&'a str>,
    routes: &[Route],
) -> Vec<Conflict> {
    let mut found = Vec::new();
    let mut own = Vec::new();
    for network in networks {
        let Some(has) = network.network else {
            continue;
        };
        match owner(&network.name) {
            Some(other) if other != lab => {
                own.push(network.name.as_str());
                if overlap(has, subnet) {
                    found.push(Conflict::Network {
                        owner: NetworkOwner::VirtualBox,
                        subnet,
                        name: network.name.clone(),
                        has: has.trunc(),
                        lab: Some(other.to_owned()),
                    });
                }
            }
            Some(_) if has.trunc() != subnet.trunc() => {
                own.push(network.name.as_str());
                found.push(Conflict::Moved {
                    subnet,
                    name: network.name.clone(),
                    has: has.trunc(),
                });
            }
            Some(_) => own.push(network.name.as_str()),
            None if has.trunc() == subnet.trunc() => own.push(network.name.as_str()),
            None => {}
        }
    }
    found.extend(route_conflicts(subnet, routes, |device| {
        own.contains(&device)
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a network")
    }

    fn network(name: &str, has: &str) -> HostInterface {
        HostInterface {
            name: name.to_owned(),
            network: Some(net(has)),
            ..HostInterface::default()
        }
    }

    fn route(to: &str, device: &str) -> Route {
        Route {
            to: net(to),
            device: Some(device.to_owned()),
            table: 254,
            direct: true,
        }
    }

    #[test]
    fn a_network_of_the_same_range_is_taken_and_another_labs_is_not() {
        let subnet = net("192.168.29.0/24");
        let networks = [
            network("vboxnet0", "192.168.29.1/24"),
            network("vboxnet1", "192.168.56.1/24"),
        ];
        let routes = [
            route("192.168.29.0/24", "vboxnet0"),
            route("192.168.56.0/24", "vboxnet1"),
            route("0.0.0.0/0", "eth0"),
        ];
        assert_eq!(conflicts("ha", subnet, &networks, |_| None, &routes), []);
        let own = |name: &str| (name == "vboxnet0").then_some("ha");
        assert_eq!(conflicts("ha", subnet, &networks, own, &routes), []);
        let others = |name: &str| (name == "vboxnet0").then_some("other");
        let found = conflicts("ha", subnet, &networks, others, &routes);
        assert!(
            matches!(&found[..], [Conflict::Network { lab: Some(lab), .. }] if lab == "other"),
            "{found:?}"
        );
    }

    #[test]
    fn a_subnet_that_was_edited_and_a_range_that_is_taken() {
        let subnet = net("192.168.30.0/24");
        let networks = [network("vboxnet0", "192.168.29.1/24")];
        let own = |_: &str| Some("ha");
        let routes = [route("192.168.0.0/16", "tun0")];
        let found = conflicts("ha", subnet, &networks, own, &routes);
        assert!(
            matches!(&found[..], [Conflict::Moved { .. }, Conflict::Route { .. }]),
            "{found:?}"
        );
    }
}
