//! Tables; among them the closing ones of `up`: where the time went, and the critical path.

use caravan_cluster::timeline::critical::Link;
use caravan_cluster::timeline::{PhaseOutcome, RUN, Timeline, seconds};
pub(crate) use caravan_screen::table::{plain, text};
use comfy_table::{Cell, CellAlignment};

/// Bytes, for people.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What the run did for the whole lab, one row per step, then each machine's phases in one row.
pub(crate) fn steps(timeline: &Timeline) -> String {
    let mut table = plain(&["step", "from", "took"]);
    for span in timeline.spans.iter().filter(|span| span.subject == RUN) {
        let name = match span.outcome {
            PhaseOutcome::Done => span.phase.to_string(),
            PhaseOutcome::Running | PhaseOutcome::Failed => format!("{} (failed)", span.phase),
            PhaseOutcome::Interrupted => format!("{} (interrupted)", span.phase),
        };
        let took = span.to_ms.unwrap_or(span.from_ms) - span.from_ms;
        table.add_row([left(&name), right(span.from_ms), right(took)]);
    }
    table.add_row([left("all"), right(0), right(timeline.length_ms())]);
    text(&table)
}

/// One row per machine, in the order given: its phases with their seconds, and when it was ready.
pub(crate) fn machines(timeline: &Timeline, names: &[&str]) -> String {
    let mut table = plain(&["machine", "phases (seconds)", "at"]);
    for name in names {
        let spans: Vec<_> = timeline
            .spans
            .iter()
            .filter(|span| span.subject == *name)
            .collect();
        let Some(end) = spans.iter().filter_map(|span| span.to_ms).max() else {
            continue;
        };
        let phases: Vec<String> = spans
            .iter()
            .map(|span| {
                let ms = span.to_ms.unwrap_or(end) - span.from_ms;
                let mark = match span.outcome {
                    PhaseOutcome::Done => "",
                    PhaseOutcome::Running | PhaseOutcome::Failed => "!",
                    PhaseOutcome::Interrupted => "?",
                };
                format!("{}{mark} {:.1}", span.phase, ms as f64 / 1000.0)
            })
            .collect();
        table.add_row([left(name), left(&phases.join("  ")), right(end)]);
    }
    text(&table)
}

/// One row per link of the critical path.
pub(crate) fn critical(links: &[Link]) -> String {
    let mut table = plain(&["critical path", "phase", "from", "took"]);
    for link in links {
        table.add_row([
            left(&link.subject),
            left(link.phase.name()),
            right(link.from_ms),
            right(link.to_ms - link.from_ms),
        ]);
    }
    text(&table)
}

fn left(text: &str) -> Cell {
    Cell::new(text)
}

fn right(ms: i64) -> Cell {
    Cell::new(seconds(ms)).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use caravan_cluster::timeline::{Span, critical};
    use expect_test::expect;

    use super::*;

    /// The steps of a run, and what one machine did, which waited for another one.
    fn run() -> Timeline {
        let spans = [
            (RUN, "files", 0, 200, false),
            (RUN, "machines", 200, 18_000, true),
            ("etcdone", "create", 300, 15_000, false),
            ("etcdone", "etcd-start", 15_000, 15_900, false),
            ("etcdone", "etcd-quorum", 15_900, 16_400, false),
            ("masterone", "create", 300, 16_000, false),
            ("masterone", "prepare", 16_000, 16_300, false),
            ("masterone", "wait-etcd", 16_300, 16_500, true),
            ("masterone", "init", 16_500, 23_000, false),
            (RUN, "verify", 37_100, 38_000, false),
        ];
        let mut timeline = Timeline::begin("up", "ha", 1_000);
        timeline.spans = spans
            .into_iter()
            .map(|(subject, phase, from_ms, to_ms, waits)| Span {
                subject: subject.to_owned(),
                phase: phase.into(),
                from_ms,
                to_ms: Some(to_ms),
                waits,
                outcome: PhaseOutcome::Done,
                note: String::new(),
            })
            .collect();
        timeline
    }

    #[test]
    fn tables() {
        let mut timeline = run();
        expect![[r#"
            step       from     took
            files       0.0 s    0.2 s
            machines    0.2 s   17.8 s
            verify     37.1 s    0.9 s
            all         0.0 s   38.0 s"#]]
        .assert_eq(&steps(&timeline));
        let names = ["etcdone", "masterone", "nobody"];
        expect![[r#"
            machine     phases (seconds)                                    at
            etcdone     create 14.7  etcd-start 0.9  etcd-quorum 0.5        16.4 s
            masterone   create 15.7  prepare 0.3  wait-etcd 0.2  init 6.5   23.0 s"#]]
        .assert_eq(&machines(&timeline, &names));
        expect![[r#"
            critical path   phase         from     took
            (run)           files          0.0 s    0.2 s
            etcdone         create         0.3 s   14.7 s
            etcdone         etcd-start    15.0 s    0.9 s
            etcdone         etcd-quorum   15.9 s    0.5 s
            masterone       init          16.5 s    6.5 s
            (run)           verify        37.1 s    0.9 s"#]]
        .assert_eq(&critical(&critical::path(&timeline.spans)));
        timeline.spans[8].outcome = PhaseOutcome::Failed;
        timeline.spans[9].outcome = PhaseOutcome::Interrupted;
        expect![[r#"
            step                   from     took
            files                   0.0 s    0.2 s
            machines                0.2 s   17.8 s
            verify (interrupted)   37.1 s    0.9 s
            all                     0.0 s   38.0 s"#]]
        .assert_eq(&steps(&timeline));
        expect![[r#"
            machine     phases (seconds)                                     at
            masterone   create 15.7  prepare 0.3  wait-etcd 0.2  init! 6.5   23.0 s"#]]
        .assert_eq(&machines(&timeline, &names[1..]));
    }
}
