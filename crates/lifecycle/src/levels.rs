//! Stopping in order: etcd last, as all the others write to it; all machines of a level at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lab::Role;
use caravan_process::interrupt;
use caravan_vagrant::provider::{FoundMachine, LineListener};

use crate::{Error, LabRun};

/// How often is looked whether a level is done.
const POLL: Duration = Duration::from_millis(20);

/// How long a step that the user wants to stop may go on before it is told that it is waited for.
const CUT_SHORT: Duration = Duration::from_millis(500);

/// Machines that stop at the same time.
pub(crate) type Level<'a> = Vec<&'a FoundMachine>;

/// The machines in the order in which they stop: all that are not etcd's, then etcd's.
pub(crate) fn stopping<'a>(
    machines: &[&'a FoundMachine],
    roles: &BTreeMap<String, Role>,
) -> Vec<Level<'a>> {
    let (others, etcd) = others_and_etcd(machines, roles);
    not_empty([others, etcd])
}

/// As [`stopping`], with etcd's machines one after the other: a leader that stops hands over to the member it has known
/// longest, and waits for nine seconds where that one is stopping too.
pub(crate) fn stopping_in_peace<'a>(
    machines: &[&'a FoundMachine],
    roles: &BTreeMap<String, Role>,
) -> Vec<Level<'a>> {
    let (others, etcd) = others_and_etcd(machines, roles);
    let members = etcd.into_iter().map(|member| vec![member]);
    not_empty([others].into_iter().chain(members))
}

fn others_and_etcd<'a>(
    machines: &[&'a FoundMachine],
    roles: &BTreeMap<String, Role>,
) -> (Level<'a>, Level<'a>) {
    machines
        .iter()
        .copied()
        .partition(|machine| roles.get(&machine.name) != Some(&Role::Etcd))
}

fn not_empty<'a>(levels: impl IntoIterator<Item = Level<'a>>) -> Vec<Level<'a>> {
    levels
        .into_iter()
        .filter(|level| !level.is_empty())
        .collect()
}

/// Does `act`, called `phase`, to `machines` at once, and records it for each. `act` is given who hears what Vagrant says.
///
/// # Errors
///
/// What `act` returns.
pub(crate) fn together(
    run: &LabRun<'_>,
    machines: &[&FoundMachine],
    phase: &str,
    act: impl FnOnce(&LineListener<'_>) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    for machine in machines {
        run.start(&machine.name, phase, false, "");
        run.tell_begin(&machine.name, phase);
    }
    let heard = |line: &caravan_vagrant::output::VagrantOutputLine| {
        if let (Some(machine), Some(text)) = (&line.machine, line.shown()) {
            run.tell_detail(machine, &text);
        }
    };
    let result = std::thread::scope(|scope| {
        let acting = scope.spawn(|| act(&heard));
        let mut stopped: Option<Instant> = None;
        while !acting.is_finished() {
            if interrupt::raised() && stopped.get_or_insert_with(Instant::now).elapsed() > CUT_SHORT
            {
                run.stopping();
            }
            std::thread::sleep(POLL);
        }
        acting
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (outcome, word) = match &result {
        Ok(()) => (PhaseOutcome::Done, "done"),
        Err(error) if error.is_interrupt() => (PhaseOutcome::Interrupted, "interrupted"),
        Err(_) => (PhaseOutcome::Failed, "failed"),
    };
    for machine in machines {
        run.end(&machine.name, phase, outcome, "");
        run.tell_end(&machine.name, &format!("{phase}: {word}"));
    }
    result
}

#[cfg(test)]
mod tests {
    use caravan_vagrant::MachineState;

    use super::*;

    #[test]
    fn etcd_stops_last() {
        let found: Vec<FoundMachine> = [
            ("etcdone", "server2"),
            ("etcdtwo", "server2"),
            ("lbone", "server2"),
            ("masterone", "server1"),
            ("workerone", "server2"),
            ("stranger", "server1"),
        ]
        .map(|(name, server)| FoundMachine {
            name: name.to_owned(),
            server: server.to_owned(),
            host: None,
            provider: "docker",
            state: MachineState::Running,
            id: None,
            image: None,
            folder: None,
        })
        .into();
        let lab =
            caravan_lab::Lab::parse("ha", include_str!("../../../labs/ha.toml")).expect("valid");
        let roles = crate::machines::roles(Some(&lab), &found);
        let all: Vec<&FoundMachine> = found.iter().collect();
        let names = |levels: Vec<Level<'_>>| -> Vec<Vec<String>> {
            let names = |level: Level<'_>| level.iter().map(|it| it.name.clone()).collect();
            levels.into_iter().map(names).collect()
        };
        let others = ["lbone", "masterone", "workerone", "stranger"];
        assert_eq!(
            names(stopping(&all, &roles)),
            [&others[..], &["etcdone", "etcdtwo"]]
        );
        assert_eq!(
            names(stopping_in_peace(&all, &roles)),
            [&others[..], &["etcdone"], &["etcdtwo"]]
        );
        assert!(stopping(&[], &roles).is_empty());
    }
}
