//! Bringing up whatever of a lab is missing or broken.
//!
//! The caller goes from step to step, because between them it makes what only it can: software, and answers.
//!
//! 1. [`Up::survey`] looks at all that can be known beforehand, and says what there is to do: an [`UpPlan`].
//! 2. [`Up::remove_what_is_left`], where the plan says that the cluster is lost and the user agrees to a new one.
//! 3. [`Up::write_files`], with keys and software.
//! 4. [`Up::converge`] makes machines, watches them make themselves, and waits until the cluster is there.

mod converge;
mod create;
mod listen;
mod settings;
mod silence;
mod stale;
mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use caravan_bundle::image_file::ImageFile;
use caravan_cluster::Access;
use caravan_cluster::kube::Api;
use caravan_cluster::timeline::RUN;
use caravan_lab::{Lab, Machine, Provider};
use caravan_process::interrupt;
use caravan_render::{Settings, Software};
use caravan_vagrant::provider::FoundMachine;

use self::listen::Turn;
use crate::data::ClusterLoss;
use crate::deliver::{self, Parcel};
use crate::files::{self, RenderSources};
use crate::target::{no_such_machine, no_such_server};
use crate::{
    ChoiceRequest, ClusterRecord, Error, ImageRecord, Keys, LabChoices, LabComputers, LabDir,
    LabProviders, LabRun, LabTarget, MachineStanding, OperationRecord, SilentComputer, Workspace,
    destroy, load, reach,
};

/// What is to be brought up.
#[derive(Debug)]
pub struct UpRequest<'a> {
    /// Where its file and its state are.
    pub workspace: &'a Workspace,
    /// The lab.
    pub lab: &'a Lab,
    /// The text of the lab file.
    pub source: &'a str,
    /// The lab's state.
    pub dir: &'a LabDir,
    /// The machines that are wanted, in the order of the file: see [`wanted`].
    pub wanted: &'a [&'a Machine],
    /// What is asked for now.
    pub asked: ChoiceRequest,
    /// Who answers for names outside the lab, of those that the lab's machines can ask.
    pub resolvers: Vec<Ipv4Addr>,
    /// Whether a new cluster may take the place of one whose data is lost.
    pub new_cluster: bool,
    /// How the program that calls this is started, such as `cargo xtask`: errors may say what to do.
    pub tool: &'a str,
}

/// What was found, and what there is to do about it.
#[derive(Debug)]
pub struct UpPlan {
    /// What holds for the lab.
    pub choices: LabChoices,
    /// Its machines that are there.
    pub found: Vec<FoundMachine>,
    /// The names of the wanted machines that Vagrant is needed for.
    pub todo: Vec<String>,
    /// The names of the wanted machines that run and are told what has changed of the cluster's settings, one master after the
    /// other; known once their files are written.
    pub untold: Vec<String>,
    /// What is lost of the cluster that was made, where it cannot come back, and when that was first seen, RFC 3339: a new
    /// one takes its place only if the user has agreed to that.
    pub lost: Option<(ClusterLoss, String)>,
}

impl UpPlan {
    /// The same for these machines alone: one turn of several.
    fn of(&self, todo: Vec<String>) -> Self {
        Self {
            choices: self.choices.clone(),
            found: self.found.clone(),
            todo,
            untold: Vec::new(),
            lost: None,
        }
    }
}

impl UpPlan {
    /// The error that tells what is lost; none while the cluster can come back.
    pub fn cluster_lost(&self, lab: &str) -> Option<Error> {
        let (loss, seen) = self.lost.as_ref()?;
        Some(Error::ClusterLost {
            lab: lab.to_owned(),
            seen: seen.clone(),
            gone: loss.gone.clone(),
            kept: loss.kept.clone(),
            machines: self.found.len(),
        })
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpOutcome {
    /// All was there and well already.
    NothingToDo,
    /// All machines of the lab run, and the cluster is ready.
    Ready,
    /// The machines that were wanted run; whether the cluster is ready depends on others.
    SomeMachines,
}

/// Bringing up a lab: one run.
#[derive(Debug)]
pub struct Up<'a> {
    request: &'a UpRequest<'a>,
    run: &'a LabRun<'a>,
    began: AtomicBool,
}

impl<'a> Up<'a> {
    /// Begins nothing yet. The lab's lock must be held.
    pub fn new(request: &'a UpRequest<'a>, run: &'a LabRun<'a>) -> Self {
        Self {
            request,
            run,
            began: AtomicBool::new(false),
        }
    }

    /// Whether anything of the lab was changed, or may have been.
    pub fn has_begun(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    /// Removes the machines and volumes of a cluster that cannot come back, so that nothing of it meets the new one.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`], [`Error::Write`], [`Error::Interrupted`].
    pub fn remove_what_is_left(&self, plan: &mut UpPlan) -> Result<(), Error> {
        self.begin();
        let target = LabTarget::of(self.request.workspace, Some(self.request.lab.name()))?;
        let all: Vec<&FoundMachine> = plan.found.iter().collect();
        destroy::remove(self.run, &target, &plan.found, &all)?;
        destroy::remove_leftovers(&target, self.run.observer())?;
        plan.found.clear();
        ClusterRecord::forget(self.request.dir)
    }

    /// Renders the files of all groups, and writes those that differ; notes in the plan which machines that run are told other
    /// settings of the cluster.
    ///
    /// # Errors
    ///
    /// [`Error::Render`], [`Error::Pki`], [`Error::Read`], [`Error::Write`].
    pub fn write_files(
        &self,
        plan: &mut UpPlan,
        keys: &Keys,
        software: Software,
    ) -> Result<RenderSources<'a>, Error> {
        let UpRequest {
            lab,
            dir,
            workspace,
            ..
        } = *self.request;
        let sources = RenderSources {
            lab,
            software,
            settings: Settings {
                audit_policy: crate::settings::audit_policy(workspace, lab)?,
                ..plan.choices.settings()
            },
            material: keys.material(lab)?,
            template: workspace.vagrantfile_template()?,
        };
        plan.untold = settings::untold(self, plan, &sources)?;
        let written = sources.write_projects(dir, self.request.source, &plan.choices)?;
        if written > 0 {
            self.run.tell_end(RUN, &format!("{written} files written"));
        }
        Ok(sources)
    }

    /// Sends the computers of other servers what machines of the plan need there; `images` are the files of what they are
    /// made from.
    ///
    /// # Errors
    ///
    /// [`Error::SentFromElsewhere`], [`Error::Process`] with what is wrong there, [`Error::Read`].
    pub fn deliver(
        &self,
        plan: &UpPlan,
        images: &BTreeMap<Provider, ImageFile>,
    ) -> Result<(), Error> {
        let UpRequest {
            lab, dir, wanted, ..
        } = *self.request;
        let computers = LabComputers::of(lab, dir);
        for (host, servers) in computers.servers() {
            let is_todo = |server: &&String| {
                let mut machines = wanted.iter().filter(|it| it.server == **server);
                machines.any(|machine| {
                    plan.todo.contains(&machine.name) || plan.untold.contains(&machine.name)
                })
            };
            let servers: Vec<&str> = servers.iter().filter(is_todo).map(String::as_str).collect();
            if servers.is_empty() {
                continue;
            }
            let kinds: BTreeSet<Provider> =
                servers.iter().map(|it| plan.choices.provider(it)).collect();
            let images = images.iter().filter(|(kind, _)| kinds.contains(kind));
            let parcel = Parcel {
                host,
                servers,
                images: images.map(|(kind, image)| (*kind, image.clone())).collect(),
            };
            self.begin();
            let delivery = deliver::send(lab, dir, &computers, &parcel, &|text| {
                self.run.tell_detail(RUN, text);
            })?;
            self.run.note(&format!(
                "sent to `{host}`: {} files, {} KiB",
                delivery.files,
                delivery.bytes.div_ceil(1024)
            ));
        }
        Ok(())
    }

    /// Makes the machines of the plan, watches them make themselves, and waits until the cluster is there; with it, the
    /// operator's kubeconfig.
    ///
    /// # Errors
    ///
    /// [`Error::Stuck`] with the tail of the right log, [`Error::Died`], [`Error::OtherCluster`], [`Error::Vagrant`],
    /// [`Error::Cluster`], [`Error::Interrupted`].
    pub fn converge(
        &self,
        plan: &UpPlan,
        keys: &Keys,
        sources: &RenderSources<'_>,
    ) -> Result<UpOutcome, Error> {
        let UpRequest { lab, dir, tool, .. } = *self.request;
        stale::warn(self, plan, sources)?;
        let access = keys.access(lab, dir, plan.choices.pace())?;
        let all_run = plan.todo.is_empty() && plan.found.len() == lab.machines().len();
        let mut first = plan.todo.clone();
        if all_run && (!access.way.is_straight() || reach::is_near(lab)) {
            let readiness = self.run.step("look", || {
                Ok::<_, Error>(caravan_cluster::ready::ask(lab, &access, tool))
            })?;
            if readiness.is_ready() && plan.untold.is_empty() && !self.write_kubeconfig(keys)? {
                self.same_cluster(&access)?;
                return Ok(match settings::mark_nodes(self, &access)? {
                    true => UpOutcome::Ready,
                    false => UpOutcome::NothingToDo,
                });
            }
            first.extend(settings::broken(plan, &readiness.missing));
            for missing in &readiness.missing {
                self.run.note(&format!("not well: {missing}"));
            }
        }
        self.begin();
        let told = first.iter().cloned().collect();
        converge::until_ready(self, &access, &plan.of(first), sources, Turn::First)?;
        settings::tell(self, &access, plan, &told, sources)?;
        self.write_kubeconfig(keys)?;
        if self.request.wanted.len() < lab.machines().len() {
            return Ok(UpOutcome::SomeMachines);
        }
        self.same_cluster(&access)?;
        settings::mark_nodes(self, &access)?;
        Ok(UpOutcome::Ready)
    }

    /// Gives the wanted machines, which run, the images of the user's own that they lack.
    ///
    /// # Errors
    ///
    /// Those of [`load::restore`].
    pub fn load_images(&self, plan: &UpPlan, keys: &Keys) -> Result<(), Error> {
        let UpRequest {
            lab, dir, wanted, ..
        } = *self.request;
        if ImageRecord::read(dir)?.images.is_empty() {
            return Ok(());
        }
        let access = keys.access(lab, dir, plan.choices.pace())?;
        let given = self.run.step("images", || {
            load::restore(self.run, lab, dir, &access, wanted)
        })?;
        for loaded in given {
            self.run.note(&format!(
                "machines have `{}` now, which was loaded before",
                loaded.image.names.join(", ")
            ));
        }
        Ok(())
    }

    /// Holds that the cluster that came up is the one that was made; the first one is noted.
    fn same_cluster(&self, access: &Access) -> Result<(), Error> {
        let UpRequest { lab, dir, .. } = *self.request;
        let found = Api::endpoint(lab, access).and_then(|api| api.cluster_uid())?;
        match ClusterRecord::read(dir)? {
            Some(made) if made.kube_system == found => Ok(()),
            Some(made) if !self.request.new_cluster => Err(Error::OtherCluster {
                lab: lab.name().to_owned(),
                made: made.kube_system,
                seen: made.seen,
                found,
            }),
            _ => ClusterRecord::seen_now(found).write(dir),
        }
    }

    /// Returns whether it is another one than before.
    fn write_kubeconfig(&self, keys: &Keys) -> Result<bool, Error> {
        let text = keys.kubeconfig(self.request.lab)?;
        Ok(caravan_files::write_if_changed(
            &self.request.dir.kubeconfig(),
            0o600,
            text.as_bytes(),
        )?)
    }

    fn begin(&self) {
        self.began.store(true, Ordering::Relaxed);
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
        files::is_deployed(self.request.dir, machine)
    }
}

/// The machines of a lab that are on `server` and called one of `names`, in the order of the file; all where nothing is
/// said.
///
/// # Errors
///
/// [`Error::NoSuchServer`], [`Error::NoSuchMachine`].
pub fn wanted<'a>(
    lab: &'a Lab,
    server: Option<&str>,
    names: &[String],
) -> Result<Vec<&'a Machine>, Error> {
    if let Some(server) = server
        && lab.server(server).is_none()
    {
        return Err(no_such_server(lab, server));
    }
    if let Some(name) = names.iter().find(|name| lab.machine(name).is_none()) {
        return Err(no_such_machine(lab, name));
    }
    Ok(lab
        .machines()
        .iter()
        .filter(|machine| server.is_none_or(|server| machine.server == server))
        .filter(|machine| names.is_empty() || names.contains(&machine.name))
        .collect())
}

/// Refuses machines that can be made on their own computer alone: VirtualBox is driven from where it runs.
///
/// # Errors
///
/// [`Error::Elsewhere`].
pub fn hold_drivable(lab: &Lab, choices: &LabChoices, wanted: &[&Machine]) -> Result<(), Error> {
    let mut servers = wanted
        .iter()
        .filter_map(|machine| lab.server(&machine.server));
    let is_apart = |server: &&caravan_lab::Server| {
        server.host.is_some() && choices.provider(&server.name) == Provider::VirtualBox
    };
    match servers.find(is_apart) {
        None => Ok(()),
        Some(server) => Err(Error::Elsewhere {
            lab: lab.name().to_owned(),
            server: server.name.clone(),
            host: server.host.clone().unwrap_or_default(),
        }),
    }
}

/// Refuses to start a machine that an operation under way is about to remove. Others may be started: the operation may need
/// them.
///
/// # Errors
///
/// [`Error::OperationOpen`], [`Error::Vagrant`].
pub fn hold_no_operation(lab: &Lab, dir: &LabDir, wanted: &[&Machine]) -> Result<(), Error> {
    let Some(open) = OperationRecord::read(dir)? else {
        return Ok(());
    };
    if open.verb == crate::checkpoints::VERB {
        // What machines have written is being put back, and no machine may write meanwhile.
        return Err(Error::open(lab.name(), &open));
    }
    if open.ends_by_its_own_verb() {
        // Machines that it lacks may be started: etcd does not start there before all members have the restored data, and a
        // rotation waits for all machines before it goes on. The lab as a whole is brought back by these alone.
        return match wanted.len() < lab.machines().len() {
            true => Ok(()),
            false => Err(Error::open(lab.name(), &open)),
        };
    }
    let Some(machine) = wanted.iter().find(|it| it.name == open.machine) else {
        return Ok(());
    };
    let choices = LabChoices::read(dir)?;
    let providers = match &choices {
        Some(choices) => LabProviders::of(lab, choices, dir),
        None => LabProviders::of_file(lab, dir),
    };
    let (found, _) = providers.machines_reached(lab.name(), &dir.projects())?;
    match open.standing(machine, &found, dir)? {
        MachineStanding::Old { .. } => Err(Error::open(lab.name(), &open)),
        MachineStanding::Gone | MachineStanding::New => Ok(()),
    }
}

/// Takes those of `wanted` apart whose computers answer, and tells which computers do not.
pub fn answering<'a>(
    computers: &LabComputers,
    wanted: Vec<&'a Machine>,
) -> (Vec<&'a Machine>, Vec<SilentComputer>) {
    let servers = wanted.iter().map(|it| it.server.as_str()).collect();
    let silent = computers.silent(&servers);
    let answers =
        |machine: &&Machine| !silent.iter().any(|it| it.servers.contains(&machine.server));
    (wanted.into_iter().filter(answers).collect(), silent)
}
