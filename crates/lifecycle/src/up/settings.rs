//! Settings of the cluster that have changed, brought to machines that run: one master after the other.

use std::collections::BTreeSet;

use caravan_cluster::ready::Missing;
use caravan_cluster::{Access, marks};
use caravan_lab::Role;
use caravan_render::{NO_SETTINGS, SETTINGS_FILE};

use super::listen::Turn;
use super::{Up, UpPlan, converge};
use crate::Error;
use crate::files::{self, RenderSources};

/// The wanted machines that run and were told other settings than they would be told now, in the order of the file.
///
/// # Errors
///
/// [`Error::Render`], [`Error::Read`].
pub(super) fn untold(
    up: &Up<'_>,
    plan: &UpPlan,
    sources: &RenderSources<'_>,
) -> Result<Vec<String>, Error> {
    let renderer = sources.renderer()?;
    let mut untold = Vec::new();
    for machine in up.request.wanted {
        let name = &machine.name;
        if !machine.role.is_node() || plan.todo.contains(name) || !up.is_deployed(name) {
            continue;
        }
        let files = renderer.guest_files(machine)?;
        let now = files.iter().find(|file| file.path == SETTINGS_FILE);
        let then = files::deployed_text(up.request.dir, name, SETTINGS_FILE)?;
        // One that was made before there were settings has none.
        if now.is_some_and(|now| now.content != then.as_deref().unwrap_or(NO_SETTINGS)) {
            untold.push(name.clone());
        }
    }
    Ok(untold)
}

/// The machines of the plan that are told first, all at once: those that do not work as they are, which may be for the
/// settings that they have.
pub(super) fn broken(plan: &UpPlan, missing: &[Missing]) -> Vec<String> {
    let is_about = |machine: &String, missing: &Missing| match missing {
        Missing::Machine { name, .. } | Missing::Node { name, .. } => name == machine,
        Missing::ApiServer { master, .. } => master == machine,
        Missing::Pod { name, .. } => name.ends_with(&format!("-{machine}")),
        Missing::Endpoint { .. } | Missing::Etcd { .. } | Missing::Alarm { .. } => false,
    };
    let untold = plan.untold.iter();
    untold
        .filter(|machine| missing.iter().any(|it| is_about(machine, it)))
        .cloned()
        .collect()
}

/// Tells the machines that are left one after the other, masters first and each alone, then the workers together; each
/// time the cluster must be ready again before the next.
///
/// # Errors
///
/// As [`converge::until_ready`].
pub(super) fn tell(
    up: &Up<'_>,
    access: &Access,
    plan: &UpPlan,
    told: &BTreeSet<String>,
    sources: &RenderSources<'_>,
) -> Result<(), Error> {
    let is_master = |name: &String| {
        let machine = up.request.lab.machine(name);
        machine.is_some_and(|it| it.role == Role::ControlPlane)
    };
    let left = plan.untold.iter().filter(|name| !told.contains(*name));
    let (masters, workers): (Vec<&String>, Vec<&String>) = left.partition(|name| is_master(name));
    let mut turns: Vec<Vec<String>> = masters.into_iter().map(|it| vec![it.clone()]).collect();
    if !workers.is_empty() {
        turns.push(workers.into_iter().cloned().collect());
    }
    for todo in turns {
        up.go_on()?;
        let names = todo.join(", ");
        up.run
            .note(&format!("settings of the cluster go to {names}"));
        converge::until_ready(up, access, &plan.of(todo), sources, Turn::Later)?;
    }
    Ok(())
}

/// Gives nodes the labels and taints of the lab file; returns whether any changed.
///
/// # Errors
///
/// [`Error::Cluster`].
pub(super) fn mark_nodes(up: &Up<'_>, access: &Access) -> Result<bool, Error> {
    let changed = marks::give(up.request.lab, access)?;
    if !changed.is_empty() {
        up.run.note(&format!(
            "labels and taints written: {}",
            changed.join(", ")
        ));
    }
    Ok(!changed.is_empty())
}
