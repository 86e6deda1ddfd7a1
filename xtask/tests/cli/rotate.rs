//! `certs rotate`: what it says beforehand, what it refuses, and what else is refused while it is under way. What it does is
//! run on real machines.

use expect_test::expect;

use crate::world::{World, shown};

/// A lab that is up.
fn made() -> World {
    let world = World::new();
    world.is_up();
    world.calls();
    world
}

/// As `certs rotate` leaves it that is cut off at once.
fn under_way() -> World {
    let world = made();
    world.write(
        ".lab/small/operation.json",
        r#"{"verb":"certs rotate","machine":"etcd-ca","host_keys":[],"since":"2026-11-21T12:30:00Z"}"#,
    );
    world
}

#[test]
fn a_dry_run_says_each_step() {
    let world = made();
    let ended = world.run(&["certs", "rotate", "small", "etcd-ca", "--dry-run"]);
    expect![[r#"
        status 0
        --- stdout
         1. hold that all machines run, and that API servers and etcd are well; take a snapshot; make a client of the old etcd-ca, which is to be refused in the end
         2. make the new etcd-ca; the old one signs
         3. one after the other, etcdone, then masterone trust both: what reads that once is started anew, and servers let in a client of the new one
         4. have the new etcd-ca sign, and make anew what the old one signed
         5. one after the other, etcdone, then masterone get what is signed anew, and servers show it to a new connection
         6. forget the old etcd-ca in the store
         7. one after the other, etcdone, then masterone trust the new one alone: what reads that once is started anew, and servers refuse the client of the old one
         8. hold once more that etcdone go by the new etcd-ca, and refuse the old one's client
    "#]].assert_eq(&shown(&ended));
    assert!(!world.path(".lab/small/operation.json").exists());
    assert!(!world.path(".lab/small/retiring.pem").exists());
}

#[test]
fn the_key_of_tokens_is_rotated_in_the_same_stages() {
    let world = made();
    let ended = world.run(&["certs", "rotate", "small", "sa", "--dry-run"]);
    expect![[r#"
        status 0
        --- stdout
         1. hold that all machines run, and that API servers and etcd are well; take a snapshot; make a token of the old sa, which is to be refused in the end
         2. make the new sa; the old one signs
         3. one after the other, masterone trust both: what reads that once is started anew, and servers publish that they verify by both
         4. have the new sa sign
         5. one after the other, masterone sign with the new one, which a token that they are asked for shows
         6. have tokens made anew: those of Secrets, and by each kubelet, which is started anew, those of its pods; start the cluster's own add-ons anew, and wait until pods have read theirs, as they do each minute
         7. forget the old sa in the store
         8. one after the other, masterone trust the new one alone: what reads that once is started anew, and servers refuse the token of the old one
         9. hold once more that masterone go by the new sa, and refuse the old one's token
    "#]].assert_eq(&shown(&ended));
}

#[test]
fn it_is_something_that_signs_that_is_rotated() {
    let world = made();
    let ended = world.run(&["certs", "rotate", "small", "etcd", "--yes"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("etcd-ca"), "{}", ended.stderr);
    let ended = World::new().run(&["certs", "rotate", "small", "etcd-ca"]);
    expect![[r#"
        status 1
        --- stderr
        error: lab `small` was never brought up from this workspace

        hint: `cargo xtask up small` makes it
    "#]]
    .assert_eq(&shown(&ended));
}

#[test]
fn nobody_is_dialled_where_the_labs_network_is_not() {
    let world = made();
    let ended = world.run(&["certs", "rotate", "small", "etcd-ca", "--yes"]);
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
fn what_tells_the_authorities_apart_must_be_there() {
    let ended = under_way().run(&["certs", "rotate", "small", "etcd-ca", "--yes"]);
    expect![[r#"
        status 1
        --- stderr
        error: `.lab/small/retiring.pem` is gone, which tells what signed in lab `small` before the rotation from what is to sign after it

        hint: put the file back, or, where both are trusted alike, `rm .lab/small/operation.json` gives the rotation up, and `cargo xtask certs rotate small SIGNER` begins another one
    "#]].assert_eq(&shown(&ended));
}

#[test]
fn other_operations_are_refused_meanwhile() {
    let world = under_way();
    for asked in [
        &["replace", "small", "workerone", "--yes"][..],
        &["etcd", "restore", "small", "latest", "--yes"],
        &["up", "small", "--yes"],
    ] {
        let ended = world.run(asked);
        assert_eq!(ended.status, Some(1), "{asked:?}");
        assert!(
            ended
                .stderr
                .contains("the rotation of `etcd-ca` has been under way"),
            "{asked:?}: {}",
            ended.stderr
        );
    }
    assert!(world.path(".lab/small/operation.json").exists());
    let world = made();
    world.assert_refused_beside_a_replacement(&[
        "certs",
        "rotate",
        "small",
        "etcd-ca",
        "--dry-run",
    ]);
}

#[test]
fn status_tells_what_is_under_way_and_what_goes_on_with_it() {
    let world = under_way();
    world.assert_under_way("`cargo xtask certs rotate small etcd-ca` goes on with it");
}
