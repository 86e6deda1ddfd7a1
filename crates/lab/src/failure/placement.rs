//! Whether a lab outlives the loss of a physical server, and where its machines would have to be.
//!
//! A cluster outlives the loss of a server if no server holds too much of any role: of etcd no more than the members that may fail,
//! of masters and load balancers not all.
//! Two servers can never do: one of them holds the majority of etcd.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::failure::{Counts, needed};
use crate::lab::Lab;
use crate::machine::{Machine, Role};

/// Whether the machines' places outlive the loss of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Placement {
    /// The servers whose loss the cluster survives, in the order of their names; those without machines are left out.
    pub survivable: Vec<String>,
    /// The servers whose loss stops the cluster, in the order of their names.
    pub fatal: Vec<String>,
    /// Roles of which there are too few machines, wherever they are, in the order of starting.
    ///
    /// Workers are among them if their one server's loss leaves no other: the API goes on then, but no workload does.
    pub needs_more: Vec<NeedsMore>,
    /// The fewest moves after which the cluster survives the loss of any server; `None` if it does already, or if no places would do.
    pub any_server: Option<Advice>,
    /// The fewest moves, with the servers there are, after which the loss of one server only is fatal; `None` if there is nothing to gain.
    pub all_but_one: Option<Advice>,
}

/// A role of which a lab has too few machines to lose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NeedsMore {
    /// The role.
    pub role: Role,
    /// How many machines of it there are.
    pub have: usize,
    /// How many there must be.
    pub need: usize,
}

/// Places that would be better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// Servers that have to be added, with free names.
    pub new_servers: Vec<String>,
    /// The server whose loss stays fatal; `None` if none is.
    pub still_fatal: Option<String>,
    /// What has to move, in the order of the file.
    pub moves: Vec<Move>,
    /// All servers that have machines after that, in the order of their names.
    pub groups: Vec<Group>,
}

/// A server and the machines that it should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// The server.
    pub server: String,
    /// Its machines, in the order of the file.
    pub machines: Vec<String>,
}

impl Advice {
    fn new(
        lab: &Lab,
        new_servers: Vec<String>,
        still_fatal: Option<String>,
        moves: Vec<Move>,
    ) -> Advice {
        let mut on: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut moved = moves.iter().peekable();
        for machine in lab.machines() {
            // Moves are in the order of the file.
            let to = moved.next_if(|it| it.machine == machine.name);
            let server = to.map_or(machine.server.as_str(), |it| it.to.as_str());
            on.entry(server).or_default().push(machine.name.clone());
        }
        let groups = on.into_iter().map(|(server, machines)| Group {
            server: server.to_owned(),
            machines,
        });
        Advice {
            groups: groups.collect(),
            new_servers,
            still_fatal,
            moves,
        }
    }
}

/// A machine that would be better elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Move {
    /// The machine.
    pub machine: String,
    /// The server it is on.
    pub from: String,
    /// The server it should be on.
    pub to: String,
}

/// The roles without which there is no API.
const VITAL: [Role; 3] = [Role::Etcd, Role::LoadBalancer, Role::ControlPlane];

/// The fewest servers of which any one may be lost: of two, one holds the majority of etcd.
const FEWEST_SERVERS: usize = 3;

pub(super) fn judge(lab: &Lab) -> Placement {
    let all = Counts::of(lab.machines());
    let mut on: BTreeMap<&str, Vec<&Machine>> = BTreeMap::new();
    for machine in lab.machines() {
        on.entry(&machine.server).or_default().push(machine);
    }
    let (survivable, fatal): (Vec<&str>, Vec<&str>) = on
        .iter()
        .map(|(server, machines)| (*server, Counts::of(machines.iter().copied())))
        .fold((vec![], vec![]), |(mut good, mut bad), (server, lost)| {
            let fits = VITAL
                .iter()
                .all(|role| lost.get(*role) <= most_lost(*role, all));
            if fits { &mut good } else { &mut bad }.push(server);
            (good, bad)
        });
    let needs_more = needs_more(all);
    // More workers are for workloads: places help the API without them.
    let hopeless = needs_more.iter().any(|it| it.role != Role::Worker);
    let (any_server, all_but_one) = if fatal.is_empty() || hopeless {
        (None, None)
    } else {
        (
            Some(any_server(lab, all)),
            all_but_one(lab, all, &on, &fatal),
        )
    };
    let names = |servers: Vec<&str>| servers.into_iter().map(str::to_owned).collect();
    Placement {
        survivable: names(survivable),
        fatal: names(fatal),
        needs_more,
        any_server,
        all_but_one,
    }
}

/// Returns how many machines of a role may be lost at once.
fn most_lost(role: Role, all: Counts) -> usize {
    all.get(role).saturating_sub(needed(role, all.get(role)))
}

/// Returns the roles of which one machine too many is lost with any server; without load balancers a second master is refused, so both are told.
fn needs_more(all: Counts) -> Vec<NeedsMore> {
    let needs = |role: Role| match role {
        Role::Etcd => 3,
        Role::LoadBalancer | Role::ControlPlane | Role::Worker => 2,
    };
    Role::ALL
        .into_iter()
        .map(|role| NeedsMore {
            role,
            have: all.get(role),
            need: needs(role),
        })
        .filter(|it| it.have < it.need)
        .collect()
}

/// Spreads the machines so that any server may be lost, adding servers up to three.
fn any_server(lab: &Lab, all: Counts) -> Advice {
    let mut servers: Vec<String> = lab.servers().iter().map(|it| it.name.clone()).collect();
    let mut new_servers = Vec::new();
    let mut number = 1;
    while servers.len() < FEWEST_SERVERS {
        let name = format!("server{number}");
        number += 1;
        if lab.server(&name).is_none() {
            servers.push(name.clone());
            new_servers.push(name);
        }
    }
    let moves = moves(lab, &servers, |_, role| cap(role, all));
    Advice::new(lab, new_servers, None, moves)
}

/// Gathers what is too much elsewhere on one server, the only one that may not be lost: the one with the fewest moves.
fn all_but_one(
    lab: &Lab,
    all: Counts,
    on: &BTreeMap<&str, Vec<&Machine>>,
    fatal: &[&str],
) -> Option<Advice> {
    if fatal.len() < 2 {
        return None;
    }
    let servers: Vec<String> = on.keys().map(|server| (*server).to_owned()).collect();
    servers
        .iter()
        .map(|anchor| {
            let cap = |server: &str, role| match server == anchor {
                true => all.get(role),
                false => cap(role, all),
            };
            (anchor, moves(lab, &servers, cap))
        })
        .min_by_key(|(_, moves)| moves.len())
        .map(|(anchor, moves)| Advice::new(lab, vec![], Some(anchor.clone()), moves))
}

/// Returns how many machines of a role one server may hold.
///
/// One worker alone has to be somewhere.
fn cap(role: Role, all: Counts) -> usize {
    match (role, all.get(role)) {
        (Role::Worker, 0 | 1) => 1,
        _ => most_lost(role, all),
    }
}

/// Moves what is more than a server may hold to the server that has the most room, the emptiest first.
///
/// No solution has fewer moves: each machine that moves is one too many where it is.
fn moves(lab: &Lab, servers: &[String], cap: impl Fn(&str, Role) -> usize) -> Vec<Move> {
    let mut held: BTreeMap<&str, Counts> = servers
        .iter()
        .map(|server| (server.as_str(), Counts::default()))
        .collect();
    let mut over = Vec::new();
    for machine in lab.machines() {
        let counts = held.entry(&machine.server).or_default();
        if counts.get(machine.role) < cap(&machine.server, machine.role) {
            counts.0[machine.role as usize] += 1;
        } else {
            over.push(machine);
        }
    }
    let mut moves = Vec::new();
    for machine in over {
        let role = machine.role;
        let to = servers
            .iter()
            .map(String::as_str)
            .filter(|server| held[server].get(role) < cap(server, role))
            .min_by_key(|server| {
                let counts = held[server];
                (counts.get(role), counts.0.iter().sum::<usize>())
            });
        let Some(to) = to else { continue };
        if let Some(counts) = held.get_mut(to) {
            counts.0[role as usize] += 1;
        }
        moves.push(Move {
            machine: machine.name.clone(),
            from: machine.server.clone(),
            to: to.to_owned(),
        });
    }
    moves
}
