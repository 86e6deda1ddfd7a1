//! What users saw while something was broken.

use caravan_cluster::drill::judge::{ClientFigures, DrillResult, DrillVerdict, outages};
use caravan_cluster::drill::record::{
    ClientName, DrillRecords, Micros, RequestOutcome, RequestRecord, WatchEvent, WatchedHeader,
};
use serde::{Deserialize, Serialize};

use crate::records::KeptDrill;
use crate::time;

/// A drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillView {
    /// Its name: `etcd-leader:crash`.
    pub drill: String,
    /// When it began, RFC 3339, UTC.
    pub began: String,
    /// The file with its records, beside the lab's state.
    pub file: String,
    /// What it came to.
    pub verdict: DrillVerdict,
    /// Why, where it was not held.
    pub reasons: Vec<String>,
    /// What happened, in lines.
    pub story: Vec<String>,
    /// What each client saw.
    pub clients: Vec<ClientView>,
    /// The picture; none where only the newest of several runs is drawn.
    pub chart: Option<DrillChart>,
}

/// What a client saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// The client.
    pub client: String,
    /// How many requests it made.
    pub asked: usize,
    /// How many were not answered well.
    pub failed: usize,
    /// The longest time without a good answer: at least and at most, in microseconds.
    pub away: (Micros, Micros),
    /// What is allowed of that, in milliseconds.
    pub budget_ms: Option<u64>,
    /// Whether that was kept.
    pub holds: bool,
    /// How long the slowest good answer took, in microseconds.
    pub slowest: Micros,
    /// From the repair to the first good answer, in microseconds.
    pub back: Option<Micros>,
    /// The most frequent reasons of failures, each with its count.
    pub errors: Vec<(String, usize)>,
}

/// What is drawn of a drill: lanes over one axis, in microseconds since it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillChart {
    /// When the clients ended.
    pub end: Micros,
    /// Until when their requests are in no figure.
    pub warm: Micros,
    /// From when to when something was broken: from the moment that it was to be, to the moment that all was well again.
    pub fault: Option<(Micros, Micros)>,
    /// When it was mended.
    pub repair: Option<Micros>,
    /// Who led etcd and who held the address.
    pub states: Vec<StateLane>,
    /// What each client asked.
    pub requests: Vec<RequestLane>,
    /// When the watch broke and when it went on.
    pub watch: Vec<WatchMark>,
}

/// Something that became of the watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchMark {
    /// When.
    pub at: Micros,
    /// What.
    pub what: WatchTurn,
    /// Why; empty where there is nothing to say.
    pub why: String,
}

/// What may become of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchTurn {
    /// It began, or went on.
    Began,
    /// It ended before its time.
    Broke,
    /// Its revision was gone, so all that is there was listed: it goes on from there.
    Listed,
}

impl WatchMark {
    /// In words.
    pub fn text(&self) -> String {
        match self.what {
            WatchTurn::Began => "began".to_owned(),
            WatchTurn::Broke => format!("broke: {}", self.why),
            WatchTurn::Listed => "listed anew, its revision was gone".to_owned(),
        }
    }
}

/// Who did something for all, as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateLane {
    /// What is done: `leads etcd`.
    pub name: String,
    /// From when to when it was whose; nobody's name is empty.
    pub spans: Vec<(Micros, Micros, String)>,
}

/// The requests of one client, by what they came to; of each when it was to be sent, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLane {
    /// The client.
    pub name: String,
    /// The deadline, in microseconds.
    pub deadline: Micros,
    /// Those that were answered well.
    pub good: Vec<(Micros, Micros)>,
    /// Those that certainly were not done.
    pub failed: Vec<(Micros, Micros)>,
    /// Those of which nobody knows.
    pub unknown: Vec<(Micros, Micros)>,
    /// The longest times without a good answer, from when to when, the longest first; three at most.
    pub gaps: Vec<(Micros, Micros)>,
}

/// How many gaps of a lane are told.
const GAPS: usize = 3;

impl DrillView {
    pub(crate) fn of(kept: &KeptDrill) -> Self {
        let result = &kept.result;
        Self {
            drill: result.drill.clone(),
            began: result.began.clone(),
            file: kept.file.clone(),
            verdict: result.verdict,
            reasons: result.reasons.clone(),
            story: told(kept),
            clients: result.clients.iter().map(client).collect(),
            chart: kept.records.as_ref().map(chart),
        }
    }

    /// What the reads through the endpoint saw, which most users are.
    pub fn reads(&self) -> Option<&ClientView> {
        let name = ClientName::Reads.to_string();
        self.clients.iter().find(|it| it.client == name)
    }
}

/// The story, with how it was done and where it was measured.
fn told(kept: &KeptDrill) -> Vec<String> {
    let mut lines = story(&kept.result);
    if let Some(fault) = &kept.result.fault {
        lines.push(format!("how: {}", fault.how));
    }
    if let Some(records) = &kept.records {
        lines.extend(records.header.watched.iter().map(asked));
        lines.push(format!("measured on {}", records.header.host));
    }
    lines
}

/// How a Service of the user's own was asked.
fn asked(watched: &WatchedHeader) -> String {
    let urls = match watched.urls.as_slice() {
        [url] => url.clone(),
        urls => format!("{} in turn", urls.join(", ")),
    };
    format!(
        "watched {}: {urls}, every {}, each time over a connection of its own",
        watched.asked,
        time::ms(watched.period)
    )
}

fn client(figures: &ClientFigures) -> ClientView {
    ClientView {
        client: figures.client.to_string(),
        asked: figures.asked,
        failed: figures.failed,
        away: figures.away,
        budget_ms: figures.budget_ms,
        holds: figures.holds(),
        slowest: figures.slowest,
        back: figures.back,
        errors: figures.errors.clone(),
    }
}

/// What a drill came to, in a word.
pub fn word(verdict: DrillVerdict) -> &'static str {
    match verdict {
        DrillVerdict::Held => "held",
        DrillVerdict::Broken => "BROKEN",
        DrillVerdict::Inconclusive => "inconclusive",
        DrillVerdict::Refused => "REFUSED",
    }
}

/// What happened in a drill, in lines for people: the fault, who led and who held the address, writes, watch, sampling.
pub fn story(result: &DrillResult) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(fault) = &result.fault {
        lines.push(format!(
            "{}, sent at {}, confirmed {} later ({})",
            fault.fault,
            time::s(fault.sent),
            time::ms(fault.confirmed.saturating_sub(fault.sent)),
            fault.evidence
        ));
        if let (Some(sent), Some(healed)) = (fault.repair_sent, fault.healed) {
            lines.push(format!(
                "repaired at {}; all was well {} later",
                time::s(sent),
                time::s(healed.saturating_sub(sent))
            ));
        }
    }
    if let (Some(before), Some(after)) = &result.leaders {
        let terms = result.terms.unwrap_or_default();
        lines.push(format!(
            "etcd was led by {before}, then by {after}, {terms} terms later"
        ));
    }
    if result.owners.course.len() > 1 {
        lines.push(format!(
            "the virtual address moved {} times: {}",
            result.owners.moves,
            result.owners.text()
        ));
    }
    // Nothing was broken, and nobody asked anything.
    if result.verdict == DrillVerdict::Refused {
        return lines;
    }
    let writes = &result.writes;
    let (steps, unsure, value) = writes.chain;
    lines.push(format!(
        "writes: {} acknowledged, {} lost; {} of which nobody knew, {} of them done; {} refused. Chain: {steps} steps and \
         {unsure} unsure, at {}",
        writes.acknowledged,
        writes.lost.len(),
        writes.unknown.0,
        writes.unknown.1,
        writes.refused,
        value.map_or("unknown".to_owned(), |value| value.to_string())
    ));
    let watch = &result.watch;
    lines.push(format!(
        "watch: {} events, {} missed, {} out of order, {} breaks, {} lists, silent for up to {} while writes were acknowledged",
        watch.events,
        watch.missed.len(),
        watch.disordered,
        watch.breaks.len(),
        watch.lists,
        time::ms(watch.silence)
    ));
    let pace = match result.sampling.stretch {
        0 | 1 => String::new(),
        times => format!(
            "; this computer could not carry more than clients that ask {times} times less often than usual"
        ),
    };
    lines.push(format!(
        "sampling: 99 of 100 requests at most {} late, all at most {}; {}{pace}",
        time::ms(result.sampling.late_p99),
        time::ms(result.sampling.late_max),
        result.priority
    ));
    lines
}

fn chart(records: &DrillRecords) -> DrillChart {
    let fault = records.fault.as_ref();
    let mut names: Vec<&ClientName> = records.requests.iter().map(|it| &it.client).collect();
    names.sort();
    names.dedup();
    let lanes = names.into_iter().map(|name| {
        let of = records.requests.iter().filter(|it| it.client == *name);
        lane(name, of, records)
    });
    let leader = |at: usize| records.states[at].leader.clone().unwrap_or_default();
    let owner = |at: usize| records.states[at].owners.join(" and ");
    DrillChart {
        end: records.end,
        warm: records.header.warm,
        fault: fault.map(|it| (it.sent, it.healed.unwrap_or(records.end).min(records.end))),
        repair: fault.and_then(|it| it.repair_sent),
        states: [
            state_lane("holds the virtual address", records, owner),
            state_lane("leads etcd", records, leader),
        ]
        .into_iter()
        .filter(|lane| lane.spans.iter().any(|(_, _, who)| !who.is_empty()))
        .collect(),
        requests: lanes.collect(),
        watch: watch(records),
    }
}

fn watch(records: &DrillRecords) -> Vec<WatchMark> {
    let told = records.watch.iter().filter_map(|record| {
        let (what, why) = match &record.event {
            WatchEvent::Broke { why } => (WatchTurn::Broke, why.clone()),
            WatchEvent::Begins { .. } => (WatchTurn::Began, String::new()),
            WatchEvent::Listed { .. } => (WatchTurn::Listed, String::new()),
            WatchEvent::Created { .. } | WatchEvent::Bookmark { .. } => return None,
        };
        Some(WatchMark {
            at: record.at,
            what,
            why,
        })
    });
    told.collect()
}

/// Each state holds until the next one is told, and the last to the end.
fn state_lane(name: &str, records: &DrillRecords, who: impl Fn(usize) -> String) -> StateLane {
    let mut spans: Vec<(Micros, Micros, String)> = Vec::new();
    for (place, state) in records.states.iter().enumerate() {
        let next = records.states.get(place + 1);
        let to = next.map_or(records.end, |next| next.at).max(state.at);
        let who = who(place);
        // Before anybody was asked nobody is known, which is not the same as nobody.
        if spans.is_empty() && who.is_empty() {
            continue;
        }
        match spans.last_mut() {
            Some((_, end, last)) if *last == who => *end = to,
            _ => spans.push((state.at, to, who)),
        }
    }
    StateLane {
        name: name.to_owned(),
        spans,
    }
}

fn lane<'a>(
    name: &ClientName,
    requests: impl Iterator<Item = &'a RequestRecord> + Clone,
    records: &DrillRecords,
) -> RequestLane {
    let dots = |wanted: fn(&RequestOutcome) -> bool| {
        let of = requests.clone().filter(|it| wanted(&it.outcome));
        let mut dots: Vec<(Micros, Micros)> = of
            .map(|it| (it.scheduled, it.ended.saturating_sub(it.scheduled)))
            .collect();
        dots.sort_unstable();
        dots
    };
    let good = dots(RequestOutcome::is_ok);
    let failed = dots(|it| matches!(it, RequestOutcome::Failed(_)));
    let unknown = dots(|it| matches!(it, RequestOutcome::Unknown(_)));
    RequestLane {
        name: name.to_string(),
        deadline: records.header.deadline,
        gaps: gaps(records, name),
        good,
        failed,
        unknown,
    }
}

/// The longest times without a good answer, as the judge of drills counts them.
fn gaps(records: &DrillRecords, client: &ClientName) -> Vec<(Micros, Micros)> {
    let mut outages = outages(records, client);
    outages.sort_by_key(|it| std::cmp::Reverse(it.length().1));
    outages.truncate(GAPS);
    outages.into_iter().map(|it| it.between).collect()
}
