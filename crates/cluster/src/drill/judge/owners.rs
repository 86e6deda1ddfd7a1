//! Who had the virtual address.

use serde::{Deserialize, Serialize};

use super::{FaultRecord, Micros};
use crate::drill::record::StateRecord;

/// Who had the virtual address, as load balancers told it themselves when that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerFigures {
    /// Who had it, in order, each with the time from which on it was seen there.
    pub course: Vec<(Micros, Vec<String>)>,
    /// How often it went from one machine to another.
    pub moves: usize,
    /// How long several had it at the longest, in microseconds.
    pub shared: Micros,
    /// How long after the repair was done it was on one machine alone, and stayed so, in microseconds; none where it never was.
    pub shared_after: Option<Micros>,
}

impl OwnerFigures {
    /// Those that had it alone, each time another one than before.
    pub fn sole(&self) -> Vec<&str> {
        let mut sole: Vec<&str> = self
            .course
            .iter()
            .filter_map(|(_, owners)| match owners.as_slice() {
                [owner] => Some(owner.as_str()),
                _ => None,
            })
            .collect();
        sole.dedup();
        sole
    }

    /// Whether it was ever elsewhere than at first, on none, or on several.
    pub(super) fn moved(&self) -> bool {
        self.course.len() > 1
    }

    /// In words: `lbone at 0.2 s, nobody at 9.1 s`.
    pub fn text(&self) -> String {
        let course = self.course.iter().map(|(at, owners)| {
            let owners = match owners.is_empty() {
                true => "nobody".to_owned(),
                false => owners.join(" and "),
            };
            let tenths = at / 100_000;
            format!("{owners} at {}.{} s", tenths / 10, tenths % 10)
        });
        course.collect::<Vec<_>>().join(", ")
    }
}

/// The figures. That nobody has told anything yet is no time without an owner.
pub(super) fn figures(states: &[StateRecord], fault: Option<&FaultRecord>) -> OwnerFigures {
    let mut course: Vec<(Micros, Vec<String>)> = Vec::new();
    for state in states.iter().skip_while(|it| it.owners.is_empty()) {
        if course
            .last()
            .is_none_or(|(_, owners)| *owners != state.owners)
        {
            course.push((state.at, state.owners.clone()));
        }
    }
    let end = states.last().map_or(0, |state| state.at);
    let until = |place: usize| course.get(place + 1).map_or(end, |(at, _)| *at);
    let several = course
        .iter()
        .enumerate()
        .filter(|(_, (_, owners))| owners.len() > 1);
    let shared = several.map(|(place, (at, _))| until(place).saturating_sub(*at));
    let mut figures = OwnerFigures {
        moves: 0,
        shared: shared.max().unwrap_or_default(),
        shared_after: None,
        course,
    };
    figures.moves = figures.sole().len().saturating_sub(1);
    let repaired = fault.and_then(|fault| fault.repaired.or(fault.repair_sent));
    if let (Some(repaired), Some((at, owners))) = (repaired, figures.course.last())
        && owners.len() == 1
    {
        figures.shared_after = Some(at.saturating_sub(repaired));
    }
    figures
}
