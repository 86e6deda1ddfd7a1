//! `cargo xtask replace`: one machine goes, and a new one of its name and address takes its place, while the lab goes on.

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lab::Role;
use caravan_lifecycle::replace::{MeasuredReplacement, ReplacePlan, Replacement, VERB};
use caravan_lifecycle::{
    Keys, LabLock, LabRun, LabTarget, MachineStanding, Workspace, machine, outcome_of, reach,
    vagrant_at_work,
};
use caravan_process::interrupt;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::{Making, Replace, Up};
use crate::kill_after::KillAfter;
use crate::show::drill;
use crate::show::screen::{self, Screen};
use crate::{up, verify};

/// Runs the verb.
pub(crate) fn run(flags: &Replace, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let machine = machine(lab, &flags.machine)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    let access = keys.access(lab, &target.dir, target.pace())?;
    let replacement = Replacement {
        target: &target,
        lab,
        machine,
        access: &access,
        tool: TOOL,
    };
    let plan = replacement.survey()?;
    if flags.dry_run {
        for (number, line) in replacement.lines(&plan).iter().enumerate() {
            println!("{:>2}. {line}", number + 1);
        }
        return Ok(Exit::Done);
    }
    reach::check(lab)?;
    // What was begun was agreed to.
    if plan.begun.is_none() && !flags.yes && !screen::ask(&question(&replacement, &plan)) {
        return Err(match interrupt::raised() {
            true => Error::interrupted(),
            false => Error::Declined {
                what: format!("replacing `{}` of lab `{}`", machine.name, target.name),
            },
        });
    }
    let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    // Others may have been at work until now, also while the user was asked.
    let plan = replacement.survey()?;
    let observer = KillAfter::new(screen);
    let run = LabRun::begin(VERB, &target.name, &target.dir, &observer);
    let (ended, seen) = replacement.measured(&run, || {
        replace(flags, &replacement, &plan, workspace, &run, screen)
    });
    screen.clear();
    run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    match ended {
        Ok(exit) => {
            screen.say(&format!(
                "`{}` is another machine now, after {}",
                machine.name,
                run.so_far()
            ));
            Ok(match seen {
                Some(seen) if tell(&seen, screen) => Exit::Degraded,
                _ => exit,
            })
        }
        Err(error) => {
            // Read again: before the first change nothing was noted, and the error says all.
            if replacement.survey().is_ok_and(|plan| plan.begun.is_some()) {
                screen.say(&format!(
                    "now: the replacement is under way; `{TOOL} {VERB} {} {}` goes on from here",
                    target.name, machine.name
                ));
            }
            Err(error)
        }
    }
}

/// Tells what clients saw; returns whether anything that was acknowledged to them is lost.
fn tell(seen: &MeasuredReplacement, screen: &Screen) -> bool {
    screen.say(&drill::seen(&seen.result));
    screen.say(&format!("records: {}", seen.records.display()));
    !seen.result.losses.is_empty()
}

fn replace(
    flags: &Replace,
    replacement: &Replacement<'_>,
    plan: &ReplacePlan,
    workspace: &Workspace,
    run: &LabRun<'_>,
    screen: &Screen,
) -> Result<Exit, Error> {
    replacement.take_away(run, plan)?;
    let up = Up {
        lab: flags.lab.clone(),
        machines: replacement.wanted(plan),
        server: None,
        yes: flags.yes,
        new_cluster: false,
        merge: false,
        timeout: None,
        making: Making::default(),
        origin: flags.origin.clone(),
    };
    let report = replacement.while_it_joins(run, || up::in_run(&up, workspace, run, screen))?;
    replacement.settle(run)?;
    Ok(match report {
        None => Exit::Done,
        Some(report) => {
            screen.say(&format!("verified: {}", verify::summary(&report)));
            verify::verdict(&report)
        }
    })
}

/// What the user is asked: what goes, and what that takes with it.
fn question(replacement: &Replacement<'_>, plan: &ReplacePlan) -> String {
    let (machine, lab) = (&replacement.machine.name, replacement.lab.name());
    let loses = match (plan.standing, replacement.machine.role) {
        (MachineStanding::Gone, _) => {
            return format!("make machine `{machine}` of lab `{lab}` anew?");
        }
        (_, Role::Etcd) => "its copy of etcd's data, which the other members have too",
        (_, Role::LoadBalancer) => "the connections that go through it",
        (_, Role::ControlPlane) => "its pods, and the connections of its API server",
        (_, Role::Worker) => "its pods, with whatever they wrote to their node",
    };
    format!("replace machine `{machine}` of lab `{lab}`? It is destroyed, and with it {loses}")
}
