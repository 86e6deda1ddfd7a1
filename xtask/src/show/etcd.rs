//! etcd's members and snapshots, for people.

use caravan_cluster::etcd::maintenance::DefragOutcome;
use caravan_cluster::etcd::report::MembersReport;
use caravan_lifecycle::snapshots::Snapshot;

use super::table::{self, mib};

/// How many snapshots are listed.
const SHOWN: usize = 10;

/// Members, then snapshots, then what is wrong.
pub(crate) fn status(found: &MembersReport, kept: &[Snapshot], lab: &str) -> String {
    let mut parts = vec![members(found), snapshots(kept)];
    parts.push(match &found.problems[..] {
        [] => format!("etcd of lab `{lab}` is well"),
        problems => format!(
            "etcd of lab `{lab}` is not well:\n  {}",
            problems.join("\n  ")
        ),
    });
    parts.join("\n\n")
}

fn members(found: &MembersReport) -> String {
    let mut table = table::plain(&[
        "member", "id", "role", "version", "revision", "data", "in use",
    ]);
    for member in &found.members {
        let Some(status) = &member.status else {
            table.add_row([member.name.as_str(), "", "does not answer", "", "", "", ""]);
            continue;
        };
        let role = match (&found.leader, status.learner) {
            (_, true) => "learner",
            (Some(leader), _) if *leader == member.name => "leader",
            _ => "follower",
        };
        let bytes = |of: fn(&caravan_cluster::etcd::maintenance::DataSpace) -> u64| {
            member
                .space
                .as_ref()
                .map(|it| mib(of(it)))
                .unwrap_or_default()
        };
        table.add_row([
            member.name.clone(),
            format!("{:x}", status.member_id),
            role.to_owned(),
            status.version.clone(),
            status.revision.to_string(),
            bytes(|it| it.size),
            bytes(|it| it.used),
        ]);
    }
    table::text(&table)
}

fn snapshots(kept: &[Snapshot]) -> String {
    if kept.is_empty() {
        return "no snapshots".to_owned();
    }
    let mut table = table::plain(&["snapshot", "taken", "revision", "size", "why"]);
    for snapshot in kept.iter().rev().take(SHOWN) {
        let record = &snapshot.record;
        table.add_row([
            snapshot.name(),
            record.taken.clone(),
            record.revision.to_string(),
            mib(record.bytes),
            record.reason.clone(),
        ]);
    }
    let text = table::text(&table);
    match kept.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text}\nand {more} older ones"),
    }
}

/// What a snapshot is of, in a line.
pub(crate) fn taken(snapshot: &Snapshot) -> String {
    let record = &snapshot.record;
    format!(
        "revision {}, {} records, {}, from {}",
        record.revision,
        record.keys,
        mib(record.bytes),
        record.member
    )
}

/// What each member gave back.
pub(crate) fn defragmented(outcome: &DefragOutcome) -> String {
    let mut table = table::plain(&["member", "before", "after", "in use"]);
    for member in &outcome.members {
        table.add_row([
            member.member.clone(),
            mib(member.before.size),
            mib(member.after.size),
            mib(member.after.used),
        ]);
    }
    let mut lines = vec![
        table::text(&table),
        format!("revisions before {} are forgotten", outcome.revision),
    ];
    lines.extend(
        outcome
            .disarmed
            .iter()
            .map(|alarm| format!("ended: {alarm}")),
    );
    lines.join("\n")
}
