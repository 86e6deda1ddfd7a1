//! What was not as it must be.

use std::collections::BTreeSet;
use std::ops::Range;

use super::owners::OwnerFigures;
use super::{ClientFigures, ClientName, DrillRecords, Micros};

/// For how long clients go on at the least after all was well, and are to see nothing any more, in microseconds.
const LAST: Micros = 2_000_000;

/// What is allowed, in words that say who says so.
fn allowed(amount: &str, is_of_file: bool) -> String {
    match is_of_file {
        true => format!("where the lab file allows {amount}"),
        false => format!("where {amount} are allowed"),
    }
}

/// Members that do not hold the same data in the end.
pub(super) fn differing(records: &DrillRecords) -> Option<String> {
    let known: BTreeSet<(u64, u64)> = records.finals.iter().filter_map(|it| it.hash).collect();
    (known.len() > 1).then(|| "the etcd members do not hold the same data in the end".to_owned())
}

/// What took longer, or failed more often, than is allowed.
pub(super) fn beyond_budget(
    records: &DrillRecords,
    clients: &[ClientFigures],
    owners: &OwnerFigures,
) -> Vec<String> {
    let header = &records.header;
    let of_file = |key: &str| header.from_file.iter().any(|it| it == key);
    let mut reasons = Vec::new();
    let too_long = |it: &&ClientFigures| !it.holds() && !is_too_coarse(records, it);
    for figures in clients.iter().filter(too_long) {
        let budget = format!("{} ms", figures.budget_ms.unwrap_or_default());
        reasons.push(format!(
            "{}: away for up to {} ms, {}",
            figures.client,
            figures.away.1 / 1000,
            allowed(&budget, figures.budget_is_of_file)
        ));
    }
    let reads = clients.iter().find(|it| it.client == ClientName::Reads);
    if let Some(percent) = header.failed_percent
        && let Some(reads) = reads
        && let (during, failed) = during(records)
        && failed * 100 > during * usize::try_from(percent).unwrap_or(usize::MAX)
    {
        reasons.push(format!(
            "{}: {failed} of {during} requests during the fault failed, {}",
            reads.client,
            allowed(&format!("{percent} of 100"), of_file("failed_percent"))
        ));
    }
    if let Some(budget) = header.back_ms {
        let back = reads.and_then(|reads| reads.back);
        if back.is_none_or(|back| back > budget * 1000) {
            let back = back.map_or("never back".to_owned(), |back| {
                format!("back {} ms", back / 1000)
            });
            reasons.push(format!(
                "{}: {back} after the repair, {}",
                ClientName::Reads,
                allowed(&format!("{budget} ms"), of_file("back_ms"))
            ));
        }
    }
    if let Some((asked, failed)) = after_all_was_well(records) {
        reasons.push(format!(
            "{}: {failed} of {asked} requests failed in the last {} s, after all was well again",
            ClientName::Reads,
            LAST / 1_000_000
        ));
    }
    if header.owner_stays && owners.moved() {
        reasons.push(format!(
            "the virtual address did not stay where it was: {}",
            owners.text()
        ));
    }
    if let Some(budget) = header.one_owner_ms
        && records.fault.is_some()
        && owners
            .shared_after
            .is_none_or(|after| after > budget * 1000)
    {
        let after = owners
            .shared_after
            .map_or("to the end".to_owned(), |after| {
                format!("until {} ms after the repair", after / 1000)
            });
        reasons.push(format!(
            "the virtual address was not on one machine alone {after}, {}",
            allowed(&format!("{budget} ms"), false)
        ));
    }
    if let Some(fault) = &records.fault
        && let Some(cut) = &fault.cut
        && cut.is_of_lab
    {
        reasons.push(format!("{}: {}", fault.fault, cut.why));
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

/// Whether a client that asked less often than usual may have been away no longer than it is allowed, and may not: what lies
/// between two of its requests was not seen.
pub(super) fn is_too_coarse(records: &DrillRecords, figures: &ClientFigures) -> bool {
    let at_least_ms = figures.away.0 / 1000;
    let is_open = figures
        .budget_ms
        .is_some_and(|budget| at_least_ms <= budget);
    records.header.stretch > 1 && is_open && !figures.holds()
}

/// How many reads were scheduled from the fault to its repair, and how many of those failed.
fn during(records: &DrillRecords) -> (usize, usize) {
    let Some(fault) = &records.fault else {
        return (0, 0);
    };
    let to = fault.repair_sent.unwrap_or(records.end);
    reads_in(records, fault.sent..to)
}

/// How many reads were scheduled in this time, and how many of those failed.
fn reads_in(records: &DrillRecords, time: Range<Micros>) -> (usize, usize) {
    let reads = records.requests.iter();
    let reads = reads.filter(|it| it.client == ClientName::Reads && time.contains(&it.scheduled));
    let failed = reads.clone().filter(|it| !it.outcome.is_ok()).count();
    (reads.count(), failed)
}

/// How many reads were scheduled in the last seconds, after everything was well again, and how many of those failed, where more
/// than one did: then it was not. What comes back may be slow for a moment before that.
fn after_all_was_well(records: &DrillRecords) -> Option<(usize, usize)> {
    let healed = records.fault.as_ref()?.healed?;
    let from = healed.max(records.end.saturating_sub(LAST));
    let (asked, failed) = reads_in(records, from..Micros::MAX);
    (failed > 1).then_some((asked, failed))
}
