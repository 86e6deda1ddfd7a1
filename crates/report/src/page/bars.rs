//! What is shown as bars over an axis: phases of `up`, lifetimes of certificates. Places are in hundredths of the width.

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::{PhaseOutcome, seconds};
use serde_json::{Value, json};

use super::{Marked, marked, some};
use crate::LabReport;
use crate::certificates::CertificateRow;
use crate::up::{RunLine, UpBar, UpView};
use crate::{axis, time};

/// How wide a bar must be for its name, in hundredths for each character.
const CHARACTER: f64 = 0.95;

/// How many marks the axis of `up` may have.
const MARKS: u64 = 8;

/// In hundredths of `all`, with two digits.
fn share(part: i64, all: i64) -> f64 {
    (part as f64 / all.max(1) as f64 * 10_000.0).round() / 100.0
}

fn run_outcome(outcome: PhaseOutcome) -> Marked {
    match outcome {
        PhaseOutcome::Done => marked("ok", "✓", "done"),
        PhaseOutcome::Failed => marked("bad", "✕", "failed"),
        PhaseOutcome::Interrupted => marked("warn", "‖", "interrupted"),
        PhaseOutcome::Running => marked("warn", "?", "was killed, or goes on"),
    }
}

pub(super) fn runs(report: &LabReport) -> Value {
    let runs = &report.runs;
    let how = match &runs.up {
        None => "No `up` has made machines of this lab, as far as its state tells.".to_owned(),
        Some(up) => format!(
            "{} at {}, in {}: where the time went.",
            match up.outcome {
                PhaseOutcome::Done => "Done",
                PhaseOutcome::Failed => "Failed",
                PhaseOutcome::Interrupted => "Interrupted",
                PhaseOutcome::Running => "Killed, or going on, begun",
            },
            up.began,
            seconds(up.length_ms)
        ),
    };
    let count = runs.all.len() + runs.more;
    json!({
        "up_how": how,
        "ups": runs.up.iter().map(up).collect::<Vec<_>>(),
        "run_lists": some(count > 0, || json!({
            "title": match (count, runs.more) {
                (1, _) => "One run of a verb".to_owned(),
                (count, 0) => format!("All {count} runs of verbs"),
                (count, more) => format!("The newest {} of {count} runs of verbs", count - more),
            },
            "rows": runs.all.iter().map(line).collect::<Vec<_>>(),
        })),
    })
}

fn line(run: &RunLine) -> Value {
    run_outcome(run.outcome).with(json!({
        "verb": run.verb,
        "began": run.began,
        "took": seconds(run.length_ms),
        "failures": run.failures,
    }))
}

fn up(up: &UpView) -> Value {
    let all = up.length_ms.max(1);
    let rows = up.rows.iter().map(|row| {
        let end = row.bars.iter().map(|bar| bar.to_ms).max();
        json!({
            "name": row.name,
            "bars": row.bars.iter().map(|it| bar(it, all)).collect::<Vec<_>>(),
            "end": seconds(end.unwrap_or_default()),
        })
    });
    let floors = up
        .floor
        .iter()
        .filter(|(ms, _)| *ms <= all)
        .map(|(ms, text)| json!({"left": share(*ms, all), "text": text}));
    let critical = up.critical.iter().map(|link| {
        json!({
            "subject": link.subject,
            "phase": link.phase.name(),
            "from": seconds(link.from_ms),
            "took": seconds(link.to_ms - link.from_ms),
        })
    });
    let mut notes = Vec::new();
    if let Some((ms, text)) = up.floor.iter().find(|(ms, _)| *ms > all) {
        notes.push(format!(
            "{text}, which is longer than this run ({})",
            seconds(*ms)
        ));
    }
    if up.left_out > 0 {
        notes.push(format!(
            "{} machines that were ready earlier are left out",
            up.left_out
        ));
    }
    json!({
        "ticks": ticks(all),
        "rows": rows.collect::<Vec<_>>(),
        "floors": floors.collect::<Vec<_>>(),
        "critical": critical.collect::<Vec<_>>(),
        "notes": notes,
    })
}

fn ticks(all: i64) -> Vec<Value> {
    let whole = u64::try_from(all / 1000).unwrap_or_default();
    axis::marks(whole, MARKS)
        .map(|at| {
            let left = share(i64::try_from(at * 1000).unwrap_or(all), all);
            let class = if left > 96.0 { "end" } else { "" };
            json!({"left": left, "text": format!("{at} s"), "class": class})
        })
        .collect()
}

fn bar(bar: &UpBar, all: i64) -> Value {
    let width = share(bar.to_ms - bar.from_ms, all).max(0.1);
    let fits = width > bar.phase.len() as f64 * CHARACTER;
    let mut class = class_of(&bar.phase).to_owned();
    if bar.waits {
        class += " waits";
    }
    if bar.critical {
        class += " critical";
    }
    if bar.outcome == PhaseOutcome::Failed {
        class += " failed";
    }
    if !fits {
        class += " tiny";
    }
    let note = match bar.note.is_empty() {
        true => String::new(),
        false => format!("; {}", bar.note),
    };
    json!({
        "class": class,
        "left": share(bar.from_ms, all),
        "width": width,
        "label": if fits { bar.phase.as_str() } else { "" },
        "title": format!(
            "{} from {} to {}{}{note}",
            bar.phase,
            seconds(bar.from_ms),
            seconds(bar.to_ms),
            if bar.critical { ", on the critical path" } else { "" },
        ),
    })
}

/// Which part of the cluster a phase is about; only the colour says it, and the name beside it as well.
fn class_of(phase: &str) -> &'static str {
    match Phase::from(phase) {
        Phase::EtcdData | Phase::EtcdStart | Phase::EtcdQuorum => "etcd",
        Phase::Haproxy | Phase::Vip => "balancer",
        Phase::Init | Phase::Join | Phase::Certificates => "master",
        Phase::Settings | Phase::NodeReady | Phase::Ready => "node",
        Phase::Create
        | Phase::Prepare
        | Phase::Network
        | Phase::WaitEtcd
        | Phase::WaitEndpoint
        | Phase::Other(_) => "other",
    }
}

pub(super) fn certificates(report: &LabReport) -> Value {
    let certificates = &report.certificates;
    let (from, to) = certificates.axis;
    let all = to - from;
    let issuers = certificates.groups.iter().map(|group| {
        let rows = group.rows.iter().map(|row| certificate(row, from, all));
        json!({
            "title": format!("Issued by {}", group.issuer),
            "rows": rows.collect::<Vec<_>>(),
        })
    });
    let how = match certificates.count {
        0 => "The lab has no certificates yet.".to_owned(),
        count => format!("{count} in the lab's store. {}", certificates.first),
    };
    let years = [(from, "begins"), (to, "ends")].map(|(at, class)| {
        json!({
            "left": share(at - from, all),
            "text": time::day(at),
            "class": if class == "ends" { "end" } else { "" },
        })
    });
    json!({
        "certificates_how": how,
        "issuers": issuers.collect::<Vec<_>>(),
        "certificate_ticks": years,
        "nows": [json!({"left": share(certificates.now - from, all)})],
    })
}

fn certificate(row: &CertificateRow, from: i64, all: i64) -> Value {
    let name = match row.names.as_slice() {
        [one] => one.clone(),
        [first, ..] => format!("{first} and {} like it", row.names.len() - 1),
        [] => String::new(),
    };
    let class = match (row.invalid, row.authority) {
        (true, _) => "invalid",
        (false, true) => "authority",
        (false, false) => "master",
    };
    let valid = format!(
        "{} to {}",
        time::day(row.not_before),
        time::day(row.not_after)
    );
    json!({
        "title": format!("{name}: {valid}"),
        "class": class,
        "left": share(row.not_before - from, all),
        "width": share(row.not_after - row.not_before, all).max(0.3),
        "standing": match row.invalid {
            true => format!("✕ {}", row.standing),
            false => row.standing.clone(),
        },
        "standing_class": if row.invalid { "bad" } else { "" },
        "subject": row.subject,
        "usages": match (row.authority, row.usages.is_empty()) {
            (true, true) => "issues certificates".to_owned(),
            _ => row.usages.join(", "),
        },
        "sans": row.sans.join(", "),
        "name": name,
        "valid": valid,
    })
}
