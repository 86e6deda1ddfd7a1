//! A lab over two computers that the fake ssh plays: what is sent, in which order, and what is said of faults.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use caravan_process::Program;
use expect_test::expect;

use crate::world::{LAB, World, shown};

/// The lab of the tests, its servers on two computers with a LAN between them.
fn spread(world: &World) {
    let text = LAB
        .replace(
            "[servers.server1]",
            "[servers.server1]\nhost = \"ssh://me@one\"\nbridge = \"br0\"\naddress = \"10.213.7.11\"",
        )
        .replace(
            "[servers.server2]",
            "[servers.server2]\nhost = \"ssh://me@two\"\nbridge = \"br0\"\naddress = \"10.213.7.12\"",
        );
    world.write("labs/small.toml", &text);
    for name in ["one", "two"] {
        fs::create_dir_all(world.path("there").join(name)).expect("made");
    }
    // What the computers tell of their network; nobody is asked who has an address.
    world.script("bash", "exit 0");
    world.script(
        "ip",
        "case \"$*\" in\n\
         *details*) echo '3: br0: <BROADCAST,UP> mtu 1500 qdisc noqueue state UP\\    bridge forward_delay 1500' ;;\n\
         *link*) printf '1: lo: <UP>\\n3: br0: <UP>\\n' ;;\n\
         *neigh*) cat \"$FAKE_STATE/neighbours\" 2>/dev/null ;;\n\
         esac",
    );
}

const UP: [&str; 5] = ["up", "small", "--yes", "--image", "caravan-machine:test"];

/// Where the lab lies on a computer.
const THERE: &str = ".local/share/caravan/small";

#[test]
fn projects_are_sent_for_their_owner_alone_and_only_once() {
    let world = World::new();
    spread(&world);
    // The machines never become ready: nobody plays them. What is sent before is what is looked at.
    world.write("state/refuse-masterone", "");
    world.write("state/refuse-etcdone", "");
    world.write("state/refuse-workerone", "");
    let ended = world.run(&UP);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for (name, files) in [
        (
            "one",
            &[
                "server1/Vagrantfile",
                "server1/machines/masterone.sh",
                "ssh/id_ecdsa",
                "ssh/id_ecdsa.pub",
            ][..],
        ),
        (
            "two",
            &[
                "server2/Vagrantfile",
                "server2/machines/etcdone.sh",
                "server2/machines/workerone.sh",
                "ssh/id_ecdsa",
                "ssh/id_ecdsa.pub",
            ],
        ),
    ] {
        let folder = world.path("there").join(name).join(THERE);
        let mode = fs::metadata(&folder).expect("sent").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        for file in files {
            let path = folder.join(file);
            let mode = fs::metadata(&path).expect(file).permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
            let here = world.path(".lab/small").join(file);
            assert_eq!(fs::read(path).expect("read"), fs::read(here).expect("read"));
        }
    }
    // Nobody gets what is another server's.
    assert!(!world.path("there/one").join(THERE).join("server2").exists());
    assert!(!world.path("there/two").join(THERE).join("server1").exists());
    assert!(
        ended.stderr.contains("sent to `ssh://me@one`: 4 files"),
        "{}",
        ended.stderr
    );
    let again = world.run(&UP);
    assert!(
        again
            .stderr
            .contains("sent to `ssh://me@one`: 0 files, 0 KiB"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_computer_that_does_not_answer_is_named_and_the_others_are_worked_on() {
    let world = World::new();
    spread(&world);
    world.write(
        "there/two/err",
        "ssh: connect to host two port 22: No route to host\n",
    );
    world.write("state/refuse-masterone", "");
    let ended = world.run(&UP);
    assert_eq!(ended.status, Some(1));
    assert!(
        world
            .path("there/one")
            .join(THERE)
            .join("server1/Vagrantfile")
            .exists()
    );
    // Alone, it is all that there is to say.
    let ended = world.run(&[&UP[..], &["--server", "server2"]].concat());
    expect![[r#"
        status 1
        --- stderr
        error: server `server2` on `ssh://me@two`: cannot get into `ssh://me@two` by ssh: ssh: connect to host two port 22: No route to host

        hint: `ssh ssh://me@two` shows more; what was done on the others stays, and the same command goes on from there
    "#]]
    .assert_eq(&shown(&ended));
    // Whoever halts or looks waits for it once.
    for (verb, status) in [("halt", 1), ("status", 3)] {
        world.calls();
        let ended = world.run(&[verb, "small"]);
        assert_eq!(ended.status, Some(status), "{verb}");
        let calls = world.calls();
        let asked = calls.lines().filter(|it| it.starts_with("ssh to two,"));
        assert_eq!(asked.count(), 4, "{verb}: {calls}");
    }
}

#[test]
fn nothing_is_sent_to_a_computer_with_another_host_key() {
    let world = World::new();
    spread(&world);
    for (said, text) in [
        (
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.\n",
            expect![[r#"
                status 1
                --- stderr
                error: server `server1` on `ssh://me@one`: the host key of `ssh://me@one` is another one than before: nothing was sent to it

                hint: if you have made it anew: `ssh-keygen -R one -f .lab/small/ssh/known_hosts`
            "#]],
        ),
        (
            "No ED25519 host key is known for one and you have requested strict checking.\nHost key verification failed.\n",
            expect![[r#"
                status 1
                --- stderr
                error: server `server1` on `ssh://me@one`: the host key of `ssh://me@one` is not known: nothing was sent to it

                hint: compare `ssh-keyscan` of it with what its administrator says, and add that line to .lab/small/ssh/known_hosts
            "#]],
        ),
    ] {
        world.write("there/one/err", said);
        let ended = world.run(&[&UP[..], &["--server", "server1"]].concat());
        text.assert_eq(&shown(&ended));
        assert!(!world.path("there/one/.local").exists());
    }
}

#[test]
fn a_lab_that_another_workspace_sent_is_left_alone() {
    let world = World::new();
    spread(&world);
    world.write(&format!("there/one/{THERE}/ssh/id_ecdsa"), "another key");
    let ended = world.run(&[&UP[..], &["--server", "server1"]].concat());
    assert_eq!(ended.status, Some(1));
    let folder = world.path("there/one").join(THERE);
    assert_eq!(
        fs::read_to_string(folder.join("ssh/id_ecdsa")).expect("read"),
        "another key"
    );
    assert!(!folder.join("server1").exists());
    assert!(
        ended
            .stderr
            .contains("a lab `small` was sent to `ssh://me@one` from another workspace"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_address_that_somebody_has_is_told_with_whom_before_anything_is_made() {
    let world = World::new();
    spread(&world);
    world.write(
        "state/neighbours",
        "10.213.7.51 lladdr 52:54:00:12:34:56 REACHABLE\n",
    );
    let ended = world.run(&[&UP[..], &["--server", "server1"]].concat());
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains(
            "error: `server1` on `ssh://me@one`: the address `10.213.7.51` of `masterone` is taken by `52:54:00:12:34:56`"
        ),
        "{}",
        ended.stderr
    );
    assert!(!world.path("there/one/.local").exists());
}

#[test]
fn a_computer_without_vagrant_is_told_what_it_needs() {
    let world = World::new();
    spread(&world);
    // The computer that plays it may have one.
    world.script("vagrant", "exit 127");
    let ended = world.run(&UP);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains(
            "error: `server1` on `ssh://me@one`: `vagrant` is not installed, or does not answer"
        ),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("`sudo apt install vagrant` there"),
        "{}",
        ended.stderr
    );
}

#[test]
fn virtualbox_is_driven_from_its_own_computer_and_an_archive_is_named() {
    let world = World::new();
    spread(&world);
    let ended = world.run(&[
        "up",
        "small",
        "--yes",
        "--image",
        "box",
        "--provider",
        "virtualbox",
    ]);
    expect![[r#"
        status 1
        --- stderr
        error: the machines of server `server2` run on `ssh://me@two`, not on this computer

        hint: `cargo xtask export small --server server2 small-server2.tar` makes one archive: carry it to `ssh://me@two`, and run `vagrant up` there as its README says; `--server` brings up another server's machines from here
    "#]]
    .assert_eq(&shown(&ended));
    assert!(!world.path("there/one/.local").exists());
}

#[test]
fn an_archive_has_a_servers_own_files_their_sums_and_what_to_do_with_them() {
    let world = World::new();
    let export = [
        "export",
        "small",
        "--server",
        "server2",
        "--image",
        "caravan-machine:test",
        "small-server2.tar",
    ];
    let ended = world.run(&export);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let mode = |path: &str| {
        let found = fs::metadata(world.path(path)).expect(path);
        found.permissions().mode() & 0o777
    };
    assert_eq!(mode("small-server2.tar"), 0o600);
    let shell = |script: &str| {
        let output = Program::at("/bin/sh")
            .call(["-c", script])
            .dir(world.path("."));
        output.run().expect("it succeeds").stdout
    };
    shell("tar -xf small-server2.tar && cd small-server2 && sha256sum --check --quiet SHA256SUMS");
    expect![[r#"
        README.md
        SHA256SUMS
        images/caravan-machine-test.tar
        images/caravan-machine-test.tar.sha256
        server2/Vagrantfile
        server2/machines/etcdone.sh
        server2/machines/workerone.sh
        ssh/id_ecdsa
        ssh/id_ecdsa.pub
    "#]]
    .assert_eq(&shell(
        "cd small-server2 && find . -type f | sed 's#^./##' | LC_ALL=C sort",
    ));
    for file in ["ssh/id_ecdsa", "server2/machines/etcdone.sh"] {
        assert_eq!(mode(&format!("small-server2/{file}")), 0o600, "{file}");
    }
    let readme = world.read("small-server2/README.md");
    for part in [
        "| etcdone | etcd | 10.213.7.61 | 1024 MiB | 1 |",
        "vagrant up etcdone workerone",
        "sudo apt install docker.io vagrant",
    ] {
        assert!(readme.contains(part), "{part} is not in {readme}");
    }
    // Nothing of other servers' machines, and nothing half where it cannot be written.
    assert!(!readme.contains("masterone"));
    let ended = world.run(&[&export[..6], &["nowhere/x.tar"]].concat());
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("cannot write `nowhere/x.tar`"),
        "{}",
        ended.stderr
    );
    let ended = world.run(&["export", "small", "--server", "server3", "x.tar"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.stderr.contains("did you mean `server2`?")
            || ended.stderr.contains("did you mean `server1`?"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_selection_of_which_nothing_is_left_is_not_the_whole_lab() {
    let world = World::new();
    world.is_up();
    for verb in ["halt", "destroy"] {
        let ended = world.run(&[verb, "small", "masterone", "--server", "server2"]);
        assert_eq!(ended.status, Some(2), "{}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("no such machine of lab `small` is known to be on server `server2`"),
            "{}",
            ended.stderr
        );
    }
    // Nor is a server of a lab of which nothing tells what is on it.
    fs::remove_file(world.path("labs/small.toml")).expect("removed");
    fs::remove_file(world.path(".lab/small/deployed/lab.toml")).expect("removed");
    let ended = world.run(&["destroy", "small", "--yes", "--server", "server2"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    for machine in ["etcdone", "masterone", "workerone"] {
        let state = world.read(&format!("state/containers/{machine}"));
        assert!(state.contains("running"), "{machine}: {state}");
    }
}

#[test]
fn machines_of_a_lab_that_another_workspace_sent_are_not_stopped_or_removed() {
    let world = World::new();
    spread(&world);
    world.write(&format!("there/one/{THERE}/ssh/id_ecdsa"), "another key");
    world.write(
        "state/containers/masterone",
        "small server1 running /elsewhere\n",
    );
    for words in [&["destroy", "small", "--yes"][..], &["halt", "small"]] {
        fs::create_dir_all(world.path(".lab/small")).expect("made");
        let ended = world.run(words);
        assert_eq!(ended.status, Some(1), "{}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("a lab `small` was sent to `ssh://me@one` from another workspace"),
            "{}",
            ended.stderr
        );
        assert!(world.read("state/containers/masterone").contains("running"));
        assert!(
            world
                .path("there/one")
                .join(THERE)
                .join("ssh/id_ecdsa")
                .exists()
        );
    }
}
