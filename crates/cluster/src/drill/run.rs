//! One drill: clients ask, something is broken, repaired, and everything that was seen is kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use caravan_lab::Lab;
use caravan_process::Pace;

use super::calm::Calm;
use super::catalogue::DrillLimits;
use super::clients::watch::Watch;
use super::clients::{ClientSet, Clients, DrillSpace, every};
use super::fault::DrillFault;
use super::haste::Haste;
use super::look::{finals, look};
use super::pacer::{DrillClock, micros};
use super::priority;
use super::record::{
    DrillHeader, DrillRecords, FaultRecord, Micros, RequestRecord, StateRecord, WatchRecord,
};
use super::watched::WatchedService;
use crate::kube::Api;
use crate::until::pause;
use crate::{Access, Error, ready};

mod course;

use course::Course;

/// How long the watch may take to be told of the last write.
const LAST_EVENT: Duration = Duration::from_secs(1);

/// How long the user's own Services may take to answer well again once the lab is well: pods start after their nodes.
const SERVICE_HEALS: Duration = Duration::from_secs(120);

/// How long clients ask between two looks whether this computer is calm.
const WINDOW: Duration = Duration::from_secs(2);

/// How many such times may pass without calm before clients ask less often.
const WINDOWS_AT_ONE_PACE: u32 = 2;

/// What is drilled, and for how long.
#[derive(Debug, Clone)]
pub struct DrillPlan {
    /// What stands at the top of the records.
    pub header: DrillHeader,
    /// Where is written; a namespace that nobody else has.
    pub space: String,
    /// Which clients there are.
    pub clients: ClientSet,
    /// Services of the user's own that are asked too.
    pub watched: Vec<WatchedService>,
    /// How long all takes.
    pub times: DrillTimes,
}

/// How long the parts of a drill take at the usual pace, but for what the fault takes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillTimes {
    /// How long clients have for their first connections, all of which are made at the same moment.
    pub warm_up: Duration,
    /// How long is waited at most for this computer to become calm.
    pub settle: Duration,
    /// How long clients ask before anything is broken.
    pub baseline: Duration,
    /// How long the fault lasts.
    pub lasts: Duration,
    /// How long the lab may take to be well again after its repair.
    pub heals: Duration,
    /// How long clients go on when all is well again.
    pub after: Duration,
}

impl DrillTimes {
    /// Those of a drill whose fault lasts that long.
    pub fn of(lasts: Duration) -> Self {
        Self {
            warm_up: Duration::from_secs(4),
            settle: Duration::from_secs(30),
            baseline: Duration::from_secs(5),
            lasts,
            heals: Duration::from_secs(240),
            after: Duration::from_secs(5),
        }
    }
}

/// Why a drill came to no end.
#[derive(Debug)]
pub struct DrillFailure {
    /// Why.
    pub error: Error,
    /// Whether it cannot be done on these machines, which was found out before anything was done.
    pub is_refused: bool,
    /// Whether nothing of it is left: it was never done, or is repaired.
    pub is_repaired: bool,
    /// What was seen until then; none where nothing was broken yet.
    pub records: Option<Box<DrillRecords>>,
}

impl From<Error> for DrillFailure {
    /// What happens before anything is broken.
    fn from(error: Error) -> Self {
        Self {
            error,
            is_refused: false,
            is_repaired: true,
            records: None,
        }
    }
}

/// How long a lab may take to be well before it is drilled. What an earlier drill broke may show late: a scheduler that could not
/// renew its lease ends seconds after the lab was well.
const BEGINS: Duration = Duration::from_secs(30);

/// Runs one drill. Whatever happens, the fault is repaired, and what was written is removed.
///
/// `tell` hears what is done now. `tool` is how the program that calls this is started.
///
/// # Errors
///
/// [`Error::NotReady`] where the lab is not well after 30 s at the usual pace, and what the fault itself says to be impossible
/// ([`DrillFailure::is_refused`]): nothing was broken. [`Error::Interrupted`], and what the fault's own repair returns. A fault
/// that could not be done to its end is none of these: what was seen says so.
pub fn run(
    lab: &Lab,
    access: &Access,
    plan: &DrillPlan,
    fault: &dyn DrillFault,
    tool: &str,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<DrillRecords, DrillFailure> {
    ready::wait(lab, access, tool, BEGINS, &mut |readiness| {
        if let Some(first) = readiness.missing.first() {
            tell(&format!("waits until the lab is well: {first}"));
        }
    })?;
    fault.hold_possible().map_err(|error| DrillFailure {
        is_refused: matches!(error, Error::FaultRefused { .. }),
        ..error.into()
    })?;
    let (ended, records) = observed(lab, access, plan, tell, |scene| {
        let course = Course {
            lab,
            access,
            times: plan.times,
            watched: &plan.watched,
            scene,
            tool,
            tell,
        };
        course.run(fault)
    })?;
    ended.with(records)
}

/// Has clients use the lab while `during` is done, which breaks what it wants to; returns what that came to, and what was seen.
///
/// In the records it is the fault, called `what`, which is there from the first connections on and never repaired.
///
/// # Errors
///
/// Where nothing can be written to begin with: `during` was not called then. The inner error: the clients could not be made.
pub fn observe<T>(
    lab: &Lab,
    access: &Access,
    plan: &DrillPlan,
    what: &str,
    tell: &(dyn Fn(&str) + Sync),
    during: impl FnOnce() -> T,
) -> Result<(T, Result<DrillRecords, Error>), Error> {
    let ((done, warm, healed), records) = observed(lab, access, plan, tell, |scene| {
        // Who wants to stop says so to what is done then.
        drop(pause(access.pace().of(plan.times.warm_up)));
        drop(scene.settle(plan.times.settle));
        let warm = scene.clock.now();
        let done = during();
        let healed = scene.clock.now();
        drop(pause(access.pace().of(plan.times.after)));
        (done, warm, healed)
    })?;
    let records = records.map(|mut records| {
        records.header.warm = warm;
        records.fault = Some(FaultRecord {
            healed: Some(healed),
            ..FaultRecord::new(what.to_owned(), what.to_owned(), warm)
        });
        records
    });
    Ok((done, records))
}

/// The clock that clients ask by, and how calm this computer is.
struct Scene<'a> {
    clock: DrillClock,
    calm: &'a Calm,
    haste: &'a Haste,
}

impl Scene<'_> {
    /// Waits until nothing is sent late and nothing fails, and has clients ask less often where that does not come by itself;
    /// no longer than `limit`: then what is seen says so itself.
    fn settle(&self, limit: Duration) -> Result<(), Error> {
        let began = Instant::now();
        self.calm.look();
        let mut windows = 0;
        while began.elapsed() < limit {
            pause(WINDOW)?;
            if self.calm.look() {
                break;
            }
            windows += 1;
            if windows % WINDOWS_AT_ONE_PACE == 0 {
                self.haste.less();
            }
        }
        Ok(())
    }
}

/// Has clients ask while `during` is done, and removes what they wrote.
fn observed<T>(
    lab: &Lab,
    access: &Access,
    plan: &DrillPlan,
    tell: &(dyn Fn(&str) + Sync),
    during: impl FnOnce(&Scene<'_>) -> T,
) -> Result<(T, Result<DrillRecords, Error>), Error> {
    let api = Api::endpoint(lab, access)?;
    let space = DrillSpace::make(&api, &plan.space)?;
    let seen = seen(lab, access, plan, &space, tell, during);
    // What was seen is worth more than the namespace that stays.
    if let Err(error) = space.remove(&api) {
        tell(&format!(
            "namespace {} stays: {}",
            plan.space,
            error.chain()
        ));
    }
    seen
}

/// Requests, events of the watch, what was known of the lab, what was done meanwhile, and when that ended.
type Seen<T> = (
    Result<Vec<RequestRecord>, Error>,
    Result<Vec<WatchRecord>, Error>,
    Vec<StateRecord>,
    T,
    Micros,
);

fn seen<T>(
    lab: &Lab,
    access: &Access,
    plan: &DrillPlan,
    space: &DrillSpace,
    tell: &(dyn Fn(&str) + Sync),
    during: impl FnOnce(&Scene<'_>) -> T,
) -> Result<(T, Result<DrillRecords, Error>), Error> {
    let api = Api::endpoint(lab, access)?;
    let chain = api.get(&format!("{}/chain", space.maps()))?;
    let from = chain["metadata"]["resourceVersion"].as_str();
    let from = from.and_then(|text| text.parse().ok()).unwrap_or_default();
    let (clock, calm, haste) = (DrillClock::begin(), Calm::default(), Haste::default());
    let (stop, last) = (AtomicBool::new(false), AtomicBool::new(false));
    let clients = Clients {
        set: plan.clients,
        lab,
        access,
        space,
        clock,
        calm: &calm,
        haste: &haste,
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
    let scene = Scene {
        clock,
        calm: &calm,
        haste: &haste,
    };
    let priority = priority::available();
    let (requests, watched, states, done, end): Seen<T> = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            priority::raise();
            clients.run()
        });
        let using: Vec<_> = (plan.watched.iter())
            .map(|service| {
                scope.spawn(|| {
                    priority::raise();
                    service.run(clock, &haste, &stop)
                })
            })
            .collect();
        let watching = scope.spawn(|| {
            priority::raise();
            watch.run()
        });
        let looking = scope.spawn(|| look(lab, access, clock, &stop));
        let done = during(&scene);
        let end = clock.now();
        stop.store(true, Ordering::Relaxed);
        let (requests, states) = (joined(asking), joined(looking));
        let used: Vec<RequestRecord> = using.into_iter().flat_map(joined).collect();
        let requests = requests.map(|requests| in_order(requests, used));
        // What was acknowledged last is on its way.
        std::thread::sleep(access.pace().of(LAST_EVENT));
        last.store(true, Ordering::Relaxed);
        (requests, joined(watching), states, done, end)
    });
    let (requests, watch) = match (requests, watched) {
        (Ok(requests), Ok(watch)) => (requests, watch),
        (Err(error), _) | (_, Err(error)) => return Ok((done, Err(error))),
    };
    let mut records = DrillRecords {
        header: plan.header.clone(),
        requests,
        watch,
        states,
        fault: None,
        finals: Vec::new(),
        end,
    };
    records.header.priority = priority;
    let stretch = haste.stretch();
    records.header.stretch = stretch;
    records.header.periods = (
        micros(every(access, super::READ_EVERY)) * stretch,
        micros(every(access, super::WRITE_EVERY)) * stretch,
    );
    for watched in &mut records.header.watched {
        watched.period *= stretch;
    }
    tell("asks each etcd member for what was written");
    records.finals = finals(lab, access, space);
    Ok((done, Ok(records)))
}

/// All requests in the order in which they ended.
fn in_order(mut requests: Vec<RequestRecord>, more: Vec<RequestRecord>) -> Vec<RequestRecord> {
    requests.extend(more);
    requests.sort_by_key(|it| it.ended);
    requests
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The header of the records of something that is measured: `drill` is its name, and `began` when, RFC 3339, UTC. What it was
/// measured on is for the caller to say. Slower machines are asked less often, and have longer for it.
pub fn header(lab: &Lab, pace: Pace, drill: &str, began: &str, limits: DrillLimits) -> DrillHeader {
    DrillHeader {
        lab: lab.name().to_owned(),
        drill: drill.to_owned(),
        began: began.to_owned(),
        versions: Vec::new(),
        host: String::new(),
        priority: String::new(),
        deadline: micros(pace.of(super::DEADLINE)),
        warm: 0,
        periods: (
            micros(pace.of(super::READ_EVERY)),
            micros(pace.of(super::WRITE_EVERY)),
        ),
        budgets: limits.away_ms,
        stretch: 1,
        failed_percent: limits.failed_percent,
        back_ms: limits.back_ms,
        from_file: limits.from_file,
        owner_stays: limits.owner_stays,
        one_owner_ms: limits.one_owner_ms,
        watched: Vec::new(),
    }
}
