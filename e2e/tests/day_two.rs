//! A bad day on one `ha` lab: machines are replaced, the runner is killed in the middle, and drills break one thing after the
//! other.
//!
//! `CARAVAN_LONG=1 cargo test -p caravan-e2e --test day_two -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use caravan_cluster::drill::judge::{DrillResult, DrillVerdict};
use caravan_cluster::drill::record::ClientName;
use caravan_cluster::status::LabStatus;
use caravan_e2e::{Asker, Tool, Writer, assert_verified, on_a_clean_host, runs_long};
use caravan_process::Program;

const LAB: &str = "ha";

/// What a killed program exits with: none, as a signal ended it.
const KILLED: Option<i32> = None;

fn docker(args: &[&str]) {
    println!("\n$ docker {}", args.join(" "));
    Program::find("docker")
        .and_then(|docker| docker.call(args).run())
        .unwrap_or_else(|error| panic!("{error}"));
}

fn status(tool: &Tool) -> LabStatus {
    tool.run(&["status", LAB, "--json"]).read()
}

/// Replaces a machine, killing the runner after each of `steps`, and goes on with the same command each time.
fn replace_killed(tool: &Tool, machine: &str, steps: &[&str]) {
    for step in steps {
        let killed = tool.with_env("CARAVAN_KILL_AFTER", step.as_ref());
        let ended = killed.run(&["replace", LAB, machine, "--yes"]);
        assert_eq!(ended.status, KILLED, "killed after `{step}`");
        let said = tool.run(&["status", LAB]);
        assert_eq!(said.status, Some(3));
        let command = format!("`cargo xtask replace {LAB} {machine}` goes on with it");
        assert!(said.stdout.contains(&command), "{}", said.stdout);
    }
    tool.ok(&["replace", LAB, machine, "--yes"]);
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
    let healthy = status(tool).etcd.members;
    let healthy = healthy.iter().filter(|member| member.healthy).count();
    assert_eq!(healthy, 2, "nothing was changed");
    tool.ok(&["up", LAB, "--yes"]);
}

fn drill(tool: &Tool, names: &[&str]) -> Vec<DrillResult> {
    let ended = tool.run(&[&["drill", LAB, "--json"], names].concat());
    let results: Vec<DrillResult> = ended.read();
    for result in &results {
        // How long something takes is told, and no reason to fail on a busy host; what is lost is.
        assert!(result.writes.lost.is_empty(), "{result:#?}");
        assert!(result.writes.risen.is_empty(), "{result:#?}");
        assert_eq!(result.writes.doubled, 0, "{result:#?}");
        assert!(result.watch.missed.is_empty(), "{result:#?}");
        assert!(result.writes.acknowledged > 20, "{result:#?}");
        let fault = result.fault.as_ref().expect("it was done");
        assert!(fault.healed.is_some(), "{result:#?}");
        if result.verdict != DrillVerdict::Held {
            println!(
                "{}: {:?}: {:?}",
                result.drill, result.verdict, result.reasons
            );
        }
    }
    assert_eq!(results.len(), names.len());
    results
}

fn away(result: &DrillResult, client: &ClientName) -> u64 {
    let figures = result.clients.iter().find(|it| it.client == *client);
    figures.map_or(0, |figures| figures.away.1 / 1000)
}

#[test]
#[ignore = "needs real machines"]
fn machines_are_replaced_while_the_lab_goes_on() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        let (asker, writer) = (Asker::start(tool, LAB), Writer::start(tool, LAB));

        replace_killed(tool, "etcdtwo", &["removed", "added", "started"]);
        docker(&["rm", "--force", "--volumes", "caravan-ha-etcdone"]);
        tool.ok(&["replace", LAB, "etcdone", "--yes"]);
        tool.ok(&["replace", LAB, "masterone", "--yes"]);
        let owner = status(tool).vip.expect("a virtual address").owners[0].clone();
        replace_killed(tool, &owner, &["address-moved"]);
        let owner = status(tool).vip.expect("a virtual address").owners;
        assert_eq!(owner.len(), 1);
        tool.ok(&["replace", LAB, "workerone", "--yes"]);
        assert_refused(tool);

        println!(
            "TIME the longest pause of a client in all of that: {:.1} s",
            asker.longest_gap().as_secs_f32()
        );
        drop(asker);
        writer.assert_nothing_lost(tool);
        assert_verified(tool, LAB, &["--wait"]);

        let calm = drill(
            tool,
            &[
                "lb-process",
                "lb-machine:silence",
                "master:silence",
                "etcd-follower:freeze",
            ],
        );
        for result in &calm {
            assert_ne!(result.fault.as_ref().map(|it| it.confirmed), Some(0));
        }
        let elections = drill(tool, &["etcd-leader:crash", "etcd-leader:stop"]);
        let (crash, stop) = (&elections[0], &elections[1]);
        assert_ne!(crash.leaders.0, crash.leaders.1);
        assert!(crash.terms > Some(0), "{crash:#?}");
        println!(
            "TIME a leader that crashes: writes away for {} ms; one that is stopped: {} ms",
            away(crash, &ClientName::Creates),
            away(stop, &ClientName::Creates)
        );
        drill(tool, &["etcd-quorum", "power"]);

        let killed = tool.with_env("CARAVAN_KILL_AFTER", "inflicted".as_ref());
        for name in ["master:freeze", "etcd-leader:crash"] {
            let ended = killed.run(&["drill", LAB, name]);
            assert_eq!(ended.status, KILLED);
            let said = tool.run(&["status", LAB]);
            assert_eq!(said.status, Some(3));
            assert!(said.stdout.contains("the drill of"), "{}", said.stdout);
            tool.ok(&["up", LAB, "--yes"]);
            assert!(!tool.state(LAB).join("operation.json").exists());
        }
        assert_verified(tool, LAB, &["--wait"]);
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}
