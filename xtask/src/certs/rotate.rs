//! `cargo xtask certs rotate`: another key takes the place of what signs, while the lab goes on.

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lifecycle::rotate::{RotatedSigner, Rotation, VERB};
use caravan_lifecycle::{
    Keys, LabLock, LabRun, LabTarget, OperationRecord, Workspace, outcome_of, reach,
    vagrant_at_work,
};
use caravan_process::interrupt;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::CertsRotate;
use crate::kill_after::KillAfter;
use crate::show::screen::{self, Screen};
use crate::{kubeconfig, software};

/// Runs the verb.
pub(super) fn run(
    flags: &CertsRotate,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let is_begun = OperationRecord::read(&target.dir)?.is_some_and(|open| open.verb == VERB);
    // While one takes the place of another, the store may be of no use to anybody but who goes on.
    if !is_begun && Keys::load(lab, &target.dir).is_none() {
        return Err(Error::not_made(&target.name));
    }
    let software = software::versions(workspace, lab)?;
    let signer = RotatedSigner::of(&flags.signer).expect("the parser knows them");
    let rotation = Rotation {
        workspace,
        target: &target,
        lab,
        software: &software,
        signer,
        tool: TOOL,
        followed: &|| {
            if let Err(error) = kubeconfig::follow(&target, screen) {
                screen.warn(&error.to_string());
            }
        },
    };
    let plan = rotation.survey()?;
    if flags.dry_run {
        for (number, line) in rotation.lines(&plan).iter().enumerate() {
            println!("{:>2}. {line}", number + 1);
        }
        return Ok(Exit::Done);
    }
    reach::check(lab)?;
    // What was begun was agreed to.
    let question = format!(
        "rotate {signer} of lab `{}`? What the old one has signed is of no use afterwards, elsewhere too",
        target.name
    );
    if plan.begun.is_none() && !flags.yes && !screen::ask(&question) {
        return Err(match interrupt::raised() {
            true => Error::interrupted(),
            false => Error::Declined {
                what: format!("rotating {signer} of lab `{}`", target.name),
            },
        });
    }
    let _lock = LabLock::take(&target.dir, &target.name, VERB)?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    // Others may have been at work until now, also while the user was asked.
    let plan = rotation.survey()?;
    let observer = KillAfter::new(screen);
    let run = LabRun::begin(VERB, &target.name, &target.dir, &observer);
    let ended = rotation.run(&run, &plan);
    screen.clear();
    run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    if let Err(error) = ended {
        if let Some(open) = OperationRecord::read(&target.dir)?.filter(|it| it.verb == VERB) {
            screen.say(&format!(
                "now: the rotation is under way, and the lab works; `{}` goes on from here",
                open.command(TOOL, &target.name)
            ));
        }
        return Err(error.into());
    }
    screen.say(&format!(
        "{signer} of lab `{}` is another one now, and what the old one has signed is refused, after {}",
        target.name,
        run.so_far()
    ));
    Ok(Exit::Done)
}
