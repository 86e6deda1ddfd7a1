//! Doing the steps, and giving up.

use std::fs::File;
use std::path::Path;

use caravan_cluster::timeline::RUN;
use caravan_process::interrupt;
use caravan_vagrant::parts::{MachinePart, PartStanding, TransferError};

use super::{CheckpointPlan, CheckpointRestoration, CheckpointStep, VERB};
use crate::checkpoints::save::words;
use crate::checkpoints::{
    Checkpoint, CheckpointPart, CheckpointRequest, hold_free, hold_room, keep, state,
};
use crate::{CheckpointError, Error, LabRun, OperationRecord, state_file};

/// What the name of the checkpoint begins with that has what was there before.
const BEFORE: &str = "before-restore-";

impl CheckpointRestoration<'_> {
    /// Does the steps of `plan`.
    ///
    /// Before the first change of anything the operation is noted, so that what is cut off here is gone on with.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Refused`], [`CheckpointError::Runs`], [`CheckpointError::Missing`] and [`CheckpointError::NoRoom`]
    /// where it cannot be done: nothing was changed. [`Error::Vagrant`], [`Error::Write`], [`Error::Interrupted`]: the same
    /// command goes on.
    pub fn run(&self, run: &LabRun<'_>, plan: &CheckpointPlan) -> Result<(), Error> {
        for step in &plan.steps {
            if interrupt::raised() {
                return Err(Error::Interrupted);
            }
            run.tell_begin(RUN, &step.text(self.lab.lab.name(), &plan.checkpoint));
            run.step(step.word(), || self.act(*step, run, plan))?;
            run.tell_end(RUN, step.word());
            run.reached(step.word());
        }
        Ok(())
    }

    fn act(
        &self,
        step: CheckpointStep,
        run: &LabRun<'_>,
        plan: &CheckpointPlan,
    ) -> Result<(), Error> {
        let checkpoint = &plan.checkpoint;
        match step {
            CheckpointStep::Checked => self.check(checkpoint),
            CheckpointStep::Kept => self.keep_what_is(run, checkpoint),
            CheckpointStep::StagedOnAll => self.stage(run, checkpoint),
            CheckpointStep::SwappedOnAll => self.swap(run, checkpoint),
            CheckpointStep::StatePutBack => {
                (self.lab.missing)()?;
                state::put_back(self.lab.lab, self.lab.dir, &checkpoint.folder)
            }
            CheckpointStep::Cleaned => {
                // A machine that somebody has removed meanwhile has nothing to be cleaned of.
                (self.lab.missing)()?;
                let all: Vec<&MachinePart> = self.lab.store.parts().iter().collect();
                self.lab.store.clean(&all)?;
                OperationRecord::forget(self.lab.dir)?;
                state::forget_before(self.lab.dir)?;
                for name in keep::prune(self.lab.dir)? {
                    run.note(&format!(
                        "removed checkpoint `{name}`, as a newer one was kept"
                    ));
                }
                Ok(())
            }
        }
    }

    /// Holds what must hold before anything is changed.
    fn check(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.lab.hold_halted(false)?;
        self.hold_fits(checkpoint)?;
        keep::hold_whole(checkpoint)?;
        self.hold_room_to_stage(checkpoint)?;
        let used = self.lab.spaces()?.iter().map(|it| it.used).sum();
        hold_room(&self.lab.dir.checkpoints(), used)
    }

    /// Keeps what is there now, and notes what is meant.
    fn keep_what_is(&self, run: &LabRun<'_>, checkpoint: &Checkpoint) -> Result<(), Error> {
        let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ");
        let kept = self.lab.save(
            run,
            &CheckpointRequest {
                name: &format!("{BEFORE}{stamp}"),
                reason: &format!("before restoring `{}`", checkpoint.name()),
                automatic: true,
            },
        )?;
        run.note(&format!("what is there now: checkpoint `{}`", kept.name()));
        // Where both are on one disk, that has less now.
        self.hold_room_to_stage(checkpoint)?;
        OperationRecord {
            verb: VERB.to_owned(),
            machine: checkpoint.name(),
            host_keys: Vec::new(),
            machines: Vec::new(),
            since: state_file::now(),
            restore: None,
        }
        .write(self.lab.dir)
    }

    /// Holds that all of it has room beside what is there.
    fn hold_room_to_stage(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let machines = checkpoint.record.machines.iter();
        let needed = machines.flat_map(|it| &it.parts).map(|it| it.used).sum();
        // They are all the engine's.
        let Some(free) = self.lab.spaces()?.iter().map(|it| it.free).min() else {
            return Ok(());
        };
        hold_free("the disk of the container engine".to_owned(), free, needed)
    }

    fn stage(&self, run: &LabRun<'_>, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.lab.hold_halted(true)?;
        self.hold_fits(checkpoint)?;
        let standings = self.standings()?;
        let all = self.parts(checkpoint)?;
        let is_left = |part: &MachinePart, to: &CheckpointPart| {
            !is_begun(&standings[&part.id()], &to.archive.sha256)
        };
        let left = |machine: &str| {
            let own = all.iter().filter(|(part, _)| part.machine == machine);
            let left: Vec<_> = own.filter(|(part, to)| is_left(part, to)).collect();
            left
        };
        if all.iter().any(|(part, to)| is_left(part, to)) {
            keep::hold_whole(checkpoint)?;
        }
        let machines = self.lab.lab.machines();
        for (number, machine) in machines.iter().enumerate() {
            for (part, to) in left(&machine.name) {
                if interrupt::raised() {
                    return Err(Error::Interrupted);
                }
                run.tell_begin(&machine.name, &format!("gets {}", words(part)));
                self.make_ready(part, &standings[&part.id()])?;
                self.stage_part(part, to, &checkpoint.folder)?;
            }
            run.tell_end(&machine.name, "staged");
            run.reached(&format!("staged {}/{}", number + 1, machines.len()));
        }
        Ok(())
    }

    /// Ends what another restoration has left, which was done or given up, as nothing else is under way.
    fn make_ready(&self, part: &MachinePart, standing: &PartStanding) -> Result<(), Error> {
        match standing {
            PartStanding::Untouched => {}
            PartStanding::Swapped(_) => self.lab.store.clean(&[part])?,
            PartStanding::Staged(_) | PartStanding::Emptied(_) => {
                self.lab.store.take_back(&[part])?;
            }
        }
        Ok(())
    }

    fn stage_part(
        &self,
        part: &MachinePart,
        to: &CheckpointPart,
        folder: &Path,
    ) -> Result<(), Error> {
        let path = folder.join(&to.archive.file);
        let failed = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let mut archive = File::open(&path).map_err(failed)?;
        let staged = self.lab.store.stage(part, &to.archive.sha256, &mut archive);
        staged.map_err(|error| match error {
            TransferError::File(source) => failed(source),
            TransferError::Part(error) => error.into(),
        })
    }

    fn swap(&self, run: &LabRun<'_>, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.lab.hold_halted(true)?;
        let standings = self.standings()?;
        let all = self.parts(checkpoint)?;
        // No machine has what was then while another one could not have it.
        let behind = |(part, to): &&(&MachinePart, &CheckpointPart)| {
            !is_begun(&standings[&part.id()], &to.archive.sha256)
        };
        if let Some((part, _)) = all.iter().find(behind) {
            return Err(Error::from(CheckpointError::NotStaged {
                lab: self.lab.lab.name().to_owned(),
                part: part.id(),
            }));
        }
        let machines = self.lab.lab.machines();
        for (number, machine) in machines.iter().enumerate() {
            let is_left = |part: &&MachinePart| {
                part.machine == machine.name
                    && !matches!(standings[&part.id()], PartStanding::Swapped(_))
            };
            let left: Vec<&MachinePart> = all.iter().map(|it| it.0).filter(is_left).collect();
            if !left.is_empty() {
                self.lab.store.swap(&left)?;
            }
            run.tell_end(&machine.name, "in its place");
            run.reached(&format!("swapped {}/{}", number + 1, machines.len()));
        }
        Ok(())
    }

    /// Each part of each machine, with what it is to be.
    fn parts<'a>(
        &'a self,
        checkpoint: &'a Checkpoint,
    ) -> Result<Vec<(&'a MachinePart, &'a CheckpointPart)>, Error> {
        let own = self.lab.store.parts();
        let mut all = Vec::new();
        for machine in &checkpoint.record.machines {
            for to in &machine.parts {
                let id = format!("{}.{}", machine.name, to.name);
                let part = own.iter().find(|part| part.id() == id);
                let part = part.ok_or_else(|| {
                    Error::from(CheckpointError::NotStaged {
                        lab: self.lab.lab.name().to_owned(),
                        part: id,
                    })
                })?;
                all.push((part, to));
            }
        }
        Ok(all)
    }

    /// Returns to what was there before: possible until all parts have what is to be in its place. A machine that is gone has
    /// nothing to return to.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NotUnderWay`], [`CheckpointError::NoWayBack`] where it is too late, [`CheckpointError::Runs`],
    /// [`Error::Vagrant`]: the same command goes on.
    pub fn give_up(&self, run: &LabRun<'_>, plan: &CheckpointPlan) -> Result<(), Error> {
        let lab = || self.lab.lab.name().to_owned();
        if plan.begun.is_none() {
            return Err(Error::from(CheckpointError::NotUnderWay { lab: lab() }));
        }
        (self.lab.missing)()?;
        if self.is_past_return(&plan.checkpoint)? {
            return Err(Error::from(CheckpointError::NoWayBack {
                lab: lab(),
                name: plan.checkpoint.name(),
            }));
        }
        run.tell_begin(RUN, "puts back what was there before");
        let parts: Vec<&MachinePart> = self.lab.store.parts().iter().collect();
        run.step("take-back", || {
            Ok::<_, Error>(self.lab.store.take_back(&parts)?)
        })?;
        run.reached("taken-back");
        OperationRecord::forget(self.lab.dir)?;
        run.reached("given-up");
        Ok(())
    }
}

/// Whether what is to be, by its sum, is there, in its place or on its way.
fn is_begun(standing: &PartStanding, sum: &str) -> bool {
    match standing {
        PartStanding::Untouched => false,
        PartStanding::Staged(of) | PartStanding::Emptied(of) | PartStanding::Swapped(of) => {
            of == sum
        }
    }
}
