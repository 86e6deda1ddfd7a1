//! `cargo xtask destroy`: removes machines, and the lab's state with the last of them.

use std::path::Path;

use caravan_lab::Provider;
use caravan_process::interrupt;
use caravan_vagrant::Vagrant;
use caravan_vagrant::engine::Engine;
use caravan_vagrant::ssh::Ssh;

use crate::error::Error;
use crate::exit::Exit;
use crate::files;
use crate::flags;
use crate::halt::{chosen, left};
use crate::host::engine;
use crate::kubeconfig;
use crate::levels;
use crate::machines::{self, Found};
use crate::show::run::{Run, outcome_of};
use crate::show::screen::{self, Screen};
use crate::show::timeline::{Outcome, RUN};
use crate::state::alone;
use crate::state::lock::Lock;
use crate::target::Target;
use crate::workspace::Workspace;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Destroy,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    // A lab file that became invalid must not keep its machines alive.
    let target = match Target::of(workspace, Some(&flags.lab)) {
        Err(Error::Faults(_) | Error::NoLabFile { .. } | Error::NotText { .. }) => {
            Target::without_file(workspace, &flags.lab)?
        }
        target => target?,
    };
    if target.provider() == Provider::Docker
        && let Some(how) = engine::start()?
    {
        screen.done(RUN, &format!("started the container engine: {how}"));
    }
    let found = target.machines()?;
    if !target.dir.exists() && found.is_empty() && target.known_lab().is_none() {
        return Err(workspace.no_lab(&target.name));
    }
    machines::made_here(&target.name, &found, &target.dir)?;
    if !flags.yes && !confirmed(&target, &chosen(&target, &found, &flags.machines)?) {
        return Err(unconfirmed(&target));
    }
    // The folder holds the lock; where it was removed by hand, it is made for this once.
    target.dir.make()?;
    let _lock = Lock::take(&target.dir, &target.name, "destroy")?;
    alone::wait(&target.name, &target.dir, screen)?;
    // Others may have been at work until now, also while the user was asked.
    let found = target.machines()?;
    machines::made_here(&target.name, &found, &target.dir)?;
    let chosen = chosen(&target, &found, &flags.machines)?;
    let run = Run::begin("destroy", &target.name, &target.dir, screen);
    if let Err(error) = remove(&run, &target, &found, &chosen) {
        run.finish(outcome_of(&error));
        screen.clear();
        if let Some(left) = left(&target, |_| true) {
            screen.say(&format!(
                "now: {left} machines are left; `cargo xtask destroy {0}` goes on from here, `cargo xtask up {0}` makes the \
                 others anew",
                target.name
            ));
        }
        return Err(error);
    }
    let left: Vec<Found> = found
        .iter()
        .filter(|machine| !chosen.iter().any(|gone| gone.name == machine.name))
        .cloned()
        .collect();
    for machine in &chosen {
        forget(&target, &machine.name)?;
    }
    let took = run.so_far();
    run.finish(Outcome::Done);
    if left.is_empty() {
        finish(&target, screen)?;
        screen.done(RUN, &format!("lab `{}` is gone, after {took}", target.name));
    } else {
        screen.done(
            RUN,
            &format!(
                "{} machines are gone, {} are left, after {took}",
                chosen.len(),
                left.len()
            ),
        );
        screen.say(&format!(
            "next: `cargo xtask up {}` makes them anew",
            target.name
        ));
    }
    Ok(Exit::Done)
}

fn unconfirmed(target: &Target) -> Error {
    if interrupt::raised() {
        return Error::Interrupted;
    }
    Error::Declined {
        what: format!("destroying machines of lab `{}`", target.name),
    }
}

fn confirmed(target: &Target, chosen: &[&Found]) -> bool {
    let what = match chosen.len() {
        0 => "the state".to_owned(),
        count => format!("{count} machines, with all their data,"),
    };
    screen::ask(&format!("destroy {what} of lab `{}`?", target.name))
}

/// Removes machines by Vagrant where it knows them, and by the engine what Vagrant lost.
fn remove(run: &Run<'_>, target: &Target, found: &[Found], chosen: &[&Found]) -> Result<(), Error> {
    let known: Vec<&Found> = chosen
        .iter()
        .copied()
        .filter(|machine| target.dir.vagrantfile(&machine.server).is_file())
        .collect();
    if !known.is_empty() {
        let roles = machines::roles(target.known_lab(), found);
        let vagrant = Vagrant::find()?;
        for level in levels::stopping(&known, &roles) {
            if interrupt::raised() {
                return Err(Error::Interrupted);
            }
            let ended = levels::in_groups(
                run,
                &target.dir,
                &vagrant,
                &level,
                "destroy",
                &|group, names, log, heard| group.destroy(names, log, heard),
            );
            match ended {
                Ok(()) => {}
                // An edited template or a lost plugin stops Vagrant; the label still says what is the lab's.
                Err(error) if target.provider() == Provider::Docker && !error.is_interrupt() => {
                    run.screen.warn(&format!("{error}; going on by label"));
                }
                Err(error) => return Err(error),
            }
        }
    }
    if target.provider() == Provider::Docker {
        let engine = Engine::find()?;
        let left = engine.machines(Some(&target.name))?;
        let left = left.iter().filter(|container| {
            chosen
                .iter()
                .any(|machine| machine.name == container.machine)
        });
        engine.remove_containers(left)?;
    }
    Ok(())
}

fn forget(target: &Target, machine: &str) -> Result<(), Error> {
    files::forget_deployed(&target.dir, machine)?;
    let Some(known) = target.known_lab().and_then(|lab| lab.machine(machine)) else {
        return Ok(());
    };
    if target.dir.known_hosts().is_file() {
        Ssh::find(target.dir.ssh_key(), target.dir.known_hosts())?.forget(known.ip)?;
    }
    Ok(())
}

/// Removes everything else of a lab without machines.
fn finish(target: &Target, screen: &Screen) -> Result<(), Error> {
    if target.provider() == Provider::Docker {
        let removed = Engine::find()?.remove_leftovers(&target.name)?;
        for name in removed
            .containers
            .iter()
            .chain(&removed.networks)
            .chain(&removed.volumes)
        {
            screen.done(RUN, &format!("removed {name}"));
        }
    }
    if target.provider() == Provider::Docker
        && let Err(error) = Engine::find().and_then(|engine| engine.put_host_back())
    {
        screen.warn(&format!(
            "settings of this computer's kernel that machines raised stay raised until the next boot: {error}"
        ));
    }
    if let Err(error) = kubeconfig::forget(target) {
        screen.warn(&format!(
            "your kubeconfig still has contexts of the lab: {error}"
        ));
    }
    remove_state(target.dir.root())
}

/// Removes the state folder, and the one around it when it was the last.
fn remove_state(root: &Path) -> Result<(), Error> {
    files::remove_folder(root)?;
    if let Some(all) = root.parent() {
        // It holds other labs' state, or it is empty and goes.
        drop(std::fs::remove_dir(all));
    }
    Ok(())
}
