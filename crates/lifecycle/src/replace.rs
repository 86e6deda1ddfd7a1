//! Replacing one machine by a new one of the same name and address, while the lab goes on.
//!
//! 1. [`Replacement::survey`] asks where it stands, and says what is to be done: a [`ReplacePlan`].
//! 2. [`Replacement::take_away`] holds that the lab can do without the machine, moves what it does for all to others, and
//!    removes it.
//! 3. The caller brings the new one up, as [`crate::up`] does; [`Replacement::while_it_joins`] tells how far an etcd member
//!    has come meanwhile.
//! 4. [`Replacement::settle`] holds that it is what the old one was, and forgets the operation.
//!
//! Each step asks what is before it changes anything, so that it may be done again; what is kept is what was meant, in
//! [`OperationRecord`]. After each step [`LabRun::reached`](crate::LabRun::reached) is told its word.

mod join;
mod measure;
mod take_away;

use std::fmt;

pub use measure::MeasuredReplacement;

use caravan_cluster::Access;
use caravan_lab::{Lab, Machine, Role};
use caravan_vagrant::provider::FoundMachine;

use crate::{Error, LabTarget, MachineStanding, OperationRecord};

/// This verb.
pub const VERB: &str = "replace";

/// A step of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplaceStep {
    /// The lab can do without the machine.
    Checked,
    /// A snapshot of what etcd has is on this computer.
    SnapshotTaken,
    /// etcd's lead is with another member.
    LeadMoved,
    /// The virtual address is with another load balancer.
    AddressMoved,
    /// The API server has ended, and load balancers send nobody there.
    ApiEnded,
    /// Its pods are elsewhere, as far as they may be.
    Drained,
    /// The cluster's etcd does not count it any more.
    Removed,
    /// The machine is gone with its data.
    Destroyed,
    /// The new machine runs.
    Made,
    /// The new member was added to etcd, without a vote.
    Added,
    /// It learns what the others know.
    Started,
    /// It votes.
    Promoted,
    /// The lab is whole.
    Settled,
}

impl ReplaceStep {
    /// The steps for a machine of this role, in their order.
    pub fn of(role: Role) -> &'static [Self] {
        use ReplaceStep as Step;
        match role {
            Role::Etcd => &[
                Step::Checked,
                Step::SnapshotTaken,
                Step::LeadMoved,
                Step::Removed,
                Step::Destroyed,
                Step::Added,
                Step::Started,
                Step::Promoted,
                Step::Made,
                Step::Settled,
            ],
            Role::LoadBalancer => &[
                Step::Checked,
                Step::AddressMoved,
                Step::Destroyed,
                Step::Made,
                Step::Settled,
            ],
            Role::ControlPlane => &[
                Step::Checked,
                Step::Drained,
                Step::ApiEnded,
                Step::Destroyed,
                Step::Made,
                Step::Settled,
            ],
            Role::Worker => &[
                Step::Checked,
                Step::Drained,
                Step::Destroyed,
                Step::Made,
                Step::Settled,
            ],
        }
    }

    /// Its word: `lead-moved`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::SnapshotTaken => "snapshot-taken",
            Self::LeadMoved => "lead-moved",
            Self::AddressMoved => "address-moved",
            Self::ApiEnded => "api-ended",
            Self::Drained => "drained",
            Self::Removed => "removed",
            Self::Destroyed => "destroyed",
            Self::Made => "made",
            Self::Added => "added",
            Self::Started => "started",
            Self::Promoted => "promoted",
            Self::Settled => "settled",
        }
    }

    /// Whether it is done while the machine that is to go is still there, and not after.
    const fn is_before_removal(self) -> bool {
        matches!(
            self,
            Self::Checked
                | Self::SnapshotTaken
                | Self::LeadMoved
                | Self::AddressMoved
                | Self::ApiEnded
                | Self::Drained
                | Self::Removed
                | Self::Destroyed
        )
    }

    /// Whether the machine that is to go must run for it: what is dead hands nothing over.
    const fn is_handover(self) -> bool {
        matches!(
            self,
            Self::LeadMoved | Self::AddressMoved | Self::ApiEnded | Self::Drained
        )
    }

    /// What is done, for people.
    fn text(self, lab: &Lab, machine: &Machine) -> String {
        let (name, role) = (&machine.name, machine.role);
        match self {
            Self::Checked => match role {
                Role::Etcd => format!(
                    "hold that all members but `{name}` have been well for 5 s, hold the same data, and have no alarm"
                ),
                Role::LoadBalancer => {
                    format!("hold that another load balancer than `{name}` serves")
                }
                Role::ControlPlane => {
                    format!("hold that the API servers of all masters but `{name}` are ready")
                }
                Role::Worker => "hold that the API answers".to_owned(),
            },
            Self::SnapshotTaken => "take a snapshot of what etcd has".to_owned(),
            Self::LeadMoved => {
                format!("hand etcd's lead over to another member, if `{name}` has it")
            }
            Self::AddressMoved => {
                format!("move the virtual address to another load balancer, if `{name}` has it")
            }
            Self::ApiEnded => {
                format!("end the API server of `{name}`, so that load balancers send nobody there")
            }
            Self::Drained => format!("drain node `{name}`, as far as disruption budgets allow"),
            Self::Removed => format!("remove `{name}` from etcd's members"),
            Self::Destroyed => {
                format!("destroy machine `{name}` with its data, and forget its host key")
            }
            Self::Made => format!(
                "make `{name}` anew at {}, and wait until it is ready",
                machine.ip
            ),
            Self::Added => format!("`{name}` adds itself to etcd as a learner, without a vote"),
            Self::Started => "it copies the data from the leader".to_owned(),
            Self::Promoted => "it is given its vote once it has caught up".to_owned(),
            Self::Settled => format!("hold that lab `{}` is whole, and verify it", lab.name()),
        }
    }
}

/// Its word.
impl fmt::Display for ReplaceStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is to be done.
#[derive(Debug)]
pub struct ReplacePlan {
    /// What was meant before, where this goes on with it.
    pub begun: Option<OperationRecord>,
    /// Which machine of the name there is.
    pub standing: MachineStanding,
    /// All machines of the lab that are there.
    pub found: Vec<FoundMachine>,
    /// What is left to do, in order.
    pub steps: Vec<ReplaceStep>,
}

/// Replacing one machine.
#[derive(Clone, Copy)]
pub struct Replacement<'a> {
    /// The lab, and what is there of it.
    pub target: &'a LabTarget,
    /// The lab.
    pub lab: &'a Lab,
    /// The machine.
    pub machine: &'a Machine,
    /// The keys to the lab.
    pub access: &'a Access,
    /// How the program that calls this is started, such as `cargo xtask`: errors may say what to do.
    pub tool: &'a str,
}

impl Replacement<'_> {
    /// Asks where it stands; changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OperationOpen`] where another operation is under way, [`Error::Silent`] where the computer of the machine
    /// does not answer, [`Error::MadeElsewhere`], [`Error::Vagrant`].
    pub fn survey(&self) -> Result<ReplacePlan, Error> {
        let Self {
            target, machine, ..
        } = *self;
        let begun = OperationRecord::read(&target.dir)?;
        if let Some(other) = &begun
            && !(other.verb == VERB && other.machine == machine.name)
        {
            return Err(Error::open(&target.name, other));
        }
        let found = crate::destroy::look(target)?;
        let names = [machine.name.clone()];
        crate::halt::hold_all_reached(target, found.silent, &names)?;
        let found = found.machines;
        let standing = match &begun {
            Some(begun) => begun.standing(machine, &found, &target.dir)?,
            None => match found.iter().find(|it| it.name == machine.name) {
                Some(there) => MachineStanding::Old { runs: there.runs() },
                None => MachineStanding::Gone,
            },
        };
        Ok(ReplacePlan {
            steps: steps(machine.role, standing),
            begun,
            standing,
            found,
        })
    }

    /// The plan's steps, for people, a line each without its number.
    pub fn lines(&self, plan: &ReplacePlan) -> Vec<String> {
        let steps = plan.steps.iter();
        steps
            .map(|step| step.text(self.lab, self.machine))
            .collect()
    }
}

/// What is left to do.
fn steps(role: Role, standing: MachineStanding) -> Vec<ReplaceStep> {
    let is_left = |step: &&ReplaceStep| match standing {
        MachineStanding::Old { runs: true } => true,
        MachineStanding::Old { runs: false } => !step.is_handover(),
        // Etcd may still count the one that is gone.
        MachineStanding::Gone => !step.is_handover() && **step != ReplaceStep::Destroyed,
        MachineStanding::New => !step.is_before_removal(),
    };
    ReplaceStep::of(role)
        .iter()
        .filter(is_left)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(role: Role, standing: MachineStanding) -> Vec<&'static str> {
        let steps = steps(role, standing);
        steps.into_iter().map(ReplaceStep::word).collect()
    }

    #[test]
    fn what_is_done_is_not_done_again() {
        use MachineStanding as Standing;
        let etcd = |standing| words(Role::Etcd, standing);
        assert_eq!(
            etcd(Standing::Old { runs: true }),
            [
                "checked",
                "snapshot-taken",
                "lead-moved",
                "removed",
                "destroyed",
                "added",
                "started",
                "promoted",
                "made",
                "settled"
            ]
        );
        // What is dead hands nothing over.
        assert_eq!(
            etcd(Standing::Old { runs: false })[..3],
            ["checked", "snapshot-taken", "removed"]
        );
        assert_eq!(
            etcd(Standing::Gone)[..4],
            ["checked", "snapshot-taken", "removed", "added"]
        );
        assert_eq!(
            etcd(Standing::New),
            ["added", "started", "promoted", "made", "settled"]
        );
        assert_eq!(
            words(Role::LoadBalancer, Standing::Old { runs: true }),
            ["checked", "address-moved", "destroyed", "made", "settled"]
        );
        assert_eq!(
            words(Role::ControlPlane, Standing::Gone),
            ["checked", "made", "settled"]
        );
    }

    /// A machine and its lab, which do what steps ask for and refuse what would do harm.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Model {
        role: Role,
        standing: MachineStanding,
        /// What only the machine that is to go does for all: etcd's lead, the virtual address, an API server, pods.
        does: bool,
        /// Whether etcd counts the machine that is to go.
        counted: bool,
        /// Whether the new machine is what the old one was.
        whole: bool,
        /// Whether a snapshot of what etcd has is on this computer.
        copied: bool,
        /// What the new machine does not get beyond: its disk is full, or its etcd never starts.
        stuck: Option<ReplaceStep>,
    }

    impl Model {
        fn new(role: Role, runs: bool) -> Self {
            Self {
                role,
                standing: MachineStanding::Old { runs },
                does: runs && role != Role::Worker,
                counted: role == Role::Etcd,
                whole: false,
                copied: false,
                stuck: None,
            }
        }

        fn act(&mut self, step: ReplaceStep) {
            use MachineStanding as Standing;
            let is_old = matches!(self.standing, Standing::Old { .. });
            match step {
                ReplaceStep::Checked => assert_ne!(self.standing, Standing::New),
                // By the others, so whether it runs or not.
                ReplaceStep::SnapshotTaken => {
                    assert_ne!(self.standing, Standing::New);
                    self.copied = true;
                }
                ReplaceStep::LeadMoved
                | ReplaceStep::AddressMoved
                | ReplaceStep::ApiEnded
                | ReplaceStep::Drained => {
                    assert_eq!(self.standing, Standing::Old { runs: true });
                    self.does = false;
                }
                ReplaceStep::Removed => {
                    assert!(!self.does, "a leader is removed");
                    assert!(self.copied, "a member is removed without a snapshot");
                    self.counted = false;
                }
                ReplaceStep::Destroyed => {
                    assert!(is_old && !self.does && !self.counted, "{self:?}");
                    self.standing = Standing::Gone;
                }
                // By the machine itself, which is there once it was made; it may have come this far already.
                ReplaceStep::Added | ReplaceStep::Started | ReplaceStep::Promoted => {
                    assert!(!is_old && !self.counted, "{self:?}");
                    self.standing = Standing::New;
                }
                ReplaceStep::Made => {
                    assert!(!is_old);
                    self.standing = Standing::New;
                    self.whole = true;
                }
                ReplaceStep::Settled => assert!(self.whole),
            }
        }

        /// Does what is left to do, until `kill` says so, or the new machine is stuck.
        fn run(&mut self, kill: Option<ReplaceStep>) {
            for step in steps(self.role, self.standing) {
                if Some(step) == self.stuck {
                    // It was made, and is there.
                    self.standing = MachineStanding::New;
                    return;
                }
                self.act(step);
                if Some(step) == kill {
                    return;
                }
            }
        }

        /// How many members vote, of whom two have to agree: the two others, and the one that is replaced while it counts.
        fn voters(&self) -> usize {
            2 + usize::from(self.counted || self.whole)
        }
    }

    #[test]
    fn a_runner_killed_after_any_step_is_continued() {
        for role in Role::ALL {
            for runs in [true, false] {
                let mut undisturbed = Model::new(role, runs);
                undisturbed.run(None);
                assert!(undisturbed.whole);
                for first in ReplaceStep::of(role) {
                    for second in ReplaceStep::of(role) {
                        let mut model = Model::new(role, runs);
                        model.run(Some(*first));
                        model.run(Some(*second));
                        model.run(None);
                        assert_eq!(model, undisturbed, "killed after {first}, then {second}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_new_member_that_is_stuck_harms_nobody_and_is_gone_on_with() {
        // Its disk is full before it has added itself, or while it copies; its etcd never starts; it never catches up.
        for stuck in [
            ReplaceStep::Added,
            ReplaceStep::Started,
            ReplaceStep::Promoted,
        ] {
            let mut model = Model::new(Role::Etcd, true);
            model.stuck = Some(stuck);
            for _ in 0..3 {
                model.run(None);
                assert!(!model.whole, "{stuck}");
                // It has no vote, so nobody waits for it: both others are a majority of those that count.
                assert_eq!(model.voters(), 2, "{stuck}");
                assert_eq!(model.standing, MachineStanding::New, "{stuck}");
            }
            model.stuck = None;
            model.run(None);
            assert!(model.whole && model.copied, "{stuck}");
            assert_eq!(model.voters(), 3);
        }
    }

    #[test]
    fn no_two_steps_have_one_word() {
        for role in Role::ALL {
            let steps = ReplaceStep::of(role);
            let words: std::collections::BTreeSet<_> = steps.iter().map(|it| it.word()).collect();
            assert_eq!(words.len(), steps.len());
            assert_eq!(steps.first(), Some(&ReplaceStep::Checked));
            assert_eq!(steps.last(), Some(&ReplaceStep::Settled));
        }
    }
}
