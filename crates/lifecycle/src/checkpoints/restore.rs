//! Putting a checkpoint back: all machines get what they had, and the lab's state what fits to it.
//!
//! What machines have now is kept as a checkpoint of its own first. Then what is to be is put beside what is there, on all of
//! them, and only then into its place; the lab's state follows, and last what was there before is removed. No machine runs
//! meanwhile, so nobody sees what is between.
//!
//! Where it stands is asked of the machines' parts, each of which says on its own disk how far it is; what is kept here is what
//! was meant, in [`OperationRecord`]. After each step [`LabRun::reached`](crate::LabRun::reached) is told its word.

mod act;

use std::collections::BTreeMap;
use std::fmt;

use caravan_vagrant::parts::PartStanding;

use super::{Checkpoint, HaltedLab, keep, state};
use crate::{CheckpointError, CheckpointFault, Error, OperationRecord};

/// This verb.
pub const VERB: &str = "checkpoint restore";

/// A step of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointStep {
    /// The checkpoint is whole and fits, no machine runs, and there is room.
    Checked,
    /// What is there now is kept.
    Kept,
    /// Each part of each machine has what is to be beside what is there.
    StagedOnAll,
    /// Each has it in its place.
    SwappedOnAll,
    /// The lab's state fits to it.
    StatePutBack,
    /// What was there before is removed.
    Cleaned,
}

impl CheckpointStep {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Checked,
        Self::Kept,
        Self::StagedOnAll,
        Self::SwappedOnAll,
        Self::StatePutBack,
        Self::Cleaned,
    ];

    /// Its word: `swapped-on-all`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Kept => "kept",
            Self::StagedOnAll => "staged-on-all",
            Self::SwappedOnAll => "swapped-on-all",
            Self::StatePutBack => "state-put-back",
            Self::Cleaned => "cleaned",
        }
    }

    /// What is done, for people.
    fn text(self, lab: &str, checkpoint: &Checkpoint) -> String {
        let name = checkpoint.name();
        match self {
            Self::Checked => format!(
                "hold that checkpoint `{name}` is whole and of lab `{lab}` and its machine image, that no machine runs, and that there is room"
            ),
            Self::Kept => {
                "keep what is there now as a checkpoint of its own, `before-restore-TIME`"
                    .to_owned()
            }
            Self::StagedOnAll => format!(
                "put what `{name}` has beside what is there, on all {} machines, volumes included",
                checkpoint.record.machines.len()
            ),
            Self::SwappedOnAll => {
                "put it into its place, one machine after the other, and what is there aside"
                    .to_owned()
            }
            Self::StatePutBack => {
                format!("put back the keys, choices and records of lab `{lab}` that fit to it")
            }
            Self::Cleaned => "remove what was put aside".to_owned(),
        }
    }
}

/// Its word.
impl fmt::Display for CheckpointStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is to be done.
#[derive(Debug)]
pub struct CheckpointPlan {
    /// What was meant before, where this goes on with it.
    pub begun: Option<OperationRecord>,
    /// What is put back.
    pub checkpoint: Checkpoint,
    /// What is left to do, in order.
    pub steps: Vec<CheckpointStep>,
}

/// Putting a checkpoint back.
#[derive(Clone, Copy)]
pub struct CheckpointRestoration<'a> {
    /// The lab.
    pub lab: HaltedLab<'a>,
}

impl CheckpointRestoration<'_> {
    /// Asks where it stands; changes nothing. `named` is as [`find`](super::find) takes it; where this is under way it need
    /// not be named.
    ///
    /// # Errors
    ///
    /// [`Error::OperationOpen`] where another operation, or that of another checkpoint, is under way;
    /// [`CheckpointError::NoSuch`]; [`CheckpointError::NotUnderWay`] where nothing is named and nothing is under way;
    /// [`Error::Vagrant`] where parts cannot be asked.
    pub fn survey(&self, named: Option<&str>) -> Result<CheckpointPlan, Error> {
        let name = self.lab.lab.name();
        let begun = OperationRecord::read(self.lab.dir)?;
        if let Some(other) = begun.as_ref().filter(|it| it.verb != VERB) {
            return Err(Error::open(name, other));
        }
        let Some(begun) = begun else {
            let named = named.ok_or_else(|| {
                Error::from(CheckpointError::NotUnderWay {
                    lab: name.to_owned(),
                })
            })?;
            return Ok(CheckpointPlan {
                begun: None,
                checkpoint: keep::find(self.lab.dir, named)?,
                steps: CheckpointStep::ALL.to_vec(),
            });
        };
        if let Some(named) = named
            && keep::find(self.lab.dir, named)?.name() != begun.machine
        {
            return Err(Error::open(name, &begun));
        }
        let checkpoint = keep::find(self.lab.dir, &begun.machine)?;
        let steps = match self.is_past_return(&checkpoint)? {
            true => &CheckpointStep::ALL[4..],
            false => &CheckpointStep::ALL[2..],
        };
        Ok(CheckpointPlan {
            steps: steps.to_vec(),
            begun: Some(begun),
            checkpoint,
        })
    }

    /// The plan's steps, for people, a line each without its number.
    pub fn lines(&self, plan: &CheckpointPlan) -> Vec<String> {
        let steps = plan.steps.iter();
        steps
            .map(|step| step.text(self.lab.lab.name(), &plan.checkpoint))
            .collect()
    }

    /// How far each part is, by its id.
    fn standings(&self) -> Result<BTreeMap<String, PartStanding>, Error> {
        let ids = self.lab.store.parts().iter().map(|part| part.id());
        Ok(ids.zip(self.lab.store.standings()?).collect())
    }

    /// Whether all parts have what is to be in its place: from then on there is no way back but by another checkpoint.
    fn is_past_return(&self, checkpoint: &Checkpoint) -> Result<bool, Error> {
        if state::is_being_put_back(self.lab.dir) {
            return Ok(true);
        }
        let standings = self.standings()?;
        let machines = checkpoint.record.machines.iter();
        let mut parts = machines.flat_map(|machine| {
            let parts = machine.parts.iter();
            parts.map(move |part| (format!("{}.{}", machine.name, part.name), part))
        });
        Ok(parts.all(|(id, part)| {
            let swapped = PartStanding::Swapped(part.archive.sha256.clone());
            standings.get(&id) == Some(&swapped)
        }))
    }

    /// Holds that a checkpoint is of this lab as its machines are now.
    fn hold_fits(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        match self.fault(checkpoint) {
            None => Ok(()),
            Some(fault) => Err(Error::from(CheckpointError::Refused {
                name: checkpoint.name(),
                fault,
            })),
        }
    }

    fn fault(&self, checkpoint: &Checkpoint) -> Option<CheckpointFault> {
        let record = &checkpoint.record;
        if record.lab != self.lab.lab.name() {
            return Some(CheckpointFault::OtherLab {
                lab: record.lab.clone(),
            });
        }
        let then: BTreeMap<&str, String> = (record.machines.iter())
            .map(|it| {
                let place = format!("{} at {} on server `{}`", it.role, it.ip, it.server);
                (it.name.as_str(), place)
            })
            .collect();
        let now: BTreeMap<&str, String> = (self.lab.lab.machines().iter())
            .map(|it| {
                let place = format!("{} at {} on server `{}`", it.role.word(), it.ip, it.server);
                (it.name.as_str(), place)
            })
            .collect();
        if let Some(machine) = differs(&then, &now) {
            return Some(CheckpointFault::OtherMachine {
                then: then.get(machine).cloned(),
                now: now.get(machine).cloned(),
                machine: machine.to_owned(),
            });
        }
        let parts = self.lab.store.parts();
        for machine in &record.machines {
            let own: Vec<_> = parts
                .iter()
                .filter(|it| it.machine == machine.name)
                .collect();
            if let Some(other) = own.iter().find(|part| part.image != machine.image) {
                return Some(CheckpointFault::OtherImage {
                    machine: machine.name.clone(),
                    then: machine.image.clone(),
                    now: other.image.clone(),
                });
            }
            let names = |names: Vec<&str>| names.join(", ");
            let then = names(machine.parts.iter().map(|it| it.name.as_str()).collect());
            let now = names(own.iter().map(|it| it.name.as_str()).collect());
            if then != now {
                return Some(CheckpointFault::OtherParts {
                    machine: machine.name.clone(),
                    then,
                    now,
                });
            }
        }
        None
    }
}

/// The first that is not the same in both, or only in one.
fn differs<'a>(
    one: &BTreeMap<&'a str, String>,
    other: &BTreeMap<&'a str, String>,
) -> Option<&'a str> {
    let mut all = one.keys().chain(other.keys());
    all.find(|name| one.get(*name) != other.get(*name)).copied()
}
