//! What has changed since the report before.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::LabReport;
use crate::drills;

/// What has changed since the report before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// When the report before was made.
    pub made: String,
    /// What differs, in the order of the page.
    pub changes: Vec<Change>,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is of: `promise vip-owner`.
    pub what: String,
    /// What it was; empty where there was none.
    pub before: String,
    /// What it is; empty where there is none any more.
    pub after: String,
}

impl Difference {
    /// What differs between two reports. What differs always, such as the time, does not count.
    pub fn between(before: &LabReport, after: &LabReport) -> Self {
        let (before_facts, after_facts) = (facts(before), facts(after));
        let mut order: Vec<&String> = after_facts.iter().map(|(what, _)| what).collect();
        let known: BTreeSet<&String> = order.iter().copied().collect();
        let gone = before_facts.iter().map(|(what, _)| what);
        order.extend(gone.filter(|what| !known.contains(*what)));
        let was: BTreeMap<&String, &String> = before_facts.iter().map(|(a, b)| (a, b)).collect();
        let is: BTreeMap<&String, &String> = after_facts.iter().map(|(a, b)| (a, b)).collect();
        let text = |of: &BTreeMap<&String, &String>, what| {
            of.get(what).map_or_else(String::new, |it| (*it).clone())
        };
        let changes = order.into_iter().filter_map(|what| {
            let (before, after) = (text(&was, what), text(&is, what));
            (before != after).then(|| Change {
                what: what.clone(),
                before,
                after,
            })
        });
        Self {
            made: before.made.clone(),
            changes: changes.collect(),
        }
    }
}

/// What a report says, one fact each, by what it is of.
fn facts(report: &LabReport) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |what: String, value: String| facts.push((what, value));
    add("the lab".to_owned(), report.verdict.sentence.clone());
    for promise in &report.verdict.promises {
        let value = promise.outcome.word().to_owned();
        add(format!("promise {}", promise.id), value);
    }
    for fact in &report.verdict.facts {
        // The first is the time; the load of the computer is never the same.
        if !["report made", "computer"].contains(&fact.name.as_str()) {
            add(fact.name.clone(), fact.value.clone());
        }
    }
    add("endpoint".to_owned(), report.topology.endpoint.clone());
    let names = |wanted: fn(&crate::topology::MachineView) -> bool| {
        let machines = report.topology.machines.iter().filter(|it| wanted(it));
        let names: Vec<&str> = machines.map(|it| it.name.as_str()).collect();
        names.join(", ")
    };
    add("holds the virtual address".to_owned(), names(|it| it.owner));
    add("leads etcd".to_owned(), names(|it| it.leader));
    for machine in &report.topology.machines {
        let value = format!(
            "{} on {}, {}, {} MiB, {} CPUs, {}",
            machine.role,
            machine.server,
            machine.ip,
            machine.memory_mib,
            machine.cpus,
            machine.state
        );
        add(format!("machine {}", machine.name), value);
    }
    if let Some(up) = &report.runs.up {
        let value = format!(
            "{}, {}",
            up.began,
            caravan_cluster::timeline::seconds(up.length_ms)
        );
        add("newest up".to_owned(), value);
    }
    // The newest of each name stands first.
    let mut seen = BTreeSet::new();
    for drill in &report.drills {
        if seen.insert(&drill.drill) {
            let away = drill.reads().map_or_else(String::new, |reads| {
                format!(", reads away for up to {} ms", reads.away.1 / 1000)
            });
            let value = format!("{}{away}", drills::word(drill.verdict));
            add(format!("drill {}", drill.drill), value);
        }
    }
    add(
        "certificates".to_owned(),
        format!("{}", report.certificates.count),
    );
    facts
}
