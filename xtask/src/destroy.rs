//! `cargo xtask destroy`: removes machines, and the lab's state with the last of them.

use std::collections::BTreeSet;

use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_lab::Role;
use caravan_lifecycle::destroy::{
    FoundLab, forget, look, put_host_back, remove, remove_leftovers, remove_sent, remove_state,
    remove_volumes_of, tell_the_left,
};
use caravan_lifecycle::halt::{chosen, hold_all_reached, left, named};
use caravan_lifecycle::{
    LabLock, LabRun, LabTarget, Workspace, checkpoints, data, listed, outcome_of, vagrant_at_work,
};
use caravan_process::interrupt;
use caravan_vagrant::engine::Volume;
use caravan_vagrant::provider::FoundMachine;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::kubeconfig;
use crate::show::screen::{self, Screen};

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Destroy,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let target = target(flags, workspace)?;
    let names = named(&target, flags.server.as_deref(), &flags.machines)?;
    for what in caravan_host::engine::start_for(&target.providers().kinds_here())? {
        screen.done(RUN, &format!("started {what}"));
    }
    let FoundLab {
        machines: found,
        volumes,
        ..
    } = look(&target)?;
    let nothing = found.is_empty() && volumes.is_empty();
    if !target.dir.exists() && nothing && target.known_lab().is_none() {
        return Err(workspace.no_lab(&target.name).into());
    }
    let doomed = chosen(&target, &found, &names)?;
    if !flags.yes && !screen::ask(&question(&target, &found, &volumes, &doomed, &names)) {
        return Err(unconfirmed(&target));
    }
    // The folder holds the lock; where it was removed by hand, it is made for this once.
    target.dir.make()?;
    let _lock = LabLock::take(&target.dir, &target.name, "destroy")?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    // Others may have been at work until now, also while the user was asked.
    let FoundLab {
        machines: found,
        volumes,
        silent,
    } = look(&target)?;
    let doomed = chosen(&target, &found, &names)?;
    let run = LabRun::begin("destroy", &target.name, &target.dir, screen);
    // The volumes of machines that are named and gone go too; all others are the whole lab's.
    let removed = remove(&run, &target, &found, &doomed)
        .and_then(|()| remove_volumes_of(&target, &volumes, &names));
    if let Err(error) = removed {
        run.finish(outcome_of(&error));
        screen.clear();
        if let Some(left) = left(&target, |_| true) {
            screen.say(&format!(
                "now: {left} machines are left; `{TOOL} destroy {0}` goes on from here, `{TOOL} up {0}` makes the \
                 others anew",
                target.name
            ));
        }
        return Err(error.into());
    }
    for machine in doomed.iter().map(|machine| &machine.name).chain(&names) {
        forget(&target, machine)?;
    }
    run.finish(PhaseOutcome::Done);
    let named = |machine: &str| names.iter().any(|name| name == machine);
    let stays = match names.is_empty() {
        true => false,
        false => data::holders(&found, &volumes)
            .into_iter()
            .any(|machine| !named(machine)),
    };
    hold_all_reached(&target, silent, &names)?;
    if !stays {
        finish(&target, screen)?;
        screen.done(
            RUN,
            &format!("lab `{}` is gone, after {}", target.name, run.so_far()),
        );
        return Ok(Exit::Done);
    }
    screen.done(
        RUN,
        &format!(
            "{} machines are gone with their data, {} are left, after {}",
            doomed.len(),
            found.len() - doomed.len(),
            run.so_far()
        ),
    );
    let left: Vec<&FoundMachine> = found
        .iter()
        .filter(|machine| !named(&machine.name))
        .collect();
    for member in tell_the_left(&run, &target, &doomed, &left) {
        say_of_member(&target, member, screen);
    }
    screen.say(&format!(
        "next: `{TOOL} up {}` makes them anew",
        target.name
    ));
    Ok(Exit::Done)
}

/// The lab that is meant. A lab file that became invalid must not keep its machines alive.
fn target(flags: &flags::Destroy, workspace: &Workspace) -> Result<LabTarget, Error> {
    match LabTarget::of(workspace, Some(&flags.lab)) {
        Err(error) if error.is_of_lab_file() => Ok(LabTarget::without_file(workspace, &flags.lab)?),
        target => Ok(target?),
    }
}

fn say_of_member(target: &LabTarget, member: &str, screen: &Screen) {
    let Some(lab) = target.known_lab() else {
        return;
    };
    screen.say(&format!(
        "etcd still counts `{member}`, so that {} of its {} members must run; `{TOOL} up {}` replaces it",
        lab.etcd_quorum(),
        lab.of_role(Role::Etcd).count(),
        target.name
    ));
}

fn unconfirmed(target: &LabTarget) -> Error {
    if interrupt::raised() {
        return Error::interrupted();
    }
    Error::Declined {
        what: format!("destroying machines of lab `{}`", target.name),
    }
}

/// What the user is asked: what goes, and what that takes with it.
fn question(
    target: &LabTarget,
    found: &[FoundMachine],
    volumes: &[Volume],
    doomed: &[&FoundMachine],
    names: &[String],
) -> String {
    let lab = &target.name;
    let what = match doomed.len() {
        0 if names.is_empty() => "the state".to_owned(),
        0 => format!("the data of {}", listed(names)),
        count => format!("{count} machines, with all their data,"),
    };
    let loses = |stays: &BTreeSet<&str>| {
        target
            .known_lab()
            .is_some_and(|lab| data::loss(lab, stays, &[]).is_some())
    };
    let mut stays = data::holders(found, volumes);
    let has_cluster = target.known_lab().is_some() && !loses(&stays);
    stays.retain(|machine| !names.iter().any(|name| name == machine));
    match has_cluster && !names.is_empty() && loses(&stays) {
        true => format!(
            "destroy {what} of lab `{lab}`? etcd loses its majority, and the cluster all that is stored in it"
        ),
        false if names.is_empty() => format!(
            "destroy {what} of lab `{lab}`?{}",
            kept(checkpoints::names(&target.dir).len())
        ),
        false => format!("destroy {what} of lab `{lab}`?"),
    }
}

/// What is said of checkpoints, which lie in the lab's state.
fn kept(checkpoints: usize) -> String {
    match checkpoints {
        0 => String::new(),
        1 => " Its checkpoint goes with it".to_owned(),
        count => format!(" Its {count} checkpoints go with it"),
    }
}

/// Removes everything else of a lab without machines.
fn finish(target: &LabTarget, screen: &Screen) -> Result<(), Error> {
    remove_leftovers(target, screen)?;
    remove_sent(target)?;
    put_host_back(target, screen);
    if let Err(error) = kubeconfig::forget(target) {
        screen.warn(&format!(
            "your kubeconfig still has contexts of the lab: {error}"
        ));
    }
    Ok(remove_state(&target.dir)?)
}
