//! Restoring a snapshot: all members of etcd get its data at once, as another cluster than before.
//!
//! 1. [`Restoration::survey`] asks where it stands, and says what is to be done: a [`RestorePlan`].
//! 2. [`Restoration::run`] does it, and [`Restoration::give_up`] returns to what was there before, as long as not all members
//!    have the restored data in its place.
//!
//! The API servers are stopped first, so that nobody is told what is not so any more. The members are stopped and kept from
//! starting, each makes data of the snapshot beside its own, and only when all have the restored data in its place, with the
//! token of the cluster that is to be, does any of them start: a member with the old data would be a cluster of its own, and
//! with the old token it would even fit into the restored one, with another log.
//!
//! Each step asks what is before it changes anything, so that it may be done again; what is kept is what was meant, in
//! [`OperationRecord`]. After each step [`LabRun::reached`](crate::LabRun::reached) is told its word.

mod act;
mod token;

use std::collections::BTreeMap;
use std::fmt;

use caravan_cluster::etcd::restore::{MemberMachine, MemberStanding, RestoreOrder};
use caravan_cluster::{Access, parallel};
use caravan_lab::{Lab, Machine, Role};
use caravan_render::Software;

use crate::snapshots::{Snapshot, SnapshotFault, authorities};
use crate::{Error, Keys, LabTarget, OperationRecord, RestoreIntent, SnapshotError, Workspace};

/// This verb.
pub const VERB: &str = "etcd restore";

/// How many revisions are left out at least, so that none that was ever told of is used for something else. As etcd's own
/// guide has it: more than a cluster writes in a year.
const BUMP: u64 = 1_000_000_000;

/// A step of a restoration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestoreStep {
    /// The snapshot is whole and fits, all machines can do their part, and what is there now is kept.
    Checked,
    /// No API server answers.
    ApiStopped,
    /// No member runs, and none starts.
    EtcdStoppedMasked,
    /// Each member has data made of the snapshot beside its own.
    StagedOnAll,
    /// Each member has it in its place.
    SwappedOnAll,
    /// The members have a majority.
    Started,
    /// All API servers are ready.
    ApiStarted,
    /// What the cluster says of itself is so, and the lab is ready.
    Reconciled,
}

impl RestoreStep {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Checked,
        Self::ApiStopped,
        Self::EtcdStoppedMasked,
        Self::StagedOnAll,
        Self::SwappedOnAll,
        Self::Started,
        Self::ApiStarted,
        Self::Reconciled,
    ];

    /// Its word: `swapped-on-all`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::ApiStopped => "api-stopped",
            Self::EtcdStoppedMasked => "etcd-stopped-masked",
            Self::StagedOnAll => "staged-on-all",
            Self::SwappedOnAll => "swapped-on-all",
            Self::Started => "started",
            Self::ApiStarted => "api-started",
            Self::Reconciled => "reconciled",
        }
    }

    /// Whether it is done once all members have the restored data in its place, and not before.
    const fn is_after_the_swap(self) -> bool {
        matches!(self, Self::Started | Self::ApiStarted | Self::Reconciled)
    }

    /// What is done, for people; without a snapshot, with what one member has alone.
    fn text(self, lab: &Lab, snapshot: Option<&Snapshot>, is_begun: bool) -> String {
        let names = |role: Role| {
            let names: Vec<&str> = lab.of_role(role).map(|it| it.name.as_str()).collect();
            names.join(", ")
        };
        let (members, masters) = (names(Role::Etcd), names(Role::ControlPlane));
        match self {
            Self::Checked => {
                let keep = match is_begun {
                    true => "",
                    false => "; take a snapshot of what is there now",
                };
                let what = snapshot.map_or_else(
                    || "the copy is whole".to_owned(),
                    |it| format!("snapshot `{}` is whole and of this lab", it.name()),
                );
                format!("hold that {what}, and that {members} have room for it{keep}")
            }
            Self::ApiStopped => format!("stop the control planes of {masters}"),
            Self::EtcdStoppedMasked => {
                format!("stop etcd on {members}, and keep it from starting")
            }
            Self::StagedOnAll => {
                let revision = snapshot.map_or_else(String::new, |it| {
                    format!(" of revision {}", it.record.revision)
                });
                format!(
                    "make data{revision} beside the old on each of them, for a cluster with another token"
                )
            }
            Self::SwappedOnAll => {
                "put it into its place on each of them, one after the other".to_owned()
            }
            Self::Started => "start etcd on all of them, and wait for a majority".to_owned(),
            Self::ApiStarted => format!(
                "start the control planes of {masters}, and all kubelets anew, and wait until the API answers"
            ),
            Self::Reconciled => format!(
                "put right what the cluster says of itself, and wait until lab `{}` is whole",
                lab.name()
            ),
        }
    }
}

/// Its word.
impl fmt::Display for RestoreStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is to be done.
#[derive(Debug)]
pub struct RestorePlan {
    /// What was meant before, where this goes on with it.
    pub begun: Option<OperationRecord>,
    /// What is restored.
    pub snapshot: Snapshot,
    /// How far each member is, by its machine's name; nothing where nothing was begun.
    pub members: BTreeMap<String, MemberStanding>,
    /// What is left to do, in order.
    pub steps: Vec<RestoreStep>,
}

/// Restoring a snapshot.
#[derive(Clone, Copy)]
pub struct Restoration<'a> {
    /// Where the lab's file and state are.
    pub workspace: &'a Workspace,
    /// The lab, and what is there of it.
    pub target: &'a LabTarget,
    /// The lab.
    pub lab: &'a Lab,
    /// Its keys.
    pub keys: &'a Keys,
    /// The way into it.
    pub access: &'a Access,
    /// What its machines' files say of versions.
    pub software: &'a Software,
    /// How the program that calls this is started, such as `cargo xtask`: errors may say what to do.
    pub tool: &'a str,
}

impl Restoration<'_> {
    /// Asks where it stands; changes nothing. `named` is as [`Snapshot::find`] takes it; where a restoration is under way it
    /// need not be named.
    ///
    /// # Errors
    ///
    /// [`Error::OperationOpen`] where another operation, or that of another snapshot, is under way; [`SnapshotError::NoSuch`];
    /// [`SnapshotError::NoRestoration`] where nothing is named and nothing is under way; [`Error::Cluster`] where a member's machine
    /// cannot be asked.
    pub fn survey(&self, named: Option<&str>) -> Result<RestorePlan, Error> {
        let begun = OperationRecord::read(&self.target.dir)?;
        if let Some(other) = begun.as_ref().filter(|it| it.verb != VERB) {
            return Err(Error::open(&self.target.name, other));
        }
        let Some(begun) = begun else {
            let named = named.ok_or_else(|| {
                Error::from(SnapshotError::NoRestoration {
                    lab: self.target.name.clone(),
                })
            })?;
            return Ok(RestorePlan {
                snapshot: Snapshot::find(self.target, named)?,
                begun: None,
                members: BTreeMap::new(),
                steps: RestoreStep::ALL.to_vec(),
            });
        };
        let snapshot = Snapshot::find(self.target, &begun.machine)?;
        if let Some(named) = named
            && Snapshot::find(self.target, named)?.file != snapshot.file
        {
            return Err(Error::open(&self.target.name, &begun));
        }
        let order = self.order(&begun)?;
        let members = self.standings(&order)?;
        Ok(RestorePlan {
            steps: steps(&members),
            begun: Some(begun),
            snapshot,
            members,
        })
    }

    /// The plan's steps, for people, a line each without its number.
    pub fn lines(&self, plan: &RestorePlan) -> Vec<String> {
        let steps = plan.steps.iter();
        steps
            .map(|step| step.text(self.lab, Some(&plan.snapshot), plan.begun.is_some()))
            .collect()
    }

    /// The steps of bringing back what the member on `machine` has alone, for people, a line each without its number.
    pub fn lines_from(&self, machine: &Machine) -> Vec<String> {
        let name = &machine.name;
        let mut lines = vec![
            format!("hold that etcd has no majority; start `{name}` if it is halted"),
            format!("stop etcd on `{name}`, copy what it has to this computer, and start it again"),
            "make the machines of etcd anew that are gone, and start those that are halted"
                .to_owned(),
        ];
        let steps = RestoreStep::ALL.into_iter();
        lines.extend(steps.map(|step| step.text(self.lab, None, true)));
        lines
    }

    /// What each member is told, by what was meant.
    fn order(&self, begun: &OperationRecord) -> Result<RestoreOrder, Error> {
        let intent = intent(begun);
        let token = token::of(&self.own_token()?, begun, intent);
        let token = token.ok_or_else(|| {
            Error::from(SnapshotError::TokenLost {
                lab: self.target.name.clone(),
            })
        })?;
        Ok(RestoreOrder {
            token,
            sha256: intent.sha256.clone(),
            bump: intent.bump,
        })
    }

    fn members<'a>(&'a self, order: &'a RestoreOrder) -> Vec<MemberMachine<'a>> {
        let machines = self.lab.of_role(Role::Etcd);
        machines
            .map(|machine| MemberMachine {
                access: self.access,
                machine,
                order,
            })
            .collect()
    }

    /// How far each member is; one whose machine does not run is nowhere.
    fn standings(&self, order: &RestoreOrder) -> Result<BTreeMap<String, MemberStanding>, Error> {
        let down = self.members_down()?;
        let all = parallel::each(self.members(order), |member| {
            let name = member.machine.name.clone();
            let standing = match down.contains(&name) {
                true => MemberStanding::default(),
                false => member.standing()?,
            };
            Ok::<_, Error>((name, standing))
        });
        all.into_iter().collect()
    }

    /// The machines of etcd that do not run: all are needed, and the caller brings them up.
    ///
    /// # Errors
    ///
    /// [`Error::Vagrant`].
    pub fn members_down(&self) -> Result<Vec<String>, Error> {
        let running = self.target.running()?;
        let machines = self.lab.of_role(Role::Etcd);
        let down = machines.filter(|machine| !running.contains(&machine.name));
        Ok(down.map(|machine| machine.name.clone()).collect())
    }

    /// Whether the machines called that can be asked by now.
    pub fn are_reached(&self, names: &[String]) -> bool {
        let none = no_order();
        let members = self.members(&none);
        let theirs = members.iter().filter(|it| names.contains(&it.machine.name));
        parallel::each(theirs, |member| member.standing().is_ok())
            .into_iter()
            .all(|reached| reached)
    }

    /// Holds that the snapshot is of this lab, and of versions that its machines can read.
    fn hold_fits(&self, snapshot: &Snapshot, other_authorities: bool) -> Result<(), Error> {
        let ours = authorities(self.access)?;
        let now: BTreeMap<String, String> = crate::drill::versions(self.target, self.lab)
            .into_iter()
            .collect();
        let fault = fault(snapshot, &self.target.name, &ours, &now, other_authorities);
        match fault {
            None => Ok(()),
            Some(fault) => Err(Error::from(SnapshotError::Refused {
                file: snapshot.file.clone(),
                fault,
            })),
        }
    }
}

/// Of machines that are only asked.
fn no_order() -> RestoreOrder {
    RestoreOrder {
        token: String::new(),
        sha256: String::new(),
        bump: 0,
    }
}

/// What was meant: what is under way has said so.
fn intent(begun: &OperationRecord) -> &RestoreIntent {
    static NONE: RestoreIntent = RestoreIntent {
        sha256: String::new(),
        token_sha256: String::new(),
        bump: 0,
        other_authorities: false,
    };
    // A record without it makes no sense, and no token follows from it.
    begun.restore.as_ref().unwrap_or(&NONE)
}

/// Why a snapshot is of no use in a lab.
fn fault(
    snapshot: &Snapshot,
    lab: &str,
    ours: &BTreeMap<String, Vec<String>>,
    now: &BTreeMap<String, String>,
    other_authorities: bool,
) -> Option<SnapshotFault> {
    let record = &snapshot.record;
    if record.lab != lab {
        return Some(SnapshotFault::OtherLab {
            lab: record.lab.clone(),
        });
    }
    for (of, prints) in ours {
        let then = record.authorities.get(of);
        let known = then.is_some_and(|then| then.iter().any(|print| prints.contains(print)));
        if !known && !other_authorities {
            return Some(SnapshotFault::OtherAuthorities { of: of.clone() });
        }
    }
    for what in ["etcd", "kubernetes"] {
        if let (Some(then), Some(now)) = (record.versions.get(what), now.get(what))
            && minor(then) > minor(now)
        {
            return Some(SnapshotFault::Newer {
                what: what.to_owned(),
                then: then.clone(),
                now: now.clone(),
            });
        }
    }
    None
}

/// Major and minor of a version such as `3.6.14`: a newer patch writes nothing that an older one does not read.
fn minor(version: &str) -> (u32, u32) {
    let version = version.trim_start_matches('v');
    let mut numbers = version.split('.').map(|it| it.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether all members have the restored data in its place: from then on there is no way back.
fn is_swapped_on_all(members: &BTreeMap<String, MemberStanding>) -> bool {
    !members.is_empty() && members.values().all(|it| it.swapped)
}

/// What is left to do.
fn steps(members: &BTreeMap<String, MemberStanding>) -> Vec<RestoreStep> {
    let all = RestoreStep::ALL.into_iter();
    match is_swapped_on_all(members) {
        // What the store says of the token may not be told yet, which is a part of that step.
        true => all
            .filter(|step| *step == RestoreStep::SwappedOnAll || step.is_after_the_swap())
            .collect(),
        false => all.collect(),
    }
}

#[cfg(test)]
mod tests;
