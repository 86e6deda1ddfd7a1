//! Removing machines, and with the last of them whatever else is the lab's.

use std::time::Duration;

use caravan_cluster::kube::Api;
use caravan_cluster::timeline::RUN;
use caravan_lab::{Lab, Role};
use caravan_process::interrupt;
use caravan_vagrant::engine::Volume;
use caravan_vagrant::provider::FoundMachine;
use caravan_vagrant::ssh::Ssh;

use crate::events::{LifecycleEvent, LifecycleObserver, LifecycleWarning};
use crate::{
    Error, Keys, LabDir, LabRun, LabTarget, SilentComputer, deliver, files, levels, machines,
};

/// How long a machine has for telling the others that it goes, where others stay: a load balancer gives up the shared
/// address at once when it is told to stop, and half a second after it is killed.
const GOODBYE: Duration = Duration::from_secs(2);

/// What there is of a lab.
#[derive(Debug)]
pub struct FoundLab {
    /// Its machines, on the computers that answer.
    pub machines: Vec<FoundMachine>,
    /// Its volumes, likewise.
    pub volumes: Vec<Volume>,
    /// The computers that do not.
    pub silent: Vec<SilentComputer>,
}

/// The lab's machines and volumes, none of them another workspace's.
///
/// # Errors
///
/// [`Error::MadeElsewhere`], [`Error::SentFromElsewhere`], [`Error::Vagrant`].
pub fn look(target: &LabTarget) -> Result<FoundLab, Error> {
    let (machines, silent) = target.machines_reached()?;
    let volumes = target.volumes()?;
    machines::made_here(&target.name, &machines, &volumes, &target.dir)?;
    deliver::hold_all_ours(&target.name, &target.dir, &target.computers())?;
    Ok(FoundLab {
        machines,
        volumes,
        silent,
    })
}

/// Removes what was sent of the lab to other computers.
///
/// # Errors
///
/// [`Error::Process`].
pub fn remove_sent(target: &LabTarget) -> Result<(), Error> {
    let computers = target.computers();
    let removed = computers
        .servers()
        .map(|(host, _)| deliver::remove(&computers, host));
    removed.fold(Ok(()), Result::and)
}

/// Tells the machines that are left of those that are gone: nodes are none any more, and their pods go elsewhere; a
/// machine made anew registers itself. Returns etcd's members among those that are gone: whether one comes back is not known
/// here.
pub fn tell_the_left<'a>(
    run: &LabRun<'_>,
    target: &'a LabTarget,
    gone: &[&FoundMachine],
    left: &[&FoundMachine],
) -> Vec<&'a str> {
    let Some(lab) = target.known_lab() else {
        return Vec::new();
    };
    let of_role = |wanted: fn(Role) -> bool| {
        let machines = gone.iter().filter_map(|machine| lab.machine(&machine.name));
        machines.filter(move |machine| wanted(machine.role))
    };
    let members = of_role(|role| role == Role::Etcd)
        .map(|member| member.name.as_str())
        .collect();
    let is_master = |machine: &FoundMachine| {
        let known = lab.machine(&machine.name);
        machine.runs() && known.is_some_and(|known| known.role == Role::ControlPlane)
    };
    if !left.iter().any(|machine| is_master(machine)) {
        return members;
    }
    for node in of_role(Role::is_node) {
        if let Err(why) = forget_node(target, lab, &node.name) {
            run.warn(&LifecycleWarning::NodeStays {
                node: node.name.clone(),
                why,
            });
        }
    }
    members
}

fn forget_node(target: &LabTarget, lab: &Lab, name: &str) -> Result<(), String> {
    let keys = Keys::load(lab, &target.dir).ok_or("the keys of the lab are not here")?;
    let access = keys
        .access(lab, &target.dir, target.pace())
        .map_err(|error| error.to_string())?;
    let api = Api::endpoint(lab, &access).map_err(|error| error.to_string())?;
    api.delete(&format!("/api/v1/nodes/{name}"))
        .map_err(|error| error.to_string())
}

/// Removes the machines `chosen` of a lab, of which `found` are all that are there.
///
/// # Errors
///
/// [`Error::Vagrant`], [`Error::Interrupted`]: what was removed until then is gone.
pub fn remove(
    run: &LabRun<'_>,
    target: &LabTarget,
    found: &[FoundMachine],
    chosen: &[&FoundMachine],
) -> Result<(), Error> {
    let roles = machines::roles(target.known_lab(), found);
    // What is thrown away need not say goodbye, where nobody is left to hear it.
    let all = chosen.len() == found.len();
    let levels = match all {
        true => vec![chosen.to_vec()],
        false => levels::stopping(chosen, &roles),
    };
    let (providers, projects) = (target.providers(), target.dir.projects());
    for level in levels.iter().filter(|level| !level.is_empty()) {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        let goodbye = (!all).then_some(GOODBYE);
        levels::together(run, level, "destroy", |heard| {
            providers.remove(&projects, level, goodbye, heard)
        })?;
    }
    if let Err(error) = providers.note_removed(&projects, chosen) {
        run.warn(&LifecycleWarning::VagrantNotes(error));
    }
    Ok(())
}

/// Removes those of `volumes` whose machines are called one of `machines`.
///
/// # Errors
///
/// [`Error::Vagrant`].
pub fn remove_volumes_of(
    target: &LabTarget,
    volumes: &[Volume],
    machines: &[String],
) -> Result<(), Error> {
    let theirs: Vec<&Volume> = volumes
        .iter()
        .filter(|volume| machines.contains(&volume.machine))
        .collect();
    target.providers().remove_volumes(&target.name, &theirs)
}

/// Forgets what `machine` was given and its host key: one that is made anew has other ones.
///
/// # Errors
///
/// [`Error::Write`], [`Error::Vagrant`].
pub fn forget(target: &LabTarget, machine: &str) -> Result<(), Error> {
    files::forget_deployed(&target.dir, machine)?;
    let Some(known) = target.known_lab().and_then(|lab| lab.machine(machine)) else {
        return Ok(());
    };
    if target.dir.known_hosts().is_file() {
        Ssh::find(target.dir.ssh_key(), target.dir.known_hosts())?.forget(known.ip)?;
    }
    Ok(())
}

/// Removes whatever carries the lab's label: of machines that are gone, too.
///
/// # Errors
///
/// [`Error::Vagrant`].
pub fn remove_leftovers(target: &LabTarget, observer: &dyn LifecycleObserver) -> Result<(), Error> {
    let removed = target.providers().remove_leftovers(&target.name)?;
    let tell = |text: &str| observer.event(&LifecycleEvent::Ended { subject: RUN, text });
    for name in removed.containers.iter().chain(&removed.networks) {
        tell(&format!("removed {name}"));
    }
    if !removed.volumes.is_empty() {
        tell(&format!("removed {} volumes", removed.volumes.len()));
    }
    Ok(())
}

/// Puts back what the lab's machines changed on this computer, where they were the last that needed it.
pub fn put_host_back(target: &LabTarget, observer: &dyn LifecycleObserver) {
    if let Err(error) = target.providers().put_host_back() {
        observer.event(&LifecycleEvent::Warned(&LifecycleWarning::HostSettings(
            error,
        )));
    }
}

/// Removes the state folder, and the one around it when it was the last.
///
/// # Errors
///
/// [`Error::Write`].
pub fn remove_state(dir: &LabDir) -> Result<(), Error> {
    caravan_files::remove_folder(dir.root())?;
    if let Some(all) = dir.root().parent() {
        // It holds other labs' state, or it is empty and goes.
        drop(std::fs::remove_dir(all));
    }
    Ok(())
}
