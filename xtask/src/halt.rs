//! `cargo xtask halt`: stops machines, etcd last.

use std::time::Duration;

use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_lab::{Provider, Role};
use caravan_process::interrupt;
use caravan_vagrant::engine::Engine;
use caravan_vagrant::{MachineState, notes};

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::levels;
use crate::machines::{self, Found};
use crate::show::run::{Run, outcome_of};
use crate::show::screen::Screen;
use crate::state::alone;
use crate::state::lock::Lock;
use crate::target::{Target, no_such_machine};
use crate::workspace::Workspace;

/// How long a container may take to stop before it is killed; the Vagrantfile says the same.
const GRACE: Duration = Duration::from_secs(30);

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Halt,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = Target::of(workspace, flags.lab.as_deref())?;
    if !target.dir.exists() {
        return never_made(&target, workspace, screen);
    }
    let _lock = Lock::take(&target.dir, &target.name, "halt")?;
    alone::wait(&target.name, &target.dir, screen)?;
    let found = target.machines()?;
    machines::made_here(&target.name, &found, &[], &target.dir)?;
    let chosen = chosen(&target, &found, &flags.machines)?;
    let running: Vec<&Found> = chosen
        .into_iter()
        .filter(|machine| machine.runs())
        .collect();
    if running.is_empty() {
        screen.say("nothing to do: no such machine runs");
        return Ok(Exit::Done);
    }
    if let Some(lost) = running
        .iter()
        .find(|machine| !target.dir.vagrantfile(&machine.server).is_file())
    {
        return Err(Error::Strangers {
            lab: target.name.clone(),
            machines: vec![lost.name.clone()],
        });
    }
    let run = Run::begin("halt", &target.name, &target.dir, screen);
    let result = stop(&run, &target, &found, &running);
    match &result {
        Ok(()) => {
            let took = run.so_far();
            run.finish(PhaseOutcome::Done);
            screen.done(
                RUN,
                &format!("{} machines stopped in {took}", running.len()),
            );
            screen.say(&format!("next: `cargo xtask up {}`", target.name));
        }
        Err(error) => {
            run.finish(outcome_of(error));
            screen.clear();
            if let Some(left) = left(&target, Found::runs) {
                screen.say(&format!(
                    "now: {left} machines still run; `cargo xtask halt {0}` goes on from here, `cargo xtask up {0}` starts \
                     the others again",
                    target.name
                ));
            }
        }
    }
    result.map(|()| Exit::Done)
}

/// A lab without state has no machines, unless they were made from elsewhere or their state was lost.
fn never_made(target: &Target, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    target.lab(workspace)?;
    let found = target.machines()?;
    machines::made_here(&target.name, &found, &[], &target.dir)?;
    if found.is_empty() {
        screen.say(&format!("lab `{}` has no machines", target.name));
        return Ok(Exit::Done);
    }
    Err(Error::Strangers {
        lab: target.name.clone(),
        machines: found.into_iter().map(|machine| machine.name).collect(),
    })
}

/// How many machines there are now of which `is` holds, if anybody can tell.
pub(crate) fn left(target: &Target, is: impl Fn(&Found) -> bool) -> Option<usize> {
    let found = target.machines().ok()?;
    Some(found.iter().filter(|machine| is(machine)).count())
}

fn stop(run: &Run<'_>, target: &Target, found: &[Found], running: &[&Found]) -> Result<(), Error> {
    let roles = machines::roles(target.known_lab(), found);
    let levels = levels::stopping(running, &roles);
    if target.provider() == Provider::Docker {
        let steps: Vec<Vec<&Found>> = levels
            .iter()
            .map(|level| levels::of_level(running, level))
            .flat_map(
                |level| match level.first().map(|first| roles[&first.name]) {
                    // One after the other: a leader that stops hands over to the member it has known longest, and waits for
                    // nine seconds where that one is stopping too.
                    Some(Role::Etcd) => level.into_iter().map(|member| vec![member]).collect(),
                    _ => vec![level],
                },
            )
            .collect();
        return stop_containers(run, target, running, &steps);
    }
    let vagrant = machines::vagrant(target.provider(), &target.dir)?;
    for level in &levels {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        levels::in_groups(
            run,
            &target.dir,
            &vagrant,
            level,
            "halt",
            &|group, names, log, heard| group.halt(names, log, heard),
        )?;
    }
    Ok(())
}

fn stop_containers(
    run: &Run<'_>,
    target: &Target,
    running: &[&Found],
    steps: &[Vec<&Found>],
) -> Result<(), Error> {
    let engine = Engine::find()?;
    for machines in steps {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        let names: Vec<&str> = machines.iter().map(|it| it.name.as_str()).collect();
        levels::together(run, &names, "halt", || {
            Ok(engine.stop(machines.iter().filter_map(|it| it.id.as_deref()), GRACE)?)
        })?;
    }
    machines::note(&target.dir, running, run.screen, |project, names| {
        notes::note_state(project, names, &MachineState::Stopped)
    });
    Ok(())
}

/// The machines of `found` that are named, or all.
///
/// # Errors
///
/// [`Error::NoSuchMachine`] for a name that neither the lab nor a machine has.
pub(crate) fn chosen<'a>(
    target: &Target,
    found: &'a [Found],
    names: &[String],
) -> Result<Vec<&'a Found>, Error> {
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
