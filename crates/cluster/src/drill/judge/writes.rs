//! What became of what was written.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::drill::record::{ClientName, DrillRecords, RequestOutcome};

/// What became of what was written: compared with what every etcd member has in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteFigures {
    /// How many creates were acknowledged.
    pub acknowledged: usize,
    /// How many certainly were not done.
    pub refused: usize,
    /// How many nobody knows of, and how many of those were done.
    pub unknown: (usize, usize),
    /// Acknowledged, and some member does not have them.
    pub lost: Vec<u64>,
    /// Certainly not done, and some member has them.
    pub risen: Vec<u64>,
    /// How many a member has more than once.
    pub doubled: usize,
    /// The steps of the chain that were acknowledged, those that nobody knows of, and its value in the end.
    pub chain: (u64, u64, Option<u64>),
}

/// The figures, and what is wrong with them.
pub(super) fn judge(records: &DrillRecords) -> (WriteFigures, Vec<String>) {
    let mut figures = WriteFigures::default();
    let mut reasons = Vec::new();
    let mut unknown = BTreeSet::new();
    let mut ok = BTreeSet::new();
    let mut refused = BTreeSet::new();
    for request in &records.requests {
        let Some(wrote) = request.wrote else {
            continue;
        };
        match (&request.client, &request.outcome) {
            (ClientName::Creates, RequestOutcome::Ok) => drop(ok.insert(wrote)),
            (ClientName::Creates, RequestOutcome::Failed(_)) => drop(refused.insert(wrote)),
            (ClientName::Creates, RequestOutcome::Unknown(_)) => drop(unknown.insert(wrote)),
            (ClientName::Chain, RequestOutcome::Ok) => figures.chain.0 += 1,
            (ClientName::Chain, RequestOutcome::Unknown(_)) => figures.chain.1 += 1,
            _ => {}
        }
    }
    figures.acknowledged = ok.len();
    figures.refused = refused.len();
    let mut lost: BTreeSet<u64> = BTreeSet::new();
    let mut risen: BTreeSet<u64> = BTreeSet::new();
    let mut done: BTreeSet<u64> = BTreeSet::new();
    for member in &records.finals {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for wrote in &member.created {
            *counts.entry(*wrote).or_default() += 1;
        }
        figures.doubled += counts.values().filter(|count| **count > 1).count();
        lost.extend(ok.iter().filter(|it| !counts.contains_key(it)));
        risen.extend(refused.iter().filter(|it| counts.contains_key(it)));
        done.extend(unknown.iter().filter(|it| counts.contains_key(it)));
    }
    figures.unknown = (unknown.len(), done.len());
    figures.lost = lost.into_iter().collect();
    figures.risen = risen.into_iter().collect();
    let values: BTreeSet<u64> = records.finals.iter().map(|it| it.chain).collect();
    figures.chain.2 = values.first().copied();
    if !figures.lost.is_empty() {
        reasons.push(format!(
            "{} of {} acknowledged writes are lost: {:?}",
            figures.lost.len(),
            figures.acknowledged,
            &figures.lost[..figures.lost.len().min(10)]
        ));
    }
    if !figures.risen.is_empty() {
        reasons.push(format!(
            "{} writes were refused and are there all the same",
            figures.risen.len()
        ));
    }
    if figures.doubled > 0 {
        reasons.push(format!("{} writes are there twice", figures.doubled));
    }
    let (steps, unsure, _) = figures.chain;
    if values.len() > 1 {
        reasons.push(format!(
            "members have different values of the chain: {values:?}"
        ));
    } else if let Some(value) = figures.chain.2
        && !(steps..=steps + unsure).contains(&value)
    {
        reasons.push(format!(
            "the chain is at {value} after {steps} acknowledged steps and {unsure} of which nobody knows"
        ));
    }
    (figures, reasons)
}
