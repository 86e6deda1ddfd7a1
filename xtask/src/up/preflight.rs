//! What must be true before anything is made, and what there is to do.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use caravan_bundle::image;
use caravan_host::{Purpose, findings, needs, ranges};
use caravan_lab::Provider;
use caravan_process::interrupt;
use caravan_vagrant::engine::Engine;

use super::Up;
use crate::data::{self, Loss};
use crate::doctor;
use crate::error::Error;
use crate::machines::{self, Found};
use crate::setup;
use crate::show::screen;
use crate::software;
use crate::state::choices::Choices;
use crate::state::cluster::Cluster;

/// Below this much free disk nothing is begun: the engine would stop half way with a worse message.
const LEAST_DISK_MIB: u64 = 1024;

/// What was found.
pub(super) struct Situation {
    /// What holds for the lab.
    pub(super) choices: Choices,
    /// Its machines that are there.
    pub(super) found: Vec<Found>,
    /// The names of the wanted machines that `vagrant up` is needed for.
    pub(super) todo: Vec<String>,
    /// Whether what is left of a cluster whose data was lost is removed first, as the user has agreed.
    pub(super) anew: bool,
}

/// Looks at everything that can be known beforehand.
///
/// # Errors
///
/// One for each thing that stands in the way, with what to do about it.
pub(super) fn check(up: &Up<'_>) -> Result<Situation, Error> {
    elsewhere(up)?;
    let before = Choices::read(up.dir)?;
    let has_image = up.flags.making.image.is_some()
        || before
            .as_ref()
            .is_some_and(|choices| choices.image.is_some());
    // Where no machine can be yet, all that this run will need, so that it asks once.
    let purpose = if has_image || needs::all_met(Purpose::RUNNING) {
        Purpose::RUNNING
    } else {
        let network = software::network(up.lab.pod_network());
        software::purpose(&up.lab.kubernetes().to_string(), network, &up.flags.origin)?
    };
    setup::ensure(purpose, up.flags.yes, up.run.screen)?;
    let provider = before
        .as_ref()
        .map_or(Provider::Docker, |choices| choices.provider);
    let found = machines::of(up.lab.name(), provider, up.dir)?;
    let volumes = data::volumes(up.lab.name(), provider)?;
    machines::made_here(up.lab.name(), &found, &volumes, up.dir)?;
    let holders = data::holders(&found, &volumes);
    unedited(up, &holders)?;
    let cluster = Cluster::read(up.dir)?;
    let anew = match (&cluster, data::loss(up.lab, &holders)) {
        (Some(cluster), Some(loss)) => {
            agree_to_loss(up, cluster, loss, found.len())?;
            true
        }
        _ => false,
    };
    // A lab whose machines were lost is still the one that was made.
    let made = !holders.is_empty() || cluster.is_some();
    let mut choices = Choices::settle(up.lab, &up.flags.making, before, made)?;
    let resolvers = choices.nameservers.clone();
    choices.ask_here(up.lab);
    if choices.provider != Provider::Docker && choices.image.is_none() {
        return Err(Error::NoBox {
            provider: choices.provider,
        });
    }
    if choices.provider == Provider::Docker
        && let Some(image) = &choices.image
        && image::is_lost(&caravan_bundle::docker::find()?, image)?
    {
        choices.image = None;
    }
    let todo: Vec<String> = up
        .wanted
        .iter()
        .map(|machine| machine.name.clone())
        .filter(|name| {
            let runs = !anew && found.iter().any(|it| it.name == *name && it.runs());
            !runs || !up.is_deployed(name)
        })
        .collect();
    if !todo.is_empty() {
        room(up, &choices)?;
    }
    ranges(up, &choices, !found.is_empty())?;
    if resolvers != choices.nameservers && found.iter().any(|it| !todo.contains(&it.name)) {
        up.run.screen.warn(&format!(
            "this computer's resolvers are not those that the lab was made with ({}, now {}): running machines keep them \
             until `cargo xtask halt {2}` and `cargo xtask up {2}`",
            shown(&resolvers),
            shown(&choices.nameservers),
            up.lab.name()
        ));
    }
    Ok(Situation {
        choices,
        found,
        todo,
        anew,
    })
}

/// Asks whether a new cluster may be made in the place of one whose data was lost. `--yes` is no answer to that: a script
/// that says so means that something may be installed.
fn agree_to_loss(up: &Up<'_>, cluster: &Cluster, loss: Loss, machines: usize) -> Result<(), Error> {
    let error = Error::ClusterLost {
        lab: up.lab.name().to_owned(),
        seen: cluster.seen.clone(),
        gone: loss.gone,
        kept: loss.kept,
        machines,
    };
    let question = format!("{error}\nremove what is left of it, and make a new, empty cluster?");
    if up.flags.new_cluster {
        up.run.screen.warn(&error.to_string());
        return Ok(());
    }
    if screen::ask(&question) {
        return Ok(());
    }
    Err(if interrupt::raised() {
        Error::Interrupted
    } else {
        error
    })
}

/// Machines on other computers are made there.
fn elsewhere(up: &Up<'_>) -> Result<(), Error> {
    let mut servers = up
        .wanted
        .iter()
        .filter_map(|machine| up.lab.server(&machine.server));
    match servers.find(|server| server.host.is_some()) {
        None => Ok(()),
        Some(server) => Err(Error::Elsewhere {
            lab: up.lab.name().to_owned(),
            server: server.name.clone(),
            host: server.host.clone().unwrap_or_default(),
        }),
    }
}

/// The machines that are there, or whose data is, must be of this lab as its file says it.
fn unedited(up: &Up<'_>, holders: &BTreeSet<&str>) -> Result<(), Error> {
    if holders.is_empty() {
        return Ok(());
    }
    let Some(then) = machines::deployed_lab(up.lab.name(), up.dir) else {
        return Err(Error::Strangers {
            lab: up.lab.name().to_owned(),
            machines: holders.iter().map(|name| (*name).to_owned()).collect(),
        });
    };
    let changes = up.lab.changes_since(&then);
    if changes.is_empty() {
        return Ok(());
    }
    Err(Error::Edited {
        lab: up.lab.name().to_owned(),
        changes,
    })
}

/// `addresses`, for people.
fn shown(addresses: &[Ipv4Addr]) -> String {
    if addresses.is_empty() {
        return "none".to_owned();
    }
    let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    all.join(", ")
}

/// Tells of this computer's resolvers and routes in the lab's ranges.
fn ranges(up: &Up<'_>, choices: &Choices, was_made: bool) -> Result<(), Error> {
    for collision in ranges::collisions(up.lab, choices.provider, was_made)? {
        let hint = collision.hint();
        up.run.screen.warn(&format!("{collision}\n  hint: {hint}"));
    }
    if !choices.airgap && choices.nameservers.is_empty() {
        up.run.screen.warn(
            "this computer has no resolver that machines could ask: names outside the lab are not found there",
        );
    }
    Ok(())
}

/// Addresses, kernel, disk and memory for machines that are to be made.
fn room(up: &Up<'_>, choices: &Choices) -> Result<(), Error> {
    if choices.provider == Provider::Docker {
        let addresses: Vec<_> = up
            .lab
            .machines()
            .iter()
            .map(|machine| (machine.name.clone(), machine.ip))
            .collect();
        let conflicts = Engine::find()?.conflicts(up.lab.name(), up.lab.subnet(), &addresses)?;
        if !conflicts.is_empty() {
            return Err(Error::Conflicts { conflicts });
        }
    }
    if choices.provider == Provider::Docker {
        let info = findings::engine_info();
        findings::check_kernel(info.as_ref())?;
        if let Some(full) = findings::full_disk(info.as_ref()) {
            let (text, room) = (full.text(), full.hint(doctor::COMMANDS));
            up.run.screen.warn(&format!("{text}\n  hint: {room}"));
        }
    }
    if let Some(free_mib) =
        findings::free_disk_mib(up.dir.root()).filter(|free| *free < LEAST_DISK_MIB)
    {
        return Err(Error::DiskFull {
            path: up.dir.root().to_owned(),
            free_mib,
            least_mib: LEAST_DISK_MIB,
        });
    }
    let wanted = findings::idle_mib(up.lab);
    if let Some(free) = findings::available_mib().filter(|free| *free < wanted) {
        up.run.screen.warn(&format!(
            "{free} MiB of memory are free, and the lab uses about {wanted} MiB when idle"
        ));
    }
    Ok(())
}
