//! What a computer needs for libvirt's machines, and what is said where it lacks something.

use std::path::Path;

use crate::world::{Ended, World};

/// Sources that need nothing built, so that little depends on the computer of the test.
const SETUP: [&str; 8] = [
    "setup",
    "--provider",
    "libvirt",
    "--source",
    "download",
    "--base",
    "ubuntu",
    "--yes",
];

/// A computer with QEMU, a libvirt that answers with `libvirt`, and a Vagrant that has the plugin or has not.
fn computer(libvirt: &str, plugin: bool) -> World {
    let world = World::new();
    for fake in ["apt-get", "sudo"] {
        world.install(fake);
    }
    let qemu = format!("qemu-system-{}", std::env::consts::ARCH);
    world.script(&qemu, "echo QEMU emulator version 7.2.22");
    world.script("qemu-img", "echo qemu-img version 7.2.22");
    world.script("virsh", libvirt);
    world.script(
        "vagrant",
        &format!(
            "case $1 in --version) echo Vagrant 2.4.1 ;; *) echo caravan-provider: {plugin} ;; esac"
        ),
    );
    world
}

const ANSWERS: &str = "echo 'Running against daemon: 9.0.0'";

fn refuses(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` in {}", ended.stderr);
    }
}

#[test]
fn a_vagrant_without_the_plugin() {
    let world = computer(ANSWERS, false);
    let ended = world.run(&SETUP);
    // HashiCorp's Vagrant takes no distribution's packages.
    if Path::new("/opt/vagrant").is_dir() {
        refuses(&ended, &["`vagrant plugin install vagrant-libvirt`"]);
        return;
    }
    assert!(
        ended
            .stderr
            .contains("missing here: `Vagrant's libvirt plugin`"),
        "{}",
        ended.stderr
    );
    let calls = world.calls();
    assert!(
        calls.contains("apt-get install") && calls.contains(" vagrant-libvirt"),
        "{calls}"
    );
}

#[test]
fn a_libvirt_that_does_not_let_this_user_in() {
    let denied = "echo \"error: failed to connect to the hypervisor\" >&2; echo \"error: Failed to connect socket to \
                  '/var/run/libvirt/libvirt-sock': Permission denied\" >&2; exit 1";
    let world = computer(denied, true);
    let words = [
        "libvirt: does not let you in",
        "virsh --connect qemu:///system",
        "Permission denied",
        "`sudo usermod --append --groups libvirt $USER`",
    ];
    refuses(&world.run(&SETUP), &words);
    let up = ["up", "small", "--provider", "libvirt", "--yes"];
    refuses(&world.run(&up), &words);
    assert_eq!(world.calls(), "", "nothing was begun");
}

#[test]
fn a_libvirt_that_does_not_run_is_nobodys_concern_but_its_labs() {
    let silent = "echo \"error: failed to connect to the hypervisor\" >&2; exit 1";
    let world = computer(silent, true);
    for verb in [
        &["list"][..],
        &["list", "small"],
        &["destroy", "small", "--yes"],
    ] {
        let ended = world.run(verb);
        assert_eq!(ended.status, Some(0), "{verb:?}: {}", ended.stderr);
    }
}
