//! `cargo xtask checkpoint restore`: a halted lab gets what it had, or, given up in time, keeps what it has.

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lifecycle::checkpoints::{CheckpointPlan, CheckpointRestoration, VERB};
use caravan_lifecycle::{
    Error as LabError, LabLock, LabRun, LabTarget, OperationRecord, Workspace, outcome_of,
    vagrant_at_work,
};
use caravan_process::interrupt;

use super::with_halted;
use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::checkpoint::CheckpointRestore;
use crate::kill_after::KillAfter;
use crate::kubeconfig;
use crate::show::screen::{self, Screen};

/// Runs the verb.
pub(crate) fn run(
    flags: &CheckpointRestore,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let is_done = with_halted(&target, lab, |halted| {
        let restoration = CheckpointRestoration { lab: halted };
        let plan = restoration.survey(flags.name.as_deref())?;
        if flags.dry_run {
            for (number, line) in restoration.lines(&plan).iter().enumerate() {
                println!("{:>2}. {line}", number + 1);
            }
            return Ok(false);
        }
        // What was begun was agreed to.
        let is_begun = plan.begun.is_some();
        if !is_begun && !flags.give_up {
            // Nobody is asked for what is refused anyway.
            (halted.missing)()?;
            if !flags.yes && !screen::ask(&question(&plan, &target.name)) {
                return Err(match interrupt::raised() {
                    true => Error::interrupted(),
                    false => Error::Declined {
                        what: format!("restoring a checkpoint of lab `{}`", target.name),
                    },
                });
            }
        }
        let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
        vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
        let observer = KillAfter::new(screen);
        let run = LabRun::begin(VERB, &target.name, &target.dir, &observer);
        let ended = restore(flags, &restoration, &run);
        screen.clear();
        run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
        tell(flags, &target, ended, &run, screen)?;
        Ok(true)
    })?;
    if is_done && !flags.give_up {
        // What was merged follows the keys that are here now.
        kubeconfig::follow(&LabTarget::of(workspace, Some(&flags.lab))?, screen)?;
    }
    Ok(Exit::Done)
}

/// Does it, in a run that holds the lab's lock; returns what was planned.
fn restore(
    flags: &CheckpointRestore,
    restoration: &CheckpointRestoration<'_>,
    run: &LabRun<'_>,
) -> Result<CheckpointPlan, LabError> {
    // Others may have been at work until now, also while the user was asked.
    let plan = restoration.survey(flags.name.as_deref())?;
    match flags.give_up {
        true => restoration.give_up(run, &plan)?,
        false => restoration.run(run, &plan)?,
    }
    Ok(plan)
}

fn tell(
    flags: &CheckpointRestore,
    target: &LabTarget,
    ended: Result<CheckpointPlan, LabError>,
    run: &LabRun<'_>,
    screen: &Screen,
) -> Result<(), Error> {
    let lab = &target.name;
    match ended {
        Ok(_) if flags.give_up => screen.say(&format!(
            "what was there before is back, after {}; next: `{TOOL} up {lab}`",
            run.so_far()
        )),
        Ok(plan) => {
            screen.say(&format!(
                "lab `{lab}` is what it was in checkpoint `{}` of {}, after {}",
                plan.checkpoint.name(),
                plan.checkpoint.record.taken,
                run.so_far()
            ));
            screen.say(&format!("next: `{TOOL} up {lab}`"));
        }
        Err(error) => {
            if let Some(open) = OperationRecord::read(&target.dir)?.filter(|it| it.verb == VERB) {
                screen.say(&format!(
                    "now: the restoration is under way, and no machine of the lab is started meanwhile; `{}` goes on from \
                     here, and `{TOOL} {VERB} {lab} --give-up` returns to what was there before, until all machines have \
                     what was saved",
                    open.command(TOOL, lab)
                ));
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// What the user is asked: what goes, and where it stays.
fn question(plan: &CheckpointPlan, lab: &str) -> String {
    format!(
        "restore checkpoint `{}` of {} in lab `{lab}`? All that its machines have written since is replaced; it is kept as a \
         checkpoint `before-restore-TIME` first",
        plan.checkpoint.name(),
        plan.checkpoint.record.taken
    )
}
