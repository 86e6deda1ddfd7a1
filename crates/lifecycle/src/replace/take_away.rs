//! Holding that the lab can do without the machine, and removing it.

use std::collections::BTreeSet;
use std::time::Duration;

use caravan_cluster::etcd::Member;
use caravan_cluster::etcd::gate::{self, WellMembers};
use caravan_cluster::kube::Api;
use caravan_cluster::timeline::RUN;
use caravan_cluster::{drain, handover, until};
use caravan_lab::Role;
use caravan_process::interrupt;
use caravan_vagrant::provider::FoundMachine;

use super::{ReplacePlan, ReplaceStep, Replacement, VERB};
use crate::{Error, LabRun, OperationRecord, destroy, snapshots};

/// How long etcd may refuse to remove a member, as it does shortly after a member's return.
const REMOVAL: Duration = Duration::from_secs(30);

impl Replacement<'_> {
    /// Does the steps of `plan` up to the removal of the machine that is to go.
    ///
    /// Before the first change of anything the operation is noted, so that what is cut off here is gone on with.
    ///
    /// # Errors
    ///
    /// [`Error::Irreplaceable`] and [`Error::Cluster`] where the lab cannot do without the machine: nothing was changed.
    /// [`Error::Vagrant`], [`Error::Interrupted`]: the same command goes on.
    pub fn take_away(&self, run: &LabRun<'_>, plan: &ReplacePlan) -> Result<(), Error> {
        let name = self.machine.name.as_str();
        let mut others = None;
        let mut is_noted = plan.begun.is_some();
        for step in &plan.steps {
            // These two change nothing: what fails there leaves nothing to go on with.
            if !is_noted && !matches!(step, ReplaceStep::Checked | ReplaceStep::SnapshotTaken) {
                OperationRecord::begin(VERB, self.machine, &self.target.dir)?
                    .write(&self.target.dir)?;
                is_noted = true;
            }
            match step {
                ReplaceStep::Checked => {
                    others = run.step("check", || self.hold_dispensable(run, plan))?;
                }
                ReplaceStep::SnapshotTaken => self.keep_data(run)?,
                ReplaceStep::LeadMoved => {
                    let moved = others.as_ref().map_or(Ok(None), |others| {
                        handover::lead(self.lab, self.access, self.machine, others)
                    });
                    if let Some(Some(heir)) = self.if_it_answers(run, *step, moved)? {
                        run.tell_end(RUN, &format!("etcd is led by {heir} now"));
                    }
                }
                ReplaceStep::AddressMoved => {
                    let moved = handover::address(self.lab, self.access, self.machine);
                    if let Some(Some(owner)) = self.if_it_answers(run, *step, moved)? {
                        run.tell_end(RUN, &format!("the virtual address is on {owner} now"));
                    }
                }
                ReplaceStep::Drained => {
                    let drained = Api::endpoint(self.lab, self.access)
                        .and_then(|api| drain::node(&api, name, self.access.pace()));
                    if let Some(drained) = self.if_it_answers(run, *step, drained)? {
                        run.tell_end(name, &drained.to_string());
                    }
                }
                ReplaceStep::ApiEnded => {
                    let ended = handover::api_server(self.access, self.machine);
                    self.if_it_answers(run, *step, ended)?;
                }
                ReplaceStep::Removed => self.remove_member(run, others.as_ref())?,
                ReplaceStep::Destroyed => self.destroy(run, plan)?,
                _ => break,
            }
            run.reached(step.word());
        }
        Ok(())
    }

    /// Holds that the lab can do without the machine; returns the other members of etcd, where it is one.
    fn hold_dispensable(
        &self,
        run: &LabRun<'_>,
        plan: &ReplacePlan,
    ) -> Result<Option<WellMembers>, Error> {
        let Self {
            lab,
            access,
            machine,
            tool,
            ..
        } = *self;
        let name = machine.name.as_str();
        let runs: BTreeSet<&str> = (plan.found.iter())
            .filter(|found| found.runs())
            .map(|found| found.name.as_str())
            .collect();
        let absent: BTreeSet<String> = (lab.machines().iter())
            .filter(|other| !runs.contains(other.name.as_str()))
            .map(|other| other.name.clone())
            .collect();
        run.tell_begin(name, "looks whether the lab can do without it");
        let well = match machine.role {
            Role::Etcd => {
                let others = gate::hold_others_well(lab, access, name, &absent, tool)?;
                return Ok(Some(others));
            }
            Role::LoadBalancer => handover::other_balancers(lab, access, machine),
            Role::ControlPlane => handover::other_masters(lab, access, machine),
            Role::Worker => {
                Api::endpoint(lab, access)?.text("/readyz")?;
                return Ok(None);
            }
        };
        // One load balancer that serves is enough; of masters, all that are left share the work.
        let faults = well
            .iter()
            .filter_map(|(other, fault)| Some((other.clone(), fault.clone()?)));
        let faults: Vec<(String, String)> = faults.collect();
        let enough = match machine.role {
            Role::LoadBalancer => faults.len() < well.len(),
            _ => faults.is_empty() && !well.is_empty(),
        };
        match enough {
            true => Ok(None),
            false => Err(Error::Irreplaceable {
                lab: lab.name().to_owned(),
                machine: name.to_owned(),
                role: machine.role,
                faults,
            }),
        }
    }

    /// Takes a snapshot before a member of etcd goes: what the others have is then on this computer as well.
    fn keep_data(&self, run: &LabRun<'_>) -> Result<(), Error> {
        let reason = format!("before replacing `{}`", self.machine.name);
        let taken = run.step("snapshot", || {
            snapshots::take_for(self.target, self.lab, self.access, &reason)
        })?;
        run.note(&format!("snapshot `{}` taken", taken.name()));
        Ok(())
    }

    /// What came of a handover; nothing where the machine that is to go does not do it, because it is not well itself: then
    /// others have taken over, or do so when it is gone.
    fn if_it_answers<T>(
        &self,
        run: &LabRun<'_>,
        step: ReplaceStep,
        ended: Result<T, caravan_cluster::Error>,
    ) -> Result<Option<T>, Error> {
        use caravan_cluster::Error as ClusterError;
        match ended {
            Ok(done) => Ok(Some(done)),
            Err(
                error @ (ClusterError::Machine(_)
                | ClusterError::Script { .. }
                | ClusterError::Unreachable { .. }
                | ClusterError::NotInTime { .. }),
            ) if !interrupt::raised() => {
                run.note(&format!(
                    "{}: {step}: left out, as the machine does not do it: {}",
                    self.machine.name,
                    error.chain()
                ));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the machine out of etcd's members, where they still count it.
    fn remove_member(&self, run: &LabRun<'_>, others: Option<&WellMembers>) -> Result<(), Error> {
        let Some(others) = others else {
            return Ok(());
        };
        let asked: Option<&Member> = others.members.first();
        let its = |known: &&caravan_cluster::etcd::KnownMember| {
            known.addresses.contains(&self.machine.ip)
        };
        let (Some(asked), Some(known)) = (asked, others.known.iter().find(its)) else {
            return Ok(());
        };
        let what = format!("etcd to remove `{}`", self.machine.name);
        until(self.access.pace().of(REMOVAL), &what, || {
            asked
                .remove(known.id)
                .map(|()| true)
                .map_err(|error| error.chain())
        })?;
        run.tell_end(
            RUN,
            &format!("etcd does not count {} any more", self.machine.name),
        );
        Ok(())
    }

    /// Removes the machine with its data.
    fn destroy(&self, run: &LabRun<'_>, plan: &ReplacePlan) -> Result<(), Error> {
        let (target, name) = (self.target, &self.machine.name);
        let is_it = |found: &&FoundMachine| found.name == *name;
        let doomed: Vec<&FoundMachine> = plan.found.iter().filter(is_it).collect();
        let volumes = target.volumes()?;
        destroy::remove(run, target, &plan.found, &doomed)?;
        destroy::remove_volumes_of(target, &volumes, std::slice::from_ref(name))?;
        destroy::forget(target, name)?;
        let left: Vec<&FoundMachine> = plan.found.iter().filter(|it| !is_it(it)).collect();
        destroy::tell_the_left(run, target, &doomed, &left);
        Ok(())
    }
}
