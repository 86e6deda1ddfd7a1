//! `checkpoint`: a lab that is halted is kept, changed and put back, by an engine whose containers are folders; what is
//! refused; and what else is refused while one is put back.

use std::fs;

use expect_test::expect;

use crate::world::{Ended, World, shown};

/// The parts of the lab's machines.
const PARTS: [&str; 4] = [
    "etcdone.root",
    "etcdone.etcd",
    "masterone.root",
    "workerone.root",
];

/// The lab's machines, and their servers.
const MACHINES: [(&str, &str); 3] = [
    ("etcdone", "server2"),
    ("masterone", "server1"),
    ("workerone", "server2"),
];

fn all_are(world: &World, state: &str) {
    for (machine, server) in MACHINES {
        world.has_machine(machine, server, state);
    }
}

/// A lab that is halted, whose machines have written `first`.
fn halted() -> World {
    let world = World::new();
    world.is_up();
    all_are(&world, "exited");
    world.has_volume("etcdone", "etcd");
    write(&world, "first");
    world.calls();
    world
}

/// What machines have written, and what of the lab's state fits to it.
fn write(world: &World, word: &str) {
    for part in PARTS {
        let folder = world.path(&format!("state/parts/{part}"));
        drop(fs::remove_dir_all(&folder));
        world.write(&format!("state/parts/{part}/etc/x"), word);
        world.write(&format!("state/parts/{part}/only-{word}"), "");
    }
    world.write(".lab/small/pki/x.key", word);
    world.write(".lab/small/verify.json", word);
}

/// Holds that all parts have what was written when `word` was, and nothing else.
fn assert_has(world: &World, word: &str) {
    for part in PARTS {
        let folder = world.path(&format!("state/parts/{part}"));
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("there")
            .map(|it| it.expect("read").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["etc", &format!("only-{word}")], "{part}");
        let text = world.read(&format!("state/parts/{part}/etc/x"));
        assert_eq!(text, word, "{part}");
    }
    assert_eq!(world.read(".lab/small/pki/x.key"), word);
}

fn ok(world: &World, args: &[&str]) -> Ended {
    let ended = world.run(args);
    assert_eq!(ended.status, Some(0), "{args:?}: {}", ended.stderr);
    ended
}

/// Runs the tool, which is killed after a step.
fn killed(world: &World, step: &str, args: &[&str]) {
    let call = world.call(args).env("CARAVAN_KILL_AFTER", step);
    let ended = call.output().expect("the tool starts");
    assert_eq!(ended.status, None, "{}", ended.stderr);
}

fn under_way(world: &World) -> bool {
    world.path(".lab/small/operation.json").exists()
}

#[test]
fn a_lab_is_kept_and_put_back() {
    let world = halted();
    let saved = ok(&world, &["checkpoint", "save", "small", "monday"]);
    assert_eq!(saved.stdout, ".lab/small/checkpoints/monday\n");
    assert!(
        saved
            .stderr
            .contains("checkpoint `monday` has all 3 machines of lab `small`"),
        "{}",
        saved.stderr
    );
    write(&world, "second");
    let restored = ok(
        &world,
        &["checkpoint", "restore", "small", "monday", "--yes"],
    );
    assert!(
        restored
            .stderr
            .contains("lab `small` is what it was in checkpoint `monday`"),
        "{}",
        restored.stderr
    );
    assert!(restored.stderr.contains("next: `cargo xtask up small`"));
    assert_has(&world, "first");
    assert_eq!(world.read(".lab/small/verify.json"), "second");
    assert!(!under_way(&world));
    // The way back.
    let listed = ok(&world, &["checkpoint", "list", "small", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(listed[0]["name"], "monday");
    assert_eq!(listed[0]["machines"][0]["parts"][0]["name"], "etcd");
    assert_eq!(listed[1]["automatic"], true);
    let before = listed[1]["name"].as_str().expect("a name");
    ok(&world, &["checkpoint", "restore", "small", before, "--yes"]);
    assert_has(&world, "second");
    // No Vagrant takes part.
    assert_eq!(world.calls(), "");
}

#[test]
fn a_runner_that_is_killed_is_gone_on_with_and_nobody_starts_machines_meanwhile() {
    for step in [
        "kept",
        "staged 2/3",
        "staged-on-all",
        "swapped 1/3",
        "swapped-on-all",
        "state-put-back",
    ] {
        let world = halted();
        ok(&world, &["checkpoint", "save", "small", "monday"]);
        write(&world, "second");
        killed(
            &world,
            step,
            &["checkpoint", "restore", "small", "monday", "--yes"],
        );
        assert!(under_way(&world), "{step}");
        let ended = world.run(&["status", "small"]);
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        assert!(
            ended
                .stdout
                .contains("`cargo xtask checkpoint restore small monday` goes on with it"),
            "{}",
            ended.stdout
        );
        for refused in [
            &["up", "small", "--yes"][..],
            &["up", "small", "etcdone", "--yes"],
            &["checkpoint", "save", "small"],
            &["checkpoint", "remove", "small", "monday", "--yes"],
            &["replace", "small", "workerone", "--yes"],
        ] {
            let ended = world.run(refused);
            assert_eq!(ended.status, Some(1), "{refused:?}");
            assert!(
                ended
                    .stderr
                    .contains("the restoration of `monday` has been under way"),
                "{refused:?}: {}",
                ended.stderr
            );
            assert!(
                ended
                    .stderr
                    .contains("`cargo xtask checkpoint restore small --give-up`"),
                "{refused:?}: {}",
                ended.stderr
            );
        }
        assert_eq!(world.calls(), "");
        // Nothing is asked: it was agreed to.
        ok(&world, &["checkpoint", "restore", "small"]);
        assert_has(&world, "first");
        assert!(!under_way(&world));
    }
}

#[test]
fn what_was_there_before_comes_back_as_long_as_not_all_have_what_was_saved() {
    let world = halted();
    ok(&world, &["checkpoint", "save", "small", "monday"]);
    write(&world, "second");
    let restore = ["checkpoint", "restore", "small", "monday", "--yes"];
    killed(&world, "swapped 2/3", &restore);
    ok(&world, &["checkpoint", "restore", "small", "--give-up"]);
    assert_has(&world, "second");
    assert!(!under_way(&world));
    killed(&world, "swapped-on-all", &restore);
    let ended = world.run(&["checkpoint", "restore", "small", "--give-up"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("there is no way back any more"),
        "{}",
        ended.stderr
    );
    ok(&world, &["checkpoint", "restore", "small"]);
    assert_has(&world, "first");
}

#[test]
fn a_dry_run_says_each_step() {
    let world = halted();
    ok(&world, &["checkpoint", "save", "small", "monday"]);
    for named in ["latest", "monday"] {
        let ended = world.run(&["checkpoint", "restore", "small", named, "--dry-run"]);
        expect![[r#"
            status 0
            --- stdout
             1. hold that checkpoint `monday` is whole and of lab `small` and its machine image, that no machine runs, and that there is room
             2. keep what is there now as a checkpoint of its own, `before-restore-TIME`
             3. put what `monday` has beside what is there, on all 3 machines, volumes included
             4. put it into its place, one machine after the other, and what is there aside
             5. put back the keys, choices and records of lab `small` that fit to it
             6. remove what was put aside
        "#]]
        .assert_eq(&shown(&ended));
    }
    assert!(!under_way(&world));
}

#[test]
fn a_lab_that_runs_is_refused() {
    let world = halted();
    ok(&world, &["checkpoint", "save", "small", "monday"]);
    world.has_machine("masterone", "server1", "running");
    for asked in [
        &["checkpoint", "save", "small"][..],
        &["checkpoint", "restore", "small", "monday", "--yes"],
    ] {
        let ended = world.run(asked);
        expect![[r#"
            status 1
            --- stderr
            error: a checkpoint is of a lab that is halted, and of lab `small` these are not: masterone (running)

            hint: `cargo xtask halt small`, then run the same command again
        "#]]
        .assert_eq(&shown(&ended));
    }
    fs::remove_file(world.path("state/containers/masterone")).expect("removed");
    let ended = world.run(&["checkpoint", "save", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: a checkpoint is of all machines of lab `small`, and `masterone` is not there

        hint: `cargo xtask up small` makes them anew, and `cargo xtask halt small` halts them; then run the same command again
    "#]]
    .assert_eq(&shown(&ended));
    assert!(!under_way(&world));
}

#[test]
fn machines_whose_disks_are_nobody_elses_are_refused() {
    let world = World::new();
    world.is_up();
    all_are(&world, "exited");
    // Of these the engine does not say where it keeps what they have written.
    let ended = world.run(&["checkpoint", "save", "small"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended
            .stderr
            .contains("the container engine does not say where it keeps"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("etcd snapshot"), "{}", ended.stderr);

    let world = World::new();
    world.is_elsewhere();
    let ended = world.run(&["checkpoint", "save", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: a checkpoint is made of machines on this computer, and those of server `server1` of lab `small` are on `ssh://me@other`

        hint: `cargo xtask up small`, then `cargo xtask etcd snapshot small` keeps what etcd has, wherever its machines are
    "#]]
    .assert_eq(&shown(&ended));

    let world = World::new();
    ok(
        &world,
        &[
            "plan",
            "small",
            "--write",
            "--provider",
            "virtualbox",
            "--image",
            "box",
        ],
    );
    let ended = world.run(&["checkpoint", "save", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: a checkpoint is made of containers, and the disks of the machines of server `server1` of lab `small` are virtualbox's

        hint: `cd .lab/small/server1 && vagrant snapshot save NAME` has VirtualBox keep the disks of that server; `cargo xtask up small`, then `cargo xtask etcd snapshot small` keeps what etcd has
    "#]]
    .assert_eq(&shown(&ended));
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let world = World::new();
    let ended = world.run(&["checkpoint", "save", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: lab `small` was never brought up from this workspace

        hint: `cargo xtask up small` makes it
    "#]]
    .assert_eq(&shown(&ended));
    let world = halted();
    let ended = world.run(&["checkpoint", "restore", "small", "monday", "--yes"]);
    expect![[r#"
        status 2
        --- stderr
        error: lab `small` has no checkpoint `monday`

        hint: `cargo xtask halt small`, then `cargo xtask checkpoint save small` makes one
    "#]]
    .assert_eq(&shown(&ended));
    let ended = world.run(&["checkpoint", "restore", "small"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    let ended = world.run(&["checkpoint", "save", "small", "../x"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    // A byte is another one.
    ok(&world, &["checkpoint", "save", "small", "monday"]);
    let file = world.path(".lab/small/checkpoints/monday/etcdone.etcd.tar");
    let mut content = fs::read(&file).expect("read");
    content[600] ^= 1;
    fs::write(&file, content).expect("written");
    let ended = world.run(&["checkpoint", "restore", "small", "monday", "--yes"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended
            .stderr
            .contains("its file `etcdone.etcd.tar` has another SHA-256"),
        "{}",
        ended.stderr
    );
    assert_has(&world, "first");
    assert!(!under_way(&world));
}

#[test]
fn they_are_listed_removed_and_go_with_the_lab() {
    let world = halted();
    let ended = ok(&world, &["checkpoint", "list"]);
    assert!(ended.stderr.contains("no checkpoints"), "{}", ended.stderr);
    let ended = world.run(&["checkpoint", "list", "smal"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    ok(&world, &["checkpoint", "save", "small", "monday"]);
    ok(&world, &["checkpoint", "save", "small"]);
    let ended = ok(&world, &["checkpoint", "list"]);
    assert!(ended.stdout.contains("monday"), "{}", ended.stdout);
    let ended = world.run(&["checkpoint", "save", "small", "monday"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    let ended = world.run(&["checkpoint", "remove", "small", "monday"]);
    assert_eq!(ended.status, Some(1), "nobody can be asked");
    ok(
        &world,
        &["checkpoint", "remove", "small", "monday", "--yes"],
    );
    assert!(!world.path(".lab/small/checkpoints/monday").exists());
    ok(&world, &["destroy", "small", "--yes"]);
    assert!(!world.path(".lab").exists());
}
