//! Stopping the machines of a lab, etcd last.

use std::time::Duration;

use caravan_process::interrupt;
use caravan_vagrant::provider::FoundMachine;

use crate::events::LifecycleWarning;
use crate::target::{no_such_machine, no_such_server};
use crate::{Error, LabRun, LabTarget, SilentComputer, levels, machines};

/// How long a machine may take to stop, at the usual pace, before it is killed; the Vagrantfile says the same of containers.
const GRACE: Duration = Duration::from_secs(30);

/// How many machines there are now of which `is` holds, if anybody can tell.
pub fn left(target: &LabTarget, is: impl Fn(&FoundMachine) -> bool) -> Option<usize> {
    let found = target.machines().ok()?;
    Some(found.iter().filter(|machine| is(machine)).count())
}

/// Stops machines of the lab, of which `found` are all that are there.
///
/// # Errors
///
/// [`Error::Vagrant`], [`Error::Interrupted`]: what was stopped until then stays so.
pub fn stop(
    run: &LabRun<'_>,
    target: &LabTarget,
    found: &[FoundMachine],
    running: &[&FoundMachine],
) -> Result<(), Error> {
    let roles = machines::roles(target.known_lab(), found);
    let (providers, projects) = (target.providers(), target.dir.projects());
    let grace = target.pace().of(GRACE);
    for level in levels::stopping_in_peace(running, &roles) {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        levels::together(run, &level, "halt", |heard| {
            providers.stop(&projects, &level, grace, heard)
        })?;
    }
    if let Err(error) = providers.note_stopped(&projects, running) {
        run.warn(&LifecycleWarning::VagrantNotes(error));
    }
    Ok(())
}

/// The names of the machines that are meant: those that are named, of `server` alone where one is; none where all are.
///
/// # Errors
///
/// [`Error::NoSuchServer`], [`Error::NoneOnServer`]: that nothing is left of what was asked for does not mean all.
pub fn named(
    target: &LabTarget,
    server: Option<&str>,
    names: &[String],
) -> Result<Vec<String>, Error> {
    let Some(server) = server else {
        return Ok(names.to_vec());
    };
    let none = || Error::NoneOnServer {
        lab: target.name.clone(),
        server: server.to_owned(),
    };
    let lab = target.known_lab().ok_or_else(none)?;
    let found = (lab.server(server)).ok_or_else(|| no_such_server(lab, server))?;
    let on_it = lab.machines_on(found).map(|machine| machine.name.clone());
    let meant: Vec<String> = on_it
        .filter(|name| names.is_empty() || names.contains(name))
        .collect();
    match meant.is_empty() {
        true => Err(none()),
        false => Ok(meant),
    }
}

/// The error for those of the computers that do not answer on which machines called one of `names`, or any, are meant.
///
/// # Errors
///
/// [`Error::Silent`].
pub fn hold_all_reached(
    target: &LabTarget,
    silent: Vec<SilentComputer>,
    names: &[String],
) -> Result<(), Error> {
    let is_meant = |silent: &SilentComputer| {
        names.is_empty()
            || target.known_lab().is_none_or(|lab| {
                let mut machines = names.iter().filter_map(|name| lab.machine(name));
                machines.any(|machine| silent.servers.contains(&machine.server))
            })
    };
    match silent.into_iter().find(is_meant) {
        None => Ok(()),
        Some(silent) => Err(Error::Silent(Box::new(silent))),
    }
}

/// The machines of `found` that are named, or all.
///
/// # Errors
///
/// [`Error::NoSuchMachine`] for a name that neither the lab nor a machine has.
pub fn chosen<'a>(
    target: &LabTarget,
    found: &'a [FoundMachine],
    names: &[String],
) -> Result<Vec<&'a FoundMachine>, Error> {
    for name in names {
        let known = target
            .known_lab()
            .is_some_and(|lab| lab.machine(name).is_some())
            || found.iter().any(|machine| machine.name == *name);
        if !known {
            return Err(match target.known_lab() {
                Some(lab) => no_such_machine(lab, name),
                None => Error::NoSuchMachine {
                    lab: target.name.clone(),
                    name: name.clone(),
                    machines: found.iter().map(|machine| machine.name.clone()).collect(),
                },
            });
        }
    }
    Ok(found
        .iter()
        .filter(|machine| names.is_empty() || names.contains(&machine.name))
        .collect())
}
