use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::engine::{Conflict, Removed};
use crate::routes::Route;

const DOMAIN: &str = include_str!("../../tests/samples/libvirt-domain.xml");
const NETWORKS: &str = include_str!("../../tests/samples/libvirt-networks.xml");

/// A virsh that answers a command by the file of its first word, and notes all commands.
struct FakeVirsh {
    folder: tempfile::TempDir,
}

impl FakeVirsh {
    fn new(answers: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (command, answer) in answers {
            fs::write(folder.path().join(command), answer).expect("written");
        }
        let script = format!(
            "#!/bin/sh\ncd '{}'\nshift 3\necho \"$*\" >>calls\nfor word in $1; do break; done\n\
             [ -e \"$word.fails\" ] && {{ cat \"$word.fails\" >&2; rm \"$word.fails\"; exit 1; }}\n\
             [ ! -e \"$word\" ] || cat \"$word\"\n",
            folder.path().display()
        );
        let path = folder.path().join("virsh");
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("set");
        Self { folder }
    }

    fn answer(&self, command: &str, answer: &str) {
        fs::write(self.folder.path().join(command), answer).expect("written");
    }

    fn libvirt(&self) -> LibvirtMachines {
        LibvirtMachines::with(Program::at(self.folder.path().join("virsh")))
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

fn one(state: &str) -> FakeVirsh {
    FakeVirsh::new(&[
        ("list", "caravan-ha-etcdone\ndebian\n\n"),
        ("dumpxml", DOMAIN),
        (
            "domstats",
            &format!(
                "Domain: 'caravan-ha-etcdone'\n  state.state={state}\n  state.reason=1\n\n\
                 Domain: 'debian'\n  state.state=1\n  state.reason=1\n"
            ),
        ),
    ])
}

#[test]
fn a_machine_is_what_its_description_says() {
    let fake = one("1");
    let found = fake.libvirt().machines(Some("ha")).expect("an answer");
    assert_eq!(
        found,
        [Domain {
            name: "caravan-ha-etcdone".to_owned(),
            lab: "ha".to_owned(),
            server: "server1".to_owned(),
            machine: "etcdone".to_owned(),
            folder: "/srv/me & you/.lab/ha/server1".into(),
            state: MachineState::Running,
            image: Some("caravan-machine-0123456789abcdef-amd64".to_owned()),
            disks: vec!["/var/lib/libvirt/images/caravan-ha-etcdone.img".into()],
        }]
    );
    assert_eq!(
        fake.calls(),
        [
            "list --all --name",
            "dumpxml 'caravan-ha-etcdone'",
            "domstats --state"
        ]
    );
    assert_eq!(
        fake.libvirt().machines(Some("ha-etcdone")).expect("asked"),
        []
    );
}

#[test]
fn every_state_has_a_word() {
    let state = |number: &str| {
        let found = one(number).libvirt().machines(None).expect("an answer");
        found[0].state.word().to_owned()
    };
    let words = ["1", "2", "3", "4", "5", "6", "7", "9"].map(state);
    assert_eq!(
        words,
        [
            "running",
            "running",
            "paused",
            "running",
            "stopped",
            "stopped",
            "suspended",
            "unknown"
        ]
    );
}

#[test]
fn a_domain_that_goes_between_two_questions_is_no_error() {
    let fake = one("1");
    fake.answer(
        "dumpxml.fails",
        "error: failed to get domain 'caravan-ha-etcdone'\n",
    );
    assert_eq!(fake.libvirt().machines(None).expect("asked again").len(), 1);
    fake.answer("dumpxml.fails", "error: internal error: out of luck\n");
    let error = fake.libvirt().machines(None).expect_err("an error");
    assert!(error.to_string().ends_with("internal error: out of luck"));
}

#[test]
fn who_may_not_ask_is_told_which_group_to_join() {
    let fake = one("1");
    fake.answer(
        "list.fails",
        "error: failed to connect to the hypervisor\nerror: Failed to connect socket to \
         '/var/run/libvirt/libvirt-sock': Permission denied\n",
    );
    let error = fake.libvirt().machines(None).expect_err("refused");
    let text = error.to_string();
    assert!(text.starts_with("libvirt does not answer `"), "{text}");
    assert!(text.contains("--connect qemu:///system") && text.ends_with("Permission denied"));
    assert!(
        error
            .hint("tool")
            .expect("a hint")
            .contains("--groups libvirt")
    );
    fake.answer(
        "list.fails",
        "error: failed to connect to the hypervisor\nerror: Failed to connect socket to \
         '/var/run/libvirt/libvirt-sock': No such file or directory\n",
    );
    let error = fake.libvirt().machines(None).expect_err("silent");
    assert!(
        error
            .hint("tool")
            .expect("a hint")
            .contains("tool setup --provider libvirt")
    );
}

#[test]
fn a_machine_is_told_to_stop_and_its_power_taken_if_it_does_not() {
    let fake = one("1");
    let libvirt = fake.libvirt();
    let domains = libvirt.machines(None).expect("an answer");
    let all: Vec<&Domain> = domains.iter().collect();
    let stop = std::thread::scope(|scope| {
        let stop = scope.spawn(|| libvirt.stop(&all, Duration::from_secs(30)));
        while !fake.calls().iter().any(|call| call.starts_with("shutdown")) {
            std::thread::sleep(Duration::from_millis(20));
        }
        fake.answer(
            "domstats",
            "Domain: 'caravan-ha-etcdone'\n  state.state=5\n",
        );
        stop.join().expect("no panic")
    });
    stop.expect("stopped");
    let calls = fake.calls();
    assert!(calls.contains(&"shutdown caravan-ha-etcdone --mode acpi".to_owned()));
    assert!(!calls.iter().any(|call| call.starts_with("destroy")));
}

#[test]
fn a_paused_machine_cannot_hear() {
    let fake = one("3");
    let libvirt = fake.libvirt();
    let domains = libvirt.machines(None).expect("an answer");
    let all: Vec<&Domain> = domains.iter().collect();
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| libvirt.stop(&all, Duration::from_secs(600)));
        while !fake.calls().iter().any(|call| call.starts_with("destroy")) {
            std::thread::sleep(Duration::from_millis(20));
        }
        fake.answer(
            "domstats",
            "Domain: 'caravan-ha-etcdone'\n  state.state=5\n",
        );
        stop.join().expect("no panic").expect("stopped");
    });
    assert!(!fake.calls().iter().any(|call| call.starts_with("shutdown")));
}

#[test]
fn what_is_left_of_a_lab_goes_and_nothing_else() {
    let fake = one("5");
    fake.answer("net-list", "caravan-ha\ncaravan-ha.management\ndefault\n");
    fake.answer("net-dumpxml", NETWORKS);
    fake.answer(
        "vol-list",
        " caravan-ha-etcdtwo.img  /var/lib/libvirt/images/caravan-ha-etcdtwo.img\n \
         caravan-machine-0123456789abcdef-amd64_vagrant_box_image_1_box.img  /x\n debian.qcow2  /y\n",
    );
    let removed = fake.libvirt().remove_leftovers("ha").expect("removed");
    assert_eq!(
        removed,
        Removed {
            containers: vec!["etcdone".to_owned()],
            networks: vec!["caravan-ha".to_owned(), "caravan-ha.management".to_owned()],
            volumes: vec!["caravan-ha-etcdtwo.img".to_owned()],
        }
    );
    let calls = fake.calls();
    let changes: Vec<&str> = calls
        .iter()
        .map(String::as_str)
        .filter(|call| {
            ["undefine", "vol-delete", "net-destroy", "net-undefine"]
                .iter()
                .any(|verb| call.starts_with(verb))
        })
        .collect();
    assert_eq!(
        changes,
        [
            "undefine caravan-ha-etcdone --managed-save --snapshots-metadata --nvram",
            "vol-delete /var/lib/libvirt/images/caravan-ha-etcdone.img",
            "vol-delete --pool default caravan-ha-etcdtwo.img",
            "net-destroy caravan-ha",
            "net-undefine caravan-ha",
            "net-destroy caravan-ha.management",
            "net-undefine caravan-ha.management",
        ]
    );
}

#[test]
fn volumes_of_boxes_go_with_the_last_machine_of_any_lab() {
    let volumes = " caravan-machine-0123456789abcdef-amd64_vagrant_box_image_1_box.img  /x\n \
                   generic-VAGRANTSLASH-ubuntu2204_vagrant_box_image_4.3.12_box.img  /y\n";
    let fake = one("5");
    fake.answer("vol-list", volumes);
    fake.libvirt().remove_box_volumes().expect("nothing done");
    assert!(
        !fake
            .calls()
            .iter()
            .any(|call| call.starts_with("vol-delete"))
    );
    fake.answer("list", "debian\n");
    fake.libvirt().remove_box_volumes().expect("removed");
    let removed: Vec<String> = fake
        .calls()
        .into_iter()
        .filter(|call| call.starts_with("vol-delete"))
        .collect();
    assert_eq!(
        removed,
        [
            "vol-delete --pool default caravan-machine-0123456789abcdef-amd64_vagrant_box_image_1_box.img"
        ]
    );
}

#[test]
fn where_disks_lie() {
    let pool = "<pool type='dir'>\n  <name>default</name>\n  <target>\n    <path>/var/lib/libvirt/images</path>\n  </target>\n</pool>\n";
    let fake = FakeVirsh::new(&[("pool-dumpxml", pool)]);
    let folder = fake.libvirt().pool_folder().expect("it answers");
    assert_eq!(folder, Some("/var/lib/libvirt/images".into()));
    assert_eq!(fake.calls(), ["pool-dumpxml default"]);
    let error = "error: failed to get pool 'default'\nerror: Storage pool not found: no storage pool with matching name 'default'\n";
    fake.answer("pool-dumpxml.fails", error);
    assert_eq!(fake.libvirt().pool_folder().expect("it answers"), None);
}

#[test]
fn who_has_a_range() {
    let networks: Vec<LibvirtNetwork> = network::split(NETWORKS)
        .iter()
        .filter_map(|document| network::read(document))
        .collect();
    let names: Vec<&str> = networks
        .iter()
        .map(|network| network.name.as_str())
        .collect();
    assert_eq!(names, ["caravan-ha", "caravan-ha.management", "default"]);
    let routes = [Route {
        to: "192.168.29.0/24".parse().expect("a range"),
        device: Some("virbr1".to_owned()),
        table: 254,
        direct: false,
    }];
    let check = |lab: &str, subnet: &str, wanted: &[&str]| {
        let subnet = subnet.parse().expect("a subnet");
        let found = conflict::conflicts(lab, subnet, &networks, &routes);
        let found: Vec<String> = found.iter().map(Conflict::to_string).collect();
        assert_eq!(found, wanted, "{lab}");
    };
    check("ha", "192.168.29.0/24", &[]);
    check(
        "ha",
        "192.168.30.0/24",
        &[
            "the lab's network `caravan-ha` was made for `192.168.29.0/24`, and the lab file now says `192.168.30.0/24`",
        ],
    );
    check(
        "other",
        "192.168.29.128/25",
        &[
            "the lab `ha` runs on the network `caravan-ha` with `192.168.29.0/24`, which overlaps `192.168.29.128/25`",
        ],
    );
    check(
        "other",
        "192.168.122.0/24",
        &["libvirt's network `default` has `192.168.122.0/24`, which overlaps `192.168.122.0/24`"],
    );
}
