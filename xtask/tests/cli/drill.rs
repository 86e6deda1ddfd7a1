//! `drill`: which there are, what is refused, and that what was left broken is mended. What they measure is run on real
//! machines.

use expect_test::expect;

use crate::world::{World, shown};

#[test]
fn all_drills_are_listed() {
    let ended = World::new().run(&["drill", "--list"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for word in ["lb-process", "vrrp-forged", "etcd-leader", "power"] {
        assert!(ended.stdout.contains(word), "{}", ended.stdout);
    }
}

#[test]
fn a_drill_that_is_none_is_refused() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["drill", "small", "etcd-leeder"]);
    expect![[r#"
        status 2
        --- stderr
        error: there is no drill `etcd-leeder`: there are lb-process, lb-keepalived, lb-machine, lb-partition, vip-flap, vrrp-forged, master, master-etcd-partition, etcd-follower, etcd-leader, slow-disk, slow-net, worker, etcd-quorum, server, power

        hint: did you mean `etcd-leader`? `cargo xtask drill --list` shows all drills
    "#]]
    .assert_eq(&shown(&ended));
}

#[test]
fn a_dry_run_breaks_nothing() {
    let world = World::new();
    world.is_up();
    world.calls();
    let ended = world.run(&["drill", "small", "all", "--dry-run"]);
    expect![[r#"
        status 0
        --- stdout
        worker:crash: a worker is crashed, for 8 s
        etcd-quorum:crash: so many etcd members that no majority is left is crashed, for 20 s
        power:crash: all machines is crashed, for 5 s
    "#]]
    .assert_eq(&shown(&ended));
    assert_eq!(world.calls(), "");
}

#[test]
fn nobody_is_dialled_where_the_labs_network_is_not() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["drill", "small", "worker"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended
            .stderr
            .contains("no network of this computer has `10.213.7.0/24`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_cannot_be_watched_is_refused_before_anything_is_broken() {
    let world = World::new();
    world.is_up();
    world.calls();
    let ended = world.run(&["drill", "small", "worker", "--watch", "web"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("it is neither a Service, such as `default/web`"),
        "{}",
        ended.stderr
    );
    let ended = world.run(&["drill", "small", "worker", "--watch", "http://192.0.2.7/"]);
    expect![[r#"
        status 2
        --- stderr
        error: cannot watch `http://192.0.2.7/`: 192.0.2.7 is no address of the lab, which has 10.213.7.0/24

        hint: only the lab's own addresses are asked
    "#]]
    .assert_eq(&shown(&ended));
    let ended = world.run(&[
        "drill",
        "small",
        "worker",
        "--watch",
        "shop/web",
        "--dry-run",
    ]);
    expect![[r#"
        status 0
        --- stdout
        worker:crash: a worker is crashed, for 8 s
        `shop/web` is asked meanwhile
    "#]]
    .assert_eq(&shown(&ended));
    assert_eq!(world.calls(), "");
}

#[test]
fn what_a_killed_runner_left_broken_is_told_and_mended() {
    let world = World::new();
    world.is_up();
    world.has_machine("etcdone", "server2", "paused");
    world.has_machine("workerone", "server2", "exited");
    world.has_machine("masterone", "server1", "exited");
    world.write(
        ".lab/small/operation.json",
        r#"{"verb":"drill","machine":"etcd-quorum:freeze","host_keys":[],"machines":["etcdone","masterone"],"since":"2026-11-21T12:00:00Z"}"#,
    );
    let ended = world.run(&["status", "small"]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(
        ended.stdout.contains(
            "the drill of `etcd-quorum:freeze` has been under way in lab `small` since 2026-11-21T12:00:00Z: `cargo xtask drill \
             small etcd-quorum:freeze` goes on with it"
        ),
        "{}",
        ended.stdout
    );
    let ended = world.run(&["up", "small", "--yes"]);
    assert!(
        ended.stderr.contains(
            "drill `etcd-quorum:freeze` was cut off; what it broke is mended: etcdone, masterone started again"
        ),
        "{}",
        ended.stderr
    );
    assert_eq!(world.engine_calls("unpause"), "docker unpause id-etcdone\n");
    assert_eq!(
        world.engine_calls("start"),
        // The worker was halted by somebody, and is started by `up` in its own way.
        "docker start id-masterone\n"
    );
    assert!(!world.path(".lab/small/operation.json").exists());
}

#[test]
fn a_machine_that_is_halted_meanwhile_is_not_started_again() {
    let world = World::new();
    world.is_up();
    world.has_machine("etcdone", "server2", "exited");
    world.write(
        ".lab/small/operation.json",
        r#"{"verb":"drill","machine":"power:crash","host_keys":[],"machines":["etcdone","masterone","workerone"],"since":"2026-11-21T12:00:00Z"}"#,
    );
    let ended = world.run(&["halt", "small", "workerone", "etcdone"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        world
            .read(".lab/small/operation.json")
            .contains("masterone")
    );
    world.has_machine("workerone", "server2", "exited");
    world.has_machine("masterone", "server1", "exited");
    let ended = world.run(&["up", "small", "masterone", "--yes"]);
    assert!(
        ended.stderr.contains(
            "drill `power:crash` was cut off; what it broke is mended: masterone started again"
        ),
        "{}",
        ended.stderr
    );
    assert_eq!(world.engine_calls("start"), "docker start id-masterone\n");
}

#[test]
fn figures_are_computed_again_from_the_records_alone() {
    let world = World::new();
    world.write(
        "drill.jsonl",
        r#"{"record":"drill","lab":"ha","drill":"worker:crash","began":"2026-11-29T12:00:00Z","versions":[],"host":"a computer","deadline":1000000,"warm":0,"periods":[20000,50000],"budgets":[["reads",200]],"failed_percent":null,"back_ms":null}
{"record":"request","client":"reads","scheduled":0,"sent":100,"ended":3000,"outcome":"ok"}
{"record":"request","client":"reads","scheduled":20000,"sent":20100,"ended":23000,"outcome":{"unknown":"no answer in time"}}
{"record":"request","client":"reads","scheduled":400000,"sent":400100,"ended":403000,"outcome":"ok"}
{"record":"fault","fault":"workerone crashed","how":"kill","sent":10000,"confirmed":15000,"repair_sent":300000,"healed":350000,"evidence":"workerone exited"}
{"record":"final","member":"etcdone","created":[],"chain":0,"hash":[7,9]}
{"record":"end","at":500000}
"#,
    );
    let ended = world.run(&["drill", "--judge", "drill.jsonl"]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("reads, new connections: away for up to 400 ms, where 200 ms are allowed"),
        "{}",
        ended.stdout
    );
    // A Service of the user's own has a row, and no budget but the lab file's.
    let watched = r#"{"record":"request","client":{"watched":"shop/web"},"scheduled":20000,"sent":20100,"ended":23000,"outcome":{"failed":"refused"}}"#;
    let fault = r#"{"record":"fault""#;
    let text = world.read("drill.jsonl");
    world.write(
        "watched.jsonl",
        &text
            .replace(fault, &format!("{watched}\n{fault}"))
            .replace(r#"["reads",200]"#, r#"["reads",500]"#),
    );
    let ended = world.run(&["drill", "--judge", "watched.jsonl"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("watched shop/web"),
        "{}",
        ended.stdout
    );
    let text = world.read("drill.jsonl");
    let cut = text
        .trim_end()
        .rsplit_once('\n')
        .expect("lines")
        .0
        .to_owned();
    world.write("drill.jsonl", &cut);
    let ended = world.run(&["drill", "--judge", "drill.jsonl"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("cannot read `drill.jsonl`"),
        "{}",
        ended.stderr
    );
}
