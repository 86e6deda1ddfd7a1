//! The failure analysis, word for word for the labs that come along and against brute force for many.

use std::fmt::Write as _;
use std::path::Path;

use caravan_lab::failure::{Advice, Analysis, Capability, Loss, Move, Reason, Subject, analyse};
use caravan_lab::generate::{Shape, lab_file};
use caravan_lab::{Lab, Machine, Role};
use expect_test::expect_file;

fn lab(name: &str) -> Lab {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../labs/{name}.toml"));
    parse(&std::fs::read_to_string(path).unwrap())
}

fn parse(source: &str) -> Lab {
    Lab::parse("lab", source).unwrap_or_else(|faults| panic!("{faults}"))
}

fn tell(analysis: &Analysis) -> String {
    let mut told = String::new();
    let Analysis {
        machines,
        servers,
        halves,
        placement,
        ..
    } = analysis;
    for loss in machines.iter().chain(servers).chain(halves) {
        writeln!(told, "{:?}", loss.subject).unwrap();
        for effect in &loss.effects {
            if let Some(reason) = effect.stopped_by {
                writeln!(told, "  {:?} stops: {reason:?}", effect.capability).unwrap();
            }
        }
        let spare = loss.left.iter().filter(|left| left.spare() == 0);
        let spare: Vec<_> = spare.map(|left| left.role.to_string()).collect();
        if loss.nothing_stops() && !spare.is_empty() {
            writeln!(told, "  without spare: {}", spare.join(" ")).unwrap();
        }
    }
    writeln!(told, "{placement:#?}").unwrap();
    told
}

#[test]
fn losses_of_the_labs_that_come_along() {
    for name in ["ha", "ha-apps", "external-etcd", "mixed", "three-servers"] {
        let file = format!(
            "{}/tests/good/{name}.failure.txt",
            env!("CARGO_MANIFEST_DIR")
        );
        expect_file![file].assert_eq(&tell(&analyse(&lab(name))));
    }
}

#[test]
fn ha_survives_any_machine_and_no_server() {
    let analysis = analyse(&lab("ha"));
    assert!(analysis.survives_any_machine());
    assert!(analysis.servers.iter().all(|loss| !loss.cluster_survives()));
    // Of nine machines only the one worker takes anything away.
    let costly = analysis
        .machines
        .iter()
        .filter(|loss| !loss.nothing_stops());
    let costly: Vec<_> = costly.flat_map(|loss| &loss.lost).collect();
    assert_eq!(costly, ["workerone"]);
}

#[test]
fn with_three_workers_any_machine_may_be_lost_and_nothing_stops() {
    let analysis = analyse(&lab("ha-apps"));
    assert!(analysis.machines.iter().all(Loss::nothing_stops));
}

#[test]
fn three_servers_lose_any_machine_or_server_and_nothing_stops() {
    let lab = lab("three-servers");
    let analysis = analyse(&lab);
    let losses = analysis.machines.iter().chain(&analysis.servers);
    assert!(losses.clone().all(Loss::nothing_stops));
    assert_eq!(losses.count(), lab.machines().len() + 3);
    let placement = &analysis.placement;
    assert_eq!(placement.survivable, ["server1", "server2", "server3"]);
    assert_eq!(
        (placement.needs_more.len(), &placement.any_server),
        (0, &None)
    );
    for server in lab.servers() {
        for role in [Role::Etcd, Role::ControlPlane] {
            let count = lab.machines_on(server).filter(|it| it.role == role).count();
            assert_eq!(count, 1, "{role} on {}", server.name);
        }
    }
}

#[test]
fn external_etcd_does_not_survive_its_master() {
    let analysis = analyse(&lab("external-etcd"));
    let fatal = analysis.machines.iter().filter(|it| !it.cluster_survives());
    let fatal: Vec<_> = fatal.flat_map(|loss| &loss.lost).collect();
    assert_eq!(fatal, ["masterone"]);
    assert!(analysis.servers.iter().all(|loss| !loss.cluster_survives()));
    assert!(
        analysis.placement.any_server.is_none(),
        "no places would do"
    );
}

/// What a client sees of the machines that are left, worked out request by request.
fn simulate(lab: &Lab, alive: &[&Machine]) -> Vec<(Capability, bool)> {
    let is = |machine: &Machine, role| machine.role == role;
    let dead = lab.machines().len() - alive.len();
    let members = |of: &[&Machine]| of.iter().filter(|it| is(it, Role::Etcd)).count();
    let dead_members = lab.of_role(Role::Etcd).count() - members(alive);
    let mut endpoint = false;
    let mut answered = false;
    let mut scheduled = false;
    for front in alive {
        let holds_endpoint = match lab.vip() {
            Some(_) => is(front, Role::LoadBalancer),
            None => front.ip == *lab.api_endpoint().ip(),
        };
        if !holds_endpoint {
            continue;
        }
        endpoint = true;
        for master in alive.iter().filter(|it| is(it, Role::ControlPlane)) {
            let reaches = lab.vip().is_some() || master.name == front.name;
            // The members that are left outvote those that are not.
            let answers = reaches && members(alive) > dead_members;
            answered |= answers;
            scheduled |= answers && alive.iter().any(|it| is(it, Role::Worker));
        }
    }
    let workloads = alive.iter().any(|it| is(it, Role::Worker));
    assert!(dead > 0 || answered, "a whole lab works");
    vec![
        (Capability::Endpoint, endpoint),
        (Capability::ApiReads, answered),
        (Capability::ApiWrites, answered),
        (Capability::Scheduling, scheduled),
        (Capability::Workloads, workloads),
    ]
}

fn alive<'l>(lab: &'l Lab, lost: &[String]) -> Vec<&'l Machine> {
    lab.machines()
        .iter()
        .filter(|machine| !lost.contains(&machine.name))
        .collect()
}

fn found(loss: &Loss) -> Vec<(Capability, bool)> {
    Capability::ALL
        .into_iter()
        .map(|capability| (capability, loss.works(capability)))
        .collect()
}

/// Shapes of every kind: with and without load balancers, with no spare and with much.
fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for etcd in [1, 3, 5] {
        for (load_balancers, masters) in [(0, 1), (1, 1), (1, 2), (2, 2), (2, 3)] {
            for workers in [0, 1, 2] {
                for servers in [1, 2, 3, 4] {
                    shapes.push(Shape {
                        etcd,
                        load_balancers,
                        masters,
                        workers,
                        servers,
                    });
                }
            }
        }
    }
    shapes
}

/// Returns every choice of `size` items.
fn choices(items: &[String], size: usize) -> Vec<Vec<String>> {
    match (items, size) {
        (_, 0) => vec![vec![]],
        ([], _) => vec![],
        ([first, rest @ ..], _) => {
            let mut with = choices(rest, size - 1);
            for choice in &mut with {
                choice.push(first.clone());
            }
            with.extend(choices(rest, size));
            with
        }
    }
}

#[test]
fn losses_match_brute_force() {
    let mut labs: Vec<Lab> = shapes().iter().map(|it| parse(&lab_file(it))).collect();
    labs.extend([lab("ha"), lab("external-etcd")]);
    for lab in &labs {
        let analysis = analyse(lab);
        assert_eq!(analysis.machines.len(), lab.machines().len());
        assert_eq!(analysis.servers.len(), lab.servers().len());
        for loss in analysis.machines.iter().chain(&analysis.servers) {
            let seen = simulate(lab, &alive(lab, &loss.lost));
            assert_eq!(found(loss), seen, "{:?} of {lab:#?}", loss.subject);
        }
        for loss in &analysis.halves {
            let Subject::Half { role, lost, of } = loss.subject else {
                panic!("{:?} is no half", loss.subject);
            };
            let names: Vec<_> = lab.of_role(role).map(|it| it.name.clone()).collect();
            assert_eq!(names.len(), of);
            for choice in choices(&names, lost) {
                let seen = simulate(lab, &alive(lab, &choice));
                assert_eq!(found(loss), seen, "{choice:?} of {lab:#?}");
            }
        }
    }
}

#[test]
fn reasons_name_what_is_missing() {
    let analysis = analyse(&lab("ha"));
    let reason = |loss: &Loss, capability| {
        let mut effects = loss.effects.iter();
        effects
            .find(|it| it.capability == capability)
            .unwrap()
            .stopped_by
    };
    let [server1, server2] = analysis.servers.as_slice() else {
        panic!("two servers");
    };
    assert_eq!(
        reason(server1, Capability::ApiReads),
        Some(Reason::NoMaster)
    );
    assert_eq!(reason(server1, Capability::Endpoint), None);
    assert_eq!(
        reason(server2, Capability::ApiWrites),
        Some(Reason::NoLoadBalancer)
    );
    let two_members = analysis.halves.iter().find(|loss| {
        matches!(
            loss.subject,
            Subject::Half {
                role: Role::Etcd,
                lost: 2,
                of: 3
            }
        )
    });
    let reason = reason(two_members.unwrap(), Capability::ApiWrites);
    assert_eq!(
        reason,
        Some(Reason::NoMajority {
            alive: 1,
            needed: 2
        })
    );
}

/// Returns the servers whose loss stops the API, with machines at the places that `place` says.
fn fatal(lab: &Lab, servers: &[String], place: &[usize]) -> Vec<String> {
    let lost_with = |server: usize| -> Vec<String> {
        let machines = lab.machines().iter().zip(place);
        machines
            .filter(|(_, at)| **at == server)
            .map(|(machine, _)| machine.name.clone())
            .collect()
    };
    let stops = |server: &usize| {
        let seen = simulate(lab, &alive(lab, &lost_with(*server)));
        !lost_with(*server).is_empty() && !seen.contains(&(Capability::ApiWrites, true))
    };
    let fatal = (0..servers.len()).filter(stops);
    fatal.map(|server| servers[server].clone()).collect()
}

/// Applies advice; returns where machines are then, and among which servers.
fn apply(lab: &Lab, new_servers: &[String], moves: &[Move]) -> (Vec<String>, Vec<usize>) {
    let mut servers: Vec<_> = lab.servers().iter().map(|it| it.name.clone()).collect();
    servers.extend_from_slice(new_servers);
    let place = lab.machines().iter().map(|machine| {
        let moved = moves.iter().find(|it| it.machine == machine.name);
        let at = moved.map_or(&machine.server, |it| {
            assert_eq!(it.from, machine.server);
            &it.to
        });
        servers.iter().position(|server| server == at).unwrap()
    });
    let place = place.collect();
    (servers, place)
}

/// Returns the fewest moves to places where the loss of no server but `spared` stops the API or, where two workers are there, all workloads.
fn fewest_moves(lab: &Lab, servers: &[String], spared: impl Fn(&str) -> bool) -> Option<usize> {
    let machines = lab.machines();
    let start: Vec<usize> = machines
        .iter()
        .map(|it| {
            servers
                .iter()
                .position(|server| *server == it.server)
                .unwrap()
        })
        .collect();
    let workers = lab.of_role(Role::Worker).count();
    let total = servers.len().pow(u32::try_from(machines.len()).unwrap());
    let mut fewest = None;
    for mut code in 0..total {
        let place: Vec<usize> = machines
            .iter()
            .map(|_| {
                let at = code % servers.len();
                code /= servers.len();
                at
            })
            .collect();
        let moves = place.iter().zip(&start).filter(|(a, b)| a != b).count();
        if fewest.is_some_and(|fewest| moves >= fewest) {
            continue;
        }
        let all_workers_at = |server: usize| {
            let mut at = machines.iter().zip(&place);
            at.all(|(it, at)| it.role != Role::Worker || *at == server)
        };
        let workers_lost = (0..servers.len())
            .any(|server| workers > 1 && all_workers_at(server) && !spared(&servers[server]));
        if !workers_lost && fatal(lab, servers, &place).iter().all(|it| spared(it)) {
            fewest = Some(moves);
        }
    }
    fewest
}

#[test]
fn advice_is_right_and_as_short_as_can_be() {
    let mut labs = vec![lab("ha"), lab("external-etcd")];
    let small = [
        (3, 2, 2, 1),
        (3, 2, 2, 2),
        (3, 2, 3, 0),
        (5, 2, 2, 0),
        (1, 1, 1, 1),
    ];
    for (etcd, load_balancers, masters, workers) in small {
        for servers in [1, 2, 3] {
            let shape = Shape {
                etcd,
                load_balancers,
                masters,
                workers,
                servers,
            };
            // Once dealt out in turn, and once with each role on one server, as `ha` has them.
            let dealt = lab_file(&shape);
            let mut grouped = String::new();
            for block in dealt.split("\n\n") {
                let server = if block.contains("master") { servers } else { 1 };
                let lines = block
                    .lines()
                    .map(|line| match line.starts_with("server = ") {
                        true => format!("server = \"server{server}\""),
                        false => line.to_owned(),
                    });
                grouped += &(lines.collect::<Vec<_>>().join("\n") + "\n\n");
            }
            labs.extend([parse(&dealt), parse(&grouped)]);
        }
    }
    let groups = |lab: &Lab, advice: &Advice| {
        let (servers, place) = apply(lab, &advice.new_servers, &advice.moves);
        let mut groups: Vec<_> = servers.into_iter().map(|it| (it, vec![])).collect();
        for (machine, server) in lab.machines().iter().zip(place) {
            groups[server].1.push(machine.name.clone());
        }
        groups.retain(|(_, machines): &(String, Vec<String>)| !machines.is_empty());
        groups.sort();
        let told = advice.groups.iter();
        let told: Vec<_> = told
            .map(|it| (it.server.clone(), it.machines.clone()))
            .collect();
        assert_eq!(groups, told, "{advice:#?}");
    };
    let mut advised = 0;
    for lab in &labs {
        let placement = analyse(lab).placement;
        let servers: Vec<_> = lab.servers().iter().map(|it| it.name.clone()).collect();
        let (_, place) = apply(lab, &[], &[]);
        assert_eq!(fatal(lab, &servers, &place), placement.fatal);
        if let Some(advice) = &placement.any_server {
            advised += 1;
            groups(lab, advice);
            let (servers, place) = apply(lab, &advice.new_servers, &advice.moves);
            assert!(fatal(lab, &servers, &place).is_empty(), "{advice:#?}");
            let fewest = fewest_moves(lab, &servers, |_| false);
            assert_eq!(Some(advice.moves.len()), fewest, "{advice:#?} {lab:#?}");
        } else if !placement.fatal.is_empty() {
            assert!(!placement.needs_more.is_empty());
        }
        if let Some(advice) = &placement.all_but_one {
            advised += 1;
            groups(lab, advice);
            let (servers, place) = apply(lab, &advice.new_servers, &advice.moves);
            let spared = advice.still_fatal.clone().unwrap();
            assert_eq!(fatal(lab, &servers, &place), [spared], "{advice:#?}");
            let fewest = servers
                .iter()
                .filter_map(|spared| fewest_moves(lab, &servers, |server| server == spared))
                .min();
            assert_eq!(Some(advice.moves.len()), fewest, "{advice:#?} {lab:#?}");
        }
    }
    assert!(advised > 10, "{advised} pieces of advice were tried");
}
