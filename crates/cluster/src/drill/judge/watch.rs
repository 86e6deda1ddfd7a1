//! What a watch saw.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::drill::record::{ClientName, DrillRecords, Micros, WatchEvent};

/// What a watch saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchFigures {
    /// How many creates it was told of.
    pub events: usize,
    /// When it broke, why, and from which revision it went on, if it did.
    pub breaks: Vec<(Micros, String, Option<u64>)>,
    /// How often all was listed anew, because the revision to go on from was gone.
    #[serde(default)]
    pub lists: usize,
    /// The longest time without any event while creates were acknowledged, in microseconds.
    pub silence: Micros,
    /// Acknowledged creates that it was never told of.
    pub missed: Vec<u64>,
    /// How many events came twice, or with a revision that is not beyond the one before.
    pub disordered: usize,
}

/// The figures, and what is wrong with them.
pub(super) fn judge(records: &DrillRecords) -> (WatchFigures, Vec<String>) {
    let mut figures = WatchFigures::default();
    if records.watch.is_empty() {
        return (figures, Vec::new());
    }
    let mut seen = BTreeSet::new();
    let mut newest = 0;
    let mut times = Vec::new();
    for record in &records.watch {
        match &record.event {
            WatchEvent::Begins { from } => {
                if let Some(broke) = figures.breaks.last_mut() {
                    broke.2 = Some(*from);
                }
            }
            WatchEvent::Created { wrote, revision } => {
                figures.events += 1;
                if !seen.insert(*wrote) || *revision <= newest {
                    figures.disordered += 1;
                }
                newest = newest.max(*revision);
                times.push(record.at);
            }
            WatchEvent::Bookmark { revision } => newest = newest.max(*revision),
            // What came between the break and the list was not told one by one; that it is there was.
            WatchEvent::Listed { revision, wrote } => {
                figures.lists += 1;
                seen.extend(wrote.iter().copied());
                newest = *revision;
                times.push(record.at);
            }
            WatchEvent::Broke { why } => figures.breaks.push((record.at, why.clone(), None)),
        }
    }
    let acknowledged: Vec<(Micros, u64)> = records
        .requests
        .iter()
        .filter(|it| it.client == ClientName::Creates && it.outcome.is_ok())
        .filter_map(|it| Some((it.ended, it.wrote?)))
        .collect();
    figures.missed = acknowledged
        .iter()
        .map(|(_, wrote)| *wrote)
        .filter(|wrote| !seen.contains(wrote))
        .collect();
    figures.missed.sort_unstable();
    figures.silence = silence(&times, &acknowledged);
    let mut reasons = Vec::new();
    if !figures.missed.is_empty() {
        reasons.push(format!(
            "the watch was never told of {} acknowledged writes",
            figures.missed.len()
        ));
    }
    if figures.disordered > 0 {
        reasons.push(format!(
            "the watch was told of {} writes twice or out of order",
            figures.disordered
        ));
    }
    (figures, reasons)
}

/// The longest time between two events in which something was acknowledged.
fn silence(events: &[Micros], acknowledged: &[(Micros, u64)]) -> Micros {
    let mut longest = 0;
    for pair in events.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        if acknowledged.iter().any(|(at, _)| (from..to).contains(at)) {
            longest = longest.max(to - from);
        }
    }
    longest
}
