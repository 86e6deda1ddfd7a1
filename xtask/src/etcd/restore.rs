//! `cargo xtask etcd restore`: all members get the data of a snapshot, or, given up in time, keep theirs.

use std::thread::ScopedJoinHandle;
use std::time::Duration;

use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_lifecycle::restore::{Restoration, RestorePlan, VERB};
use caravan_lifecycle::{
    LabLock, LabRun, LabTarget, OperationRecord, Workspace, machine, outcome_of, reach,
    vagrant_at_work,
};
use caravan_process::interrupt;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::etcd::EtcdRestore;
use crate::flags::{Making, Up};
use crate::kill_after::KillAfter;
use crate::show::screen::{self, Screen};
use crate::{software, up};

/// How often is looked whether machines that are made anew can be asked.
const POLL: Duration = Duration::from_secs(1);

/// Runs the verb.
pub(crate) fn run(
    flags: &EtcdRestore,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let from = (flags.from.as_deref())
        .map(|name| machine(lab, name))
        .transpose()?;
    let (keys, access) = super::access(&target, lab)?;
    let software = software::versions(workspace, lab)?;
    let restoration = Restoration {
        workspace,
        target: &target,
        lab,
        keys: &keys,
        access: &access,
        software: &software,
        tool: TOOL,
    };
    let named = flags.snapshot.as_deref();
    let is_begun = OperationRecord::read(&target.dir)?.is_some_and(|open| open.verb == VERB);
    // What is under way is asked of machines, and what one member has is not here yet.
    if is_begun || from.is_some() {
        reach::check(lab)?;
    }
    let asked = match (from, is_begun) {
        (Some(machine), false) => {
            if flags.dry_run {
                for (number, line) in restoration.lines_from(machine).iter().enumerate() {
                    println!("{:>2}. {line}", number + 1);
                }
                return Ok(Exit::Done);
            }
            format!(
                "restore what `{}` has in lab `{}`? What other members had and it has not is gone",
                machine.name, target.name
            )
        }
        _ => {
            let plan = restoration.survey(named)?;
            if flags.dry_run {
                for (number, line) in restoration.lines(&plan).iter().enumerate() {
                    println!("{:>2}. {line}", number + 1);
                }
                return Ok(Exit::Done);
            }
            question(&plan, &target.name)
        }
    };
    reach::check(lab)?;
    // What was begun was agreed to.
    if !is_begun && !flags.yes && !screen::ask(&asked) {
        return Err(match interrupt::raised() {
            true => Error::interrupted(),
            false => Error::Declined {
                what: format!("restoring a snapshot in lab `{}`", target.name),
            },
        });
    }
    let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    let observer = KillAfter::new(screen);
    let run = LabRun::begin(VERB, &target.name, &target.dir, &observer);
    let ended = restore(flags, &restoration, &run, screen);
    screen.clear();
    run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    match ended {
        Ok(_) if flags.give_up => {
            screen.say(&format!(
                "what was there before is back, after {}",
                run.so_far()
            ));
        }
        Ok(plan) => screen.say(&format!(
            "lab `{}` has the data of snapshot `{}`, revision {}, after {}",
            target.name,
            plan.snapshot.name(),
            plan.snapshot.record.revision,
            run.so_far()
        )),
        Err(error) => {
            if let Some(open) = OperationRecord::read(&target.dir)?.filter(|it| it.verb == VERB) {
                screen.say(&format!(
                    "now: the restoration is under way; `{}` goes on from here, and `{TOOL} {VERB} {} --give-up` returns to what was there before, until all members have the restored data",
                    open.command(TOOL, &target.name),
                    target.name
                ));
            }
            return Err(error);
        }
    }
    Ok(Exit::Done)
}

/// Does it, in a run that holds the lab's lock; returns what was planned.
fn restore(
    flags: &EtcdRestore,
    restoration: &Restoration<'_>,
    run: &LabRun<'_>,
    screen: &Screen,
) -> Result<RestorePlan, Error> {
    let open = OperationRecord::read(&restoration.target.dir)?;
    if open.is_none()
        && let Some(name) = &flags.from
    {
        restoration.begin_from(run, machine(restoration.lab, name)?)?;
    }
    // Others may have been at work until now, also while the user was asked.
    let plan = restoration.survey(flags.snapshot.as_deref())?;
    if flags.give_up {
        restoration.give_up(run, &plan)?;
        return Ok(plan);
    }
    let down = restoration.members_down()?;
    let go = || restoration.run(run, &plan, flags.other_authorities);
    match down.is_empty() {
        true => go()?,
        false => beside(restoration, run, screen, down, flags, go)?,
    }
    Ok(plan)
}

/// Brings machines of etcd up, and does `work` as soon as they can be asked: they are ready only when it has started etcd.
fn beside(
    restoration: &Restoration<'_>,
    run: &LabRun<'_>,
    screen: &Screen,
    machines: Vec<String>,
    asked: &EtcdRestore,
    work: impl FnOnce() -> Result<(), caravan_lifecycle::Error>,
) -> Result<(), Error> {
    run.tell_begin(RUN, &format!("brings up {}", machines.join(", ")));
    let flags = Up {
        lab: restoration.target.name.clone(),
        machines: machines.clone(),
        server: None,
        yes: asked.yes,
        new_cluster: false,
        merge: false,
        timeout: None,
        making: Making::default(),
        origin: asked.origin.clone(),
    };
    std::thread::scope(|scope| {
        let made = scope.spawn(|| up::in_run(&flags, restoration.workspace, run, screen));
        while !made.is_finished() && !restoration.are_reached(&machines) {
            std::thread::sleep(POLL);
        }
        if made.is_finished() {
            joined(made)?;
            return Ok(work()?);
        }
        match work() {
            Ok(()) => joined(made),
            Err(error) => {
                // They would be waited for until somebody goes on.
                interrupt::raise();
                drop(joined(made));
                Err(error.into())
            }
        }
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, Error>>) -> Result<(), Error> {
    match thread.join() {
        Ok(made) => made.map(drop),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// What the user is asked: what goes.
fn question(plan: &RestorePlan, lab: &str) -> String {
    let record = &plan.snapshot.record;
    format!(
        "restore snapshot `{}` of {} in lab `{lab}`? The API is away for about a minute, and what was written since is gone from the cluster; a snapshot of it is taken first",
        plan.snapshot.name(),
        record.taken
    )
}
