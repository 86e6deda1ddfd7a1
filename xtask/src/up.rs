//! `cargo xtask up`: whatever of a lab is missing or broken comes up, and is verified.
//!
//! The order of the work is here; each step is in a file of its own.

mod closing;
mod converge;
mod create;
mod listen;
mod preflight;
mod silence;
mod stale;

use std::sync::atomic::{AtomicBool, Ordering};

use caravan_cluster::Access;
use caravan_cluster::kube::Api;
use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_cluster::verify::{Depth, Report};
use caravan_lab::{Lab, Machine, Server};
use caravan_process::interrupt;

use self::preflight::Situation;
use crate::destroy;
use crate::error::Error;
use crate::exit::Exit;
use crate::files::{self, Sources};
use crate::flags;
use crate::keys::Keys;
use crate::kubeconfig;
use crate::lab_dir::LabDir;
use crate::machines::Found;
use crate::reach;
use crate::settings;
use crate::show::report;
use crate::show::run::{Run, outcome_of};
use crate::show::screen::Screen;
use crate::software;
use crate::state::alone;
use crate::state::choices::Choices;
use crate::state::cluster::Cluster;
use crate::state::lock::Lock;
use crate::target::{Target, no_such_machine};
use crate::verify;
use crate::workspace::Workspace;

/// Runs the verb.
pub(crate) fn run(
    flags: &flags::Up,
    workspace: &Workspace,
    screen: &Screen,
) -> Result<Exit, Error> {
    let (lab, source) = workspace.lab(&flags.lab)?;
    report::warnings(&workspace.lab_file(lab.name()), &source, lab.warnings());
    let wanted = wanted(&lab, flags)?;
    let dir = workspace.state(lab.name());
    if let Some(problem) = kubeconfig::colon(&dir.kubeconfig()) {
        screen.warn(&problem);
    }
    dir.make()?;
    let _lock = Lock::take(&dir, lab.name(), "up")?;
    alone::wait(lab.name(), &dir, screen)?;
    let up = Up {
        flags,
        workspace,
        lab: &lab,
        source: &source,
        dir: &dir,
        wanted: &wanted,
        run: &Run::begin("up", lab.name(), &dir, screen),
        began: AtomicBool::new(false),
    };
    let ended = up.bring_up();
    screen.clear();
    let outcome = match &ended {
        Ok(_) => PhaseOutcome::Done,
        Err(error) => outcome_of(error),
    };
    let timeline = up.run.finish(outcome);
    match &ended {
        Ok(Changed::Nothing) => {
            screen.say(&format!(
                "nothing to do: lab `{}` is up and well",
                lab.name()
            ));
        }
        Ok(Changed::Something(report)) => closing::tables(&up, &timeline, report.as_ref()),
        // Before that, nothing was touched, and the error says all.
        Err(_) if up.began.load(Ordering::Relaxed) => closing::what_is_left(&up),
        Err(_) => {}
    }
    ended.map(|changed| match changed {
        Changed::Something(Some(report)) => verify::verdict(&report),
        Changed::Something(None) | Changed::Nothing => Exit::Done,
    })
}

/// Whether a run changed anything.
enum Changed {
    Nothing,
    /// Something, and what the quick verification found, if all machines were wanted.
    Something(Option<Report>),
}

/// One run of the verb.
struct Up<'a> {
    flags: &'a flags::Up,
    workspace: &'a Workspace,
    lab: &'a Lab,
    /// The text of the lab file.
    source: &'a str,
    dir: &'a LabDir,
    wanted: &'a [&'a Machine],
    run: &'a Run<'a>,
    /// Whether anything was changed or may have been.
    began: AtomicBool,
}

impl Up<'_> {
    fn bring_up(&self) -> Result<Changed, Error> {
        let Situation {
            mut choices,
            mut found,
            todo,
            anew,
        } = self.run.step("preflight", || preflight::check(self))?;
        if anew {
            self.began.store(true, Ordering::Relaxed);
            self.run
                .step("remove", || self.remove_what_is_left(&mut found))?;
        }
        let keys = self.run.step("keys", || Keys::ensure(self.lab, self.dir))?;
        if choices.image.is_none() {
            let minor = self.lab.kubernetes().to_string();
            let network = software::network(self.lab.pod_network());
            let made = self.run.step("software", || {
                let (origin, yes) = (&self.flags.origin, self.flags.yes);
                software::image(&minor, network, origin, yes, self.run.screen)
            })?;
            choices.image = Some(made);
        }
        let sources = self
            .run
            .step("files", || self.write_files(&choices, &keys))?;
        stale::warn(self, &todo, &sources)?;
        let access = keys.access(self.dir)?;
        if todo.is_empty() && found.len() == self.lab.machines().len() && reach::is_near(self.lab) {
            let readiness = self.run.step("look", || {
                Ok(caravan_cluster::ready::ask(self.lab, &access))
            })?;
            if readiness.is_ready() && self.write_kubeconfig(&keys)? == Changes(0) {
                self.same_cluster(&access)?;
                return Ok(Changed::Nothing);
            }
            for missing in &readiness.missing {
                self.run.screen.say(&format!("not well: {missing}"));
            }
        }
        self.began.store(true, Ordering::Relaxed);
        converge::until_ready(self, &access, &found, &todo, &sources, choices.provider)?;
        self.write_kubeconfig(&keys)?;
        if self.wanted.len() < self.lab.machines().len() {
            return Ok(Changed::Something(None));
        }
        self.same_cluster(&access)?;
        let report = self.run.step("verify", || {
            verify::checked(
                self.lab,
                &access,
                choices.airgap,
                Depth::Quick,
                self.run.screen,
            )
        })?;
        Ok(Changed::Something(Some(report)))
    }

    /// Removes the machines and volumes of a cluster that cannot come back, so that nothing of it meets the new one.
    fn remove_what_is_left(&self, found: &mut Vec<Found>) -> Result<(), Error> {
        let target = Target::of(self.workspace, Some(self.lab.name()))?;
        let all: Vec<&Found> = found.iter().collect();
        destroy::remove(self.run, &target, found, &all)?;
        destroy::remove_leftovers(&target, self.run.screen)?;
        found.clear();
        Cluster::forget(self.dir)
    }

    /// Holds that the cluster that came up is the one that was made; the first one is noted.
    fn same_cluster(&self, access: &Access) -> Result<(), Error> {
        let found = Api::endpoint(self.lab, access).and_then(|api| api.cluster_uid())?;
        match Cluster::read(self.dir)? {
            Some(made) if made.kube_system == found => Ok(()),
            Some(made) if !self.flags.new_cluster => Err(Error::OtherCluster {
                lab: self.lab.name().to_owned(),
                made: made.kube_system,
                seen: made.seen,
                found,
            }),
            _ => Cluster::seen_now(found).write(self.dir),
        }
    }

    /// Renders the files of all groups, and writes those that differ.
    fn write_files(&self, choices: &Choices, keys: &Keys) -> Result<Sources<'_>, Error> {
        let sources = Sources {
            lab: self.lab,
            software: software::versions(self.lab)?,
            settings: settings::of(choices),
            material: keys.material(self.lab)?,
            template: self.workspace.vagrantfile_template()?,
        };
        let servers: Vec<&Server> = self.lab.servers().iter().collect();
        let written = sources.write(self.dir, &servers)?;
        if written > 0 {
            self.run
                .screen
                .done(RUN, &format!("{written} files written"));
        }
        caravan_files::make_private_folder(&self.dir.deployed())?;
        caravan_files::write_if_changed(&self.dir.deployed_lab(), 0o600, self.source.as_bytes())?;
        choices.write(self.dir)?;
        Ok(sources)
    }

    fn write_kubeconfig(&self, keys: &Keys) -> Result<Changes, Error> {
        let text = keys.kubeconfig(self.lab)?;
        let changed =
            caravan_files::write_if_changed(&self.dir.kubeconfig(), 0o600, text.as_bytes())?;
        Ok(Changes(usize::from(changed)))
    }

    /// Stops here when the user has asked to.
    fn go_on(&self) -> Result<(), Error> {
        if interrupt::raised() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Whether `machine` was given its files and nobody cut that short.
    fn is_deployed(&self, machine: &str) -> bool {
        files::is_deployed(self.dir, machine)
    }
}

/// How many files were changed.
#[derive(PartialEq, Eq)]
struct Changes(usize);

/// The machines that this run is about, in the order of the file.
fn wanted<'a>(lab: &'a Lab, flags: &flags::Up) -> Result<Vec<&'a Machine>, Error> {
    if let Some(server) = &flags.server
        && lab.server(server).is_none()
    {
        return Err(Error::NoSuchServer {
            lab: lab.name().to_owned(),
            name: server.clone(),
            servers: lab
                .servers()
                .iter()
                .map(|server| server.name.clone())
                .collect(),
        });
    }
    if let Some(name) = flags
        .machines
        .iter()
        .find(|name| lab.machine(name).is_none())
    {
        return Err(no_such_machine(lab, name));
    }
    Ok(lab
        .machines()
        .iter()
        .filter(|machine| {
            flags
                .server
                .as_ref()
                .is_none_or(|server| machine.server == *server)
        })
        .filter(|machine| flags.machines.is_empty() || flags.machines.contains(&machine.name))
        .collect())
}
