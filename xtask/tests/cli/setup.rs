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
    assert!(
        ended.stderr.contains("was not confirmed"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("hint: answer `y` on a terminal, or run the same command with `--yes`"),
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

/// `doctor`, `setup` and `up` read the same verdicts: what is named must be the same, and nothing may be installed.
fn all_refuse(world: &World, need: &str, words: &[&str]) {
    let doctor = world.run(&[&["doctor", "--json"][..], &SOURCES].concat());
    assert_eq!(doctor.status, Some(1), "{}", doctor.stdout);
    let findings: serde_json::Value = serde_json::from_str(&doctor.stdout).expect("JSON");
    let finding = findings
        .as_array()
        .and_then(|all| all.iter().find(|finding| finding["name"] == need))
        .unwrap_or_else(|| panic!("nothing about {need}"));
    assert_eq!(finding["verdict"], "missing", "{finding:#}");
    let setup = world.run(&[&["setup", "--yes"][..], &SOURCES].concat());
    let up = world.run(&["up", "small", "--yes", "--image", "caravan-machine:test"]);
    for word in words {
        let told = format!("{} {}", finding["evidence"], finding["remedy"]);
        assert!(told.contains(word), "doctor: no `{word}` in {told}");
        for (verb, ended) in [("setup", &setup), ("up", &up)] {
            assert_eq!(ended.status, Some(1), "{verb}: {}", ended.stderr);
            assert!(
                ended.stderr.contains(word),
                "{verb}: no `{word}` in {}",
                ended.stderr
            );
        }
    }
    let calls = world.calls();
    assert!(!calls.contains("install"), "{calls}");
    assert!(!world.path("home/state/caravan/dockerd.log").exists());
}

#[test]
fn an_engine_that_begins_to_listen_is_given_time() {
    let world = World::new();
    world.is_up();
    world.write("state/engine-down", "");
    // As an older engine does between its first answer and its second.
    world.write("state/engine-settling", "\n\n\n");
    for helper in ["containerd", "iptables", "runc"] {
        world.script(helper, "exit 0");
    }
    world.script(
        "dockerd",
        "if [ \"$1\" = --version ]; then echo 'Docker version 28.0.0'; else /bin/rm \"$FAKE_STATE/engine-down\"; fi",
    );
    // An engine by itself, also where the test's own computer has systemd: its unit is not known.
    world.script("systemctl", "echo not-found");
    world.script("setsid", "shift; exec \"$@\"");
    world.install("sudo");
    // It needs nothing else of this computer.
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("started the container engine"),
        "{}",
        ended.stderr
    );
    assert_eq!(world.read("state/engine-settling"), "");
}

#[test]
fn an_engine_on_another_computer() {
    let world = without_vagrant();
    // 192.0.2.0/24 is for documents. Nothing is dialled: the name is enough.
    world.write("state/context", "build ssh://me@192.0.2.7\n");
    let words = [
        "another computer, `192.0.2.7`",
        "docker context use default",
    ];
    all_refuse(&world, "container engine", &words);
}

#[test]
fn a_chosen_engine_that_is_silent_is_not_doubled() {
    let world = World::new();
    world.write("state/context", "mine unix:///run/user/1000/docker.sock\n");
    world.write("state/engine-down", "");
    let words = [
        "`unix:///run/user/1000/docker.sock` (context `mine`)",
        "no engine answers",
    ];
    all_refuse(&world, "container engine", &words);
}

#[test]
fn podman_and_other_programs_of_the_same_name() {
    let world = World::new();
    world.script(
        "docker",
        r#"case $1 in
version) echo '{"Client":{"APIVersion":"4.3.1","Version":"4.3.1"}}' ;;
--version) echo podman version 4.3.1 ;;
*) echo "Error: unrecognized command" >&2; exit 125 ;;
esac"#,
    );
    let words = ["is Podman", "podman-docker"];
    all_refuse(&world, "container engine", &words);

    let world = World::new();
    world.script("docker", "echo 'docker: a dock for windows'");
    let words = ["is not Docker's command: it says `docker: a dock for windows`"];
    all_refuse(&world, "container engine", &words);

    let world = World::new();
    world.script("ssh", "echo 'Dropbear v2022.83' >&2");
    let words = ["is not OpenSSH: it says `Dropbear v2022.83`"];
    all_refuse(&world, "ssh client", &words);

    let world = World::new();
    world.script("vagrant", "echo 'a tramp, version 1'");
    let words = ["is not Vagrant: it says `a tramp, version 1`"];
    all_refuse(&world, "Vagrant", &words);

    let world = World::new();
    world.script("vagrant", "echo 'no such gem' >&2; exit 1");
    let words = ["does not work", "no such gem"];
    all_refuse(&world, "Vagrant", &words);

    let world = World::new();
    world.script("vagrant", "echo Vagrant 2.2.14");
    let words = ["2.2.14", "https://developer.hashicorp.com/vagrant/install"];
    all_refuse(&world, "Vagrant", &words);
}

#[test]
fn a_vagrant_without_its_docker_provider() {
    let world = World::new();
    world.script(
        "vagrant",
        "case $1 in --version) echo Vagrant 2.4.1 ;; *) echo caravan-provider: false ;; esac",
    );
    let ended = world.run(&[&["setup", "--yes"][..], &SOURCES].concat());
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("Vagrant's docker provider: ") && ended.stderr.contains("has none"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_distribution_without_the_package() {
    let world = without_vagrant();
    // What apt says of Ubuntu 24.04's lists.
    world.script(
        "apt-cache",
        r#"case $2 in
'') echo ' 500 http://archive.ubuntu.com/ubuntu noble/universe amd64 Packages' ;;
vagrant) ;;
*) echo '  Candidate: 1.0' ;;
esac"#,
    );
    let page = "https://developer.hashicorp.com/vagrant/install";
    all_refuse(&world, "Vagrant", &[page]);
}
