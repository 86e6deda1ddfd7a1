//! `etcd`: what it says beforehand, what it refuses, and what else is refused while a snapshot is being restored. What it does
//! is run on real machines.

use expect_test::expect;

use crate::world::{World, shown};

/// A lab that is up, with a snapshot; its content matters to nobody here.
fn with_snapshot() -> World {
    let world = World::new();
    world.is_up();
    world.write(".lab/small/snapshots/small-20261121T120000Z-4711.db", "");
    world.write(
        ".lab/small/snapshots/small-20261121T120000Z-4711.json",
        r#"{"lab":"small","taken":"2026-11-21T12:00:00Z","reason":"asked for","member":"etcdone","confirmed":4711,"revision":4711,"keys":9,"bytes":0,"sha256":"cafe","cluster_id":"7f","versions":{},"authorities":{}}"#,
    );
    world.calls();
    world
}

/// As a restoration leaves it that is cut off before anything is in its place.
fn under_way() -> World {
    let world = with_snapshot();
    world.write(
        ".lab/small/operation.json",
        r#"{"verb":"etcd restore","machine":"small-20261121T120000Z-4711","host_keys":[],"since":"2026-11-21T12:30:00Z","restore":{"sha256":"cafe","token_sha256":"beef","bump":1000000000,"other_authorities":false}}"#,
    );
    world
}

#[test]
fn a_dry_run_says_each_step() {
    let world = with_snapshot();
    for named in ["latest", "small-20261121T120000Z-4711"] {
        let ended = world.run(&["etcd", "restore", "small", named, "--dry-run"]);
        expect![[r#"
            status 0
            --- stdout
             1. hold that snapshot `small-20261121T120000Z-4711` is whole and of this lab, and that etcdone have room for it; take a snapshot of what is there now
             2. stop the control planes of masterone
             3. stop etcd on etcdone, and keep it from starting
             4. make data of revision 4711 beside the old on each of them, for a cluster with another token
             5. put it into its place on each of them, one after the other
             6. start etcd on all of them, and wait for a majority
             7. start the control planes of masterone, and all kubelets anew, and wait until the API answers
             8. put right what the cluster says of itself, and wait until lab `small` is whole
        "#]]
        .assert_eq(&shown(&ended));
    }
    assert!(!world.path(".lab/small/operation.json").exists());
}

#[test]
fn a_snapshot_that_is_none_is_refused() {
    let world = with_snapshot();
    let ended = world.run(&["etcd", "restore", "small", "small-2026", "--yes"]);
    expect![[r#"
        status 2
        --- stderr
        error: lab `small` has no snapshot `small-2026`, and there is no file of that name

        hint: the newest is `small-20261121T120000Z-4711`; `cargo xtask etcd status small` lists them
    "#]]
    .assert_eq(&shown(&ended));
    // A file without what tells of it.
    world.write("bare.db", "data");
    let ended = world.run(&["etcd", "restore", "small", "bare.db", "--yes"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("cannot read `bare.json`"),
        "{}",
        ended.stderr
    );
    let ended = world.run(&["etcd", "restore", "small"]);
    expect![[r#"
        status 2
        --- stderr
        error: no snapshot is being restored in lab `small`

        hint: `cargo xtask etcd restore small SNAPSHOT` begins; `cargo xtask etcd status small` lists snapshots
    "#]]
    .assert_eq(&shown(&ended));
}

#[test]
fn nobody_is_dialled_where_the_labs_network_is_not() {
    let world = with_snapshot();
    for asked in [
        &["etcd", "status", "small"][..],
        &["etcd", "snapshot", "small"],
        &["etcd", "defrag", "small"],
        &["etcd", "restore", "small", "latest", "--yes"],
    ] {
        let ended = world.run(asked);
        assert_eq!(ended.status, Some(1), "{asked:?}");
        assert!(
            ended
                .stderr
                .contains("no network of this computer has `10.213.7.0/24`"),
            "{asked:?}: {}",
            ended.stderr
        );
    }
    assert!(!world.path(".lab/small/operation.json").exists());
}

#[test]
fn a_lab_that_was_never_made_has_no_etcd() {
    let ended = World::new().run(&["etcd", "snapshot", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: lab `small` was never brought up from this workspace

        hint: `cargo xtask up small` makes it
    "#]]
    .assert_eq(&shown(&ended));
}

#[test]
fn up_starts_nothing_of_a_lab_that_is_being_restored_but_what_is_named() {
    let world = under_way();
    world.has_machine("etcdone", "server2", "exited");
    let ended = world.run(&["up", "small", "--yes"]);
    expect![[r#"
        status 1
        --- stderr
        error: the restoration of `small-20261121T120000Z-4711` has been under way in lab `small` since 2026-11-21T12:30:00Z

        hint: `cargo xtask etcd restore small small-20261121T120000Z-4711` goes on with it; `cargo xtask up small MACHINE...` starts others that are halted
    "#]]
    .assert_eq(&shown(&ended));
    assert_eq!(world.calls(), "");
    // etcd does not start there before all members have the restored data.
    world.run(&["up", "small", "etcdone", "--yes"]);
    let calls = world.calls();
    assert!(calls.contains("vagrant up"), "{calls}");
    assert!(world.path(".lab/small/operation.json").exists());
}

#[test]
fn other_operations_are_refused_meanwhile() {
    let world = under_way();
    for asked in [
        &["replace", "small", "workerone", "--yes"][..],
        &["replace", "small", "etcdone", "--dry-run"],
    ] {
        let ended = world.run(asked);
        assert_eq!(ended.status, Some(1));
        assert!(
            ended
                .stderr
                .contains("the restoration of `small-20261121T120000Z-4711` has been under way"),
            "{}",
            ended.stderr
        );
    }
    let world = with_snapshot();
    world.assert_refused_beside_a_replacement(&["etcd", "restore", "small", "latest", "--dry-run"]);
}

#[test]
fn status_tells_what_is_under_way_and_what_goes_on_with_it() {
    let world = under_way();
    world.assert_under_way(
        "`cargo xtask etcd restore small small-20261121T120000Z-4711` goes on with it",
    );
}
