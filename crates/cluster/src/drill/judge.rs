//! What a drill's records amount to: figures for each client, and a verdict. Pure.

mod broken;
mod outages;
mod owners;
mod watch;
mod writes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calm::{ANSWERS, LATENESS};
use super::record::{
    ClientName, DrillHeader, DrillRecords, FaultRecord, Micros, RequestOutcome, RequestRecord,
};

pub use outages::{ClientOutage, outages};
pub use owners::OwnerFigures;
pub use watch::WatchFigures;
pub use writes::WriteFigures;

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
    /// It cannot be done on this lab's machines, and was not.
    Refused,
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
    /// How many outages there were, of which that is the longest.
    pub outages: usize,
    /// How many requests were to be sent between the fault's confirmation and its repair, and how many of those failed.
    pub during: (usize, usize),
    /// The budget for `away`, in milliseconds.
    pub budget_ms: Option<u64>,
    /// Whether the lab file says that.
    pub budget_is_of_file: bool,
}

impl ClientFigures {
    /// Whether the budget, if there is one, is kept.
    pub fn holds(&self) -> bool {
        self.budget_ms
            .is_none_or(|budget| self.away.1 <= budget * 1000)
    }
}

/// How exact the runner was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplingFigures {
    /// How late 99 of 100 requests were sent at most, in microseconds.
    pub late_p99: Micros,
    /// How late the latest was.
    pub late_max: Micros,
    /// How long the clients asked before the fault, in microseconds.
    pub baseline: Micros,
    /// How many requests of the endpoint failed in that time.
    pub baseline_failed: usize,
    /// How long half of the reads took at most in that time, in microseconds.
    #[serde(default)]
    pub baseline_answer: Micros,
    /// How many times less often than usual clients asked, since this computer could not carry more; 0 where none did.
    #[serde(default)]
    pub stretch: u64,
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
    /// What was wrong with what was written, or told of it: part of the reasons, and never a matter of time.
    pub losses: Vec<String>,
    /// Who had the virtual address.
    pub owners: OwnerFigures,
    /// Whether clients went before other programs of this computer.
    pub priority: String,
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
    let clients = clients(records);
    let (writes, lost) = writes::judge(records);
    let (watch, missed) = watch::judge(records);
    let owners = owners::figures(&records.states, fault);
    let mut losses = lost;
    losses.extend(missed);
    let differing = broken::differing(records);
    losses.extend(differing.iter().cloned());
    let mut broken = losses.clone();
    broken.extend(broken::beyond_budget(records, &clients, &owners));
    let mut unclear = unclear(records, fault, &sampling);
    unclear.extend(too_coarse(records, &clients));
    // What was lost is lost, however busy the host; figures of a busy host say nothing.
    let is_loss = !writes.lost.is_empty()
        || !writes.risen.is_empty()
        || writes.doubled > 0
        || differing.is_some();
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
        losses,
        owners,
        priority: header.priority.clone(),
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
    let budgets = &records.header.budgets;
    // That the user's own Service fails says nothing of the lab, where nobody has said what it may.
    let is_judged = |client: &ClientName| {
        let is_watched = matches!(client, ClientName::Watched(_));
        !is_watched || budgets.iter().any(|(of, _)| of == client)
    };
    let is_early = |request: &&RequestRecord| {
        request.ended < baseline && !request.outcome.is_ok() && is_judged(&request.client)
    };
    let warm = records.header.warm;
    SamplingFigures {
        late_p99: at(99).copied().unwrap_or_default(),
        late_max: late.last().copied().unwrap_or_default(),
        baseline: baseline.saturating_sub(warm),
        baseline_failed: counted(records).filter(is_early).count(),
        baseline_answer: {
            let of = |it: &&RequestRecord| it.client == ClientName::Reads && it.ended < baseline;
            let reads = counted(records).filter(of);
            let mut took: Vec<Micros> = reads.map(|it| it.ended.saturating_sub(it.sent)).collect();
            took.sort_unstable();
            took.get(took.len() / 2).copied().unwrap_or_default()
        },
        stretch: records.header.stretch,
    }
}

fn clients(records: &DrillRecords) -> Vec<ClientFigures> {
    let mut by_client: BTreeMap<&ClientName, Vec<&RequestRecord>> = BTreeMap::new();
    for request in counted(records) {
        by_client.entry(&request.client).or_default().push(request);
    }
    by_client
        .into_iter()
        .map(|(client, mut requests)| {
            requests.sort_by_key(|request| request.scheduled);
            figures(client, &requests, records)
        })
        .collect()
}

fn figures(
    client: &ClientName,
    requests: &[&RequestRecord],
    records: &DrillRecords,
) -> ClientFigures {
    let (header, fault) = (&records.header, records.fault.as_ref());
    let budget = header.budgets.iter().find(|(of, _)| of == client);
    let outages = outages::of(requests, (header.warm, records.end));
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
        away: outages::longest(&outages),
        outages: outages.len(),
        during: fault.map_or((0, 0), |fault| {
            let to = fault.repair_sent.unwrap_or(records.end);
            let while_it_was = requests
                .iter()
                .filter(|it| (fault.confirmed..to).contains(&it.scheduled));
            let failed = while_it_was.clone().filter(|it| !it.outcome.is_ok());
            (while_it_was.count(), failed.count())
        }),
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
        budget_ms: budget.map(|(_, ms)| *ms),
        budget_is_of_file: is_of_file(header, client),
    }
}

/// Whether the lab file says what this client is allowed.
fn is_of_file(header: &DrillHeader, client: &ClientName) -> bool {
    let key = match client {
        ClientName::Reads => "reads_ms",
        ClientName::Creates => "creates_ms",
        ClientName::Watched(_) => "watched_ms",
        _ => return false,
    };
    header.from_file.iter().any(|it| it == key)
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
    let prompt = records.header.deadline / ANSWERS;
    if sampling.baseline_answer > prompt {
        reasons.push(format!(
            "this computer is too busy to measure: half of the answers took {} ms and more before anything was broken, where \
             {} ms are allowed",
            sampling.baseline_answer / 1000,
            prompt / 1000
        ));
    }
    if sampling.baseline_failed > 0 {
        reasons.push(format!(
            "{} requests failed before anything was broken",
            sampling.baseline_failed
        ));
    }
    if let Some(cut) = fault.and_then(|fault| fault.cut.as_ref())
        && !cut.is_of_lab
    {
        reasons.push(format!("the fault was not done to its end: {}", cut.why));
    }
    if fault.is_some_and(|fault| fault.is_doubtful) {
        reasons.push(format!(
            "nothing shows that the fault was there: {}",
            fault.map_or("", |fault| fault.evidence.as_str())
        ));
    }
    if records.finals.is_empty() && fault.is_some() {
        reasons.push("no etcd member could be asked in the end for what was written".to_owned());
    }
    reasons
}

/// Which clients asked too seldom for their budget.
fn too_coarse(records: &DrillRecords, clients: &[ClientFigures]) -> Vec<String> {
    let coarse = clients
        .iter()
        .filter(|it| broken::is_too_coarse(records, it));
    let told = coarse.map(|it| {
        format!(
            "this computer is too busy to measure: {} asked {} times less often than usual, and were away for {} to {} ms, where {} ms \
             are allowed",
            it.client,
            records.header.stretch,
            it.away.0 / 1000,
            it.away.1 / 1000,
            it.budget_ms.unwrap_or_default()
        )
    });
    told.collect()
}

impl DrillResult {
    /// A drill that cannot be done on this lab's machines, for that reason.
    pub fn refused(header: &DrillHeader, why: String) -> Self {
        Self {
            lab: header.lab.clone(),
            drill: header.drill.clone(),
            began: header.began.clone(),
            verdict: DrillVerdict::Refused,
            reasons: vec![why],
            fault: None,
            leaders: (None, None),
            terms: None,
            losses: Vec::new(),
            owners: OwnerFigures::default(),
            priority: String::new(),
            clients: Vec::new(),
            writes: WriteFigures::default(),
            watch: WatchFigures::default(),
            sampling: SamplingFigures::default(),
        }
    }

    /// What this client saw.
    pub fn client(&self, name: &ClientName) -> Option<&ClientFigures> {
        self.clients.iter().find(|it| it.client == *name)
    }
}

#[cfg(test)]
mod tests;
