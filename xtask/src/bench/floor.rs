//! The floor: the same machines from the same image by `vagrant up`, with nothing to do once they are there.

use std::time::{Duration, Instant};

use caravan_lab::{Lab, Server};
use caravan_vagrant::engine::Engine;
use caravan_vagrant::{Up, Vagrant};

use crate::certs::Keys;
use crate::error::Error;
use crate::files::{self, Sources};
use crate::settings;
use crate::show::screen::Screen;
use crate::show::timeline::RUN;
use crate::software;
use crate::state::choices::Choices;
use crate::state::lock::Lock;
use crate::state::write;
use crate::workspace::Workspace;

/// What the provisioner of a bare machine does.
const NOTHING: &[u8] = b"#!/bin/sh\nexit 0\n";

/// How long `vagrant up` of all groups at once takes; the machines are destroyed again.
pub(super) fn measure(
    workspace: &Workspace,
    source: &str,
    of: &Lab,
    choices: &Choices,
    screen: &Screen,
) -> Result<Duration, Error> {
    let name = format!("{}-floor", of.name());
    let Ok(lab) = Lab::parse(&name, source) else {
        return Err(workspace.no_such_lab(&name));
    };
    let dir = workspace.state(&name);
    dir.make()?;
    let _lock = Lock::take(&dir, &name, "bench")?;
    let keys = Keys::ensure(&lab, &dir)?;
    let sources = Sources {
        lab: &lab,
        software: software::versions(&lab)?,
        settings: settings::of(choices),
        material: keys.material(&lab)?,
        template: workspace.vagrantfile_template()?,
    };
    let servers: Vec<&Server> = lab.servers().iter().collect();
    sources.write(&dir, &servers)?;
    for machine in lab.machines() {
        let archive = dir.archive(&machine.server, &machine.name);
        write::if_changed(&archive, 0o600, NOTHING)?;
    }
    choices.write(&dir)?;

    let vagrant = Vagrant::find()?;
    let each = |verb: &(
                     dyn Fn(
        &caravan_vagrant::Group,
        &std::path::Path,
    ) -> Result<(), caravan_vagrant::Error>
                         + Sync
                 )| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = servers
                .iter()
                .map(|server| {
                    let (group, log) = (
                        vagrant.group(dir.group(&server.name)),
                        dir.log(&server.name),
                    );
                    scope.spawn(move || verb(&group, &log))
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(ended) => ended.map_err(Error::from),
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })
    };
    screen.now(RUN, "bare machines");
    let began = Instant::now();
    let asked = Up {
        provider: Some(choices.provider.word()),
        machines: &[],
        provision: false,
    };
    let up = each(&|group, log| group.up(&asked, log, &mut |_| {}));
    let took = began.elapsed();
    screen.now(RUN, "destroying the bare machines");
    let down = each(&|group, log| group.destroy(&[], log, &mut |_| {}));
    Engine::find()?.remove_leftovers(&name)?;
    files::remove_folder(dir.root())?;
    screen.clear();
    up.and(down).map(|()| took)
}
