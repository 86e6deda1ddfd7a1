//! A lab knows where its file says each value.

use caravan_lab::generate::{Shape, lab_file};
use caravan_lab::{Lab, Place, Role};

const SOURCE: &str = r#"domain = "d.example" # é
kubernetes = "1.36"
vip = "10.0.0.5"
subnet = "10.0.0.0/24"
operators = ["10.0.0.8", "10.0.0.9"]
airgap = true

[servers]
s2 = { bridge = "eno1", address = "10.0.0.6" }

[servers.s1]
bridge = "eno1"
address = "10.0.0.6"

[[machines]]
name = "e1"
role = "etcd"
server = "s1"
ip = "10.0.0.11"
memory_mib = 1024
cpus = 1

[[machines]]
cpus = 2
memory_mib = 2048
ip = "10.0.0.12"
server = "s2"
role = "control-plane"
name = "m1"

[[machines]]
name = "lb1"
role = "load-balancer"
server = "s2"
ip = "10.0.0.13"
memory_mib = 1024
cpus = 1

[cluster]
metrics = false
"#;

fn parse(source: &str) -> Lab {
    Lab::parse("places", source).unwrap_or_else(|faults| panic!("{faults}"))
}

fn at<'s>(source: &'s str, place: Option<&Place>) -> (usize, usize, &'s str) {
    let place = place.expect("the file says it");
    (place.line, place.column, &source[place.span.clone()])
}

#[test]
fn places_are_those_of_an_editor() {
    let lab = parse(SOURCE);
    let (top, of) = (lab.places().lab(), |name| {
        lab.places().machine(name).unwrap()
    });
    assert_eq!(at(SOURCE, top.value("domain")), (1, 10, "\"d.example\""));
    assert_eq!(at(SOURCE, top.value("vip")), (3, 7, "\"10.0.0.5\""));
    assert_eq!(at(SOURCE, top.value("airgap")), (6, 10, "true"));
    let places = lab.places();
    assert_eq!(
        at(SOURCE, places.setting("cluster.metrics")),
        (40, 1, "metrics")
    );
    assert_eq!(
        at(SOURCE, places.setting_value("cluster.metrics")),
        (40, 11, "false")
    );
    assert_eq!(places.setting("cluster.storage"), None);
    assert_eq!(at(SOURCE, of("e1").value("ip")), (19, 6, "\"10.0.0.11\""));
    assert_eq!(at(SOURCE, of("m1").value("ip")), (26, 6, "\"10.0.0.12\""));
    assert_eq!(at(SOURCE, of("m1").value("cpus")), (24, 8, "2"));
    assert_eq!(at(SOURCE, Some(of("m1").start())), (23, 1, "[[machines]]"));
    let server = |name| lab.places().server(name).unwrap();
    assert_eq!(
        at(SOURCE, server("s1").value("bridge")),
        (12, 10, "\"eno1\"")
    );
    assert_eq!(at(SOURCE, Some(server("s1").start())), (11, 10, "s1"));
    assert_eq!(
        at(SOURCE, server("s2").value("bridge")),
        (9, 17, "\"eno1\"")
    );
    assert_eq!(at(SOURCE, Some(server("s2").start())), (9, 1, "s2"));
}

#[test]
fn what_the_file_does_not_say_has_no_place() {
    let lab = parse(SOURCE);
    let places = lab.places();
    assert_eq!(places.lab().value("pod_cidr"), None);
    assert_eq!(places.lab().items("vip"), []);
    assert_eq!(places.server("s1").unwrap().value("host"), None);
    assert!(places.machine("nobody").is_none());
    assert!(places.server("nobody").is_none());
}

#[test]
fn each_item_of_a_list_has_its_place() {
    let lab = parse(SOURCE);
    let items = lab.places().lab().items("operators");
    let items: Vec<_> = items.iter().map(|item| at(SOURCE, Some(item))).collect();
    assert_eq!(items, [(5, 14, "\"10.0.0.8\""), (5, 26, "\"10.0.0.9\"")]);
    // The first operator is the servers' computer, which stands elsewhere in the file.
    assert_eq!(items.len() + 1, lab.operators().len());
}

#[test]
fn each_value_of_each_machine_stands_at_its_place() {
    let source = lab_file(&Shape::of_machines(60));
    let lab = parse(&source);
    for machine in lab.machines() {
        let places = lab.places().machine(&machine.name).unwrap();
        let said = |key: &str| {
            at(&source, places.value(key))
                .2
                .trim_matches('"')
                .to_owned()
        };
        assert_eq!(said("name"), machine.name);
        assert_eq!(said("role"), machine.role.to_string());
        assert_eq!(said("server"), machine.server);
        assert_eq!(said("ip"), machine.ip.to_string());
        assert_eq!(said("memory_mib"), machine.memory_mib.to_string());
        assert_eq!(said("cpus"), machine.cpus.to_string());
    }
    assert_eq!(lab.of_role(Role::Etcd).count(), 5);
}
