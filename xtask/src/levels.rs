//! Stopping in order: etcd last, as all the others write to it; all machines of a level at once.
//!
//! Containers are stopped and removed by the engine: Vagrant takes two seconds for each group and level before it asks the
//! engine for the same. Virtual machines are Vagrant's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lab::Role;
use caravan_process::interrupt;
use caravan_vagrant::output::Line;
use caravan_vagrant::{Group, Vagrant};

use crate::error::Error;
use crate::lab_dir::LabDir;
use crate::machines::Found;
use crate::show::run::Run;

/// How often is looked whether a level is done.
const POLL: Duration = Duration::from_millis(20);

/// Machines of one level: server to names.
pub(crate) type Level = BTreeMap<String, Vec<String>>;

/// What is done with some machines of a group.
pub(crate) type Act = dyn Fn(&Group, &[&str], &Path, &mut dyn FnMut(&Line)) -> Result<(), caravan_vagrant::Error>
    + Sync;

/// The machines in the order in which they stop.
pub(crate) fn stopping(found: &[&Found], roles: &BTreeMap<String, Role>) -> Vec<Level> {
    let mut levels: BTreeMap<bool, Level> = BTreeMap::new();
    for machine in found {
        let role = roles.get(&machine.name).copied().unwrap_or(Role::Worker);
        levels
            .entry(role == Role::Etcd)
            .or_default()
            .entry(machine.server.clone())
            .or_default()
            .push(machine.name.clone());
    }
    levels.into_values().collect()
}

/// The machines of `found` that are of `level`.
pub(crate) fn of_level<'a>(found: &[&'a Found], level: &Level) -> Vec<&'a Found> {
    let names: Vec<&String> = level.values().flatten().collect();
    found
        .iter()
        .copied()
        .filter(|machine| names.contains(&&machine.name))
        .collect()
}

/// Does `act`, called `phase`, to all machines of a level, each group in a thread of its own.
///
/// # Errors
///
/// The first group's error; the other groups are finished all the same.
pub(crate) fn in_groups(
    run: &Run<'_>,
    dir: &LabDir,
    vagrant: &Vagrant,
    level: &Level,
    phase: &str,
    act: &Act,
) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = level
            .iter()
            .map(|(server, names)| {
                scope.spawn(move || in_group(run, dir, vagrant, server, names, phase, act))
            })
            .collect();
        let mut ended = Ok(());
        while threads.iter().any(|thread| !thread.is_finished()) {
            if interrupt::raised() {
                run.screen.stopping();
            }
            std::thread::sleep(POLL);
        }
        for thread in threads {
            let result = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended = ended.and(result);
        }
        ended
    })
}

fn in_group(
    run: &Run<'_>,
    dir: &LabDir,
    vagrant: &Vagrant,
    server: &str,
    names: &[String],
    phase: &str,
    act: &Act,
) -> Result<(), Error> {
    let group = vagrant.group(dir.group(server));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    together(run, &names, phase, || {
        let ended = act(&group, &names, &dir.log(server), &mut |line| {
            if let (Some(machine), Some(text)) = (&line.machine, line.shown()) {
                run.screen.detail(machine, &text);
            }
        });
        ended.map_err(Error::from)
    })
}

/// Does `act`, called `phase`, to all machines called `names` at once.
///
/// # Errors
///
/// What `act` returns.
pub(crate) fn together(
    run: &Run<'_>,
    names: &[&str],
    phase: &str,
    act: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    for name in names {
        run.start(name, phase, false, "");
        run.screen.now(name, phase);
    }
    let result = act();
    let (outcome, word) = match &result {
        Ok(()) => (PhaseOutcome::Done, "done"),
        Err(error) if error.is_interrupt() => (PhaseOutcome::Interrupted, "interrupted"),
        Err(_) => (PhaseOutcome::Failed, "failed"),
    };
    for name in names {
        run.end(name, phase, outcome, "");
        run.screen.done(name, &format!("{phase}: {word}"));
    }
    result
}

#[cfg(test)]
mod tests {
    use caravan_vagrant::MachineState;

    use super::*;

    #[test]
    fn etcd_stops_last() {
        let found: Vec<Found> = [
            ("etcdone", "server2"),
            ("lbone", "server2"),
            ("masterone", "server1"),
            ("workerone", "server2"),
            ("stranger", "server1"),
        ]
        .map(|(name, server)| Found {
            name: name.to_owned(),
            server: server.to_owned(),
            state: MachineState::Running,
            id: None,
            image: None,
            folder: None,
        })
        .into();
        let lab = caravan_lab::Lab::parse("ha", include_str!("../../labs/ha.toml")).expect("valid");
        let roles = crate::machines::roles(Some(&lab), &found);
        let all: Vec<&Found> = found.iter().collect();
        let order: Vec<Vec<String>> = stopping(&all, &roles)
            .into_iter()
            .map(|level| level.into_values().flatten().collect())
            .collect();
        assert_eq!(
            order,
            [
                vec!["masterone", "stranger", "lbone", "workerone"],
                vec!["etcdone"]
            ]
        );
    }
}
