//! Waits until nobody else works on a lab's machines.
//!
//! The lock keeps other runs of ours away. A Vagrant that a killed run left behind is no such run, nor is one that
//! the user started in a group's folder: machines would appear behind our back while we remove or stop them.

use std::time::{Duration, Instant};

use caravan_cluster::timeline::RUN;
use caravan_process::{Computer, interrupt};
use caravan_vagrant::{AtWork, at_work, at_work_on};

use crate::events::{LifecycleEvent, LifecycleObserver};
use crate::{Error, LabComputers, LabDir};

/// How long it is waited for; `vagrant up` of a whole lab takes less.
const LIMIT: Duration = Duration::from_secs(180);

/// How often is looked.
const POLL: Duration = Duration::from_millis(200);

/// Waits until no Vagrant changes machines of the lab called `lab`, on any of its `computers`. The lock must be held.
///
/// # Errors
///
/// [`Error::VagrantAtWork`] for one that does not end, [`Error::Interrupted`].
pub fn wait(
    lab: &str,
    dir: &LabDir,
    computers: &LabComputers,
    observer: &dyn LifecycleObserver,
) -> Result<(), Error> {
    let began = Instant::now();
    let mut told = None;
    while let Some((other, computer)) = first(dir, computers) {
        if told != Some(other.pid) {
            let there = match computer.is_here() {
                true => String::new(),
                false => format!(" on {computer}"),
            };
            let text = format!(
                "waits for `{}`, process {}{there}, which an earlier run left behind",
                other.command, other.pid
            );
            observer.event(&LifecycleEvent::Began {
                subject: RUN,
                text: &text,
            });
            told = Some(other.pid);
        }
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        if began.elapsed() > LIMIT {
            return Err(Error::VagrantAtWork {
                lab: lab.to_owned(),
                pid: other.pid,
                command: other.command,
            });
        }
        std::thread::sleep(POLL);
    }
    if told.is_some() {
        observer.event(&LifecycleEvent::Ended {
            subject: RUN,
            text: "no other Vagrant works on the lab any more",
        });
    }
    Ok(())
}

fn first(dir: &LabDir, computers: &LabComputers) -> Option<(AtWork, Computer)> {
    let here = dir.projects().servers().into_iter();
    let mut here = here.filter_map(|server| at_work(&dir.group(&server)).into_iter().next());
    if let Some(other) = here.next() {
        return Some((other, Computer::Here));
    }
    let mut there = computers.servers().flat_map(|(host, servers)| {
        let computer = computers.computer(Some(host));
        // Of one that does not answer the verb itself tells.
        let folder = computers.folder(host).ok();
        servers.iter().filter_map(move |server| {
            let project = folder.as_ref()?.join(server);
            let at_work = at_work_on(&computer, &project).ok()?;
            Some((at_work.into_iter().next()?, computer.clone()))
        })
    });
    there.next()
}
