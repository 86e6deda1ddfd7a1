//! Makes machines, watches them make themselves, and waits until the cluster is there.

use std::sync::mpsc::channel;
use std::time::Duration;

use caravan_cluster::timeline::RUN;
use caravan_cluster::{Access, ready};
use caravan_lab::Provider;

use super::listen::Listener;
use super::{Up, create};
use crate::error::Error;
use crate::files::{self, Sources};
use crate::machines::{self, Found};

/// How long the cluster may take after its machines are ready: image-less pods start in seconds.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// Brings up `todo`, of which `found` are there, and waits until all wanted machines, and with them the cluster, are ready.
///
/// # Errors
///
/// [`Error::Stuck`] with the tail of the right log, [`Error::Vagrant`], [`Error::Cluster`], [`Error::Interrupted`].
pub(super) fn until_ready(
    up: &Up<'_>,
    access: &Access,
    found: &[Found],
    todo: &[String],
    sources: &Sources<'_>,
    provider: Provider,
) -> Result<(), Error> {
    let groups = create::by_server(up, todo);
    let mut listener = Listener::new(up, access, sources, provider, groups.len());
    for machine in up
        .wanted
        .iter()
        .filter(|machine| !todo.contains(&machine.name))
    {
        listener.follow(&machine.name);
    }
    let (sender, told) = channel();
    up.run.wait("machines", || {
        std::thread::scope(|scope| {
            if !groups.is_empty() {
                forget_the_gone(up, access, found)?;
                let vagrant = machines::vagrant(provider, up.dir)?;
                for (server, machines) in &groups {
                    let (vagrant, sender) = (vagrant.clone(), sender.clone());
                    scope.spawn(move || {
                        create::group(up, &vagrant, provider, server, machines, &sender);
                    });
                }
            }
            drop(sender);
            listener.until_done(&told)
        })
    })?;
    if up.wanted.len() < up.lab.machines().len() {
        up.run
            .screen
            .say("only some machines were asked for, so the cluster is not waited for");
        return Ok(());
    }
    up.run.step("cluster", || {
        up.run.screen.now(RUN, "waits for nodes and pods");
        ready::wait(up.lab, access, READY_LIMIT, &mut |readiness| {
            if let Some(first) = readiness.missing.first() {
                let more = readiness.missing.len() - 1;
                up.run
                    .screen
                    .detail(RUN, &format!("{first} (and {more} more)"));
            }
        })?;
        up.run.screen.done(RUN, "all nodes and pods are ready");
        Ok(())
    })
}

/// A machine made anew has another host key, and was given nothing yet, whatever is remembered of the one that had its
/// name.
fn forget_the_gone(up: &Up<'_>, access: &Access, found: &[Found]) -> Result<(), Error> {
    for machine in up.wanted {
        let is_there = found.iter().any(|it| it.name == machine.name);
        if !is_there {
            up.run.recorder().made(&machine.name);
            files::forget_deployed(up.dir, &machine.name)?;
        }
        if !up.is_deployed(&machine.name) {
            access.ssh.forget(machine.ip)?;
        }
    }
    Ok(())
}
