//! One drill: clients ask, something is broken, repaired, and everything that was seen is kept.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use caravan_lab::{Lab, Machine, Role};
use caravan_process::{Following, interrupt};

use super::clients::watch::Watch;
use super::clients::{self, Clients, DrillSpace};
use super::pacer::DrillClock;
use super::record::{DrillHeader, DrillRecords, FaultRecord, MemberFinalRecord, StateRecord};
use crate::disturb::outage::until;
use crate::etcd::Member;
use crate::kube::Api;
use crate::{Access, Error, access, etcd, parallel, ready};

/// How long clients have for their first connections, all of which are made at the same moment.
pub const WARM_UP: Duration = Duration::from_secs(4);

/// How long clients ask before anything is broken.
const BASELINE: Duration = Duration::from_secs(5);

/// How long they go on when all is well again.
const AFTER: Duration = Duration::from_secs(3);

/// How long the watch may take to be told of the last write.
const LAST_EVENT: Duration = Duration::from_secs(2);

/// How often it is asked who leads etcd.
const LOOK: Duration = Duration::from_millis(500);

/// How long a question about the lab's state may take.
const PATIENCE: Duration = Duration::from_millis(900);

/// How long members may take to say what they have in the end.
const FINALS: Duration = Duration::from_secs(30);

/// Something that is broken on purpose.
pub trait DrillFault {
    /// In words: `etcdtwo crashed`.
    fn text(&self) -> String;

    /// How it is done, for who wants to do it by hand.
    fn how(&self) -> String;

    /// Does it, and returns what shows that it is there.
    ///
    /// # Errors
    ///
    /// Why it could not be done. What was done of it is repaired by [`DrillFault::repair`].
    fn inflict(&self) -> Result<String, Error>;

    /// Undoes it. Does nothing where it was not done.
    ///
    /// # Errors
    ///
    /// Why it could not be undone.
    fn repair(&self) -> Result<(), Error>;
}

/// What is drilled, and for how long.
#[derive(Debug, Clone)]
pub struct DrillPlan {
    /// What stands at the top of the records.
    pub header: DrillHeader,
    /// How long the fault lasts.
    pub lasts: Duration,
    /// How long the lab may take to be well again after its repair.
    pub heals: Duration,
    /// Where is written; a namespace that nobody else has.
    pub space: String,
}

/// Runs one drill. Whatever happens, the fault is repaired, and what was written is removed.
///
/// `tell` hears what is done now. `tool` is how the program that calls this is started.
///
/// # Errors
///
/// [`Error::NotReady`] where the lab is not well to begin with, and nothing was broken. [`Error::Interrupted`], and what the
/// fault's own repair returns.
pub fn run(
    lab: &Lab,
    access: &Access,
    plan: &DrillPlan,
    fault: &dyn DrillFault,
    tool: &str,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<DrillRecords, Error> {
    let readiness = ready::ask(lab, access, tool);
    if !readiness.is_ready() {
        return Err(Error::NotReady {
            seconds: 0,
            missing: readiness.missing,
        });
    }
    let api = Api::endpoint(lab, access)?;
    let space = DrillSpace::make(&api, &plan.space)?;
    let ended = drill(lab, access, plan, &space, fault, tool, tell);
    // What was seen is worth more than the namespace that stays.
    if let Err(error) = space.remove(&api) {
        tell(&format!(
            "namespace {} stays: {}",
            plan.space,
            error.chain()
        ));
    }
    ended
}

fn drill(
    lab: &Lab,
    access: &Access,
    plan: &DrillPlan,
    space: &DrillSpace,
    fault: &dyn DrillFault,
    tool: &str,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<DrillRecords, Error> {
    let api = Api::endpoint(lab, access)?;
    let chain = api.get(&format!("{}/chain", space.maps()))?;
    let from = chain["metadata"]["resourceVersion"].as_str();
    let from = from.and_then(|text| text.parse().ok()).unwrap_or_default();
    let clock = DrillClock::begin();
    let (stop, last) = (AtomicBool::new(false), AtomicBool::new(false));
    let clients = Clients {
        lab,
        access,
        space,
        clock,
        stop: &stop,
    };
    let watch = Watch {
        access,
        endpoint: lab.api_endpoint(),
        space,
        from,
        clock,
        stop: &last,
    };
    let (requests, watched, states, course, end) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| clients.run());
        let watching = scope.spawn(|| watch.run());
        let looking = scope.spawn(|| look(lab, access, clock, &stop));
        let course = Course {
            lab,
            access,
            plan,
            clock,
            tool,
            tell,
        };
        let course = course.run(fault);
        let end = clock.now();
        stop.store(true, Ordering::Relaxed);
        let (requests, states) = (joined(asking), joined(looking));
        // What was acknowledged last is on its way.
        std::thread::sleep(access.pace().of(LAST_EVENT));
        last.store(true, Ordering::Relaxed);
        (requests, joined(watching), states, course, end)
    });
    let fault = course?;
    let mut records = DrillRecords {
        header: plan.header.clone(),
        requests: requests?,
        watch: watched?,
        states,
        fault,
        finals: Vec::new(),
        end,
    };
    tell("asks each etcd member for what was written");
    records.finals = finals(lab, access, space);
    Ok(records)
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// What is done to the lab, and when.
struct Course<'a> {
    lab: &'a Lab,
    access: &'a Access,
    plan: &'a DrillPlan,
    clock: DrillClock,
    tool: &'a str,
    tell: &'a (dyn Fn(&str) + Sync),
}

impl Course<'_> {
    fn run(&self, fault: &dyn DrillFault) -> Result<Option<FaultRecord>, Error> {
        let pace = self.access.pace();
        (self.tell)("asks, before anything is broken");
        wait(WARM_UP + BASELINE)?;
        (self.tell)(&fault.text());
        let sent = self.clock.now();
        let inflicted = fault.inflict();
        let confirmed = self.clock.now();
        let mut record = FaultRecord {
            fault: fault.text(),
            how: fault.how(),
            sent,
            confirmed,
            repair_sent: None,
            healed: None,
            evidence: String::new(),
        };
        let waited = match inflicted {
            Ok(evidence) => {
                record.evidence = evidence;
                wait(self.plan.lasts)
            }
            Err(error) => {
                fault.repair()?;
                return Err(error);
            }
        };
        (self.tell)("repairs it");
        record.repair_sent = Some(self.clock.now());
        // Also when the user wants to stop: nothing stays broken.
        fault.repair()?;
        waited?;
        let healed = ready::wait(
            self.lab,
            self.access,
            self.tool,
            self.plan.heals,
            &mut |_| {},
        );
        match healed {
            Ok(()) => record.healed = Some(self.clock.now()),
            Err(Error::NotReady { .. }) => {}
            Err(error) => return Err(error),
        }
        wait(pace.of(AFTER))?;
        Ok(Some(record))
    }
}

/// Waits, unless the user wants to stop.
fn wait(duration: Duration) -> Result<(), Error> {
    let began = Instant::now();
    while began.elapsed() < duration {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        std::thread::sleep(Duration::from_millis(20).min(duration.saturating_sub(began.elapsed())));
    }
    Ok(())
}

/// Who leads etcd and who has the virtual address, until it is told to stop.
fn look(lab: &Lab, access: &Access, clock: DrillClock, stop: &AtomicBool) -> Vec<StateRecord> {
    let members: Vec<Member> = lab
        .of_role(Role::Etcd)
        .filter_map(|machine| {
            let at = std::net::SocketAddrV4::new(machine.ip, caravan_lab::ports::ETCD_CLIENT);
            Member::at(&machine.name, at, access, PATIENCE).ok()
        })
        .collect();
    let owners = Owners::follow(lab, access);
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut states: Vec<StateRecord> = Vec::new();
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
        states.push(StateRecord {
            at,
            leader: newest.and_then(|(_, status)| names.get(&status.leader).cloned()),
            term: newest.map(|(_, status)| status.term),
            owners: owners.now(),
        });
        std::thread::sleep(LOOK);
    }
    states
}

/// Which load balancers have the virtual address, as they tell themselves when that changes.
struct Owners {
    has: std::sync::Arc<Mutex<BTreeMap<String, bool>>>,
    _following: Vec<Following>,
}

impl Owners {
    fn follow(lab: &Lab, access: &Access) -> Self {
        let has = std::sync::Arc::new(Mutex::new(BTreeMap::new()));
        let Some(vip) = lab.vip() else {
            return Self {
                has,
                _following: Vec::new(),
            };
        };
        let balancers = lab.of_role(Role::LoadBalancer);
        let following = balancers.filter_map(|machine: &Machine| {
            // First what is, then what changes; a machine that was away is asked no more.
            let script =
                "ip -4 -oneline address show; exec stdbuf -oL ip -4 -oneline monitor address";
            let (has, name) = (std::sync::Arc::clone(&has), machine.name.clone());
            let wanted = format!(" {vip}/");
            access::remote(&access.ssh, machine)
                .follow(&["sh", "-c", script], move |line| {
                    if line.contains(&wanted) {
                        let mut has = has.lock().unwrap_or_else(PoisonError::into_inner);
                        has.insert(name.clone(), !line.starts_with("Deleted"));
                    }
                })
                .ok()
        });
        let following = following.collect();
        Self {
            has,
            _following: following,
        }
    }

    fn now(&self) -> Vec<String> {
        let has = self.has.lock().unwrap_or_else(PoisonError::into_inner);
        let owners = has.iter().filter(|(_, has)| **has);
        owners.map(|(name, _)| name.clone()).collect()
    }
}

/// What each member has in the end. A member that does not answer has nothing to tell, which the judge takes into account.
fn finals(lab: &Lab, access: &Access, space: &DrillSpace) -> Vec<MemberFinalRecord> {
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
