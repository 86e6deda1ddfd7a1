//! The new machine: what is told of it while it comes, and what must hold in the end.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use caravan_cluster::etcd::{self, KnownMember, Member};
use caravan_cluster::timeline::RUN;
use caravan_lab::Role;

use super::{ReplacePlan, ReplaceStep, Replacement};
use crate::{Error, LabRun, OperationRecord};

/// How often the cluster is asked how far the new member has come, at the usual pace.
const POLL: Duration = Duration::from_millis(200);

/// The ways of a new member, in their order.
const WAYS: [ReplaceStep; 3] = [
    ReplaceStep::Added,
    ReplaceStep::Started,
    ReplaceStep::Promoted,
];

impl Replacement<'_> {
    /// Does `work`, which brings the new machine up, and tells meanwhile how far it has come among etcd's members.
    ///
    /// # Errors
    ///
    /// What `work` returns.
    pub fn while_it_joins<T, E>(
        &self,
        run: &LabRun<'_>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if self.machine.role != Role::Etcd {
            return work();
        }
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.tell_ways(run, &ended));
            let done = work();
            ended.store(true, Ordering::Relaxed);
            done
        })
    }

    fn tell_ways(&self, run: &LabRun<'_>, ended: &AtomicBool) {
        let Ok(mut members) = etcd::members(self.lab, self.access) else {
            return;
        };
        members.retain(|member| member.name != self.machine.name);
        let mut told = 0;
        while !ended.load(Ordering::Relaxed) && told < WAYS.len() {
            let known = members.iter().find_map(confirmed);
            let come = known.map_or(0, |known| self.come(&known));
            // Each is told, also where the member was faster than the questions.
            while told < come {
                let step = WAYS[told];
                run.tell_end(RUN, &step.text(self.lab, self.machine));
                run.reached(step.word());
                told += 1;
            }
            std::thread::sleep(self.access.pace().of(POLL));
        }
    }

    /// How many of [`WAYS`] the member on the machine has behind it.
    fn come(&self, known: &[KnownMember]) -> usize {
        let mut known = known.iter();
        match known.find(|it| it.addresses.contains(&self.machine.ip)) {
            None => 0,
            Some(member) if member.learner && !member.started => 1,
            Some(member) if member.learner => 2,
            Some(_) => 3,
        }
    }

    /// Holds that the new machine is what the old one was, and forgets the operation.
    ///
    /// # Errors
    ///
    /// [`Error::NotJoined`], [`Error::Cluster`], [`Error::Write`].
    pub fn settle(&self, run: &LabRun<'_>) -> Result<(), Error> {
        run.reached(ReplaceStep::Made.word());
        if self.machine.role == Role::Etcd {
            let members = etcd::members(self.lab, self.access)?;
            let known = members.iter().find_map(confirmed).unwrap_or_default();
            if self.come(&known) < WAYS.len() {
                return Err(Error::NotJoined {
                    lab: self.lab.name().to_owned(),
                    machine: self.machine.name.clone(),
                });
            }
        }
        OperationRecord::forget(&self.target.dir)?;
        run.reached(ReplaceStep::Settled.word());
        Ok(())
    }

    /// The machines to bring up: the new one, and those that ran before. One that somebody halted stays so.
    pub fn wanted(&self, plan: &ReplacePlan) -> Vec<String> {
        let ran: BTreeSet<&str> = (plan.found.iter())
            .filter(|found| found.runs())
            .map(|found| found.name.as_str())
            .collect();
        let machines = self.lab.machines().iter();
        machines
            .filter(|it| it.name == self.machine.name || ran.contains(it.name.as_str()))
            .map(|it| it.name.clone())
            .collect()
    }
}

fn confirmed(member: &Member) -> Option<Vec<KnownMember>> {
    member.confirmed_members().ok()
}
