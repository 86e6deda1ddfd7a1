//! `cargo xtask destroy`: removes machines, and the lab's state with the last of them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use caravan_cluster::kube::Api;
use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_lab::{Lab, Provider, Role};
use caravan_process::interrupt;
use caravan_vagrant::engine::{Engine, Volume};
use caravan_vagrant::notes;
use caravan_vagrant::ssh::Ssh;

use crate::data;
use crate::error::{Error, listed};
use crate::exit::Exit;
use crate::files;
use crate::flags;
use crate::halt::{chosen, left};
use crate::keys::Keys;
use crate::kubeconfig;
use crate::levels;
use crate::machines::{self, Found};
use crate::show::run::{Run, outcome_of};
use crate::show::screen::{self, Screen};
use crate::state::alone;
use crate::state::lock::Lock;
use crate::target::Target;
use crate::workspace::Workspace;

/// How long a machine has for telling the others that it goes, where others stay: a load balancer gives up the shared
/// address at once when it is told to stop, and half a second after it is killed.
const GOODBYE: Duration = Duration::from_secs(2);

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
        && let Some(how) = caravan_host::engine::start()?
    {
        screen.done(RUN, &format!("started the container engine: {how}"));
    }
    let (found, volumes) = look(&target)?;
    let nothing = found.is_empty() && volumes.is_empty();
    if !target.dir.exists() && nothing && target.known_lab().is_none() {
        return Err(workspace.no_lab(&target.name));
    }
    let doomed = chosen(&target, &found, &flags.machines)?;
    if !flags.yes
        && !screen::ask(&question(
            &target,
            &found,
            &volumes,
            &doomed,
            &flags.machines,
        ))
    {
        return Err(unconfirmed(&target));
    }
    // The folder holds the lock; where it was removed by hand, it is made for this once.
    target.dir.make()?;
    let _lock = Lock::take(&target.dir, &target.name, "destroy")?;
    alone::wait(&target.name, &target.dir, screen)?;
    // Others may have been at work until now, also while the user was asked.
    let (found, volumes) = look(&target)?;
    let doomed = chosen(&target, &found, &flags.machines)?;
    let run = Run::begin("destroy", &target.name, &target.dir, screen);
    let named = |machine: &str| flags.machines.iter().any(|name| name == machine);
    // The volumes of machines that are named and gone go too; all others are the whole lab's.
    let theirs = volumes.iter().filter(|volume| named(&volume.machine));
    let removed = remove(&run, &target, &found, &doomed)
        .and_then(|()| remove_volumes(&target, theirs.map(|volume| volume.name.as_str())));
    if let Err(error) = removed {
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
    for machine in doomed
        .iter()
        .map(|machine| &machine.name)
        .chain(&flags.machines)
    {
        forget(&target, machine)?;
    }
    run.finish(PhaseOutcome::Done);
    let stays: BTreeSet<&str> = match flags.machines.is_empty() {
        true => BTreeSet::new(),
        false => data::holders(&found, &volumes)
            .into_iter()
            .filter(|machine| !named(machine))
            .collect(),
    };
    if stays.is_empty() {
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
    let left: Vec<&Found> = found
        .iter()
        .filter(|machine| !named(&machine.name))
        .collect();
    tell_the_left(&target, &doomed, &left, screen);
    screen.say(&format!(
        "next: `cargo xtask up {}` makes them anew",
        target.name
    ));
    Ok(Exit::Done)
}

/// The lab's machines and volumes, none of them another workspace's.
fn look(target: &Target) -> Result<(Vec<Found>, Vec<Volume>), Error> {
    let found = target.machines()?;
    let volumes = data::volumes(&target.name, target.provider())?;
    machines::made_here(&target.name, &found, &volumes, &target.dir)?;
    Ok((found, volumes))
}

/// Tells the machines that are left of those that are gone: nodes are none any more, and their pods go elsewhere; a
/// machine made anew registers itself. etcd members are told of only: whether one comes back is not known here.
fn tell_the_left(target: &Target, gone: &[&Found], left: &[&Found], screen: &Screen) {
    let Some(lab) = target.known_lab() else {
        return;
    };
    let of_role = |wanted: fn(Role) -> bool| {
        let machines = gone.iter().filter_map(|machine| lab.machine(&machine.name));
        machines.filter(move |machine| wanted(machine.role))
    };
    for member in of_role(|role| role == Role::Etcd) {
        screen.say(&format!(
            "etcd still counts `{}`, so that {} of its {} members must run; `cargo xtask up {}` replaces it",
            member.name,
            lab.etcd_quorum(),
            lab.of_role(Role::Etcd).count(),
            target.name
        ));
    }
    let is_master = |machine: &Found| {
        let known = lab.machine(&machine.name);
        machine.runs() && known.is_some_and(|known| known.role == Role::ControlPlane)
    };
    if !left.iter().any(|machine| is_master(machine)) {
        return;
    }
    for node in of_role(Role::is_node) {
        if let Err(why) = forget_node(target, lab, &node.name) {
            screen.warn(&format!(
                "node `{}` stays in the cluster: {why}; `kubectl delete node {}` removes it",
                node.name, node.name
            ));
        }
    }
}

fn forget_node(target: &Target, lab: &Lab, name: &str) -> Result<(), String> {
    let keys = Keys::load(lab, &target.dir).ok_or("the keys of the lab are not here")?;
    let access = keys
        .access(&target.dir)
        .map_err(|error| error.to_string())?;
    let api = Api::endpoint(lab, &access).map_err(|error| error.to_string())?;
    api.delete(&format!("/api/v1/nodes/{name}"))
        .map_err(|error| error.to_string())
}

fn unconfirmed(target: &Target) -> Error {
    if interrupt::raised() {
        return Error::Interrupted;
    }
    Error::Declined {
        what: format!("destroying machines of lab `{}`", target.name),
    }
}

/// What the user is asked: what goes, and what that takes with it.
fn question(
    target: &Target,
    found: &[Found],
    volumes: &[Volume],
    doomed: &[&Found],
    names: &[String],
) -> String {
    let lab = &target.name;
    let what = match doomed.len() {
        0 if names.is_empty() => "the state".to_owned(),
        0 => format!("the data of {}", listed(names)),
        count => format!("{count} machines, with all their data,"),
    };
    let mut stays = data::holders(found, volumes);
    let has_cluster = target
        .known_lab()
        .is_some_and(|lab| data::loss(lab, &stays).is_none());
    stays.retain(|machine| !names.iter().any(|name| name == machine));
    let after = target.known_lab().and_then(|lab| data::loss(lab, &stays));
    match after {
        Some(_) if has_cluster && !names.is_empty() => format!(
            "destroy {what} of lab `{lab}`? etcd loses its majority, and the cluster all that is stored in it"
        ),
        _ => format!("destroy {what} of lab `{lab}`?"),
    }
}

/// Removes machines: containers by the engine, virtual machines by Vagrant.
///
/// # Errors
///
/// [`Error::Vagrant`], [`Error::Interrupted`]: what was removed until then is gone.
pub(crate) fn remove(
    run: &Run<'_>,
    target: &Target,
    found: &[Found],
    chosen: &[&Found],
) -> Result<(), Error> {
    let roles = machines::roles(target.known_lab(), found);
    if target.provider() != Provider::Docker {
        let vagrant = machines::vagrant(target.provider(), &target.dir)?;
        for level in levels::stopping(chosen, &roles) {
            if interrupt::raised() {
                return Err(Error::Interrupted);
            }
            levels::in_groups(
                run,
                &target.dir,
                &vagrant,
                &level,
                "destroy",
                &|group, names, log, heard| group.destroy(names, log, heard),
            )?;
        }
        return Ok(());
    }
    let engine = Engine::find()?;
    // What is thrown away need not say goodbye, where nobody is left to hear it.
    let all = chosen.len() == found.len();
    let levels = if all {
        vec![chosen.to_vec()]
    } else {
        let levels = levels::stopping(chosen, &roles);
        let of = |level| levels::of_level(chosen, level);
        levels.iter().map(of).collect()
    };
    for level in levels.iter().filter(|level| !level.is_empty()) {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        let names: Vec<&str> = level.iter().map(|it| it.name.as_str()).collect();
        let ids: Vec<&str> = level.iter().filter_map(|it| it.id.as_deref()).collect();
        levels::together(run, &names, "destroy", || {
            if !all {
                engine.stop(ids.iter().copied(), GOODBYE)?;
            }
            Ok(engine.remove_containers(ids.iter().copied())?)
        })?;
    }
    machines::note(&target.dir, chosen, run.screen, notes::forget);
    Ok(())
}

fn remove_volumes<'a>(target: &Target, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    if target.provider() == Provider::Docker {
        Engine::find()?.remove_volumes(names)?;
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

/// Removes whatever the engine has that carries the lab's label: of machines that are gone, too.
///
/// # Errors
///
/// [`Error::Vagrant`].
pub(crate) fn remove_leftovers(target: &Target, screen: &Screen) -> Result<(), Error> {
    if target.provider() != Provider::Docker {
        return Ok(());
    }
    let removed = Engine::find()?.remove_leftovers(&target.name)?;
    for name in removed.containers.iter().chain(&removed.networks) {
        screen.done(RUN, &format!("removed {name}"));
    }
    if !removed.volumes.is_empty() {
        screen.done(RUN, &format!("removed {} volumes", removed.volumes.len()));
    }
    Ok(())
}

/// Removes everything else of a lab without machines.
fn finish(target: &Target, screen: &Screen) -> Result<(), Error> {
    remove_leftovers(target, screen)?;
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
    caravan_files::remove_folder(root)?;
    if let Some(all) = root.parent() {
        // It holds other labs' state, or it is empty and goes.
        drop(std::fs::remove_dir(all));
    }
    Ok(())
}
