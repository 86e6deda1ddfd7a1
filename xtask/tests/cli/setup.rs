use std::fs;

use crate::world::World;

/// Sources that need nothing built, so that little depends on the computer of the test.
const SOURCES: [&str; 4] = ["--source", "download", "--base", "ubuntu"];

/// A computer with an engine, ssh and a package manager, and without Vagrant.
fn without_vagrant() -> World {
    let world = World::new();
    for fake in ["apt-get", "sudo"] {
        world.install(fake);
    }
    fs::rename(world.path("bin/vagrant"), world.path("state/vagrant")).expect("moved");
    world
}

#[test]
fn what_is_missing_is_installed() {
    let world = without_vagrant();
    let ended = world.run(&[&["setup", "--yes"][..], &SOURCES].concat());
    assert!(
        ended.stderr.contains("missing here: `Vagrant`"),
        "{}",
        ended.stderr
    );
    let calls = world.calls();
    assert!(
        calls.starts_with("apt-get update (DEBIAN_FRONTEND=noninteractive)\n"),
        "{calls}"
    );
    assert!(
        calls.contains("apt-get install --yes --no-install-recommends"),
        "{calls}"
    );
    assert!(calls.contains(" vagrant"), "{calls}");
    // The C library is the computer's own; where it lacks its static form, nothing here can bring it.
    if ended.status == Some(0) {
        let again = world.run(&[&["setup"][..], &SOURCES].concat());
        assert_eq!(again.status, Some(0), "{}", again.stderr);
        assert_eq!(world.calls(), "", "nothing is missing any more");
    }
}

#[test]
fn nobody_to_ask() {
    let world = without_vagrant();
    let ended = world.run(&[&["setup"][..], &SOURCES].concat());
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("needs your word"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("hint: say so with `--yes`"),
        "{}",
        ended.stderr
    );
    assert_eq!(world.calls(), "");
}

#[test]
fn a_package_manager_that_fails() {
    let world = without_vagrant();
    world.write("state/no-packages", "");
    let ended = world.run(&[&["setup", "--yes"][..], &SOURCES].concat());
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("E: Unable to locate package vagrant"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("setup.log"), "{}", ended.stderr);
}

#[test]
fn no_package_manager() {
    let world = World::new();
    fs::remove_file(world.path("bin/vagrant")).expect("removed");
    let ended = world.run(&[&["up", "small", "--yes"][..], &SOURCES].concat());
    assert_eq!(ended.status, Some(1));
    assert!(
        ended
            .stderr
            .contains("https://developer.hashicorp.com/vagrant/install"),
        "{}",
        ended.stderr
    );
}

#[test]
fn doctor() {
    let world = without_vagrant();
    let ended = world.run(&[&["doctor", "--json"][..], &SOURCES].concat());
    assert_eq!(ended.status, Some(1));
    let findings: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(findings[0]["name"], "Vagrant");
    assert_eq!(findings[0]["verdict"], "missing");
    let plain = world.run(&["doctor"]);
    assert!(plain.stdout.contains("missing Vagrant"), "{}", plain.stdout);
    assert!(
        plain.stdout.contains("-> `cargo xtask setup`"),
        "{}",
        plain.stdout
    );
    assert!(
        !plain.stdout.contains('\u{1b}'),
        "no colours but on a terminal"
    );
}
