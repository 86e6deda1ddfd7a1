//! A bad day on one `ha` lab: machines are replaced, the runner is killed in the middle, and drills break one thing after the
//! other. What is seldom broken, and what takes long, is a story of its own, which runs with `CARAVAN_LONG=1`.
//!
//! `CARAVAN_LONG=1 cargo test -p caravan-e2e --test day_two -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::time::Instant;

use caravan_cluster::drill::judge::{DrillResult, DrillVerdict};
use caravan_cluster::drill::record::ClientName;
use caravan_cluster::status::LabStatus;
use caravan_e2e::{
    Asker, Tool, Writer, assert_verified, bundled_kubectl, docker, on_a_clean_host, runs_long,
};

const LAB: &str = "ha";

/// What a killed program exits with: none, as a signal ended it.
const KILLED: Option<i32> = None;

fn container(machine: &str) -> String {
    format!("caravan-{LAB}-{machine}")
}

fn status(tool: &Tool) -> LabStatus {
    tool.run(&["status", LAB, "--json"]).read()
}

/// Tells how long a part of the story took.
fn timed<T>(what: &str, part: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = part();
    println!("TIME {what}: {:.0} s", began.elapsed().as_secs_f32());
    done
}

/// Replaces a machine, killing the runner after `step`; it is told what is under way then.
fn replace_until(tool: &Tool, machine: &str, step: &str) {
    let killed = tool.with_env("CARAVAN_KILL_AFTER", step.as_ref());
    let ended = killed.run(&["replace", LAB, machine, "--yes"]);
    assert_eq!(ended.status, KILLED, "killed after `{step}`");
    let said = tool.run(&["status", LAB]);
    assert_eq!(said.status, Some(3));
    let command = format!("`cargo xtask replace {LAB} {machine}` goes on with it");
    assert!(said.stdout.contains(&command), "{}", said.stdout);
}

/// Replaces a machine, killing the runner after each of `steps`, and goes on with the same command each time.
fn replace_killed(tool: &Tool, machine: &str, steps: &[&str]) {
    for step in steps {
        replace_until(tool, machine, step);
    }
    replace(tool, machine);
}

/// Replaces a machine, or goes on with that, to its end.
fn replace(tool: &Tool, machine: &str) {
    let ended = tool.ok(&["replace", LAB, machine, "--yes"]);
    assert!(
        ended.stderr.contains("clients meanwhile: ") && ended.stderr.contains("none lost"),
        "{}",
        ended.stderr
    );
    assert!(!tool.state(LAB).join("operation.json").exists());
}

/// Holds that a lab that cannot do without a machine keeps it.
fn assert_refused(tool: &Tool) {
    tool.ok(&["halt", LAB, "etcdthree"]);
    let ended = tool.run(&["replace", LAB, "etcdtwo", "--yes"]);
    assert_eq!(ended.status, Some(1));
    for words in [
        "`etcdtwo` cannot be replaced: `etcdthree` is down too",
        "removing one would leave 1 of 2",
        "`cargo xtask up ha etcdthree` starts it again",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert!(!tool.state(LAB).join("operation.json").exists());
    assert_eq!(healthy_members(tool), 2, "nothing was changed");
    tool.ok(&["up", LAB, "--yes"]);
}

/// The one machine that has the virtual address.
fn owner(tool: &Tool) -> String {
    let owners = status(tool).vip.expect("a virtual address").owners;
    assert_eq!(owners.len(), 1, "{owners:?}");
    owners[0].clone()
}

fn healthy_members(tool: &Tool) -> usize {
    let members = status(tool).etcd.members;
    members.iter().filter(|member| member.healthy).count()
}

/// Holds that the lab takes writes while a new member is stuck: it has no vote, and the others go on.
fn assert_writes_go_on(tool: &Tool, name: &str) {
    let kubeconfig = tool.state(LAB).join("kubeconfig");
    bundled_kubectl(tool)
        .call(["create", "configmap", name])
        .env("KUBECONFIG", &kubeconfig)
        .run()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(healthy_members(tool), 2);
}

/// Where a machine's units are told more. A mask would not hold: it has to lie where etcd's own unit does.
const NEVER: &str = "/run/systemd/system/etcd.service.d/never.conf";

/// A new member whose etcd never starts, until somebody lets it.
fn a_member_that_does_not_start(tool: &Tool, machine: &str) {
    replace_until(tool, machine, "added");
    let on = |script: &str| docker(&["exec", &container(machine), "sh", "-ec", script]);
    on(&format!(
        "file={NEVER}; mkdir -p ${{file%/*}}; printf '[Unit]\nConditionPathExists=/never\n' >$file; systemctl daemon-reload; systemctl stop etcd"
    ));
    assert_writes_go_on(tool, "while-a-member-does-not-start");
    assert_eq!(tool.run(&["status", LAB]).status, Some(3));
    on(&format!("rm {NEVER} && systemctl daemon-reload"));
    replace(tool, machine);
}

/// A new member whose disk is full, until somebody makes room.
fn a_member_without_room(tool: &Tool, machine: &str) {
    let volume = format!("caravan.{LAB}.{machine}.etcd");
    let labels = docker(&["volume", "inspect", "--format", "{{json .Labels}}", &volume]);
    let labels: BTreeMap<String, String> = serde_json::from_str(&labels).expect("labels");
    replace_until(tool, machine, "destroyed");
    // What it writes its data to is there before it is, and holds next to nothing.
    let labels: Vec<String> = (labels.iter())
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    let mut create = vec![
        "volume",
        "create",
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
    ];
    create.extend(["--opt", "o=size=1m"]);
    create.extend(labels.iter().flat_map(|label| ["--label", label]));
    create.push(&volume);
    docker(&create);
    replace_until(tool, machine, "added");
    std::thread::sleep(std::time::Duration::from_secs(15));
    assert_writes_go_on(tool, "while-a-member-has-no-room");
    docker(&[
        "exec",
        &container(machine),
        "mount",
        "-o",
        "remount,size=512m",
        "/var/lib/etcd",
    ]);
    replace(tool, machine);
    // The next one is to have a disk again.
    replace(tool, machine);
}

fn drill(tool: &Tool, names: &[&str]) -> Vec<DrillResult> {
    let ended = tool.run(&[&["drill", LAB, "--json"], names].concat());
    let results: Vec<DrillResult> = ended.read();
    for result in &results {
        println!(
            "TIME {}: {:?} {:?}; reads away {} ms, creates {} ms",
            result.drill,
            result.verdict,
            result.reasons,
            away(result, &ClientName::Reads),
            away(result, &ClientName::Creates)
        );
        if result.verdict == DrillVerdict::Refused {
            assert!(result.drill.starts_with("slow-"), "{result:#?}");
            continue;
        }
        // How long something takes is told, and no reason to fail on a busy host; what is lost is.
        assert_eq!(result.losses, [""; 0], "{result:#?}");
        assert!(result.writes.acknowledged > 20, "{result:#?}");
        let fault = result.fault.as_ref().expect("it was done");
        assert!(fault.healed.is_some(), "{result:#?}");
        assert_eq!(fault.cut, None, "{result:#?}");
        assert!(!fault.is_doubtful, "nothing shows it: {result:#?}");
    }
    assert_eq!(results.len(), names.len());
    results
}

fn away(result: &DrillResult, client: &ClientName) -> u64 {
    let figures = result.client(client);
    figures.map_or(0, |figures| figures.away.1 / 1000)
}

/// Kills the runner while something is broken, and has `up` mend it.
fn drill_killed(tool: &Tool, name: &str) {
    let killed = tool.with_env("CARAVAN_KILL_AFTER", "inflicted".as_ref());
    let ended = killed.run(&["drill", LAB, name]);
    assert_eq!(ended.status, KILLED);
    let said = tool.run(&["status", LAB]);
    assert_eq!(said.status, Some(3));
    assert!(said.stdout.contains("the drill of"), "{}", said.stdout);
    tool.ok(&["up", LAB, "--yes"]);
    assert!(!tool.state(LAB).join("operation.json").exists());
}

/// A leader that crashes, and one that ends in peace: the control that must differ.
fn elections(tool: &Tool) {
    let elections = drill(tool, &["etcd-leader:crash", "etcd-leader:stop"]);
    let crash = &elections[0];
    assert_ne!(crash.leaders.0, crash.leaders.1);
    assert!(crash.terms > Some(0), "{crash:#?}");
    // One that ends in peace hands over first: that hides what a crash costs.
    let stop = &elections[1];
    assert_ne!(stop.leaders.0, stop.leaders.1);
    let is_measured = |it: &DrillResult| it.verdict != DrillVerdict::Inconclusive;
    if is_measured(crash) && is_measured(stop) {
        let (crash, stop) = (
            away(crash, &ClientName::Creates),
            away(stop, &ClientName::Creates),
        );
        assert!(stop < crash, "{stop} ms in peace, {crash} ms in a crash");
    }
    println!(
        "TIME a leader that crashes: writes away for {} ms; one that is stopped: {} ms",
        away(crash, &ClientName::Creates),
        away(stop, &ClientName::Creates)
    );
}

/// Forged announcements move nothing, which is not a matter of how busy the host is.
fn assert_forged_moves_nothing(result: &DrillResult) {
    assert_eq!(result.drill, "vrrp-forged");
    assert_eq!(result.owners.moves, 0, "{result:#?}");
    assert_eq!(result.owners.course.len(), 1, "{result:#?}");
}

#[test]
#[ignore = "needs real machines"]
fn a_bad_day() {
    on_a_clean_host(|tool| {
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        let (asker, writer) = (Asker::start(tool, LAB), Writer::start(tool, LAB));
        timed("replacements", || {
            docker(&["rm", "--force", "--volumes", &container("etcdone")]);
            timed("a member that is gone", || replace(tool, "etcdone"));
            timed("a member, the runner killed three times", || {
                replace_killed(tool, "etcdtwo", &["removed", "added", "started"]);
            });
            timed("the first master", || replace(tool, "masterone"));
            timed("the owner of the address", || {
                replace(tool, &owner(tool));
                owner(tool);
            });
            timed("a refusal", || assert_refused(tool));
        });
        timed("members that are stuck", || {
            a_member_that_does_not_start(tool, "etcdthree");
            a_member_without_room(tool, "etcdthree");
        });
        println!(
            "TIME the longest pause of a client in all of that: {:.1} s",
            asker.longest_gap().as_secs_f32()
        );
        drop(asker);
        writer.assert_nothing_lost(tool);
        timed("drills", || {
            drill(tool, &["lb-process", "lb-machine:silence"]);
            assert_forged_moves_nothing(&drill(tool, &["vrrp-forged"])[0]);
            drill(tool, &["master:silence", "etcd-follower:freeze"]);
            elections(tool);
            drill(tool, &["etcd-quorum", "power"]);
        });
        timed("runners killed in drills", || {
            for name in ["master:freeze", "etcd-leader:crash"] {
                drill_killed(tool, name);
            }
        });
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}

#[test]
#[ignore = "needs real machines"]
fn what_is_seldom_broken() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        timed("replacements", || {
            replace_killed(tool, &owner(tool), &["address-moved"]);
            replace(tool, "workerone");
        });
        timed("drills", || {
            let seldom = [
                "lb-keepalived",
                "lb-process:freeze",
                "lb-machine:crash",
                "lb-partition",
                "master-etcd-partition",
                "slow-disk",
                "slow-net",
                "worker",
            ];
            drill(tool, &seldom);
            let flap = drill(tool, &["vip-flap"]).remove(0);
            assert!(flap.owners.moves >= 4, "{flap:#?}");
        });
        assert_verified(tool, LAB, &["--wait"]);
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}
