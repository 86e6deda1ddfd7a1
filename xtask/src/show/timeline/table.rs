//! The closing tables: where the time went, and the critical path.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::critical::Link;
use super::{Outcome, RUN, Timeline, seconds};

/// What the run did for the whole lab, one row per step, then each machine's phases in one row.
pub(crate) fn steps(timeline: &Timeline) -> String {
    let mut table = plain(&["step", "from", "took"]);
    for span in timeline.spans.iter().filter(|span| span.subject == RUN) {
        let name = match span.outcome {
            Outcome::Done => span.phase.clone(),
            Outcome::Running | Outcome::Failed => format!("{} (failed)", span.phase),
            Outcome::Interrupted => format!("{} (interrupted)", span.phase),
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
                    Outcome::Done => "",
                    Outcome::Running | Outcome::Failed => "!",
                    Outcome::Interrupted => "?",
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
            left(&link.phase),
            right(link.from_ms),
            right(link.to_ms - link.from_ms),
        ]);
    }
    text(&table)
}

/// A table without lines, which reads the same in a log and can be cut by columns.
pub(crate) fn plain(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table
}

/// The table's lines, without the blanks that pad the last column.
pub(crate) fn text(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn left(text: &str) -> Cell {
    Cell::new(text)
}

fn right(ms: i64) -> Cell {
    Cell::new(seconds(ms)).set_alignment(CellAlignment::Right)
}
