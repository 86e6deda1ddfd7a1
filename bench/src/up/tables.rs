//! The figures as people read them.

use std::collections::BTreeMap;

use caravan_cluster::timeline::RUN;
use caravan_lab::Role;
use caravan_screen::table;

use super::{Figures, Leg, Memory};

/// All tables.
pub(super) fn text(figures: &Figures) -> String {
    let head = format!(
        "lab {}: {} machines, on {} CPUs{}",
        figures.lab,
        figures.machines,
        figures.cpus,
        if figures.verified {
            ""
        } else {
            "; NOT all of its promises held"
        }
    );
    let mut parts = vec![head, legs(figures), marks(figures), path(figures)];
    parts.extend(figures.memory.as_deref().map(memory));
    parts.join("\n\n")
}

/// The two runs, side by side.
fn legs(figures: &Figures) -> String {
    let mut table = table::plain(&[
        "",
        "took",
        "x floor",
        "CPU in machines",
        "CPU in Vagrant and here",
        "CPU of the computer",
    ]);
    let mut row = |name: &str, leg: &Leg| {
        let cpu = |seconds: Option<f64>| seconds.map_or("unknown".to_owned(), seconds_text);
        let most = leg.seconds * figures.cpus as f64;
        table.add_row([
            name.to_owned(),
            seconds_text(leg.seconds),
            times(leg.seconds, figures),
            cpu(leg.cpu.machines),
            cpu(leg.cpu.tools),
            format!("{} of {}", cpu(leg.cpu.computer), seconds_text(most)),
        ]);
    };
    row("floor: bare machines", &figures.floor);
    row("full: up, until verified", &figures.full);
    for (name, seconds) in [
        ("up again, nothing to do", Some(figures.again_seconds)),
        ("destroy", figures.destroy_seconds),
    ] {
        if let Some(seconds) = seconds {
            table.add_row([name.to_owned(), seconds_text(seconds)]);
        }
    }
    table::text(&table)
}

/// When the full run reached what.
fn marks(figures: &Figures) -> String {
    let mut table = table::plain(&["full run", "at", "x floor"]);
    for mark in &figures.marks {
        if let Some(at_ms) = mark.at_ms {
            let seconds = at_ms as f64 / 1000.0;
            table.add_row([
                mark.what.to_owned(),
                seconds_text(seconds),
                times(seconds, figures),
            ]);
        }
    }
    table::text(&table)
}

/// What the full run hung on.
fn path(figures: &Figures) -> String {
    let mut table = table::plain(&["critical path", "phase", "from", "took"]);
    for step in &figures.critical_path {
        let seconds = |ms: i64| seconds_text(ms as f64 / 1000.0);
        let machine = Some(&step.subject).filter(|subject| *subject != RUN);
        table.add_row([
            machine.cloned().unwrap_or_default(),
            step.phase.to_string(),
            seconds(step.from_ms),
            seconds(step.to_ms - step.from_ms),
        ]);
    }
    table::text(&table)
}

/// The idle lab's memory by role.
fn memory(machines: &[Memory]) -> String {
    let mut roles: BTreeMap<Role, Vec<f64>> = BTreeMap::new();
    for machine in machines {
        roles.entry(machine.role).or_default().push(machine.mib);
    }
    let mut table = table::plain(&["idle memory", "machines", "least", "most", "all"]);
    for (role, all) in &roles {
        table.add_row(memory_row(&role.to_string(), all));
    }
    let all: Vec<f64> = machines.iter().map(|machine| machine.mib).collect();
    table.add_row(memory_row("all", &all));
    table::text(&table)
}

fn memory_row(name: &str, all: &[f64]) -> [String; 5] {
    let mib = |mib: f64| format!("{mib:.0} MiB");
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    [
        name.to_owned(),
        all.len().to_string(),
        mib(least),
        mib(most),
        mib(all.iter().sum()),
    ]
}

fn seconds_text(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

fn times(seconds: f64, figures: &Figures) -> String {
    format!("{:.2}", seconds / figures.floor.seconds)
}

#[cfg(test)]
mod tests {
    use caravan_cluster::timeline::critical::Link;
    use caravan_report::records::BenchFloor;

    use super::super::recorded::Mark;
    use super::super::usage::Cpu;
    use super::*;

    #[test]
    fn the_tables_say_what_was_measured() {
        let leg = |seconds, machines| Leg {
            seconds,
            cpu: Cpu {
                machines,
                tools: Some(6.25),
                computer: Some(seconds * 1.5),
            },
        };
        let memory = |machine: &str, role, mib| Memory {
            machine: machine.to_owned(),
            role,
            mib,
        };
        let step = |subject: &str, phase: &str, from_ms, to_ms| Link {
            subject: subject.to_owned(),
            phase: phase.into(),
            from_ms,
            to_ms,
        };
        let figures = Figures {
            lab: "ha".to_owned(),
            machines: 9,
            cpus: 2,
            floor: leg(10.0, Some(3.0)),
            full: leg(25.04, None),
            ratio: 2.504,
            again_seconds: 0.2,
            destroy_seconds: None,
            verified: false,
            marks: vec![
                Mark {
                    what: "Vagrant is back",
                    at_ms: Some(9000),
                },
                Mark {
                    what: "the virtual address is held",
                    at_ms: None,
                },
                Mark {
                    what: "verified",
                    at_ms: Some(25_000),
                },
            ],
            critical_path: vec![
                step("masterone", "init", 9000, 15_500),
                step(RUN, "verify", 23_000, 25_000),
            ],
            memory: Some(vec![
                memory("masterone", Role::ControlPlane, 400.4),
                memory("mastertwo", Role::ControlPlane, 380.0),
                memory("etcdone", Role::Etcd, 50.0),
            ]),
        };
        // `report` reads what is kept of them.
        let kept = serde_json::to_string(&figures).expect("plain data");
        let floor: BenchFloor = serde_json::from_str(&kept).expect("it is in them");
        assert_eq!(
            (floor.lab.as_str(), floor.machines, floor.cpus),
            ("ha", 9, 2)
        );
        assert_eq!((floor.floor.seconds, floor.full.seconds), (10.0, 25.04));
        expect_test::expect![[r#"
            lab ha: 9 machines, on 2 CPUs; NOT all of its promises held

                                       took     x floor   CPU in machines   CPU in Vagrant and here   CPU of the computer
            floor: bare machines       10.0 s   1.00      3.0 s             6.2 s                     15.0 s of 20.0 s
            full: up, until verified   25.0 s   2.50      unknown           6.2 s                     37.6 s of 50.1 s
            up again, nothing to do    0.2 s

            full run          at       x floor
            Vagrant is back   9.0 s    0.90
            verified          25.0 s   2.50

            critical path   phase    from     took
            masterone       init     9.0 s    6.5 s
                            verify   23.0 s   2.0 s

            idle memory     machines   least     most      all
            etcd            1          50 MiB    50 MiB    50 MiB
            control-plane   2          380 MiB   400 MiB   780 MiB
            all             3          50 MiB    400 MiB   830 MiB"#]].assert_eq(&text(&figures));
    }
}
