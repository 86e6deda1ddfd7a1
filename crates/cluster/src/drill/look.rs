//! What is known of the lab while clients use it, and what members have in the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use caravan_lab::{Lab, Machine, Role};
use caravan_process::Following;

use super::clients::{self, DrillSpace};
use super::pacer::DrillClock;
use super::record::{MemberFinalRecord, Micros, StateRecord};
use crate::etcd::Member;
use crate::until::until;
use crate::{Access, access, etcd, parallel};

/// How often it is asked who leads etcd.
const LOOK: Duration = Duration::from_millis(500);

/// How soon it is noted that a load balancer tells nothing any more.
const NOTE: Duration = Duration::from_millis(20);

/// How often one that tells nothing is listened to again.
const AGAIN: Duration = Duration::from_secs(3);

/// How long a question about the lab's state may take.
const PATIENCE: Duration = Duration::from_millis(900);

/// How long members may take to say what they have in the end.
const FINALS: Duration = Duration::from_secs(30);

/// Who leads etcd and who has the virtual address, until it is told to stop.
pub(super) fn look(
    lab: &Lab,
    access: &Access,
    clock: DrillClock,
    stop: &AtomicBool,
) -> Vec<StateRecord> {
    let pace = access.pace();
    let members: Vec<Member> = lab
        .of_role(Role::Etcd)
        .filter_map(|machine| {
            let at = std::net::SocketAddrV4::new(machine.ip, caravan_lab::ports::ETCD_CLIENT);
            Member::at(&machine.name, at, access, pace.of(PATIENCE)).ok()
        })
        .collect();
    let mut owners = Owners::follow(lab, access, clock);
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut leaders: Vec<StateRecord> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let at = clock.now();
        let said = parallel::each(&members, |member| {
            Some((member.name.clone(), member.status().ok()?))
        });
        let said: Vec<(String, etcd::Status)> = said.into_iter().flatten().collect();
        names.extend(
            said.iter()
                .map(|(name, status)| (status.member_id, name.clone())),
        );
        // The newest word: who was cut off may still believe in the leader of before.
        let newest = said.iter().max_by_key(|(_, status)| status.term);
        leaders.push(StateRecord {
            at,
            leader: newest.and_then(|(_, status)| names.get(&status.leader).cloned()),
            term: newest.map(|(_, status)| status.term),
            owners: Vec::new(),
        });
        let asked = Instant::now();
        while asked.elapsed() < pace.of(LOOK) && !stop.load(Ordering::Relaxed) {
            owners.look(access);
            sleep(NOTE);
        }
    }
    joined(leaders, &owners.courses())
}

/// Both in the order of time: who leads is asked from time to time, and who has the address is told when that changes.
fn joined(leaders: Vec<StateRecord>, owners: &[(Micros, Vec<String>)]) -> Vec<StateRecord> {
    let known = |at: Micros| {
        let before = owners.iter().rfind(|(since, _)| *since <= at);
        before.map_or_else(Vec::new, |(_, owners)| owners.clone())
    };
    let changes: Vec<StateRecord> = (owners.iter())
        .map(|(at, owners)| {
            let before = leaders.iter().rfind(|state| state.at <= *at).cloned();
            StateRecord {
                at: *at,
                owners: owners.clone(),
                ..before.unwrap_or_default()
            }
        })
        .collect();
    let leaders = leaders.into_iter().map(|state| StateRecord {
        owners: known(state.at),
        ..state
    });
    let mut states: Vec<StateRecord> = leaders.chain(changes).collect();
    states.sort_by_key(|state| state.at);
    states
}

/// Which load balancers have the virtual address, as they tell themselves when that changes.
struct Owners {
    told: Arc<Mutex<OwnersTold>>,
    following: Vec<FollowedBalancer>,
    wanted: String,
    clock: DrillClock,
}

/// What load balancers have told.
#[derive(Default)]
struct OwnersTold {
    has: BTreeMap<String, bool>,
    course: Vec<(Micros, Vec<String>)>,
}

/// A load balancer that tells of its addresses, if it does.
struct FollowedBalancer {
    machine: Machine,
    following: Option<Following>,
    since: Instant,
}

impl OwnersTold {
    fn note(&mut self, at: Micros, machine: &str, has: bool) {
        self.has.insert(machine.to_owned(), has);
        let owners = self.has.iter().filter(|(_, has)| **has);
        let owners: Vec<String> = owners.map(|(name, _)| name.clone()).collect();
        let last = self.course.last();
        // That one has it not, before anybody is known to have it, is nothing yet.
        if last.map_or(!owners.is_empty(), |(_, last)| *last != owners) {
            self.course.push((at, owners));
        }
    }
}

impl Owners {
    fn follow(lab: &Lab, access: &Access, clock: DrillClock) -> Self {
        let mut owners = Self {
            told: Arc::default(),
            following: Vec::new(),
            wanted: lab.vip().map_or(String::new(), |vip| format!(" {vip}/")),
            clock,
        };
        for machine in lab.of_role(Role::LoadBalancer) {
            owners.following.push(FollowedBalancer {
                following: owners.listen(access, machine),
                machine: machine.clone(),
                since: Instant::now(),
            });
        }
        owners
    }

    /// First what is, then what changes.
    fn listen(&self, access: &Access, machine: &Machine) -> Option<Following> {
        let script = "ip -4 -oneline address show; exec stdbuf -oL ip -4 -oneline monitor address";
        let (told, name) = (Arc::clone(&self.told), machine.name.clone());
        let (wanted, clock) = (self.wanted.clone(), self.clock);
        let remote = access::remote(&access.ssh, machine);
        let following = remote.follow(&["sh", "-c", script], move |line| {
            if line.contains(&wanted) {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.note(clock.now(), &name, !line.starts_with("Deleted"));
            }
        });
        following.ok()
    }

    /// Who does not tell any more has it no more: its machine is off. It is listened to again after a while.
    fn look(&mut self, access: &Access) {
        for place in 0..self.following.len() {
            let followed = &mut self.following[place];
            let has_ended = (followed.following.as_ref()).is_none_or(Following::ended);
            if !has_ended {
                continue;
            }
            if followed.following.take().is_some() {
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.note(self.clock.now(), &followed.machine.name, false);
            }
            if followed.since.elapsed() >= AGAIN {
                followed.since = Instant::now();
                let machine = followed.machine.clone();
                self.following[place].following = self.listen(access, &machine);
            }
        }
    }

    fn courses(&self) -> Vec<(Micros, Vec<String>)> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.course.clone()
    }
}

/// What each member has in the end. A member that does not answer has nothing to tell, which the judge takes into account.
pub(super) fn finals(lab: &Lab, access: &Access, space: &DrillSpace) -> Vec<MemberFinalRecord> {
    let Ok(members) = etcd::members(lab, access) else {
        return Vec::new();
    };
    let mut revision = None;
    // Nobody writes any more, so the newest revision of any is soon that of all.
    let agreed = until(access.pace().of(FINALS), "one revision", || {
        let said = parallel::each(&members, |member| member.status().ok());
        let revisions: Option<Vec<u64>> = said
            .into_iter()
            .map(|status| status.map(|status| status.revision))
            .collect();
        revision = revisions.and_then(|all| all.iter().min().copied());
        Ok(revision.is_some())
    });
    drop(agreed);
    let found = parallel::each(&members, |member| {
        let objects = member.below(&space.keys()).ok()?;
        let prefix = space.keys();
        let mut created: Vec<u64> = objects
            .iter()
            .filter_map(|(key, _)| clients::number_of(key.strip_prefix(&prefix)?))
            .collect();
        created.sort_unstable();
        let chain = objects.iter().find(|(key, _)| key.ends_with("/chain"));
        let hash = revision.and_then(|revision| Some((revision, member.hash(revision).ok()?.hash)));
        Some(MemberFinalRecord {
            member: member.name.clone(),
            created,
            chain: chain.and_then(|(_, value)| clients::chain_value(value))?,
            hash,
        })
    });
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(at: Micros, leader: &str, owners: &[&str]) -> StateRecord {
        StateRecord {
            at,
            leader: (!leader.is_empty()).then(|| leader.to_owned()),
            term: None,
            owners: owners.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn an_owner_that_tells_nothing_any_more_is_none() {
        let mut told = OwnersTold::default();
        told.note(1, "lbtwo", false);
        told.note(2, "lbone", true);
        told.note(3, "lbone", true);
        told.note(4, "lbtwo", true);
        told.note(5, "lbone", false);
        let course: Vec<(Micros, Vec<&str>)> = (told.course.iter())
            .map(|(at, owners)| (*at, owners.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            course,
            [
                (2, vec!["lbone"]),
                (4, vec!["lbone", "lbtwo"]),
                (5, vec!["lbtwo"])
            ]
        );
    }

    #[test]
    fn what_is_asked_and_what_is_told_are_one_course() {
        let leaders = vec![state(10, "etcdone", &[]), state(20, "etcdtwo", &[])];
        let owners = [
            (5, vec!["lbone".to_owned()]),
            (15, vec!["lbtwo".to_owned()]),
        ];
        assert_eq!(
            joined(leaders, &owners),
            [
                state(5, "", &["lbone"]),
                state(10, "etcdone", &["lbone"]),
                state(15, "etcdone", &["lbtwo"]),
                state(20, "etcdtwo", &["lbtwo"]),
            ]
        );
    }
}
