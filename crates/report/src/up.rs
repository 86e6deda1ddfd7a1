//! What runs of verbs did: where the time went, on which machine, and what decided how long it took.

use std::collections::{BTreeMap, BTreeSet};

use caravan_cluster::timeline::critical::{self, Link};
use caravan_cluster::timeline::{PhaseOutcome, RUN, Timeline, seconds};
use serde::{Deserialize, Serialize};

use crate::records::LabRecords;
use crate::time;

/// How many machines have bars: those that the run's end hung on, then those that were ready last.
const BARS: usize = 40;

/// How many earlier runs are listed.
const EARLIER: usize = 30;

/// What runs of verbs did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// The newest `up` that made machines do something.
    pub up: Option<UpView>,
    /// All runs, the newest first.
    pub all: Vec<RunLine>,
    /// How many more there are.
    pub more: usize,
}

/// A run in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    /// The verb.
    pub verb: String,
    /// When it began.
    pub began: String,
    /// How it ended.
    pub outcome: PhaseOutcome,
    /// How long it took, in milliseconds.
    pub length_ms: i64,
    /// What failed in it, each with what was last said.
    pub failures: Vec<String>,
}

/// A run of `up` in bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpView {
    /// When it began.
    pub began: String,
    /// How it ended.
    pub outcome: PhaseOutcome,
    /// How long it took, in milliseconds.
    pub length_ms: i64,
    /// The steps of the run itself, then machines in the order of the lab file.
    pub rows: Vec<UpRow>,
    /// How many machines are left out.
    pub left_out: usize,
    /// The chain of phases that its end hung on.
    pub critical: Vec<Link>,
    /// How long machines with nothing to do took, in milliseconds, where that was measured, and on what.
    pub floor: Option<(i64, String)>,
}

/// What one machine, or the run itself, did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpRow {
    /// The machine; of the run itself, what the page calls it.
    pub name: String,
    /// Its phases.
    pub bars: Vec<UpBar>,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpBar {
    /// Its name.
    pub phase: String,
    /// Milliseconds since the run began.
    pub from_ms: i64,
    /// Milliseconds since the run began.
    pub to_ms: i64,
    /// Whether it only waited for something else.
    pub waits: bool,
    /// Whether the run's end hung on it.
    pub critical: bool,
    /// How it ended.
    pub outcome: PhaseOutcome,
    /// What was last said of it.
    pub note: String,
}

impl Runs {
    pub(crate) fn of(records: &LabRecords<'_>) -> Self {
        let is_up =
            |run: &&Timeline| run.verb == "up" && run.spans.iter().any(|span| span.subject != RUN);
        let lines = records.runs.iter().take(EARLIER).map(line);
        Self {
            up: records.runs.iter().find(is_up).map(|run| up(run, records)),
            all: lines.collect(),
            more: records.runs.len().saturating_sub(EARLIER),
        }
    }
}

fn line(run: &Timeline) -> RunLine {
    let failed = run
        .spans
        .iter()
        .filter(|span| span.outcome == PhaseOutcome::Failed);
    RunLine {
        verb: run.verb.clone(),
        began: time::shown(time::of_ms(run.began_unix_ms)),
        outcome: run.outcome,
        length_ms: run.length_ms(),
        failures: failed
            .map(|span| format!("{} {}: {}", subject(&span.subject), span.phase, span.note))
            .collect(),
    }
}

fn subject(name: &str) -> &str {
    if name == RUN { "the run" } else { name }
}

fn up(run: &Timeline, records: &LabRecords<'_>) -> UpView {
    let links = critical::path(&run.spans);
    let mut rows: BTreeMap<&str, Vec<UpBar>> = BTreeMap::new();
    for span in &run.spans {
        let to_ms = span.to_ms.unwrap_or(span.from_ms);
        rows.entry(&span.subject).or_default().push(UpBar {
            phase: span.phase.name().to_owned(),
            from_ms: span.from_ms,
            to_ms,
            waits: span.waits,
            critical: links.iter().any(|link| {
                link.subject == span.subject
                    && link.phase == span.phase
                    && link.from_ms == span.from_ms
            }),
            outcome: span.outcome,
            note: span.note.clone(),
        });
    }
    let shown = shown(&rows, &links);
    let machines = rows.len() - usize::from(rows.contains_key(RUN));
    let order =
        std::iter::once(RUN).chain(records.lab.machines().iter().map(|it| it.name.as_str()));
    let order: Vec<&str> = order.filter(|name| shown.contains(name)).collect();
    let listed = order.iter().filter(|name| **name != RUN).count();
    UpView {
        began: time::shown(time::of_ms(run.began_unix_ms)),
        outcome: run.outcome,
        length_ms: run.length_ms(),
        rows: (order.into_iter())
            .filter_map(|name| {
                Some(UpRow {
                    name: subject(name).to_owned(),
                    bars: rows.remove(name)?,
                })
            })
            .collect(),
        left_out: machines.saturating_sub(listed),
        critical: (links.into_iter())
            .map(|link| Link {
                subject: subject(&link.subject).to_owned(),
                ..link
            })
            .collect(),
        floor: floor(records),
    }
}

/// The subjects that have bars.
fn shown<'a>(rows: &BTreeMap<&'a str, Vec<UpBar>>, links: &[Link]) -> BTreeSet<&'a str> {
    let end = |bars: &[UpBar]| bars.iter().map(|bar| bar.to_ms).max().unwrap_or_default();
    let mut names: Vec<&str> = rows.keys().copied().collect();
    names.sort_by_key(|name| {
        let is_link = *name == RUN || links.iter().any(|link| link.subject == *name);
        (!is_link, std::cmp::Reverse(end(&rows[name])))
    });
    names.truncate(BARS + 1);
    names.into_iter().collect()
}

/// What was measured of as many machines of this lab.
fn floor(records: &LabRecords<'_>) -> Option<(i64, String)> {
    let bench = records.floor.as_ref()?;
    let machines = records.lab.machines().len();
    let is_of_it = bench.lab == records.lab.name() && bench.machines == machines;
    let ms = (bench.floor.seconds * 1000.0).round() as i64;
    is_of_it.then(|| {
        let text = format!(
            "{machines} machines with nothing to do took {} on {} CPUs, when `bench up` measured it; all of `up` took {} then",
            seconds(ms),
            bench.cpus,
            seconds((bench.full.seconds * 1000.0).round() as i64)
        );
        (ms, text)
    })
}
