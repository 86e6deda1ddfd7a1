//! `cargo xtask halt`: stops machines, etcd last.

use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_lifecycle::halt::{chosen, hold_all_reached, left, named, stop};
use caravan_lifecycle::{
    Error as LabError, LabLock, LabRun, LabTarget, OperationRecord, Workspace, deliver, machines,
    outcome_of, vagrant_at_work,
};
use caravan_vagrant::provider::FoundMachine;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::screen::Screen;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Halt,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    if !target.dir.exists() {
        return never_made(&target, workspace, screen);
    }
    let _lock = LabLock::take(&target.dir, &target.name, "halt")?;
    let names = named(&target, flags.server.as_deref(), &flags.machines)?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    let (found, silent) = target.machines_reached()?;
    machines::made_here(&target.name, &found, &[], &target.dir)?;
    deliver::hold_all_ours(&target.name, &target.dir, &target.computers())?;
    let chosen = chosen(&target, &found, &names)?;
    let reached = hold_all_reached(&target, silent, &names);
    let meant: Vec<&str> = chosen.iter().map(|it| it.name.as_str()).collect();
    OperationRecord::spare(&target.dir, &meant)?;
    let running: Vec<&FoundMachine> = chosen
        .into_iter()
        .filter(|machine| machine.runs())
        .collect();
    if running.is_empty() {
        reached?;
        screen.say("nothing to do: no such machine runs");
        return Ok(Exit::Done);
    }
    if let Some(lost) = running.iter().find(|machine| {
        machine.host.is_none() && !target.dir.vagrantfile(&machine.server).is_file()
    }) {
        return Err(LabError::Strangers {
            lab: target.name.clone(),
            machines: vec![lost.name.clone()],
        }
        .into());
    }
    let run = LabRun::begin("halt", &target.name, &target.dir, screen);
    let result = stop(&run, &target, &found, &running);
    match &result {
        Ok(()) => {
            let took = run.so_far();
            run.finish(PhaseOutcome::Done);
            screen.done(
                RUN,
                &format!("{} machines stopped in {took}", running.len()),
            );
            screen.say(&format!("next: `{TOOL} up {}`", target.name));
        }
        Err(error) => {
            run.finish(outcome_of(error));
            screen.clear();
            if let Some(left) = left(&target, FoundMachine::runs) {
                screen.say(&format!(
                    "now: {left} machines still run; `{TOOL} halt {0}` goes on from here, `{TOOL} up {0}` starts \
                     the others again",
                    target.name
                ));
            }
        }
    }
    Ok(result.and(reached).map(|()| Exit::Done)?)
}

/// A lab without state has no machines, unless they were made from elsewhere or their state was lost.
fn never_made(target: &LabTarget, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    target.lab(workspace)?;
    let found = target.machines()?;
    machines::made_here(&target.name, &found, &[], &target.dir)?;
    if found.is_empty() {
        screen.say(&format!("lab `{}` has no machines", target.name));
        return Ok(Exit::Done);
    }
    Err(LabError::Strangers {
        lab: target.name.clone(),
        machines: found.into_iter().map(|machine| machine.name).collect(),
    }
    .into())
}
