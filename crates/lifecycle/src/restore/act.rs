//! Doing the steps, and giving up.

use std::time::Duration;

use caravan_cluster::etcd::restore::{MemberMachine, RestoreOrder};
use caravan_cluster::etcd::{self, Member};
use caravan_cluster::kube::Api;
use caravan_cluster::timeline::RUN;
use caravan_cluster::until;
use caravan_cluster::{Error as ClusterError, control_plane, parallel, ready};
use caravan_lab::{Machine, Role};
use caravan_process::interrupt;

use super::{
    BUMP, Restoration, RestorePlan, RestoreStep, VERB, is_swapped_on_all, no_order, token,
};
use crate::files::RenderSources;
use crate::renew::metrics;
use crate::snapshots::{self, SnapshotRequest, hold_whole};
use crate::{ClusterRecord, Error, Keys, LabRun, OperationRecord, RestoreIntent, SnapshotError};

/// How long the members may take to be well, at the usual pace.
const WELL: Duration = Duration::from_secs(90);

/// How long the API may take behind the endpoint once all API servers are ready, at the usual pace.
const ENDPOINT: Duration = Duration::from_secs(30);

/// How long nodes and pods may take to be what the restored cluster says.
const READY: Duration = Duration::from_secs(180);

impl Restoration<'_> {
    /// Does the steps of `plan`.
    ///
    /// Before the first change of anything the operation is noted, so that what is cut off here is gone on with.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Refused`], [`SnapshotError::EtcdMachineDown`] and [`Error::Cluster`] with
    /// [`NoRoom`](caravan_cluster::Error::NoRoom) where it cannot be done: nothing was changed. [`Error::Cluster`],
    /// [`Error::Interrupted`]: the same command goes on.
    pub fn run(
        &self,
        run: &LabRun<'_>,
        plan: &RestorePlan,
        other_authorities: bool,
    ) -> Result<(), Error> {
        let begun = match &plan.begun {
            Some(begun) => {
                if plan.steps.contains(&RestoreStep::Checked) {
                    run.step("check", || {
                        self.check(plan, super::intent(begun).other_authorities)
                    })?;
                }
                begun.clone()
            }
            None => run.step("check", || self.begin(run, plan, other_authorities))?,
        };
        let order = self.order(&begun)?;
        for step in &plan.steps {
            if interrupt::raised() {
                return Err(Error::Interrupted);
            }
            if *step != RestoreStep::Checked {
                run.tell_begin(RUN, &step.text(self.lab, Some(&plan.snapshot), true));
                run.step(step.word(), || self.act(*step, run, plan, &order))?;
            }
            run.tell_end(RUN, step.word());
            run.reached(step.word());
        }
        Ok(())
    }

    fn act(
        &self,
        step: RestoreStep,
        run: &LabRun<'_>,
        plan: &RestorePlan,
        order: &RestoreOrder,
    ) -> Result<(), Error> {
        let members = self.members(order);
        match step {
            RestoreStep::Checked => Ok(()),
            RestoreStep::ApiStopped => {
                let masters = self.running(Role::ControlPlane)?;
                let serves = self.newest_confirmed()?.is_some();
                all(&masters, |master| match serves {
                    true => {
                        control_plane::stop(self.access, master)?;
                        control_plane::end(self.access, master)
                    }
                    false => control_plane::stop_at_once(self.access, master),
                })
            }
            RestoreStep::EtcdStoppedMasked => self.stop_members(order, &members),
            RestoreStep::StagedOnAll => {
                let standings = self.standings(order)?;
                let is_left = |member: &&MemberMachine<'_>| {
                    let it = &standings[&member.machine.name];
                    !it.staged && !it.swapped
                };
                let left: Vec<&MemberMachine<'_>> = members.iter().filter(is_left).collect();
                all(&left, |member| member.stage(&plan.snapshot.file))
            }
            RestoreStep::SwappedOnAll => {
                let standings = self.standings(order)?;
                for (number, member) in members.iter().enumerate() {
                    if !standings[&member.machine.name].swapped {
                        member.swap()?;
                    }
                    run.reached(&format!("swapped {}/{}", number + 1, members.len()));
                }
                self.tell_token(&order.token)
            }
            RestoreStep::Started => self.start_members(run, order, &members),
            RestoreStep::ApiStarted => self.start_control_planes(run),
            RestoreStep::Reconciled => self.reconcile(run),
        }
    }

    /// Holds what must hold before anything is changed.
    fn check(&self, plan: &RestorePlan, other_authorities: bool) -> Result<(), Error> {
        let snapshot = &plan.snapshot;
        self.hold_fits(snapshot, other_authorities)?;
        hold_whole(&snapshot.file, &snapshot.record)?;
        if let Some(machine) = self.members_down()?.into_iter().next() {
            return Err(Error::from(SnapshotError::EtcdMachineDown {
                lab: self.target.name.clone(),
                machine,
            }));
        }
        // One that has the restored data already needs no more room for it.
        let has_it = |member: &&MemberMachine<'_>| {
            let standing = plan.members.get(&member.machine.name);
            standing.is_some_and(|it| it.staged || it.swapped)
        };
        let none = no_order();
        let members = self.members(&none);
        let left: Vec<&MemberMachine<'_>> = members.iter().filter(|it| !has_it(it)).collect();
        all(&left, |member| member.hold_able(snapshot.record.bytes))
    }

    /// Holds that all of it can be done, keeps what is there now, and notes what is meant.
    fn begin(
        &self,
        run: &LabRun<'_>,
        plan: &RestorePlan,
        other_authorities: bool,
    ) -> Result<OperationRecord, Error> {
        run.tell_begin(RUN, "looks whether the snapshot can be restored");
        self.check(plan, other_authorities)?;
        self.keep_what_is(run, &plan.snapshot.name())?;
        self.note_meant(plan, other_authorities)
    }

    /// Copies what the member on `machine` has, where etcd has no majority, and notes that this is to be restored; returns the
    /// snapshot's name. The machines that are gone may then be made anew: see [`Restoration::members_down`].
    ///
    /// # Errors
    ///
    /// [`SnapshotError::HasMajority`] where nothing is lost, [`Error::Cluster`] where the machine does not do it, [`Error::Write`].
    pub fn begin_from(&self, run: &LabRun<'_>, machine: &Machine) -> Result<String, Error> {
        self.revive(machine)?;
        if self.newest_confirmed()?.is_some() {
            return Err(Error::from(SnapshotError::HasMajority {
                lab: self.target.name.clone(),
            }));
        }
        let reason = format!("of `{}` alone, without a majority", machine.name);
        let request = SnapshotRequest {
            reason: &reason,
            folder: None,
            from: Some(machine),
        };
        run.tell_begin(RUN, &format!("copies what {} has", machine.name));
        let taken = run.step("copy", || {
            snapshots::take(self.target, self.lab, self.access, &request)
        })?;
        run.reached("copied");
        let plan = self.survey(Some(&taken.name()))?;
        self.note_meant(&plan, false)?;
        Ok(taken.name())
    }

    /// Starts a machine that is halted, and waits until it can be asked.
    fn revive(&self, machine: &Machine) -> Result<(), Error> {
        let found = self.target.machines()?;
        let its = found.iter().find(|it| it.name == machine.name);
        let its = its.ok_or_else(|| {
            Error::from(SnapshotError::EtcdMachineDown {
                lab: self.target.name.clone(),
                machine: machine.name.clone(),
            })
        })?;
        if !its.runs() {
            let providers = self.target.providers();
            providers.revive(&self.target.dir.projects(), &[its])?;
        }
        let names = [machine.name.clone()];
        let what = format!("`{}` to be reached", machine.name);
        until(self.access.pace().of(WELL), &what, || {
            Ok(self.are_reached(&names))
        })?;
        Ok(())
    }

    fn note_meant(
        &self,
        plan: &RestorePlan,
        other_authorities: bool,
    ) -> Result<OperationRecord, Error> {
        let snapshot = &plan.snapshot;
        let now = self.newest_revision();
        let since = crate::state_file::now();
        let sha256 = snapshot.record.sha256.clone();
        let next = token::after(&self.own_token()?, &sha256, &since);
        // Where nobody tells, more than a few restorations one upon the other could have used.
        let known = now.unwrap_or(snapshot.record.revision + 10 * BUMP);
        let own = self.target.dir.snapshots();
        let named = match snapshot.file.starts_with(&own) {
            true => snapshot.name(),
            false => snapshot.file.display().to_string(),
        };
        let begun = OperationRecord {
            verb: VERB.to_owned(),
            machine: named,
            host_keys: Vec::new(),
            machines: Vec::new(),
            since,
            restore: Some(RestoreIntent {
                sha256,
                token_sha256: token::print(&next),
                bump: known.saturating_sub(snapshot.record.revision) + BUMP,
                other_authorities,
            }),
        };
        begun.write(&self.target.dir)?;
        Ok(begun)
    }

    /// The newest revision that a majority has confirmed; none where there is no majority.
    fn newest_confirmed(&self) -> Result<Option<u64>, Error> {
        let members = etcd::members(self.lab, self.access)?;
        let confirmed = parallel::each(&members, Member::confirmed_revision);
        Ok(confirmed.into_iter().filter_map(Result::ok).max())
    }

    /// The newest revision that any member has; none where none answers.
    fn newest_revision(&self) -> Option<u64> {
        let members = etcd::members(self.lab, self.access).ok()?;
        let said = parallel::each(&members, |member| member.status().ok());
        said.into_iter().flatten().map(|it| it.revision).max()
    }

    /// Takes a snapshot of what is there now; without a majority there is none, and the members' data stays aside on their
    /// machines.
    fn keep_what_is(&self, run: &LabRun<'_>, name: &str) -> Result<(), Error> {
        let reason = format!("before restoring `{name}`");
        let request = SnapshotRequest {
            reason: &reason,
            folder: None,
            from: None,
        };
        match snapshots::take(self.target, self.lab, self.access, &request) {
            Ok(taken) => {
                run.note(&format!("what is there now: snapshot `{}`", taken.name()));
                Ok(())
            }
            Err(Error::Cluster(
                error @ (ClusterError::Unreachable { .. }
                | ClusterError::Answered { .. }
                | ClusterError::NoLeader),
            )) if !interrupt::raised() => {
                run.note(&format!(
                    "no snapshot of what is there now, as etcd has no majority ({}): the members' data stays on their machines, in /var/lib/etcd/aside/before-restore",
                    error.chain()
                ));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The machines of a role that run.
    fn running(&self, role: Role) -> Result<Vec<&Machine>, Error> {
        let running = self.target.running()?;
        let machines = self.lab.of_role(role);
        Ok(machines.filter(|it| running.contains(&it.name)).collect())
    }

    /// First those without data, which make a cluster of their own when nobody else answers. One after the other: a leader
    /// that stops hands over to another one, and waits for seconds where that one is stopping too.
    fn stop_members(
        &self,
        order: &RestoreOrder,
        members: &[MemberMachine<'_>],
    ) -> Result<(), Error> {
        let standings = self.standings(order)?;
        let has_data = |member: &&MemberMachine<'_>| standings[&member.machine.name].data;
        let (full, empty): (Vec<&MemberMachine<'_>>, Vec<&MemberMachine<'_>>) =
            members.iter().partition(has_data);
        for member in empty.into_iter().chain(full) {
            member.stop()?;
        }
        Ok(())
    }

    /// Starts the members, once all of them have the restored data and the token, and waits until they are well.
    fn start_members(
        &self,
        run: &LabRun<'_>,
        order: &RestoreOrder,
        members: &[MemberMachine<'_>],
    ) -> Result<(), Error> {
        let standings = self.standings(order)?;
        if let Some((behind, _)) = standings.iter().find(|(_, it)| !it.swapped) {
            return Err(Error::from(SnapshotError::NotSwapped {
                lab: self.target.name.clone(),
                machine: behind.clone(),
            }));
        }
        let masked = |member: &&MemberMachine<'_>| standings[&member.machine.name].masked;
        let left: Vec<&MemberMachine<'_>> = members.iter().filter(masked).collect();
        all(&left, |member| member.start())?;
        self.wait_for_members(run)?;
        // One that does not do it has it done by the next restoration.
        for ended in parallel::each(members, MemberMachine::clean) {
            if let Err(error) = ended {
                run.note(&format!("not removed: {}", error.chain()));
            }
        }
        Ok(())
    }

    /// Waits for all members, and in the end for a majority.
    fn wait_for_members(&self, run: &LabRun<'_>) -> Result<(), Error> {
        let members = etcd::members(self.lab, self.access)?;
        let mut well = 0;
        let waited = until(self.access.pace().of(WELL), "all etcd members", || {
            let said = parallel::each(&members, |member| {
                let said = member.health().map_err(|error| error.chain());
                said.map_err(|why| format!("`{}`: {why}", member.name))
            });
            well = said.iter().filter(|it| it.is_ok()).count();
            let first = said.into_iter().find_map(Result::err);
            first.map_or(Ok(true), Err)
        });
        match waited {
            Err(error) if well >= self.lab.etcd_quorum() => {
                run.note(&error.chain());
                Ok(())
            }
            waited => Ok(waited.map(drop)?),
        }
    }

    fn start_control_planes(&self, run: &LabRun<'_>) -> Result<(), Error> {
        let masters = self.running(Role::ControlPlane)?;
        all(&masters, |master| control_plane::start(self.access, master))?;
        let workers = self.running(Role::Worker)?;
        let ended = parallel::each(&workers, |worker| {
            control_plane::restart_kubelet(self.access, worker)
        });
        for (worker, ended) in workers.iter().zip(ended) {
            if let Err(error) = ended {
                run.note(&format!("{}: its kubelet: {}", worker.name, error.chain()));
            }
        }
        all(&masters, |master| {
            control_plane::wait_ready(self.access, master)
        })?;
        self.wait_for_endpoint()
    }

    fn reconcile(&self, run: &LabRun<'_>) -> Result<(), Error> {
        let masters = self.running(Role::ControlPlane)?;
        control_plane::put_right(self.lab, self.access, &masters)?;
        metrics::follow(self.lab, self.access, &self.keys.material(self.lab)?)?;
        let api = Api::endpoint(self.lab, self.access)?;
        // Another one than before, where the snapshot is of the lab before it was destroyed.
        let uid = api.cluster_uid()?;
        let known = ClusterRecord::read(&self.target.dir)?;
        if known.is_none_or(|known| known.kube_system != uid) {
            ClusterRecord::seen_now(uid).write(&self.target.dir)?;
        }
        self.follow(run)?;
        OperationRecord::forget(&self.target.dir)
    }

    fn wait_for_endpoint(&self) -> Result<(), Error> {
        let api = Api::endpoint(self.lab, self.access)?;
        let limit = self.access.pace().of(ENDPOINT);
        until(limit, "the API behind the endpoint", || {
            api.text("/readyz")
                .map(|_| true)
                .map_err(|error| error.chain())
        })?;
        Ok(())
    }

    /// Has pods know the cluster as it is now, and waits until the lab is ready.
    fn follow(&self, run: &LabRun<'_>) -> Result<(), Error> {
        control_plane::restart_watchers(self.lab, self.access)?;
        let running = self.target.running()?;
        let mut machines = self.lab.machines().iter();
        if machines.all(|it| running.contains(&it.name)) {
            ready::wait(self.lab, self.access, self.tool, READY, &mut |readiness| {
                if let Some(first) = readiness.missing.first() {
                    run.tell_detail(RUN, &first.to_string());
                }
            })?;
        } else {
            run.note("not all machines of the lab run, so nodes and pods are not waited for");
        }
        Ok(())
    }

    /// Has this computer say the token: its store, the machines' archives, and what they were given.
    fn tell_token(&self, token: &str) -> Result<(), Error> {
        let (lab, dir) = (self.lab, &self.target.dir);
        self.keep_token(token)?;
        let not_made = || Error::NotMade {
            lab: self.target.name.clone(),
        };
        let choices = self.target.choices.as_ref().ok_or_else(not_made)?;
        let keys = Keys::load(lab, dir).ok_or_else(not_made)?;
        let sources = RenderSources {
            lab,
            software: self.software.clone(),
            settings: choices.settings(),
            material: keys.material(lab)?,
            template: self.workspace.vagrantfile_template()?,
        };
        let servers: Vec<_> = lab.servers().iter().collect();
        sources.write(dir, &servers)?;
        let members: Vec<&Machine> = lab.of_role(Role::Etcd).collect();
        sources.note_given(dir, &members, "/etc/etcd/cluster.env")
    }

    /// Returns to what was there before: possible until all members have the restored data in its place.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NoRestoration`] where none is under way, [`SnapshotError::NoWayBack`] where it is too late, [`Error::Cluster`]: the
    /// same command goes on.
    pub fn give_up(&self, run: &LabRun<'_>, plan: &RestorePlan) -> Result<(), Error> {
        let lab = || self.target.name.clone();
        let begun = plan.begun.as_ref();
        let begun =
            begun.ok_or_else(|| Error::from(SnapshotError::NoRestoration { lab: lab() }))?;
        let order = self.order(begun)?;
        let members = self.members(&order);
        let standings = self.standings(&order)?;
        if is_swapped_on_all(&standings) {
            return Err(Error::from(SnapshotError::NoWayBack { lab: lab() }));
        }
        run.step("take-back", || {
            run.tell_begin(RUN, "puts back what was there before");
            all(&members, MemberMachine::take_back)
        })?;
        run.reached("taken-back");
        let masters = self.running(Role::ControlPlane)?;
        run.step("start", || {
            let masked = |member: &&MemberMachine<'_>| standings[&member.machine.name].masked;
            let left: Vec<&MemberMachine<'_>> = members.iter().filter(masked).collect();
            all(&left, |member| member.start_old())?;
            all(&masters, |master| control_plane::start(self.access, master))
        })?;
        // What was there before may not have worked: that is no reason to go on.
        OperationRecord::forget(&self.target.dir)?;
        run.reached("given-up");
        run.step("wait", || {
            self.wait_for_members(run)?;
            all(&masters, |master| {
                control_plane::wait_ready(self.access, master)
            })?;
            self.wait_for_endpoint()?;
            self.follow(run)
        })
    }
}

/// Does `act` to all at once; the first that fails is told.
fn all<T: Sync>(
    machines: &[T],
    act: impl Fn(&T) -> Result<(), ClusterError> + Sync,
) -> Result<(), Error> {
    let ended = parallel::each(machines, act);
    let ended: Result<(), ClusterError> = ended.into_iter().collect();
    Ok(ended?)
}
