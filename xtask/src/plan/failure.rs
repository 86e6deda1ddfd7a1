//! What each loss costs, as a table and in words.

use caravan_lab::Lab;
use caravan_lab::failure::{Analysis, Capability, Loss, grouped, verdict};
use comfy_table::Cell;

use crate::show::table;

/// The whole section: a table of losses, the verdict, and what placement would do better.
pub(super) fn text(lab: &Lab, analysis: &Analysis) -> String {
    let mut head = vec!["loss of"];
    head.extend(Capability::ALL.map(Capability::word));
    head.push("because");
    let mut table = table::plain(&head);
    let machines = grouped(lab, &analysis.machines)
        .into_iter()
        .map(|group| (group.title, group.loss));
    let servers = analysis.servers.iter().map(|loss| (loss.title(), loss));
    for (title, loss) in machines.chain(servers) {
        table.add_row(row(&title, loss));
    }
    let mut lines = vec![table::text(&table), String::new()];
    lines.extend(verdict(lab, analysis));
    lines.join("\n")
}

fn row(title: &str, loss: &Loss) -> Vec<Cell> {
    let mut row = vec![Cell::new(title)];
    row.extend(Capability::ALL.map(|capability| {
        Cell::new(match loss.works(capability) {
            true => "works",
            false => "stops",
        })
    }));
    row.push(Cell::new(loss.because()));
    row
}

#[cfg(test)]
mod tests {
    use caravan_lab::failure::analyse;
    use caravan_lab::generate::{Shape, lab_file};
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn the_labs_that_come_along() {
        for name in ["ha", "external-etcd", "three-servers"] {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
            let source = std::fs::read_to_string(format!("{root}/labs/{name}.toml")).expect("read");
            let lab = Lab::parse(name, &source).expect("valid");
            let golden = format!(
                "{}/tests/golden/failure-{name}.txt",
                env!("CARGO_MANIFEST_DIR")
            );
            expect_file![golden].assert_eq(&(text(&lab, &analyse(&lab)) + "\n"));
        }
    }

    #[test]
    fn a_thousand_machines_are_a_few_rows() {
        let source = lab_file(&Shape::of_machines(1000));
        let lab = Lab::parse("big", &source).expect("valid");
        let text = text(&lab, &analyse(&lab));
        assert!(
            text.contains("any of worker1 ... worker990 (990)"),
            "{text}"
        );
        assert!(text.lines().count() < 30, "{text}");
    }
}
