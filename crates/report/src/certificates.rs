//! The certificates of a lab: how long they are valid, who issued them, whom they name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::records::{CertificateFacts, LabRecords};
use crate::time;

/// From how many on certificates that differ in their machine alone are one row.
const MANY: usize = 24;

/// The certificates of a lab's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// How many there are.
    pub count: usize,
    /// Those of one issuer after the other, authorities first.
    pub groups: Vec<IssuerView>,
    /// From when to when the axis goes, in seconds since 1970.
    pub axis: (i64, i64),
    /// Now, in seconds since 1970.
    pub now: i64,
    /// The first to end, in a sentence; empty where there is none.
    pub first: String,
}

/// The certificates of one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuerView {
    /// The issuer's common name.
    pub issuer: String,
    /// What it issued; its own first, where it issued itself.
    pub rows: Vec<CertificateRow>,
}

/// A certificate, or many of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRow {
    /// The names in the store; one, unless they are many of a kind.
    pub names: Vec<String>,
    /// The subject's common name; of many, that of the first.
    pub subject: String,
    /// Whether it is an authority's.
    pub authority: bool,
    /// The first valid second; of many, the latest.
    pub not_before: i64,
    /// The last valid second; of many, the soonest.
    pub not_after: i64,
    /// How it stands, in words: `364 days left`.
    pub standing: String,
    /// Whether it is not valid now.
    pub invalid: bool,
    /// Whom it names; of many, nobody is said.
    pub sans: Vec<String>,
    /// What it is for.
    pub usages: Vec<String>,
}

impl Certificates {
    pub(crate) fn of(records: &LabRecords<'_>) -> Self {
        let now = records.now.as_second();
        let facts = &records.certificates;
        let mut by_issuer: BTreeMap<&str, Vec<&CertificateFacts>> = BTreeMap::new();
        for one in facts {
            by_issuer.entry(&one.issuer).or_default().push(one);
        }
        let groups = by_issuer.into_iter().map(|(issuer, mut of)| {
            of.sort_by_key(|it| (!it.authority, it.name.as_str()));
            IssuerView {
                issuer: issuer.to_owned(),
                rows: rows(&of, now),
            }
        });
        let from = facts.iter().map(|it| it.not_before).min();
        let to = facts.iter().map(|it| it.not_after).max();
        let first = facts.iter().min_by_key(|it| it.not_after);
        Self {
            count: facts.len(),
            groups: groups.collect(),
            axis: (from.unwrap_or(now).min(now), to.unwrap_or(now).max(now)),
            now,
            first: first.map_or_else(String::new, |it| {
                format!(
                    "{} ends first, on {}: {}.",
                    it.name,
                    time::day(it.not_after),
                    standing(it.not_before, it.not_after, now).0
                )
            }),
        }
    }
}

fn rows(of: &[&CertificateFacts], now: i64) -> Vec<CertificateRow> {
    let mut kinds: BTreeMap<String, Vec<&CertificateFacts>> = BTreeMap::new();
    let mut order = Vec::new();
    for one in of {
        let kind = kind(one);
        if !kinds.contains_key(&kind) {
            order.push(kind.clone());
        }
        kinds.entry(kind).or_default().push(one);
    }
    let mut rows = Vec::new();
    for kind in order {
        let many = &kinds[&kind];
        match many.len() < MANY {
            true => rows.extend(many.iter().map(|one| row(std::slice::from_ref(one), now))),
            false => rows.push(row(many, now)),
        }
    }
    rows
}

/// What certificates have in common that differ in their machine alone.
fn kind(one: &CertificateFacts) -> String {
    let last = one.name.rsplit(['/', '-']).next().unwrap_or_default();
    format!("{} {} {last}", one.authority, one.usages.join(" "))
}

fn row(of: &[&CertificateFacts], now: i64) -> CertificateRow {
    let first = of[0];
    let not_before = of.iter().map(|it| it.not_before).max().unwrap_or(now);
    let not_after = of.iter().map(|it| it.not_after).min().unwrap_or(now);
    let (standing, invalid) = standing(not_before, not_after, now);
    CertificateRow {
        names: of.iter().map(|it| it.name.clone()).collect(),
        subject: first.subject.clone(),
        authority: first.authority,
        not_before,
        not_after,
        standing,
        invalid,
        sans: match of {
            [one] => one.names.clone(),
            _ => Vec::new(),
        },
        usages: first.usages.clone(),
    }
}

/// In words, and whether it is not valid now.
fn standing(not_before: i64, not_after: i64, now: i64) -> (String, bool) {
    let days = (not_after - now).div_euclid(86_400);
    if now < not_before {
        let from = Timestamp::from_second(not_before).map_or_else(|_| String::new(), time::shown);
        return (format!("not valid before {from}"), true);
    }
    match days {
        ..0 => (format!("ended {} days ago", -days), true),
        0 => ("ends within a day".to_owned(), false),
        1 => ("1 day left".to_owned(), false),
        days => (format!("{days} days left"), false),
    }
}
