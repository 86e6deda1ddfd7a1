//! What the lab's clients see while a machine is replaced.

use std::path::PathBuf;
use std::time::Duration;

use caravan_cluster::drill::catalogue::DrillLimits;
use caravan_cluster::drill::judge::{DrillResult, judge};
use caravan_cluster::drill::record::ClientName;
use caravan_cluster::drill::{self as clients, ClientSet, DrillPlan, DrillTimes};

use super::{Replacement, VERB};
use crate::LabRun;
use crate::drill::{Moment, keep, measured_on};

/// How long clients may take to come to a pace that this computer can carry, before the replacement begins.
const SETTLE: Duration = Duration::from_secs(12);

/// How long reads and creates may be away, in milliseconds: what the machine did for all was moved before it went.
const GAP_MS: u64 = 200;

/// What clients saw, and where all of it is kept.
#[derive(Debug)]
pub struct MeasuredReplacement {
    /// What it amounts to.
    pub result: DrillResult,
    /// The file with the records.
    pub records: PathBuf,
}

impl Replacement<'_> {
    /// Does `work`, which replaces the machine, while clients use the lab. Where they cannot, that is noted, and it is done all
    /// the same: a lab whose API is away because of that machine is no reason to leave it so.
    pub fn measured<T>(
        &self,
        run: &LabRun<'_>,
        work: impl FnOnce() -> T,
    ) -> (T, Option<MeasuredReplacement>) {
        let Self {
            target,
            lab,
            access,
            machine,
            ..
        } = *self;
        let moment = Moment::now();
        let name = format!("{VERB}-{}", machine.name);
        let scale = u64::from(access.pace().times());
        let clients_allowed = [ClientName::Reads, ClientName::Creates];
        let limits = DrillLimits {
            away_ms: clients_allowed.map(|it| (it, GAP_MS * scale)).into(),
            ..DrillLimits::default()
        };
        let header = clients::header(lab, access.pace(), &name, &moment.rfc3339, limits);
        let plan = DrillPlan {
            header: measured_on(header, target, lab),
            space: moment.space(),
            clients: ClientSet::Users,
            watched: Vec::new(),
            times: DrillTimes {
                // Who replaces a machine has not come to measure.
                settle: SETTLE,
                ..DrillTimes::of(Duration::ZERO)
            },
        };
        let what = format!("{} replaced", machine.name);
        let mut work = Some(work);
        let seen = clients::observe(lab, access, &plan, &what, &|_| {}, || {
            work.take().map(|work| work())
        });
        let (done, records) = match seen {
            Ok((done, records)) => (done, records),
            Err(error) => (None, Err(error)),
        };
        let kept = match records {
            Ok(records) => {
                let result = judge(&records);
                let path = moment.path(target, &name);
                match keep(&path, &records, &result) {
                    Ok(()) => Some(MeasuredReplacement {
                        result,
                        records: path,
                    }),
                    Err(error) => {
                        run.note(&format!("what clients saw cannot be kept: {error}"));
                        None
                    }
                }
            }
            Err(error) => {
                run.note(&format!(
                    "what clients see meanwhile is not measured: {}",
                    error.chain()
                ));
                None
            }
        };
        // It was not begun where nobody could ask.
        let done = match (done, work) {
            (Some(done), _) => done,
            (None, Some(work)) => work(),
            (None, None) => unreachable!("what is taken is done"),
        };
        (done, kept)
    }
}
