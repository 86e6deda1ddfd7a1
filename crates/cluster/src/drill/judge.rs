//! What a drill's records amount to: figures for each client, and a verdict. Pure.

mod watch;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::record::{ClientName, DrillRecords, FaultRecord, Micros, RequestOutcome, RequestRecord};

pub use watch::WatchFigures;
pub use writes::WriteFigures;

/// How late a request may be sent: 99 of 100, and all, in microseconds. A runner that is later has not seen what it was to see.
const LATENESS: (Micros, Micros) = (10_000, 40_000);

/// How many further kinds of errors are named.
const KINDS: usize = 5;

/// What a drill came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillVerdict {
    /// Every budget was kept, nothing that was acknowledged was lost, and it could be measured.
    Held,
    /// It could be measured, and something was not as it must be.
    Broken,
    /// It could not be measured: this says nothing of the lab.
    Inconclusive,
}

/// Some of a client's requests as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFigures {
    /// Which client.
    pub client: ClientName,
    /// How many requests it made.
    pub asked: usize,
    /// How many were not answered well.
    pub failed: usize,
    /// How many of those failed for which reason, the most frequent first.
    pub errors: Vec<(String, usize)>,
    /// The longest time between the scheduled starts of two good answers that follow each other, in microseconds: the outage
    /// was no longer. It was at least the first of the two numbers.
    pub away: (Micros, Micros),
    /// How long the slowest good answer took, in microseconds.
    pub slowest: Micros,
    /// From the fault's confirmation to the end of the first good answer that was scheduled after it, in microseconds.
    pub first_success: Option<Micros>,
    /// From the moment that the repair was sent to the end of the first good answer that was scheduled after it, in microseconds.
    pub back: Option<Micros>,
    /// From the moment that the fault was sent to the end of the last request that failed, in microseconds; 0 where none did.
    pub steady: Micros,
    /// The budget for `away`, in milliseconds.
    pub budget_ms: Option<u64>,
}

impl ClientFigures {
    /// Whether the budget, if there is one, is kept.
    pub fn holds(&self) -> bool {
        self.budget_ms
            .is_none_or(|budget| self.away.1 <= budget * 1000)
    }
}

/// How exact the runner was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplingFigures {
    /// How late 99 of 100 requests were sent at most, in microseconds.
    pub late_p99: Micros,
    /// How late the latest was.
    pub late_max: Micros,
    /// How long the clients asked before the fault, in microseconds.
    pub baseline: Micros,
    /// How many requests of the endpoint failed in that time.
    pub baseline_failed: usize,
}

/// What a drill came to, with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillResult {
    /// The lab.
    pub lab: String,
    /// The drill.
    pub drill: String,
    /// When it began, RFC 3339, UTC.
    pub began: String,
    /// What it came to.
    pub verdict: DrillVerdict,
    /// Why, where it was not held.
    pub reasons: Vec<String>,
    /// The fault.
    pub fault: Option<FaultRecord>,
    /// Who led etcd before the fault, and in the end.
    pub leaders: (Option<String>, Option<String>),
    /// By how much etcd's term grew.
    pub terms: Option<u64>,
    /// Who had the virtual address, in order, each as long as it was seen there.
    pub owners: Vec<(Micros, Vec<String>)>,
    /// What each client saw.
    pub clients: Vec<ClientFigures>,
    /// What became of what was written.
    pub writes: WriteFigures,
    /// What the watch saw.
    pub watch: WatchFigures,
    /// How exact the runner was.
    pub sampling: SamplingFigures,
}

/// Computes everything from the records.
pub fn judge(records: &DrillRecords) -> DrillResult {
    let header = &records.header;
    let fault = records.fault.as_ref();
    let sampling = sampling(records, fault);
    let clients = clients(records, fault);
    let (writes, lost) = writes::judge(records);
    let (watch, missed) = watch::judge(records);
    let broken = broken(records, &clients, lost, missed);
    let unclear = unclear(records, fault, &sampling);
    // What was lost is lost, however busy the host; figures of a busy host say nothing.
    let is_loss = !writes.lost.is_empty() || !writes.risen.is_empty() || writes.doubled > 0;
    let (verdict, reasons) = match (broken.is_empty(), unclear.is_empty()) {
        (false, true) => (DrillVerdict::Broken, broken),
        (false, false) if is_loss => (DrillVerdict::Broken, broken),
        (_, false) => (DrillVerdict::Inconclusive, unclear),
        (true, true) => (DrillVerdict::Held, Vec::new()),
    };
    let states = &records.states;
    let before = |at: Micros| fault.is_none_or(|fault| at < fault.sent);
    let first = states.iter().rfind(|state| before(state.at));
    let last = states.iter().rfind(|state| state.leader.is_some());
    let mut owners: Vec<(Micros, Vec<String>)> = Vec::new();
    for state in states {
        if owners
            .last()
            .is_none_or(|(_, owners)| *owners != state.owners)
        {
            owners.push((state.at, state.owners.clone()));
        }
    }
    DrillResult {
        lab: header.lab.clone(),
        drill: header.drill.clone(),
        began: header.began.clone(),
        verdict,
        reasons,
        fault: records.fault.clone(),
        leaders: (
            first.and_then(|state| state.leader.clone()),
            last.and_then(|state| state.leader.clone()),
        ),
        terms: first
            .zip(last)
            .and_then(|(first, last)| last.term?.checked_sub(first.term?)),
        owners,
        clients,
        writes,
        watch,
        sampling,
    }
}

/// The requests that figures are made of.
fn counted(records: &DrillRecords) -> impl Iterator<Item = &RequestRecord> {
    let warm = records.header.warm;
    records
        .requests
        .iter()
        .filter(move |it| it.scheduled >= warm)
}

fn sampling(records: &DrillRecords, fault: Option<&FaultRecord>) -> SamplingFigures {
    let mut late: Vec<Micros> = counted(records)
        .map(|request| request.sent.saturating_sub(request.scheduled))
        .collect();
    late.sort_unstable();
    let at =
        |percent: usize| late.get((late.len() * percent / 100).min(late.len().saturating_sub(1)));
    let baseline = fault.map_or(records.end, |fault| fault.sent);
    let is_early = |request: &&RequestRecord| request.ended < baseline && !request.outcome.is_ok();
    let warm = records.header.warm;
    SamplingFigures {
        late_p99: at(99).copied().unwrap_or_default(),
        late_max: late.last().copied().unwrap_or_default(),
        baseline: baseline.saturating_sub(warm),
        baseline_failed: counted(records).filter(is_early).count(),
    }
}

fn clients(records: &DrillRecords, fault: Option<&FaultRecord>) -> Vec<ClientFigures> {
    let mut by_client: BTreeMap<&ClientName, Vec<&RequestRecord>> = BTreeMap::new();
    for request in counted(records) {
        by_client.entry(&request.client).or_default().push(request);
    }
    by_client
        .into_iter()
        .map(|(client, mut requests)| {
            requests.sort_by_key(|request| request.scheduled);
            let budget = records.header.budgets.iter().find(|(of, _)| of == client);
            let window = (records.header.warm, records.end);
            figures(client, &requests, window, fault, budget.map(|(_, ms)| *ms))
        })
        .collect()
}

fn figures(
    client: &ClientName,
    requests: &[&RequestRecord],
    window: (Micros, Micros),
    fault: Option<&FaultRecord>,
    budget_ms: Option<u64>,
) -> ClientFigures {
    let good: Vec<&&RequestRecord> = requests.iter().filter(|it| it.outcome.is_ok()).collect();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        match &request.outcome {
            RequestOutcome::Ok => {}
            RequestOutcome::Failed(why) | RequestOutcome::Unknown(why) => {
                *kinds.entry(why).or_default() += 1;
            }
        }
    }
    let mut errors: Vec<(String, usize)> = kinds
        .into_iter()
        .map(|(why, count)| (why.to_owned(), count))
        .collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    errors.truncate(KINDS);
    let first_after = |at: Micros| {
        let first = good.iter().filter(|it| it.scheduled >= at);
        Some(first.map(|it| it.ended).min()?.saturating_sub(at))
    };
    let last_failed = requests.iter().filter(|it| !it.outcome.is_ok());
    let last_failed = last_failed.map(|it| it.ended).max();
    ClientFigures {
        client: client.clone(),
        asked: requests.len(),
        failed: requests.len() - good.len(),
        errors,
        away: away(requests, window),
        slowest: good
            .iter()
            .map(|it| it.ended.saturating_sub(it.sent))
            .max()
            .unwrap_or_default(),
        first_success: fault.and_then(|fault| first_after(fault.confirmed)),
        back: fault.and_then(|fault| first_after(fault.repair_sent?)),
        steady: fault
            .zip(last_failed)
            .map_or(0, |(fault, last)| last.saturating_sub(fault.sent)),
        budget_ms,
    }
}

/// The longest time between the scheduled starts of good answers that follow each other, at least and at most; the clients'
/// beginning and end count as good answers, since nobody asked outside. Without a failure between them two answers bound no
/// outage, however far apart they were asked.
fn away(requests: &[&RequestRecord], (begin, end): (Micros, Micros)) -> (Micros, Micros) {
    let mut longest = (0, 0);
    let mut last_good = begin;
    let mut failed: Option<(Micros, Micros)> = None;
    let mut close = |failed: Option<(Micros, Micros)>, from: Micros, to: Micros| {
        if let Some((first, last)) = failed
            && to - from > longest.1
        {
            longest = (last - first, to - from);
        }
    };
    for request in requests {
        match request.outcome.is_ok() {
            true => {
                close(failed.take(), last_good, request.scheduled);
                last_good = request.scheduled;
            }
            false => {
                let first = failed.map_or(request.scheduled, |(first, _)| first);
                failed = Some((first, request.scheduled));
            }
        }
    }
    close(failed, last_good, end.max(last_good));
    longest
}

/// What was not as it must be.
fn broken(
    records: &DrillRecords,
    clients: &[ClientFigures],
    lost: Vec<String>,
    missed: Vec<String>,
) -> Vec<String> {
    let mut reasons = lost;
    reasons.extend(missed);
    for figures in clients.iter().filter(|figures| !figures.holds()) {
        reasons.push(format!(
            "{}: away for up to {} ms, where {} ms are allowed",
            figures.client,
            figures.away.1 / 1000,
            figures.budget_ms.unwrap_or_default()
        ));
    }
    if let Some(allowed) = records.header.failed_percent {
        let reads = clients.iter().find(|it| it.client == ClientName::Reads);
        if let Some(reads) = reads
            && let (during, failed) = during(records)
            && failed * 100 > during * usize::try_from(allowed).unwrap_or(usize::MAX)
        {
            reasons.push(format!(
                "{}: {failed} of {during} requests during the fault failed, where {allowed} of 100 are allowed",
                reads.client
            ));
        }
    }
    if let Some(allowed) = records.header.back_ms {
        let reads = clients.iter().find(|it| it.client == ClientName::Reads);
        let back = reads.and_then(|reads| reads.back);
        if back.is_none_or(|back| back > allowed * 1000) {
            reasons.push(format!(
                "{}: {} after the repair, where {allowed} ms are allowed",
                ClientName::Reads,
                back.map_or("never back".to_owned(), |back| format!(
                    "back {} ms",
                    back / 1000
                ))
            ));
        }
    }
    let known: BTreeSet<(u64, u64)> = records.finals.iter().filter_map(|it| it.hash).collect();
    if known.len() > 1 {
        reasons.push("the etcd members do not hold the same data in the end".to_owned());
    }
    if let Some(fault) = &records.fault
        && fault.healed.is_none()
    {
        reasons.push(format!(
            "{}: not everything was well again in time",
            fault.fault
        ));
    }
    reasons
}

/// How many reads were scheduled from the fault to its repair, and how many of those failed.
fn during(records: &DrillRecords) -> (usize, usize) {
    let Some(fault) = &records.fault else {
        return (0, 0);
    };
    let to = fault.repair_sent.unwrap_or(records.end);
    let reads = records
        .requests
        .iter()
        .filter(|it| it.client == ClientName::Reads && (fault.sent..to).contains(&it.scheduled));
    let failed = reads.clone().filter(|it| !it.outcome.is_ok()).count();
    (reads.count(), failed)
}

/// Why nothing can be said.
fn unclear(
    records: &DrillRecords,
    fault: Option<&FaultRecord>,
    sampling: &SamplingFigures,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if fault.is_none() {
        reasons.push("the fault was not done".to_owned());
    }
    if records.requests.is_empty() {
        reasons.push("nobody asked anything".to_owned());
    }
    if sampling.late_p99 > LATENESS.0 || sampling.late_max > LATENESS.1 {
        reasons.push(format!(
            "this computer is too busy to measure: requests were sent up to {} ms late, 99 of 100 up to {} ms, where {} and \
             {} ms are allowed",
            sampling.late_max / 1000,
            sampling.late_p99 / 1000,
            LATENESS.1 / 1000,
            LATENESS.0 / 1000
        ));
    }
    if sampling.baseline_failed > 0 {
        reasons.push(format!(
            "{} requests failed before anything was broken",
            sampling.baseline_failed
        ));
    }
    if records.finals.is_empty() && fault.is_some() {
        reasons.push("no etcd member could be asked in the end for what was written".to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests;
