//! What a failure costs: what still works and what stops when machines are lost.
//!
//! Everything follows from how many machines of each role are left, so that the answer for a thousand machines is as quick as for nine.
//!
//! - etcd takes writes while a majority of its members is there, and API servers read through etcd.
//! - An API server without etcd's majority fails its `/readyz`, so load balancers send it no requests.
//! - The virtual address is held while one load balancer is there; without load balancers the endpoint is the one master.
//! - What runs on a worker goes on without the API; nothing is moved or started then.

mod placement;
mod words;

use std::collections::HashMap;

use serde::Serialize;

use crate::lab::Lab;
use crate::machine::{Machine, Role};

pub use placement::{Advice, Group, Move, NeedsMore, Placement};
pub use words::{LossGroup, few, grouped, verdict};

/// What each loss costs a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Analysis {
    /// The loss of each machine alone, in the order of the file.
    pub machines: Vec<Loss>,
    /// The loss of each server with all its machines, in the order of their names.
    pub servers: Vec<Loss>,
    /// The loss of the smaller and the larger half of each role that has two machines or more, in the order of starting.
    pub halves: Vec<Loss>,
    /// Whether the machines' places survive the loss of a server, and which places would.
    pub placement: Placement,
}

impl Analysis {
    /// Returns true if the cluster survives the loss of any one machine.
    pub fn survives_any_machine(&self) -> bool {
        self.machines.iter().all(Loss::cluster_survives)
    }

    /// Returns true if the cluster survives the loss of any one server.
    pub fn survives_any_server(&self) -> bool {
        self.servers.iter().all(Loss::cluster_survives)
    }
}

/// What is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Subject {
    /// One machine, by its name.
    Machine(String),
    /// A server, by its name, with all its machines.
    Server(String),
    /// Some machines of one role, no matter which.
    Half {
        /// The role.
        role: Role,
        /// How many are lost.
        lost: usize,
        /// How many there are.
        of: usize,
    },
}

/// What a loss costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// What is lost.
    pub subject: Subject,
    /// The names of the machines that are lost, in the order of the file; empty for [`Subject::Half`], where any will do.
    pub lost: Vec<String>,
    /// How many machines of each role are left, in the order of starting; without roles that the lab does not have.
    pub left: Vec<Left>,
    /// Each capability and whether it is still there, in the order of [`Capability::ALL`].
    pub effects: Vec<Effect>,
}

impl Loss {
    /// Returns true if the capability is still there.
    pub fn works(&self, capability: Capability) -> bool {
        self.effects
            .iter()
            .any(|effect| effect.capability == capability && effect.stopped_by.is_none())
    }

    /// Returns true if the API still reads and writes, so that the cluster can repair the rest.
    pub fn cluster_survives(&self) -> bool {
        self.works(Capability::ApiReads) && self.works(Capability::ApiWrites)
    }

    /// Returns true if nothing stops at all.
    pub fn nothing_stops(&self) -> bool {
        self.effects.iter().all(|it| it.stopped_by.is_none())
    }
}

/// How many machines of a role are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Left {
    /// The role.
    pub role: Role,
    /// How many are left.
    pub alive: usize,
    /// How many there are in the lab.
    pub of: usize,
    /// How many are needed.
    pub needed: usize,
}

impl Left {
    /// Returns how many more can be lost before too few are left.
    pub fn spare(self) -> usize {
        self.alive.saturating_sub(self.needed)
    }
}

/// Something that a cluster does for its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Some machine answers at the endpoint's address: a load balancer holds it, or the one master is there.
    Endpoint,
    /// The API answers `get`.
    ApiReads,
    /// The API takes changes: etcd has its majority.
    ApiWrites,
    /// New pods find a worker, lost ones are replaced.
    Scheduling,
    /// Pods on the workers that are left go on running.
    Workloads,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Capability; 5] = [
        Capability::Endpoint,
        Capability::ApiReads,
        Capability::ApiWrites,
        Capability::Scheduling,
        Capability::Workloads,
    ];
}

/// A capability and what has stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Effect {
    /// What it is about.
    pub capability: Capability,
    /// Why it is not there any more; `None` if it still works.
    pub stopped_by: Option<Reason>,
}

/// Why a capability is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Too few etcd members for a majority.
    NoMajority {
        /// How many members are left.
        alive: usize,
        /// How many agree on a write.
        needed: usize,
    },
    /// No load balancer holds the virtual address.
    NoLoadBalancer,
    /// No master runs an API server.
    NoMaster,
    /// No worker is left.
    NoWorker,
}

/// How many machines there are of each role, in the order of [`Role::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts([usize; Role::ALL.len()]);

impl Counts {
    fn of<'m>(machines: impl IntoIterator<Item = &'m Machine>) -> Self {
        let mut counts = Counts::default();
        for machine in machines {
            counts.0[machine.role as usize] += 1;
        }
        counts
    }

    fn get(self, role: Role) -> usize {
        self.0[role as usize]
    }

    fn without(self, lost: Counts) -> Counts {
        Counts(std::array::from_fn(|role| self.0[role] - lost.0[role]))
    }

    fn one(role: Role, count: usize) -> Counts {
        let mut counts = Counts::default();
        counts.0[role as usize] = count;
        counts
    }
}

/// Returns how many machines of a role must be left, of `all` in the lab.
fn needed(role: Role, all: usize) -> usize {
    match role {
        Role::Etcd => all / 2 + 1,
        Role::LoadBalancer | Role::ControlPlane | Role::Worker => 1,
    }
}

/// Works out what each loss costs a lab.
pub fn analyse(lab: &Lab) -> Analysis {
    let all = Counts::of(lab.machines());
    let machines = lab.machines().iter().map(|machine| {
        let subject = Subject::Machine(machine.name.clone());
        let lost = Counts::one(machine.role, 1);
        loss(subject, vec![machine.name.clone()], all, lost)
    });
    let mut on: HashMap<&str, Vec<&Machine>> = HashMap::new();
    for machine in lab.machines() {
        on.entry(&machine.server).or_default().push(machine);
    }
    let servers = lab.servers().iter().map(|server| {
        let lost = on.get(server.name.as_str()).map_or(&[][..], Vec::as_slice);
        let names = lost.iter().map(|machine| machine.name.clone()).collect();
        let subject = Subject::Server(server.name.clone());
        loss(subject, names, all, Counts::of(lost.iter().copied()))
    });
    let halves = Role::ALL.into_iter().flat_map(|role| {
        let of = all.get(role);
        let mut sizes = if of < 2 {
            vec![]
        } else {
            vec![of / 2, of.div_ceil(2)]
        };
        sizes.dedup();
        sizes.into_iter().map(move |lost| {
            let subject = Subject::Half { role, lost, of };
            loss(subject, Vec::new(), all, Counts::one(role, lost))
        })
    });
    Analysis {
        machines: machines.collect(),
        servers: servers.collect(),
        halves: halves.collect(),
        placement: placement::judge(lab),
    }
}

fn loss(subject: Subject, lost: Vec<String>, all: Counts, gone: Counts) -> Loss {
    let alive = all.without(gone);
    let left = Role::ALL.into_iter().filter(|role| all.get(*role) > 0);
    Loss {
        subject,
        lost,
        left: left
            .map(|role| Left {
                role,
                alive: alive.get(role),
                of: all.get(role),
                needed: needed(role, all.get(role)),
            })
            .collect(),
        effects: Capability::ALL
            .into_iter()
            .map(|capability| Effect {
                capability,
                stopped_by: stopped(capability, all, alive),
            })
            .collect(),
    }
}

/// Returns why a capability is not there with the machines that are alive, of all there are.
fn stopped(capability: Capability, all: Counts, alive: Counts) -> Option<Reason> {
    let none = |role: Role, reason: Reason| (alive.get(role) == 0).then_some(reason);
    match capability {
        Capability::Endpoint if all.get(Role::LoadBalancer) > 0 => {
            none(Role::LoadBalancer, Reason::NoLoadBalancer)
        }
        Capability::Endpoint => none(Role::ControlPlane, Reason::NoMaster),
        // Reads stop with writes: a read goes through etcd's majority, and `/readyz` fails without it.
        Capability::ApiReads | Capability::ApiWrites => stopped(Capability::Endpoint, all, alive)
            .or(none(Role::ControlPlane, Reason::NoMaster))
            .or_else(|| {
                let needed = needed(Role::Etcd, all.get(Role::Etcd));
                let alive = alive.get(Role::Etcd);
                (alive < needed).then_some(Reason::NoMajority { alive, needed })
            }),
        Capability::Scheduling => {
            stopped(Capability::ApiWrites, all, alive).or(none(Role::Worker, Reason::NoWorker))
        }
        Capability::Workloads => none(Role::Worker, Reason::NoWorker),
    }
}
