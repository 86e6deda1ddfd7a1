//! `vagrant up` of all groups at the same time.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::PhaseOutcome;
use caravan_lab::Provider;
use caravan_vagrant::output::What;
use caravan_vagrant::{Up as Asked, Vagrant};

use super::Up;
use crate::error::Error;
use crate::show::run::outcome_of;

/// What a group's thread tells.
pub(super) enum Told {
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
    vagrant: &Vagrant,
    provider: Provider,
    server: &str,
    machines: &[String],
    told: &Sender<Told>,
) {
    for name in machines {
        up.run.start(name, Phase::Create, false, "");
        up.run.screen.now(name, Phase::Create.name());
        tell(
            told,
            Told::Says(name.clone(), format!("`vagrant up {name}` begins")),
        );
    }
    let names: Vec<&str> = machines.iter().map(String::as_str).collect();
    let asked = Asked {
        provider: Some(provider.word()),
        machines: &names,
        provision: true,
    };
    let result = vagrant
        .group(up.dir.group(server))
        .up(&asked, &up.dir.log(server), &mut |line| {
            let Some(machine) = line.machine.as_deref() else {
                return;
            };
            match &line.what {
                // The provisioner is the last that Vagrant does to a machine; from then on it makes itself.
                What::Ends(action) if action == "up" => {
                    up.run.end(machine, Phase::Create, PhaseOutcome::Done, "");
                    tell(told, Told::Made(machine.to_owned()));
                }
                _ => {
                    if let Some(text) = line.shown() {
                        up.run.screen.detail(machine, &text);
                        tell(told, Told::Says(machine.to_owned(), text));
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
    tell(told, Told::Ended(result));
}

/// The listener is gone only when the run has ended already.
fn tell(told: &Sender<Told>, what: Told) {
    drop(told.send(what));
}
