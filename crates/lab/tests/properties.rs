//! Properties that hold for every lab: generated ones are valid and consistent, each broken rule is found in its line, nothing panics.

use std::collections::HashSet;

use caravan_lab::failure::analyse;
use caravan_lab::generate::{Shape, lab_file};
use caravan_lab::{Faults, Lab, Machine, Role};
use proptest::prelude::*;
use proptest::sample::Index;

fn shape() -> impl Strategy<Value = Shape> {
    let etcd = prop_oneof![Just(1), Just(3), Just(5), Just(7)];
    let front = prop_oneof![Just((0, 1)), (1..=20usize, 1..=5usize)];
    (etcd, front, 0..30usize, 1..=5usize).prop_map(
        |(etcd, (load_balancers, masters), workers, servers)| Shape {
            etcd,
            load_balancers,
            masters,
            workers,
            servers,
        },
    )
}

fn parse(text: &str) -> Result<Lab, Faults> {
    Lab::parse("lab", text)
}

/// Returns true if no value is there twice.
fn distinct<T: std::hash::Hash + Eq>(values: impl IntoIterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    values.into_iter().all(|value| seen.insert(value))
}

proptest! {
    #[test]
    fn derived_facts_are_consistent(shape in shape(), prefix in 8..=24u8) {
        // A pod range of any size that has room for the nodes.
        let nodes = shape.masters + shape.workers;
        let room = 24 - nodes.next_power_of_two().trailing_zeros() as u8;
        let pod_cidr = format!("10.128.0.0/{}", prefix.clamp(9, room));
        let text = lab_file(&shape).replace("10.128.0.0/9", &pod_cidr);
        let lab = parse(&text).map_err(|faults| TestCaseError::fail(faults.to_string()))?;
        let machines = lab.machines();
        prop_assert_eq!(machines.len(), shape.etcd + shape.load_balancers + nodes);

        let pods: Vec<_> = machines.iter().filter_map(|it| lab.pod_subnet(it)).collect();
        prop_assert_eq!(pods.len(), nodes);
        prop_assert!(distinct(&pods));
        prop_assert!(pods.iter().all(|net| net.prefix_len() == 24 && lab.pod_cidr().contains(net)));
        prop_assert!(machines.iter().all(|it| it.role.is_node() == lab.pod_subnet(it).is_some()));

        prop_assert!(distinct(machines.iter().map(|it| lab.mac(it))));

        let balancers = lab.of_role(Role::LoadBalancer);
        let priorities: Vec<_> = balancers.map(|it| lab.vrrp_priority(it)).collect();
        prop_assert!(distinct(&priorities));
        prop_assert!(priorities.is_sorted_by(|a, b| a > b));
        // Keepalived takes 20 away from a load balancer that fails, which must put it below all others.
        prop_assert!(priorities.iter().all(|priority| *priority > 101 - 20));

        let sans = lab.api_sans();
        prop_assert!(distinct(&sans));
        prop_assert!(sans.contains(&lab.api_endpoint().ip().to_string()));
        prop_assert!(sans.contains(&lab.api_name()));
        prop_assert!(lab.of_role(Role::ControlPlane).all(|it| sans.contains(&it.ip.to_string())));
        prop_assert!(lab.of_role(Role::Etcd).all(|it| !sans.contains(&it.ip.to_string())));

        prop_assert_eq!(lab.etcd_endpoints().len(), shape.etcd);
        prop_assert_eq!(lab.etcd_initial_cluster().split(',').count(), shape.etcd);
        prop_assert!(lab.etcd_quorum() * 2 > shape.etcd && (lab.etcd_quorum() - 1) * 2 <= shape.etcd);
        prop_assert!(lab.service_cidr().contains(&lab.dns_service_ip()));
        prop_assert!(machines.iter().all(|it| it.ip != lab.gateway() && lab.operators().contains(&lab.gateway())));
        prop_assert!(machines.iter().all(|it| lab.machine(&it.name) == Some(it)));
        let grouped: usize = lab.servers().iter().map(|it| lab.machines_on(it).count()).sum();
        prop_assert_eq!(grouped, machines.len());
        prop_assert_eq!(analyse(&lab).machines.len(), machines.len());
    }

    #[test]
    fn pod_subnets_and_hardware_addresses_stay_when_the_file_is_reordered_or_extended(shape in shape(), turn in any::<Index>()) {
        let text = lab_file(&shape);
        let (head, machines) = text.split_once("[[machines]]").unwrap();
        let mut blocks: Vec<_> = machines.split("[[machines]]").collect();
        let before = parse(&text).unwrap();
        let middle = turn.index(blocks.len());
        blocks.rotate_left(middle);
        blocks.insert(middle, "\nname = \"new\"\nrole = \"worker\"\nserver = \"server1\"\nip = \"172.16.200.1\"\nmemory_mib = 2048\ncpus = 2\n");
        let after = format!("{head}[[machines]]{}", blocks.join("\n[[machines]]"));
        let after = parse(&after).unwrap();
        for machine in before.machines() {
            let same = after.machine(&machine.name).unwrap();
            prop_assert_eq!(before.pod_subnet(machine), after.pod_subnet(same));
            prop_assert_eq!(before.mac(machine), after.mac(same));
        }
    }
}

/// A way to break one rule: its name, and what it does to the lines of a lab file.
struct Mutation {
    rule: &'static str,
    /// Breaks the rule, and returns the line, from 1, that must be named; `None` where the lab has nothing to break.
    apply: fn(&mut Lines, &Lab, usize) -> Option<usize>,
}

/// The lines of a generated lab file.
struct Lines(Vec<String>);

impl Lines {
    /// Returns the place of the header of a machine.
    fn machine(&self, place: usize) -> usize {
        let mut headers = (0..self.0.len()).filter(|line| self.0[*line] == "[[machines]]");
        headers.nth(place).unwrap()
    }

    /// Returns the place of a machine's key.
    fn key(&self, place: usize, key: &str) -> usize {
        let header = self.machine(place);
        let mut lines = header..self.0.len();
        let prefix = format!("{key} = ");
        lines
            .find(|line| self.0[*line].starts_with(&prefix))
            .unwrap()
    }

    /// Gives a machine's key another value, and returns its line, from 1.
    fn set(&mut self, place: usize, key: &str, value: &str) -> Option<usize> {
        let line = self.key(place, key);
        self.0[line] = format!("{key} = {value}");
        Some(line + 1)
    }

    /// Gives a key of the lab another value or adds it, and returns its line, from 1.
    fn set_top(&mut self, key: &str, value: &str) -> Option<usize> {
        let prefix = format!("{key} = ");
        let top = self.0.iter().position(|line| line.starts_with('['))?;
        let line = (0..top).find(|line| self.0[*line].starts_with(&prefix));
        let line = line.unwrap_or_else(|| {
            self.0.insert(0, String::new());
            0
        });
        self.0[line] = format!("{prefix}{value}");
        Some(line + 1)
    }

    fn insert(&mut self, at: usize, line: &str) -> Option<usize> {
        self.0.insert(at, line.to_owned());
        Some(at + 1)
    }
}

fn other(lab: &Lab, place: usize) -> Option<&Machine> {
    lab.machines()[..place].last()
}

const MUTATIONS: &[Mutation] = &[
    Mutation {
        rule: "unknown-key",
        apply: |lines, _, place| lines.insert(lines.machine(place) + 1, "colour = \"red\""),
    },
    Mutation {
        rule: "missing-key",
        apply: |lines, _, place| {
            let line = lines.key(place, "memory_mib");
            lines.0.remove(line);
            Some(lines.machine(place) + 1)
        },
    },
    Mutation {
        rule: "syntax",
        apply: |lines, _, place| lines.set(place, "role", "etcd"),
    },
    Mutation {
        rule: "wrong-type",
        apply: |lines, _, place| lines.set(place, "cpus", "\"2\""),
    },
    Mutation {
        rule: "wrong-type",
        apply: |lines, _, _| lines.set_top("kubernetes", "1.36"),
    },
    Mutation {
        rule: "unknown-kubernetes",
        apply: |lines, _, _| lines.set_top("kubernetes", "\"1.99\""),
    },
    Mutation {
        rule: "etcd-too-old",
        apply: |lines, _, _| lines.set_top("etcd", "\"3.4.0\""),
    },
    Mutation {
        rule: "invalid-domain",
        apply: |lines, _, _| lines.set_top("domain", "\"-\""),
    },
    Mutation {
        rule: "overlap",
        apply: |lines, _, _| lines.set_top("pod_cidr", "\"172.0.0.0/8\""),
    },
    Mutation {
        rule: "host-bits",
        apply: |lines, _, _| lines.set_top("service_cidr", "\"10.96.0.1/16\""),
    },
    Mutation {
        rule: "range-size",
        apply: |lines, _, _| lines.set_top("service_cidr", "\"10.96.0.0/30\""),
    },
    Mutation {
        rule: "invalid-value",
        apply: |lines, _, place| lines.set(place, "ip", "\"172.16.0\""),
    },
    Mutation {
        rule: "number-out-of-range",
        apply: |lines, _, place| lines.set(place, "cpus", "0"),
    },
    Mutation {
        rule: "memory-below-role",
        apply: |lines, _, place| lines.set(place, "memory_mib", "500"),
    },
    Mutation {
        rule: "cpus-below-role",
        apply: |lines, lab, place| {
            let is_master = lab.machines()[place].role == Role::ControlPlane;
            is_master.then(|| lines.set(place, "cpus", "1"))?
        },
    },
    Mutation {
        rule: "unknown-word",
        apply: |lines, _, place| lines.set(place, "role", "\"database\""),
    },
    Mutation {
        rule: "unknown-server",
        apply: |lines, _, place| lines.set(place, "server", "\"elsewhere\""),
    },
    Mutation {
        rule: "invalid-name",
        apply: |lines, _, place| lines.set(place, "name", "\"a_b\""),
    },
    Mutation {
        rule: "reserved-name",
        apply: |lines, _, place| lines.set(place, "name", "\"localhost\""),
    },
    Mutation {
        rule: "duplicate-name",
        apply: |lines, lab, place| {
            let name = format!("\"{}\"", other(lab, place)?.name);
            lines.set(place, "name", &name)
        },
    },
    Mutation {
        rule: "duplicate-address",
        apply: |lines, lab, place| {
            let ip = format!("\"{}\"", other(lab, place)?.ip);
            lines.set(place, "ip", &ip)
        },
    },
    Mutation {
        rule: "outside-subnet",
        apply: |lines, _, place| lines.set(place, "ip", "\"172.17.0.9\""),
    },
    Mutation {
        rule: "taken-address",
        apply: |lines, lab, place| {
            let subnet = lab.subnet();
            let taken = [subnet.network(), subnet.broadcast(), lab.gateway()];
            let taken = lab.vip().into_iter().chain(taken).nth(place % 3)?;
            lines.set(place, "ip", &format!("\"{taken}\""))
        },
    },
    Mutation {
        rule: "vip-without-load-balancers",
        apply: |lines, lab, _| match lab.vip() {
            Some(_) => None,
            None => lines.set_top("vip", "\"172.16.0.5\""),
        },
    },
    Mutation {
        rule: "missing-bridge",
        apply: |lines, lab, _| {
            let line = lines.0.iter().position(|it| it == "[servers.server1]")?;
            lines
                .0
                .insert(line + 1, "host = \"ssh://there\"".to_owned());
            (lab.servers().len() > 1).then_some(line + 1)
        },
    },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_broken_rule_is_found_in_its_line(shape in shape(), place in any::<Index>()) {
        let text = lab_file(&shape);
        let lab = parse(&text).unwrap();
        for mutation in MUTATIONS {
            let mut lines = Lines(text.lines().map(str::to_owned).collect());
            let place = place.index(lab.machines().len());
            let Some(line) = (mutation.apply)(&mut lines, &lab, place) else { continue };
            let broken = lines.0.join("\n");
            let Err(faults) = parse(&broken) else {
                return Err(TestCaseError::fail(format!("{} is not refused:\n{broken}", mutation.rule)));
            };
            let found = faults.iter().any(|it| it.rule.name() == mutation.rule && it.place.line == line);
            prop_assert!(found, "{} in line {line} is not among\n{faults}", mutation.rule);
        }
    }
}

/// Cuts, doubles and inserts pieces of a good file at random places.
fn garbled() -> impl Strategy<Value = String> {
    let edit = (
        any::<Index>(),
        0..40usize,
        "[\\[\\]={}\"'\\\\\n#.,a-z0-9é\u{feff}\0 -]{0,6}",
    );
    (shape(), prop::collection::vec(edit, 1..8)).prop_map(|(shape, edits)| {
        let mut text: Vec<char> = lab_file(&shape).chars().collect();
        for (at, cut, insert) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + cut).min(text.len());
            text.splice(start..end, insert.chars());
        }
        text.into_iter().collect()
    })
}

/// Checks that faults stand inside the text, in order, and can be shown.
fn well_placed(text: &str) -> Result<(), TestCaseError> {
    let faults = match parse(text) {
        Ok(lab) => {
            analyse(&lab);
            lab.warnings().to_vec()
        }
        Err(faults) => {
            prop_assert!(faults.len() > 0);
            faults.into_iter().collect()
        }
    };
    for fault in &faults {
        let before = text.get(..fault.place.span.start);
        prop_assert!(
            before.is_some() && text.get(fault.place.span.clone()).is_some(),
            "{fault:?}"
        );
        let line = before.unwrap_or_default().matches('\n').count() + 1;
        prop_assert_eq!(fault.place.line, line);
        prop_assert!(!fault.message.is_empty() && fault.place.column > 0);
    }
    prop_assert!(faults.is_sorted_by_key(|fault| fault.place.span.start));
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        well_placed(&text)?;
    }

    #[test]
    fn no_garbled_lab_makes_it_panic(text in garbled()) {
        well_placed(&text)?;
    }
}

#[test]
fn a_large_lab_is_as_good_as_a_small_one() {
    for machines in [9, 49, 50, 1000] {
        let lab = parse(&lab_file(&Shape::of_machines(machines))).unwrap();
        assert_eq!(lab.machines().len(), machines);
        let analysis = analyse(&lab);
        assert!(analysis.survives_any_machine());
        assert!(analysis.survives_any_server());
    }
}
