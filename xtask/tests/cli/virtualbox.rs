//! Labs whose machines VirtualBox runs, with a stand-in for it: what keeps it from that is told before anything is made, and
//! its machines are found and removed without Vagrant's notes.

use std::fs;
use std::path::Path;

use expect_test::expect;

use crate::world::{Ended, LAB, World, shown};

/// In the range that VirtualBox allows everywhere, and that its own first network does not have.
const SUBNET: &str = "192.168.61.";

fn world(change: impl Fn(String) -> String) -> World {
    let world = World::new();
    world.install("VBoxManage");
    let text = LAB
        .replace("10.213.7.", SUBNET)
        .replace("kubernetes =", "provider = \"virtualbox\"\nkubernetes =");
    world.write("labs/small.toml", &change(text));
    world
}

fn up(world: &World) -> Ended {
    world.run(&["up", "small", "--image", "box"])
}

/// What `up` refuses with; nothing was made and nothing was begun.
fn refused(world: &World) -> String {
    let ended = up(world);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let calls = world.calls();
    assert!(!calls.contains("vagrant up"), "{calls}");
    let asked = world.read("state/vbox-calls");
    for verb in [
        "import",
        "clonevm",
        "modifyvm",
        "startvm",
        "hostonlyif create",
    ] {
        assert!(!asked.contains(verb), "{asked}");
    }
    assert!(!world.path(".lab/small/server1/Vagrantfile").exists());
    ended.stderr
}

/// Whether KVM holds this very computer's processor, or its VirtualBox has ranges of its own: then more is refused.
fn is_odd() -> bool {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    Path::new("/etc/vbox/networks.conf").exists() || read("/proc/modules").contains("kvm_")
}

fn has_machine(world: &World, uuid: &str, labels: &[(&str, &str)], state: &str) {
    let label = |name: &str| labels.iter().find(|it| it.0 == name).map_or("", |it| it.1);
    let name = format!("caravan-{}-{}", label("lab"), label("machine"));
    world.write(&format!("state/vms/{uuid}/name"), &name);
    world.write(&format!("state/vms/{uuid}/state"), state);
    let extra = labels
        .iter()
        .map(|(key, value)| format!("caravan/{key}={value}\n"));
    world.write(
        &format!("state/vms/{uuid}/extra"),
        &extra.collect::<String>(),
    );
}

/// The lab as a good `up` leaves it.
fn is_up(world: &World) {
    let ended = world.run(&["plan", "small", "--write", "--image", "box"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let machines = [
        ("u-1", "etcdone", "server2"),
        ("u-2", "masterone", "server1"),
        ("u-3", "workerone", "server2"),
    ];
    for (uuid, name, server) in machines {
        let folder = world.path(".lab/small").join(server).display().to_string();
        let labels = [
            ("lab", "small"),
            ("server", server),
            ("machine", name),
            ("folder", &folder),
        ];
        has_machine(world, uuid, &labels, "running");
    }
    // Somebody's own, and one of another lab.
    has_machine(world, "u-8", &[], "running");
    has_machine(
        world,
        "u-9",
        &[("lab", "other"), ("machine", "etcdone")],
        "running",
    );
    world.write(
        "state/hostonlyifs",
        "vboxnet0 192.168.56.1 255.255.255.0\nvboxnet1 192.168.61.1 255.255.255.0\n",
    );
    world.write("state/global", "caravan/network/vboxnet1=small\n");
}

#[test]
fn no_virtualbox() {
    let world = world(|text| text);
    fs::remove_file(world.path("bin/VBoxManage")).expect("removed");
    expect![[r#"
        error: VirtualBox is not here: there is no `VBoxManage` on the search path

        hint: install it (https://www.virtualbox.org/wiki/Downloads); Debian has it in `contrib` of sid alone, Ubuntu as `virtualbox`; `--provider docker` needs none
    "#]]
    .assert_eq(&refused(&world));
}

#[test]
fn a_range_that_virtualbox_refuses() {
    if is_odd() {
        return;
    }
    let world = world(|text| text.replace(SUBNET, "10.213.7."));
    expect![[r#"
        error: VirtualBox may not make the lab's host-only network: `10.213.7.0/24` is in no range that is allowed; without `/etc/vbox/networks.conf` only `192.168.56.0/21` is allowed

        hint: write the line `* 10.213.7.0/24` into `/etc/vbox/networks.conf`: `sudo mkdir -p /etc/vbox && printf '* 192.168.56.0/21\n* 10.213.7.0/24\n' | sudo tee -a /etc/vbox/networks.conf`; or give the lab a `subnet` in a range that is allowed
    "#]]
    .assert_eq(&refused(&world));
    let doctor = world.run(&["doctor", "small"]);
    assert_eq!(doctor.status, Some(1));
    assert!(
        doctor.stdout.contains("missing VirtualBox")
            && doctor
                .stdout
                .contains("-> write the line `* 10.213.7.0/24`"),
        "{}",
        doctor.stdout
    );
}

#[test]
fn a_disk_that_is_too_small_for_the_machines() {
    if is_odd() {
        return;
    }
    let world = world(|text| text);
    // Nothing can be free there, and the folder is not made yet.
    world.write("state/machine-folder", "/proc/VirtualBox VMs");
    expect![[r#"
        error: 3 new machines of `virtualbox` need about 2816 MiB on the disk of `/proc/VirtualBox VMs`, and 0 MiB are free there

        hint: free some space (`cargo xtask bundle prune`), or have new machines made elsewhere: `VBoxManage setproperty machinefolder FOLDER`
    "#]]
    .assert_eq(&refused(&world));
}

#[test]
fn bridges_that_are_none() {
    let bridged = |text: String| {
        text.replace(
            "[servers.server1]",
            "[servers.server1]\nbridge = \"en1: Wi-Fi\"\naddress = \"192.168.61.11\"",
        )
        .replace(
            "[servers.server2]",
            "[servers.server2]\nbridge = \"en1: Wi-Fi\"\naddress = \"192.168.61.11\"",
        )
    };
    let world = world(bridged);
    let interface = |name: &str, wireless: &str| {
        format!(
            "Name:            {name}\nIPAddress:       10.1.2.3\nNetworkMask:     255.255.255.0\nWireless:        {wireless}\nStatus:          Up\n\n"
        )
    };
    world.write("state/bridgedifs", &interface("en0: Ethernet", "No"));
    let said = refused(&world);
    for words in [
        "error: labs/small.toml:7: the bridge `en1: Wi-Fi` of server `server1` cannot be used: VirtualBox knows no such interface",
        "of server `server2`",
        "take one of these, as `VBoxManage list bridgedifs` has them: `en0: Ethernet`",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let both = interface("en0: Ethernet", "No") + &interface("en1: Wi-Fi", "Yes");
    world.write("state/bridgedifs", &both);
    let said = refused(&world);
    for words in [
        "it is wireless",
        "`en0: Ethernet`; wireless, and unfit: `en1: Wi-Fi`",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_vagrant_and_a_kernel_that_do_not_fit() {
    let world = world(|text| text);
    world.write("state/version", "7.2.4r170995\n");
    world.write(
        "state/virtualbox-answer",
        "Vagrant::Errors::VirtualBoxInvalidVersion Please install one of these: 6.1, 7.0 A Vagrant update may",
    );
    let said = refused(&world);
    for words in [
        "Vagrant 2.3.4 does not know VirtualBox 7.2.4, but 6.1, 7.0",
        "Vagrant 2.4.9 is the first that knows VirtualBox 7.2",
    ] {
        assert!(said.contains(words), "{said}");
    }
    fs::remove_file(world.path("state/version")).expect("removed");
    world.write("state/virtualbox-answer", "Vagrant::Errors::VirtualBoxKernelModuleNotLoaded VirtualBox is complaining that the kernel module is not loaded.");
    world.write("state/warning", "WARNING: The vboxdrv kernel module is not loaded. Please recompile the kernel module and install it by\n\n  sudo /sbin/vboxconfig\n");
    let said = refused(&world);
    assert!(
        said.contains("VirtualBox 7.0.20 warns: WARNING: The vboxdrv kernel module is not loaded. Please recompile the kernel module and install it by sudo /sbin/vboxconfig"),
        "{said}"
    );
    assert!(!said.contains("is complaining"), "it is told once: {said}");
}

#[test]
fn why_virtualbox_does_not_start_a_machine() {
    if is_odd() {
        return;
    }
    let world = world(|text| text);
    world.write("state/refuse-etcdone", "\\n\\nStderr: VBoxManage: error: VirtualBox can't operate in VMX root mode. Please disable the KVM kernel extension%!(VAGRANT_COMMA) recompile your kernel and reboot (VERR_VMX_IN_VMX_ROOT_MODE)\\nVBoxManage: error: Details: code NS_ERROR_FAILURE (0x80004005)%!(VAGRANT_COMMA) component ConsoleWrap");
    let ended = world.run(&["up", "small", "etcdone", "--image", "box"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for words in [
        "error: VirtualBox does not start machines here: VirtualBox can't operate in VMX root mode. Please disable the KVM kernel extension, recompile your kernel and reboot (VERR_VMX_IN_VMX_ROOT_MODE); NS_ERROR_FAILURE (0x80004005)",
        "modprobe -r kvm_intel kvm",
        "all of Vagrant's output is in `.lab/small/logs/server2.log`",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn machines_stop_without_vagrant() {
    let world = world(|text| text);
    is_up(&world);
    world.calls();
    let ended = world.run(&["halt", "small"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(world.calls(), "", "Vagrant has no part in it");
    for uuid in ["u-1", "u-2", "u-3"] {
        assert_eq!(
            world.read(&format!("state/vms/{uuid}/state")).trim(),
            "poweroff"
        );
    }
    let asked = world.read("state/vbox-calls");
    let place = |uuid: &str| {
        asked
            .find(&format!("controlvm {uuid} acpipowerbutton"))
            .expect("told")
    };
    assert!(place("u-3").max(place("u-2")) < place("u-1"), "{asked}");
    for uuid in ["u-8", "u-9"] {
        assert_eq!(world.read(&format!("state/vms/{uuid}/state")), "running");
    }
}

#[test]
fn machines_are_removed_without_vagrants_notes() {
    let world = world(|text| text);
    is_up(&world);
    // One that Vagrant had just cloned when it was killed: it has a note and no label.
    world.write("state/vms/u-4/name", "temp_clone_1_2");
    world.write("state/vms/u-4/state", "poweroff");
    world.write(
        ".lab/small/server2/.vagrant/machines/workertwo/virtualbox/id",
        "u-4",
    );
    // And a note of a machine that is another lab's by its label.
    world.write(
        ".lab/small/server2/.vagrant/machines/etcdone/virtualbox/id",
        "u-9",
    );
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let left: Vec<_> = fs::read_dir(world.path("state/vms"))
        .expect("there")
        .map(|it| it.expect("an entry").file_name())
        .collect();
    let mut left: Vec<_> = left.iter().map(|it| it.to_string_lossy()).collect();
    left.sort();
    assert_eq!(left, ["u-8", "u-9"]);
    assert_eq!(
        world.read("state/hostonlyifs"),
        "vboxnet0 192.168.56.1 255.255.255.0\n"
    );
    assert_eq!(world.read("state/global"), "");
    assert!(!world.path(".lab/small").exists());
    assert!(!world.calls().contains("vagrant destroy"));
}

#[test]
fn a_lab_of_which_nothing_tells_but_its_machines() {
    let world = world(|text| text.replace("provider = \"virtualbox\"\n", ""));
    is_up(&world);
    // Its file says nothing of a provider, and what was chosen is gone with the state; of the other lab there never was any.
    fs::remove_dir_all(world.path(".lab")).expect("removed");
    for (lab, gone) in [("small", "u-1"), ("other", "u-9")] {
        let ended = world.run(&["destroy", lab, "--yes"]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(
            !world.path("state/vms").join(gone).exists(),
            "{}",
            ended.stderr
        );
    }
    let left = fs::read_dir(world.path("state/vms")).expect("there");
    assert_eq!(left.count(), 1, "somebody's own stays");
}

#[test]
fn labs_are_found_by_their_machines() {
    let world = world(|text| text);
    is_up(&world);
    let ended = world.run(&["list"]);
    expect![[r#"
        status 0
        --- stdout
        lab     machines   running   file
        other   1          1         gone
        small   3          3         there
    "#]]
    .assert_eq(&shown(&ended));
}
