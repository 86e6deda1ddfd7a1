//! Makes machines, watches them make themselves, and waits until the cluster is there.

use std::sync::mpsc::channel;
use std::time::Duration;

use caravan_cluster::timeline::RUN;
use caravan_cluster::{Access, ready};
use caravan_vagrant::provider::FoundMachine;

use super::listen::{Listener, Turn};
use super::{Up, UpPlan, create};
use crate::files::{self, RenderSources};
use crate::{Error, LabProviders};

/// How long the cluster may take after its machines are ready: image-less pods start in seconds.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// Brings up what the plan says, and waits until all wanted machines, and with them the cluster, are ready.
///
/// # Errors
///
/// [`Error::Stuck`] with the tail of the right log, [`Error::Vagrant`], [`Error::Cluster`], [`Error::Interrupted`].
pub(super) fn until_ready(
    up: &Up<'_>,
    access: &Access,
    plan: &UpPlan,
    sources: &RenderSources<'_>,
    turn: Turn,
) -> Result<(), Error> {
    let todo = &plan.todo;
    let providers = LabProviders::of(up.request.lab, &plan.choices, up.request.dir);
    let projects = up.request.dir.projects();
    let groups = create::by_server(up, todo);
    let runs = |name: &&String| plan.found.iter().any(|it| it.name == **name && it.runs());
    let again: Vec<String> = todo.iter().filter(runs).cloned().collect();
    let mut listener = Listener::new(up, access, sources, &providers, (turn, again), groups.len());
    for machine in up
        .request
        .wanted
        .iter()
        .filter(|machine| !todo.contains(&machine.name))
    {
        listener.let_look(&machine.name);
    }
    let (sender, told) = channel();
    up.run.wait("machines", || {
        std::thread::scope(|scope| {
            if !groups.is_empty() {
                forget_the_gone(up, access, &plan.found)?;
                // Before any group begins: one whose Vagrant is not there must not leave the others half made.
                let groups: Vec<_> = groups
                    .iter()
                    .map(|(server, machines)| {
                        let provider = providers.of_server(server);
                        let projects = providers.projects_of(server, &projects)?;
                        let vagrant = provider.vagrant(&projects)?;
                        Ok((server, machines, provider, projects, vagrant))
                    })
                    .collect::<Result<_, Error>>()?;
                for (server, machines, provider, projects, vagrant) in groups {
                    let sender = sender.clone();
                    scope.spawn(move || {
                        create::group(up, provider, &vagrant, &projects, server, machines, &sender);
                    });
                }
            }
            drop(sender);
            listener.until_done(&told)
        })
    })?;
    if up.request.wanted.len() < up.request.lab.machines().len() {
        up.run
            .note("only some machines were asked for, so the cluster is not waited for");
        return Ok(());
    }
    up.run.step("cluster", || {
        up.run.tell_begin(RUN, "waits for nodes and pods");
        let (lab, tool) = (up.request.lab, up.request.tool);
        ready::wait(lab, access, tool, READY_LIMIT, &mut |readiness| {
            if let Some(first) = readiness.missing.first() {
                let more = readiness.missing.len() - 1;
                up.run
                    .tell_detail(RUN, &format!("{first} (and {more} more)"));
            }
        })?;
        up.run.tell_end(RUN, "all nodes and pods are ready");
        Ok(())
    })
}

/// A machine made anew has another host key, and was given nothing yet, whatever is remembered of the one that had its
/// name.
fn forget_the_gone(up: &Up<'_>, access: &Access, found: &[FoundMachine]) -> Result<(), Error> {
    for machine in up.request.wanted {
        let is_there = found.iter().any(|it| it.name == machine.name);
        if !is_there {
            up.run.recorder().made(&machine.name);
            files::forget_deployed(up.request.dir, &machine.name)?;
        }
        if !up.is_deployed(&machine.name) {
            access.ssh.forget(machine.ip)?;
        }
    }
    Ok(())
}
