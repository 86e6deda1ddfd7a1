//! VirtualBox asked directly, against a stand-in for its command line.
#![allow(missing_docs)]

#[path = "fake/programs.rs"]
#[expect(dead_code, reason = "what only the stand-in for Vagrant needs")]
mod programs;

use std::fs;
use std::time::Duration;

use caravan_process::Program;
use caravan_vagrant::virtualbox::VirtualBox;
use caravan_vagrant::{Error, MachineState, Version};
use programs::Fake;

fn virtualbox(fake: &Fake) -> VirtualBox {
    VirtualBox::with(Program::at(fake.program()))
}

fn has_machine(fake: &Fake, uuid: &str, name: &str, state: &str, labels: &[(&str, &str)]) {
    fs::create_dir_all(fake.path(&format!("vms/{uuid}"))).expect("made");
    fake.write(&format!("vms/{uuid}/name"), name);
    fake.write(&format!("vms/{uuid}/state"), state);
    let extra: String = labels
        .iter()
        .map(|(key, value)| format!("caravan/{key}={value}\n"))
        .collect();
    fake.write(&format!("vms/{uuid}/extra"), &extra);
}

/// Two machines of the lab `ha`, one of another lab, one of nobody's and the master of a linked clone.
fn sample() -> Fake {
    let fake = Fake::of("VBoxManage");
    let of = |lab: &'static str, machine: &'static str| {
        [
            ("lab", lab),
            ("machine", machine),
            ("server", "server1"),
            ("folder", "/w/.lab/ha/server1"),
            ("image", "caravan-machine-1"),
        ]
    };
    has_machine(&fake, "u-2", "caravan-ha-two", "poweroff", &of("ha", "two"));
    has_machine(&fake, "u-1", "caravan-ha-one", "running", &of("ha", "one"));
    has_machine(&fake, "u-3", "caravan-b-one", "running", &of("b", "one"));
    has_machine(&fake, "u-4", "my own", "running", &[]);
    has_machine(&fake, "u-5", "caravan-machine-1_17_1", "poweroff", &[]);
    fake
}

#[test]
fn machines_are_found_by_label() {
    let fake = sample();
    let found = virtualbox(&fake).machines(Some("ha")).expect("it answers");
    let seen: Vec<_> = found
        .iter()
        .map(|it| (it.label("machine"), it.uuid.as_str(), it.state.word()))
        .collect();
    assert_eq!(seen, [("one", "u-1", "running"), ("two", "u-2", "stopped")]);
    assert_eq!(found[0].label("image"), "caravan-machine-1");
    let all = virtualbox(&fake).machines(None).expect("it answers");
    let labs: Vec<_> = all.iter().map(|it| it.label("lab")).collect();
    assert_eq!(labs, ["b", "ha", "ha"]);
}

#[test]
fn machines_stop_by_their_power_button_and_the_deaf_by_force() {
    let fake = sample();
    let both = ["u-1", "u-3"];
    let long = Duration::from_secs(600);
    virtualbox(&fake).stop(&both, long).expect("stopped");
    let calls = fake.read("vbox-calls");
    assert_eq!(calls.matches("acpipowerbutton").count(), 2, "{calls}");
    assert!(!calls.contains("controlvm u-1 poweroff"), "{calls}");
    let fake = sample();
    fake.write("deaf", "");
    virtualbox(&fake).stop(&both, Duration::ZERO).expect("off");
    for uuid in both {
        assert_eq!(
            virtualbox(&fake).state(uuid).expect("it answers"),
            Some(MachineState::Stopped)
        );
    }
    // Who is none of them still runs.
    assert_eq!(fake.read("vms/u-4/state"), "running");
}

#[test]
fn machines_are_removed_whatever_state_they_are_in() {
    let fake = sample();
    has_machine(&fake, "u-6", "caravan-ha-six", "saved", &[("lab", "ha")]);
    // A session that just ends holds a machine for a moment.
    fake.write("locked", "1\n2\n");
    let gone = "u-never";
    virtualbox(&fake)
        .remove(&["u-1", "u-2", "u-6", gone])
        .expect("removed");
    let left = virtualbox(&fake).registered().expect("it answers");
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["u-3", "u-4", "u-5"]);
}

#[test]
fn a_lock_that_stays_is_told() {
    let fake = sample();
    fake.write("vms/u-2/state", "stopping");
    fake.write("locked", &"1\n".repeat(1000));
    let error = virtualbox(&fake).remove(&["u-2"]).expect_err("locked");
    assert!(error.to_string().contains("u-2"), "{error}");
}

#[test]
fn only_labelled_networks_go_and_none_that_others_use() {
    let fake = sample();
    fake.write(
        "hostonlyifs",
        "vboxnet0 192.168.56.1 255.255.255.0\nvboxnet1 192.168.29.1 255.255.255.0\n",
    );
    fake.write("global", "GUI/Other=1\ncaravan/network/vboxnet1=ha\n");
    fake.write("vms/u-4/nic2", "vboxnet1");
    let networks = virtualbox(&fake).networks().expect("it answers");
    assert_eq!(
        networks.into_iter().collect::<Vec<_>>(),
        [("vboxnet1".to_owned(), "ha".to_owned())]
    );
    let error = virtualbox(&fake)
        .remove_network("vboxnet1")
        .expect_err("used");
    assert!(
        matches!(&error, Error::HostOnlyInUse { machines, .. } if machines == &["my own"]),
        "{error:?}"
    );
    fs::remove_file(fake.path("vms/u-4/nic2")).expect("removed");
    virtualbox(&fake)
        .remove_network("vboxnet1")
        .expect("removed");
    assert_eq!(
        fake.read("hostonlyifs"),
        "vboxnet0 192.168.56.1 255.255.255.0\n"
    );
    assert_eq!(fake.read("global"), "GUI/Other=1\n");
    // One that somebody removed by hand has a label left.
    fake.write("global", "caravan/network/vboxnet7=ha\n");
    virtualbox(&fake)
        .remove_network("vboxnet7")
        .expect("forgotten");
    assert_eq!(fake.read("global"), "");
}

#[test]
fn what_is_installed() {
    let fake = Fake::of("VBoxManage");
    fake.write("version", "7.1.4r165100\n");
    let installed = virtualbox(&fake).installed().expect("it answers");
    assert_eq!(installed.version, Version::new(7, 1, 4));
    assert_eq!(installed.warning, "");
    fake.write("warning", "WARNING: The vboxdrv kernel module is not loaded. Either there is no module\n         available for the current kernel\n");
    let installed = virtualbox(&fake).installed().expect("it answers");
    assert!(
        installed
            .warning
            .starts_with("WARNING: The vboxdrv kernel module")
    );
    fake.write("version", "what\n");
    let error = virtualbox(&fake).installed().expect_err("no version");
    assert!(matches!(
        error,
        Error::NoVersion {
            program: "VBoxManage",
            ..
        }
    ));
    fake.write("machine-folder", "/vm/VirtualBox VMs");
    let folder = virtualbox(&fake).machine_folder().expect("it answers");
    assert_eq!(folder, Some("/vm/VirtualBox VMs".into()));
}
