//! Makes machines, watches them make themselves, and waits until the cluster is there.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use caravan_cluster::convergence::{Convergence, Stage};
use caravan_cluster::progress::Event;
use caravan_cluster::watch::{self, News, Watch, What};
use caravan_cluster::{Access, ready};
use caravan_lab::{Machine, Provider};
use caravan_vagrant::Vagrant;

use super::{Up, create};
use crate::error::{Error, Stuck};
use crate::files::Sources;
use crate::show::timeline::{Outcome, RUN};

/// How long a machine may take to let us in.
const REACH_LIMIT: Duration = Duration::from_secs(300);

/// How long all machines may say nothing new before they count as stuck. A machine's own waits are longer, and end by
/// what they wait for; this ends the waiting of the user.
const SILENCE_LIMIT: Duration = Duration::from_secs(420);

/// How often a phase may fail before the user is told: the unit tries again by itself, and the first try may have met
/// a neighbour that was not there yet.
const FAILURES: u32 = 4;

/// How long the cluster may take after its machines are ready: image-less pods start in seconds.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// How often the loop looks up from listening.
const TICK: Duration = Duration::from_millis(100);

/// Brings up `todo` and waits until all wanted machines, and with them the cluster, are ready.
///
/// # Errors
///
/// [`Error::Stuck`] with the tail of the right log, [`Error::Vagrant`], [`Error::Cluster`], [`Error::Interrupted`].
pub(super) fn until_ready(
    up: &Up<'_>,
    access: &Access,
    todo: &[String],
    sources: &Sources<'_>,
    provider: Provider,
) -> Result<(), Error> {
    let groups = create::by_server(up, todo);
    if !groups.is_empty() {
        for machine in up
            .wanted
            .iter()
            .filter(|machine| !up.is_deployed(&machine.name))
        {
            // A machine made anew has another host key.
            access.ssh.forget(machine.ip)?;
        }
        let vagrant = Vagrant::find()?;
        up.go_on()?;
        up.run.step("machines", || {
            std::thread::scope(|scope| {
                let (sender, ended) = channel();
                for (server, machines) in &groups {
                    let (vagrant, sender) = (&vagrant, sender.clone());
                    scope.spawn(move || {
                        create::group(up, vagrant, provider, server, machines, &sender);
                    });
                }
                drop(sender);
                listen(up, access, sources, groups.len(), &ended)
            })
        })?;
    } else {
        let (_sender, ended) = channel();
        up.run
            .step("machines", || listen(up, access, sources, 0, &ended))?;
    }
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

/// Hears groups and machines until all of both are done.
fn listen(
    up: &Up<'_>,
    access: &Access,
    sources: &Sources<'_>,
    mut groups: usize,
    ended: &std::sync::mpsc::Receiver<create::GroupEnded>,
) -> Result<(), Error> {
    let names: Vec<&str> = up
        .wanted
        .iter()
        .map(|machine| machine.name.as_str())
        .collect();
    let watch = Watch::start(up.lab, &access.ssh, &names, REACH_LIMIT);
    let mut convergence = Convergence::new(names.iter().copied(), up.run.unix_ms());
    let mut heard_at = Instant::now();
    let mut failed = None;
    loop {
        while let Some(news) = watch.next(if groups == 0 && convergence.all_ready() {
            Duration::ZERO
        } else {
            TICK
        }) {
            heard_at = Instant::now();
            hear(up, sources, &news)?;
            convergence.hear(&news);
            if let What::GaveUp(why) = &news.what {
                return Err(stuck(up, access, &news.machine, "", why));
            }
        }
        while let Ok(group) = ended.try_recv() {
            groups -= 1;
            heard_at = Instant::now();
            match group.result {
                Ok(()) => sources.note_deployed(up.dir, &chosen(up, &group.machines))?,
                // The other groups are given the time to end well: their machines are then not cut short.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if groups == 0
            && let Some(error) = failed
        {
            return Err(error);
        }
        if groups == 0 && convergence.all_ready() {
            return Ok(());
        }
        if groups == 0 {
            up.go_on()?;
        }
        for (name, machine) in convergence.machines() {
            let failures = machine.spans.last().map_or(0, |span| span.failures);
            if machine.stage == Stage::Failed && failures >= FAILURES {
                return Err(stuck(up, access, name, &machine.phase, &machine.text));
            }
        }
        if groups == 0
            && heard_at.elapsed() > SILENCE_LIMIT
            && let Some((name, machine)) = convergence
                .machines()
                .find(|(_, machine)| machine.stage != Stage::Ready)
        {
            return Err(stuck(up, access, name, &machine.phase, &machine.text));
        }
    }
}

/// Shows and records what a machine said.
fn hear(up: &Up<'_>, sources: &Sources<'_>, news: &News) -> Result<(), Error> {
    let name = &news.machine;
    match &news.what {
        What::Reached => {}
        What::Lost(why) | What::GaveUp(why) => up.run.screen.detail(name, why),
        What::Said(progress) => {
            if !up.is_deployed(name) {
                // It speaks, so it has its files, even if `vagrant up` is cut short from now on.
                sources.note_deployed(up.dir, &chosen(up, std::slice::from_ref(name)))?;
            }
            let at = i64::try_from(progress.at_ms).unwrap_or(i64::MAX);
            let (phase, text) = (&progress.phase, &progress.text);
            let waits = phase.starts_with("wait-");
            match progress.event {
                Event::Start => {
                    up.run.report(at, |timeline, at| {
                        timeline.start(name, phase, at, waits, text)
                    });
                    up.run.screen.now(name, phase);
                }
                Event::Wait => {
                    up.run.report(at, |timeline, at| {
                        timeline.start(name, phase, at, waits, text)
                    });
                    up.run
                        .screen
                        .detail(name, &format!("{phase}: waits for {text}"));
                }
                Event::Done => {
                    up.run.report(at, |timeline, at| {
                        timeline.end(name, phase, at, Outcome::Done, text)
                    });
                    if phase == caravan_cluster::progress::READY {
                        up.run.screen.done(name, "ready");
                    }
                }
                Event::Fail => {
                    up.run.report(at, |timeline, at| {
                        timeline.end(name, phase, at, Outcome::Failed, text)
                    });
                    up.run
                        .screen
                        .now(name, &format!("{phase} failed: {text}; it tries again"));
                }
            }
        }
    }
    Ok(())
}

fn chosen<'a>(up: &'a Up<'_>, names: &[String]) -> Vec<&'a Machine> {
    names
        .iter()
        .filter_map(|name| up.lab.machine(name))
        .collect()
}

/// The error for a machine that does not go on, with what its log says.
fn stuck(up: &Up<'_>, access: &Access, machine: &str, phase: &str, text: &str) -> Error {
    let explained = watch::explain(up.lab, &access.ssh, machine, phase, text);
    Error::Stuck(Box::new(Stuck {
        machine: machine.to_owned(),
        phase: phase.to_owned(),
        text: text.to_owned(),
        unit: explained.unit,
        tail: explained.tail,
        command: explained.command,
    }))
}
