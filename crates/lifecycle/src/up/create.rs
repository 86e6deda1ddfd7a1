//! `vagrant up` of all groups at the same time.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::PhaseOutcome;
use caravan_vagrant::Vagrant;
use caravan_vagrant::output::VagrantEvent;
use caravan_vagrant::provider::{LabProjects, MachineProvider};

use super::Up;
use crate::{Error, outcome_of};

/// What a group's thread tells.
pub(super) enum GroupEvent {
    /// What Vagrant says of this machine.
    Says(String, String),
    /// Vagrant is done with this machine, which makes itself from now on.
    Made(String),
    /// Vagrant is done with all machines of the group.
    Ended(Result<(), Error>),
}

/// The machines to bring up, by server.
pub(super) fn by_server(up: &Up<'_>, todo: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for machine in up
        .request
        .wanted
        .iter()
        .filter(|machine| todo.contains(&machine.name))
    {
        groups
            .entry(machine.server.clone())
            .or_default()
            .push(machine.name.clone());
    }
    groups
}

/// Brings up one group's machines; runs in a thread of its own.
pub(super) fn group(
    up: &Up<'_>,
    provider: &dyn MachineProvider,
    vagrant: &Vagrant,
    projects: &LabProjects,
    server: &str,
    machines: &[String],
    told: &Sender<GroupEvent>,
) {
    for name in machines {
        up.run.start(name, Phase::Create, false, "");
        up.run.tell_begin(name, Phase::Create.name());
        tell(
            told,
            GroupEvent::Says(name.clone(), format!("`vagrant up {name}` begins")),
        );
    }
    let names: Vec<&str> = machines.iter().map(String::as_str).collect();
    let result = provider
        .start(vagrant, projects, server, &names, &|line| {
            let Some(machine) = line.machine.as_deref() else {
                return;
            };
            match &line.what {
                // The provisioner is the last that Vagrant does to a machine; from then on it makes itself.
                VagrantEvent::Ends(action) if action == "up" => {
                    up.run.end(machine, Phase::Create, PhaseOutcome::Done, "");
                    tell(told, GroupEvent::Made(machine.to_owned()));
                }
                _ => {
                    if let Some(text) = line.shown() {
                        up.run.tell_detail(machine, &text);
                        tell(told, GroupEvent::Says(machine.to_owned(), text));
                    }
                }
            }
        })
        .map_err(Error::from);
    let outcome = match &result {
        Ok(()) => PhaseOutcome::Done,
        Err(error) => outcome_of(error),
    };
    for name in machines {
        up.run.end_if_open(name, Phase::Create, outcome);
    }
    tell(told, GroupEvent::Ended(result));
}

/// The listener is gone only when the run has ended already.
fn tell(told: &Sender<GroupEvent>, event: GroupEvent) {
    drop(told.send(event));
}
