//! The engine asked directly, against a stand-in for its client.
#![allow(missing_docs)]

#[path = "fake/programs.rs"]
#[expect(dead_code, reason = "what only the stand-in for Vagrant needs")]
mod programs;

use std::net::Ipv4Addr;

use caravan_process::Program;
use caravan_vagrant::Error;
use caravan_vagrant::engine::{Conflict, DockerMachines};
use programs::Fake;

fn engine(fake: &Fake) -> DockerMachines {
    DockerMachines::with(Program::at(fake.program()))
}

/// An engine with one running and one stopped machine of the lab `sample`, and a stranger on its network.
fn sample() -> Fake {
    let fake = Fake::of("docker");
    fake.write("containers.ids", "d1200f\nb0336f\n");
    fake.write(
        "containers.json",
        include_str!("../../docker/samples/containers.json"),
    );
    fake.write("networks.ids", "a\nb\n");
    fake.write(
        "networks.json",
        include_str!("../../docker/samples/networks.json"),
    );
    fake
}

#[test]
fn machines_are_found_by_label() {
    let fake = sample();
    let machines = engine(&fake).machines(Some("sample")).expect("it answers");
    let seen: Vec<_> = machines
        .iter()
        .map(|it| {
            (
                it.machine.as_str(),
                it.server.as_str(),
                it.state.word(),
                it.ip,
            )
        })
        .collect();
    let ip = |last| Some(Ipv4Addr::new(172, 29, 77, last));
    assert_eq!(
        seen,
        [
            ("one", "server1", "running", ip(11)),
            ("two", "server2", "stopped", ip(13))
        ]
    );
    assert_eq!(machines[0].volumes.len(), 1);
    assert_eq!(machines[0].image, "caravan-machine:dev");
    assert!(
        fake.read("docker-calls")
            .contains("--filter label=caravan.lab=sample")
    );
}

#[test]
fn an_engine_without_machines_is_asked_no_more() {
    let fake = Fake::of("docker");
    assert_eq!(engine(&fake).machines(None).expect("it answers"), []);
    assert!(!fake.read("docker-calls").contains("inspect"));
    assert!(
        engine(&fake)
            .remove_leftovers("sample")
            .expect("nothing")
            .is_empty()
    );
    assert!(!fake.read("docker-calls").contains("rm"));
}

#[test]
fn only_what_is_labelled_is_removed() {
    let fake = sample();
    let mut networks: serde_json::Value =
        serde_json::from_str(include_str!("../../docker/samples/networks.json")).expect("JSON");
    networks[0]["Containers"] = serde_json::json!({});
    fake.write("networks.json", &networks.to_string());
    fake.write("volumes.ids", "kept-data\n");
    let removed = engine(&fake).remove_leftovers("sample").expect("removed");
    assert_eq!(removed.containers, ["one", "two"]);
    assert_eq!(removed.networks, ["caravan-sample"]);
    assert_eq!(removed.volumes, ["kept-data"]);
    let calls = fake.read("docker-calls");
    let removals: Vec<Vec<&str>> = calls
        .lines()
        .filter(|call| call.contains("rm "))
        .map(|call| call.split(' ').collect())
        .collect();
    let [containers, networks, volumes] = &removals[..] else {
        panic!("{removals:?}")
    };
    assert_eq!(containers[..3], ["rm", "--force", "--volumes"]);
    assert_eq!(containers.len(), 5);
    assert_eq!(networks[..2], ["network", "rm"]);
    assert_eq!(networks.len(), 3);
    assert_eq!(volumes[..], ["volume", "rm", "--force", "kept-data"]);
}

#[test]
fn volumes_say_whose_they_are_without_their_container() {
    let fake = Fake::of("docker");
    fake.write(
        "volumes.ids",
        "caravan.a.b-c.etcd\ncaravan.a-b.c.etcd\nbare\n",
    );
    let volume = |name: &str, lab: &str, machine: &str| {
        serde_json::json!({
            "Name": name, "Driver": "local",
            "Labels": {
                "caravan.lab": lab, "caravan.machine": machine, "caravan.folder": "/a, \"b\"/.lab/a/server1",
                "caravan.volume": "etcd",
            },
        })
    };
    let bare = serde_json::json!({"Name": "bare", "Driver": "local", "Labels": null});
    let all = [
        volume("caravan.a.b-c.etcd", "a", "b-c"),
        volume("caravan.a-b.c.etcd", "a-b", "c"),
        bare,
    ];
    fake.write(
        "volumes.json",
        &serde_json::Value::from(all.to_vec()).to_string(),
    );
    let volumes = engine(&fake).volumes(Some("a")).expect("it answers");
    let seen: Vec<_> = volumes
        .iter()
        .map(|it| (it.lab.as_str(), it.machine.as_str(), it.holds.as_str()))
        .collect();
    assert_eq!(
        seen,
        [("", "", ""), ("a-b", "c", "etcd"), ("a", "b-c", "etcd")]
    );
    assert_eq!(volumes[1].folder.to_str(), Some("/a, \"b\"/.lab/a/server1"));
    assert!(
        fake.read("docker-calls")
            .contains("volume ls -q --filter label=caravan.lab=a\n")
    );
}

#[test]
fn a_removal_that_is_under_way_is_waited_for() {
    let fake = sample();
    fake.write("busy", "\n\n");
    engine(&fake)
        .remove_containers(["d1200f", "b0336f"])
        .expect("removed in the end");
    let removals = |fake: &Fake| fake.read("docker-calls").matches("rm --force").count();
    assert_eq!(removals(&fake), 3);
    // What is gone meanwhile is not asked for again.
    let fake = sample();
    fake.write("busy", "\n");
    fake.write("containers.ids", "");
    engine(&fake)
        .remove_containers(["d1200f"])
        .expect("gone meanwhile");
    assert_eq!(removals(&fake), 1);
}

#[test]
fn machines_are_stopped_by_one_command() {
    let fake = sample();
    engine(&fake)
        .stop(["d1200f", "b0336f"], std::time::Duration::from_secs(30))
        .expect("stopped");
    assert_eq!(fake.read("docker-calls"), "stop -t 30 d1200f b0336f\n");
}

#[test]
fn a_network_that_others_use_stays_and_they_are_named() {
    let fake = sample();
    let error = engine(&fake)
        .remove_leftovers("sample")
        .expect_err("in use");
    assert!(
        error.to_string().contains("`caravan-sample` is used by")
            && error.to_string().contains("stranger"),
        "{error}"
    );
    assert!(!fake.read("docker-calls").contains("network rm"));
}

#[test]
fn an_engine_that_stops_meanwhile_is_not_one_without_machines() {
    let fake = sample();
    // Its client prints an empty list, and says why beside it.
    fake.write("containers.json", "[]\n");
    fake.write("containers.said", "Cannot connect to the Docker daemon\n");
    let error = engine(&fake).machines(Some("sample")).expect_err("down");
    assert!(
        matches!(error, Error::Docker(caravan_docker::Error::Down { .. })),
        "{error:?}"
    );
    fake.write("containers.said", "Error: No such container: d1200f\n");
    assert_eq!(engine(&fake).machines(Some("sample")).expect("gone"), []);
}

#[test]
fn a_stranger_with_a_machines_address_is_found() {
    let fake = sample();
    let subnet = "172.29.77.0/24".parse().expect("a subnet");
    let ip = |last| Ipv4Addr::new(172, 29, 77, last);
    let wish = [("one".to_owned(), ip(11)), ("three".to_owned(), ip(12))];
    let conflicts = engine(&fake)
        .conflicts("sample", subnet, &wish)
        .expect("it answers");
    let strangers: Vec<_> = conflicts
        .iter()
        .filter(|conflict| matches!(conflict, Conflict::Address { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        strangers,
        ["the address `172.29.77.12` of `three` is taken by the container `stranger`"]
    );
}
