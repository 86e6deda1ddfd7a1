//! `replace`: what it says beforehand, what it refuses, and what else is refused while it is under way. What it does is run
//! on real machines.

use expect_test::expect;

use crate::world::{World, shown};

/// As `replace small etcdone` leaves it when it is cut off before it has removed the machine.
fn under_way() -> World {
    let world = World::new();
    world.is_up();
    world.write(
        ".lab/small/ssh/known_hosts",
        "10.213.7.61 ecdsa-sha2-nistp256 AAAA\n",
    );
    world.write(
        ".lab/small/operation.json",
        r#"{"verb":"replace","machine":"etcdone","host_keys":["10.213.7.61 ecdsa-sha2-nistp256 AAAA"],"since":"2026-11-21T12:00:00Z"}"#,
    );
    world.calls();
    world
}

#[test]
fn a_dry_run_says_each_step() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["replace", "small", "etcdone", "--dry-run"]);
    expect![[r#"
        status 0
        --- stdout
         1. hold that all members but `etcdone` have been well for 5 s, hold the same data, and have no alarm
         2. take a snapshot of what etcd has
         3. hand etcd's lead over to another member, if `etcdone` has it
         4. remove `etcdone` from etcd's members
         5. destroy machine `etcdone` with its data, and forget its host key
         6. `etcdone` adds itself to etcd as a learner, without a vote
         7. it copies the data from the leader
         8. it is given its vote once it has caught up
         9. make `etcdone` anew at 10.213.7.61, and wait until it is ready
        10. hold that lab `small` is whole, and verify it
    "#]]
    .assert_eq(&shown(&ended));
    world.has_machine("workerone", "server2", "exited");
    let ended = world.run(&["replace", "small", "workerone", "--dry-run"]);
    expect![[r#"
        status 0
        --- stdout
         1. hold that the API answers
         2. destroy machine `workerone` with its data, and forget its host key
         3. make `workerone` anew at 10.213.7.71, and wait until it is ready
         4. hold that lab `small` is whole, and verify it
    "#]]
    .assert_eq(&shown(&ended));
    assert!(!world.path(".lab/small/operation.json").exists());
}

#[test]
fn it_needs_a_machine_of_a_lab_that_was_made() {
    let world = World::new();
    let ended = world.run(&["replace", "small", "etcdone", "--yes"]);
    expect![[r#"
        status 1
        --- stderr
        error: lab `small` was never brought up from this workspace

        hint: `cargo xtask up small` makes it
    "#]]
    .assert_eq(&shown(&ended));
    world.is_up();
    let ended = world.run(&["replace", "small", "etcdon", "--yes"]);
    expect![[r#"
        status 2
        --- stderr
        error: lab `small` has no machine `etcdon`

        hint: did you mean `etcdone`?
    "#]]
    .assert_eq(&shown(&ended));
}

#[test]
fn nobody_is_dialled_where_the_labs_network_is_not() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["replace", "small", "etcdone", "--yes"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended
            .stderr
            .contains("no network of this computer has `10.213.7.0/24`"),
        "{}",
        ended.stderr
    );
    assert!(!world.path(".lab/small/operation.json").exists());
}

#[test]
fn another_operation_is_refused_meanwhile() {
    let world = under_way();
    let ended = world.run(&["replace", "small", "masterone", "--dry-run"]);
    expect![[r#"
        status 1
        --- stderr
        error: the replacement of `etcdone` has been under way in lab `small` since 2026-11-21T12:00:00Z

        hint: `cargo xtask replace small etcdone` goes on with it; `cargo xtask up small MACHINE...` starts others that are halted
    "#]]
    .assert_eq(&shown(&ended));
}

#[test]
fn up_does_not_start_a_machine_that_is_to_go() {
    let world = under_way();
    world.has_machine("etcdone", "server2", "exited");
    for asked in [&["up", "small"][..], &["up", "small", "etcdone"]] {
        let ended = world.run(asked);
        assert_eq!(ended.status, Some(1));
        assert!(
            ended
                .stderr
                .contains("the replacement of `etcdone` has been under way"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(world.calls(), "");
    // Others may be needed for going on.
    world.has_machine("workerone", "server2", "exited");
    world.run(&["up", "small", "workerone", "--yes"]);
    let calls = world.calls();
    assert!(calls.contains("vagrant up"), "{calls}");
    assert!(world.path(".lab/small/operation.json").exists());
}

#[test]
fn status_tells_what_is_under_way_and_what_goes_on_with_it() {
    let world = under_way();
    world.assert_under_way(
        "the replacement of `etcdone` has been under way in lab `small` since 2026-11-21T12:00:00Z: `cargo xtask replace \
         small etcdone` goes on with it",
    );
}

#[test]
fn a_machine_that_is_gone_is_made_again() {
    let world = under_way();
    std::fs::remove_file(world.path("state/containers/etcdone")).expect("removed");
    let ended = world.run(&["replace", "small", "etcdone", "--dry-run"]);
    assert!(
        ended
            .stdout
            .contains(" 2. take a snapshot of what etcd has\n 3. remove `etcdone` from etcd's members\n 4. `etcdone` adds itself"),
        "{}",
        ended.stdout
    );
    // Made anew meanwhile: its host key is another one.
    world.has_machine("etcdone", "server2", "running");
    world.write(
        ".lab/small/ssh/known_hosts",
        "10.213.7.61 ecdsa-sha2-nistp256 BBBB\n",
    );
    let ended = world.run(&["replace", "small", "etcdone", "--dry-run"]);
    assert!(
        ended.stdout.starts_with(" 1. `etcdone` adds itself"),
        "{}",
        ended.stdout
    );
}
