//! What each loss costs, in words.

use caravan_lab::Lab;
use caravan_lab::failure::{Advice, Analysis, Capability, Effect, Loss, Reason, Subject};
use caravan_lifecycle::listed;
use comfy_table::Cell;

use crate::show::table;

/// The whole section: a table of losses, the verdict, and what placement would do better.
pub(super) fn text(lab: &Lab, analysis: &Analysis) -> String {
    let mut head = vec!["loss of"];
    head.extend(Capability::ALL.map(word));
    head.push("because");
    let mut table = table::plain(&head);
    let machines = grouped(lab, &analysis.machines);
    let servers = analysis.servers.iter().map(|loss| (subject(loss), loss));
    for (name, loss) in machines.into_iter().chain(servers) {
        let mut row = vec![Cell::new(name)];
        row.extend(Capability::ALL.map(|capability| {
            Cell::new(if loss.works(capability) {
                "works"
            } else {
                "stops"
            })
        }));
        row.push(Cell::new(because(&loss.effects)));
        table.add_row(row);
    }
    let mut lines = vec![table::text(&table), String::new()];
    lines.extend(verdict(analysis));
    lines.join("\n")
}

/// Losses of machines of one role that cost the same, as one row.
fn grouped<'a>(lab: &Lab, losses: &'a [Loss]) -> Vec<(String, &'a Loss)> {
    let mut groups: Vec<(Vec<&str>, &Loss)> = Vec::new();
    let role = |loss: &Loss| {
        loss.lost
            .first()
            .and_then(|name| lab.machine(name))
            .map(|it| it.role)
    };
    for loss in losses {
        let Some(name) = loss.lost.first() else {
            continue;
        };
        let like = groups
            .iter_mut()
            .find(|(_, first)| role(first) == role(loss) && first.effects == loss.effects);
        match like {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], loss)),
        }
    }
    groups
        .into_iter()
        .map(|(names, loss)| {
            let name = match names.as_slice() {
                [one] => (*one).to_owned(),
                [first, .., last] if names.len() > 5 => {
                    format!("any of {first} ... {last} ({})", names.len())
                }
                names => format!("any of {}", names.join(", ")),
            };
            (name, loss)
        })
        .collect()
}

fn subject(loss: &Loss) -> String {
    match &loss.subject {
        Subject::Machine(name) => name.clone(),
        Subject::Server(name) => match loss.lost.len() {
            1 => format!("{name} with its one machine"),
            count => format!("{name} with its {count} machines"),
        },
        Subject::Half { role, lost, of } => format!("{lost} of {of} {role}"),
        _ => String::new(),
    }
}

fn word(capability: Capability) -> &'static str {
    match capability {
        Capability::Endpoint => "endpoint",
        Capability::ApiReads => "reads",
        Capability::ApiWrites => "writes",
        Capability::Scheduling => "scheduling",
        Capability::Workloads => "pods",
    }
}

fn because(effects: &[Effect]) -> String {
    let mut reasons: Vec<Reason> = effects
        .iter()
        .filter_map(|effect| effect.stopped_by)
        .collect();
    reasons.dedup();
    let mut words: Vec<String> = Vec::new();
    for reason in reasons {
        let word = match reason {
            Reason::NoMajority { alive, needed } => {
                format!("{alive} etcd members left, {needed} needed")
            }
            Reason::NoLoadBalancer => "no load balancer left".to_owned(),
            Reason::NoMaster => "no master left".to_owned(),
            Reason::NoWorker => "no worker left".to_owned(),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join("; ")
}

fn verdict(analysis: &Analysis) -> Vec<String> {
    let mut lines = vec![if analysis.survives_any_machine() {
        "The cluster survives the loss of any one machine.".to_owned()
    } else {
        let fatal: Vec<&String> = analysis
            .machines
            .iter()
            .filter(|loss| !loss.cluster_survives())
            .flat_map(|loss| &loss.lost)
            .collect();
        format!(
            "The cluster does not survive the loss of {}.",
            listed(&fatal)
        )
    }];
    let placement = &analysis.placement;
    if placement.fatal.is_empty() {
        lines.push("It survives the loss of any one server.".to_owned());
    } else {
        lines.push(format!(
            "It does not survive the loss of {}.",
            placement
                .fatal
                .iter()
                .map(|server| format!("server `{server}`"))
                .collect::<Vec<_>>()
                .join(", nor of ")
        ));
    }
    for role in &placement.needs_more {
        lines.push(format!(
            "Wherever they are, {} of role `{}` are too few to lose one server: {} are needed.",
            role.have, role.role, role.need
        ));
    }
    if let Some(advice) = &placement.all_but_one {
        lines.extend(moves("With the servers there are, the best is", advice));
    }
    if let Some(advice) = &placement.any_server {
        lines.extend(moves("To survive the loss of any server", advice));
    }
    lines
}

fn moves(what: &str, advice: &Advice) -> Vec<String> {
    let mut head = what.to_owned();
    if !advice.new_servers.is_empty() {
        head += &format!(", add {}", listed(&advice.new_servers));
    }
    if let Some(server) = &advice.still_fatal {
        head += &format!(" to depend on `{server}` alone");
    }
    head += if advice.moves.is_empty() {
        "."
    } else {
        ", and move:"
    };
    let mut lines = vec![head];
    lines.extend(
        advice
            .moves
            .iter()
            .map(|it| format!("  {} from {} to {}", it.machine, it.from, it.to)),
    );
    lines
}

#[cfg(test)]
mod tests {
    use caravan_lab::failure::analyse;
    use caravan_lab::generate::{Shape, lab_file};
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn the_labs_that_come_along() {
        for name in ["ha", "external-etcd"] {
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
