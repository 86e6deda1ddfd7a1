//! Which promises hold, which do not, and which nobody has tested; of what, and when.

use std::collections::{BTreeMap, BTreeSet};

use caravan_cluster::verify::{self, Check, Depth, VerifyOutcome};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::records::LabRecords;
use crate::time;

/// How a lab stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// All machines run, and nothing is known to be wrong.
    Well,
    /// Something is not as it must be.
    Unwell,
    /// All machines are there, and none runs.
    Halted,
    /// No machine is there.
    Absent,
    /// Nobody could be asked.
    Unknown,
}

/// What came of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was tested, and does not hold.
    Broken,
    /// Nobody has tested it.
    NotTested,
    /// The lab does not make it.
    LeftOut,
    /// It was tested, and holds.
    Held,
}

impl Outcome {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::NotTested => "not tested",
            Self::LeftOut => "left out",
            Self::Held => "holds",
        }
    }
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromiseView {
    /// Its name.
    pub id: String,
    /// The promise, in a sentence.
    pub promise: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What decided that, in a line.
    pub evidence: String,
    /// All that was seen.
    pub findings: Vec<FindingView>,
    /// How long the test took, in seconds.
    pub seconds: f64,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingView {
    /// What it is about: a machine, mostly.
    pub subject: String,
    /// Whether it speaks for the promise.
    pub holds: bool,
    /// What was seen.
    pub text: String,
}

/// A fact with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is: `Kubernetes`.
    pub name: String,
    /// `1.36.3`.
    pub value: String,
}

/// What holds, what does not, and what nobody has tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How the lab stands.
    pub standing: Standing,
    /// That, in a sentence.
    pub sentence: String,
    /// What is not as it should be, one thing each.
    pub problems: Vec<String>,
    /// All promises, in the order of `verify`.
    pub promises: Vec<PromiseView>,
    /// When they were tested, RFC 3339, UTC; none where they never were.
    pub tested: Option<String>,
    /// How thoroughly, and how long before this report; empty where they never were tested.
    pub tested_how: String,
    /// What was not tested, and what has happened since what was, one thing each.
    pub untested: Vec<String>,
    /// Versions, images, the computer, times.
    pub facts: Vec<Fact>,
}

impl Verdict {
    /// How many promises came to this.
    pub fn count(&self, outcome: Outcome) -> usize {
        let promises = self.promises.iter();
        promises.filter(|it| it.outcome == outcome).count()
    }

    /// What came of the promise called `id`.
    pub fn promise(&self, id: &str) -> Option<&PromiseView> {
        self.promises.iter().find(|promise| promise.id == id)
    }

    pub(crate) fn of(records: &LabRecords<'_>) -> Self {
        let verification = records.verification.as_ref();
        let promises: Vec<PromiseView> = verify::list_of(records.lab, Depth::Disrupt)
            .map(|(id, promise)| promise_view(id, promise, verification))
            .collect();
        let broken = promises.iter().filter(|it| it.outcome == Outcome::Broken);
        let broken = broken.count();
        let mut problems = problems(records);
        if let Some(left) = verification.and_then(|it| it.left_behind.as_ref()) {
            problems.push(format!("`verify` has left something behind: {left}"));
        }
        let (standing, sentence) = standing(records, broken, &problems);
        let tested = verification.map(began);
        Self {
            standing,
            sentence,
            untested: untested(records, &promises),
            tested_how: match (verification, tested) {
                (Some(it), Some(at)) => format!(
                    "{}, {}, in {:.1} s",
                    depth(it.depth),
                    time::before(records.now, at),
                    it.seconds
                ),
                _ => String::new(),
            },
            tested: tested.map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            facts: facts(records),
            problems,
            promises,
        }
    }
}

fn began(report: &verify::Report) -> Timestamp {
    time::of_ms(i64::try_from(report.began_unix_ms).unwrap_or(i64::MAX))
}

fn depth(depth: Depth) -> &'static str {
    match depth {
        Depth::Quick => "quickly, at the end of `up`",
        Depth::Full => "in full, with nothing broken on purpose",
        Depth::Disrupt => "in full, with parts broken on purpose",
    }
}

fn promise_view(id: &str, promise: &str, report: Option<&verify::Report>) -> PromiseView {
    let check: Option<&Check> = report.and_then(|report| report.check(id));
    let outcome = match check.map(|check| check.outcome) {
        None => Outcome::NotTested,
        Some(VerifyOutcome::Passed) => Outcome::Held,
        Some(VerifyOutcome::Failed) => Outcome::Broken,
        Some(VerifyOutcome::Skipped) => Outcome::LeftOut,
    };
    let findings = check.map_or(&[][..], |check| &check.findings);
    PromiseView {
        id: id.to_owned(),
        promise: promise.to_owned(),
        outcome,
        evidence: check.map_or_else(String::new, |check| check.evidence.clone()),
        findings: findings
            .iter()
            .map(|it| FindingView {
                subject: it.subject.clone(),
                holds: it.holds,
                text: it.text.clone(),
            })
            .collect(),
        seconds: check.map_or(0.0, |check| check.seconds),
    }
}

/// What is not as it should be, beside broken promises.
fn problems(records: &LabRecords<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(records.operation.clone());
    if let Some(status) = &records.status {
        problems.extend(status.problems.iter().cloned());
    }
    let asked = records.unasked.iter();
    problems.extend(asked.map(|why| format!("not everybody could be asked: {why}")));
    let edits = records.edits.iter();
    problems.extend(
        edits.map(|edit| format!("the lab file was changed since the machines were made: {edit}")),
    );
    let unreadable = records.unreadable.iter();
    problems.extend(unreadable.map(|why| format!("a record is left out: {why}")));
    let lacks = records.lacks.iter();
    problems.extend(lacks.map(|what| format!("this computer lacks {what}")));
    problems
}

fn standing(records: &LabRecords<'_>, broken: usize, problems: &[String]) -> (Standing, String) {
    let all = records.lab.machines().len();
    let states = || {
        let machines = records.lab.machines().iter();
        machines.filter_map(|it| records.machines.get(&it.name)?.state.as_deref())
    };
    let there = states().count();
    let running = states().filter(|state| *state == "running").count();
    let count = |count: usize| match (count, all) {
        (1, 1) => "its one machine".to_owned(),
        (count, all) if count == all => format!("all {all} machines"),
        (count, all) => format!("{count} of {all} machines"),
    };
    let verb = |count: usize, one: &str, more: &str| match count {
        1 => one.to_owned(),
        _ => more.to_owned(),
    };
    if there == 0 && !records.unasked.is_empty() {
        let sentence = "Nobody could be asked which machines are there.";
        return (Standing::Unknown, sentence.to_owned());
    }
    if there == 0 {
        let sentence = "No machine of the lab is there.";
        return (Standing::Absent, sentence.to_owned());
    }
    if there == all && running == 0 {
        let sentence = "All machines are there, and none runs.";
        return (Standing::Halted, sentence.to_owned());
    }
    let runs = format!("{} {}", count(running), verb(running, "runs", "run"));
    let runs = runs[..1].to_uppercase() + &runs[1..];
    let wrong = match broken {
        0 => String::new(),
        1 => ", and one promise is broken".to_owned(),
        broken => format!(", and {broken} promises are broken"),
    };
    match (running == all && broken == 0, problems) {
        (true, []) if records.verification.is_none() => (
            Standing::Well,
            format!("{runs}; no promise has been tested."),
        ),
        (true, []) => (Standing::Well, format!("{runs}, and no promise is broken.")),
        (_, []) => (Standing::Unwell, format!("{runs}{wrong}.")),
        (_, problems) => (
            Standing::Unwell,
            format!(
                "{runs}{wrong}; {} {} not as {} should be.",
                problems.len(),
                verb(problems.len(), "thing is", "things are"),
                verb(problems.len(), "it", "they"),
            ),
        ),
    }
}

/// What was not tested, and what has happened since what was.
fn untested(records: &LabRecords<'_>, promises: &[PromiseView]) -> Vec<String> {
    let mut lines = Vec::new();
    let names = |outcome| {
        let promises = promises.iter().filter(move |it| it.outcome == outcome);
        promises.map(|it| it.id.as_str()).collect::<Vec<_>>()
    };
    let (lab, tool) = (records.lab.name(), records.tool);
    let Some(report) = &records.verification else {
        lines.push(format!(
            "No promise of the lab has been tested: `{tool} verify {lab}` does."
        ));
        return lines;
    };
    let missing = names(Outcome::NotTested);
    if !missing.is_empty() {
        let how = match report.depth {
            Depth::Quick => format!("`{tool} verify {lab}`"),
            Depth::Full | Depth::Disrupt => format!("`{tool} verify {lab} --disrupt`"),
        };
        lines.push(format!(
            "{} promises were not tested, which {how} does: {}.",
            missing.len(),
            missing.join(", ")
        ));
    }
    for promise in promises.iter().filter(|it| it.outcome == Outcome::LeftOut) {
        lines.push(format!(
            "{} was left out: {}.",
            promise.id, promise.evidence
        ));
    }
    let tested = began(report);
    let is_later = |at: &str| at.parse::<Timestamp>().is_ok_and(|at| at > tested);
    let remade: Vec<&str> = (records.lab.machines().iter())
        .filter(|machine| {
            let facts = records.machines.get(&machine.name);
            let made = facts.and_then(|facts| facts.made_from.as_ref());
            made.is_some_and(|made| is_later(&made.given))
        })
        .map(|machine| machine.name.as_str())
        .collect();
    if !remade.is_empty() {
        lines.push(format!(
            "Since the promises were tested, machines were made anew: {}.",
            caravan_lab::failure::few(&remade)
        ));
    }
    let drilled = records
        .drills
        .iter()
        .filter(|it| is_later(&it.result.began));
    let drilled = drilled.count();
    match drilled {
        0 => {}
        1 => lines.push(
            "Since the promises were tested a drill was run, which mends what it breaks.".to_owned(),
        ),
        count => lines.push(format!(
            "Since the promises were tested {count} drills were run, each of which mends what it breaks."
        )),
    }
    if records.drills.is_empty() {
        lines.push(format!(
            "No drill was run: `{tool} drill {lab} all` measures what users see of each failure."
        ));
    }
    lines
}

/// Versions, images, the computer, times.
fn facts(records: &LabRecords<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String| {
        facts.push(Fact {
            name: name.to_owned(),
            value,
        });
    };
    let lab = records.lab;
    add("report made", time::shown(records.now));
    add("caravan", records.version.to_owned());
    add("computer", records.host.clone());
    add("API endpoint", format!("https://{}", lab.api_endpoint()));
    // Values, each with the machines that have it; said only where they differ.
    let mut seen: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for machine in lab.machines() {
        let Some(facts) = records.machines.get(&machine.name) else {
            continue;
        };
        let mut note = |name: &str, value: &str| {
            let values = seen.entry(name.to_owned()).or_default();
            values
                .entry(value.to_owned())
                .or_default()
                .push(&machine.name);
        };
        note("provider", &facts.provider);
        if let Some(made) = &facts.made_from {
            if machine.role.is_node() {
                note("Kubernetes", &made.kubernetes);
                note("containerd", &made.containerd);
            }
            if machine.role == caravan_lab::Role::Etcd {
                note("etcd", &made.etcd);
            }
            note("machine image", &made.image);
        }
        let status = records.status.as_ref();
        let asked = status.and_then(|it| it.machines.iter().find(|it| it.name == machine.name));
        for (name, version) in asked.iter().flat_map(|it| &it.versions) {
            if ["haproxy", "keepalived"].contains(&name.as_str()) {
                note(name, version);
            }
        }
    }
    if !seen.contains_key("Kubernetes") {
        add("Kubernetes", lab.kubernetes().to_string());
    }
    for name in [
        "Kubernetes",
        "etcd",
        "containerd",
        "haproxy",
        "keepalived",
        "machine image",
        "provider",
    ] {
        let Some(values) = seen.get(name) else {
            continue;
        };
        let several = values.len() > 1;
        let values: Vec<String> = values
            .iter()
            .map(|(value, machines)| match several {
                true => format!("{value} ({})", caravan_lab::failure::few(machines)),
                false => value.clone(),
            })
            .collect();
        add(name, values.join("; "));
    }
    let made: BTreeSet<&str> = records
        .machines
        .values()
        .filter_map(|it| Some(it.made_from.as_ref()?.given.as_str()))
        .collect();
    match (made.first(), made.last()) {
        (Some(first), Some(last)) if first == last => add("machines made", (*first).to_owned()),
        (Some(first), Some(last)) => add("machines made", format!("{first} to {last}")),
        _ => {}
    }
    facts
}
