//! Times without a good answer.

use super::{ClientName, DrillRecords, Micros, RequestRecord, counted};

/// A time without a good answer of one client, in microseconds since the drill began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOutage {
    /// The scheduled starts of the first and the last request in it that failed: it was at least as long.
    pub failed: (Micros, Micros),
    /// The scheduled starts of the good answers before and after it: it was no longer.
    pub between: (Micros, Micros),
}

impl ClientOutage {
    /// How long it was, at least and at most.
    pub fn length(&self) -> (Micros, Micros) {
        let length = |(from, to): (Micros, Micros)| to.saturating_sub(from);
        (length(self.failed), length(self.between))
    }
}

/// Those of one client, in their order, of the requests that figures are made of.
pub fn outages(records: &DrillRecords, client: &ClientName) -> Vec<ClientOutage> {
    let mut requests: Vec<&RequestRecord> =
        counted(records).filter(|it| it.client == *client).collect();
    requests.sort_by_key(|it| it.scheduled);
    of(&requests, (records.header.warm, records.end))
}

/// Those among requests in the order of their scheduled starts. The clients' beginning and end count as good answers, since
/// nobody asked outside. Without a failure between them two answers bound no outage, however far apart they were asked.
pub(super) fn of(requests: &[&RequestRecord], (begin, end): (Micros, Micros)) -> Vec<ClientOutage> {
    let mut outages = Vec::new();
    let mut last_good = begin;
    let mut failed: Option<(Micros, Micros)> = None;
    let mut close = |failed: Option<(Micros, Micros)>, between| {
        outages.extend(failed.map(|failed| ClientOutage { failed, between }));
    };
    for request in requests {
        let at = request.scheduled;
        if request.outcome.is_ok() {
            close(failed.take(), (last_good, at));
            last_good = at;
        } else {
            failed = Some((failed.map_or(at, |(first, _)| first), at));
        }
    }
    close(failed, (last_good, end.max(last_good)));
    outages
}

/// The longest of them, the first where several are; none is as long as nothing.
pub(super) fn longest(outages: &[ClientOutage]) -> (Micros, Micros) {
    let lengths = outages.iter().map(ClientOutage::length);
    lengths.fold((0, 0), |longest, it| match it.1 > longest.1 {
        true => it,
        false => longest,
    })
}
