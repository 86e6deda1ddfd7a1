//! Every machine of both labs dies and is made anew, and the lab is whole again each time.
//!
//! `cargo test -p caravan-e2e --test anew -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use caravan_cluster::verify::{Report, VerifyOutcome};
use caravan_e2e::{Asker, Tool, assert_verified, docker, kubectl, on_a_clean_host, runs_long};
use caravan_process::Program;

/// How long a machine may take to be what it was: a limit for what hangs, far above what it takes.
const WHOLE: Duration = Duration::from_secs(300);

fn container(lab: &str, machine: &str) -> String {
    let lab = format!("label=caravan.lab={lab}");
    let machine = format!("label=caravan.machine={machine}");
    let found = docker(&[
        "ps", "--all", "--quiet", "--filter", &lab, "--filter", &machine,
    ]);
    let found = found.trim();
    assert!(
        !found.is_empty() && !found.contains('\n'),
        "{machine}: {found:?}"
    );
    found.to_owned()
}

/// Removes a machine behind the tool's back, data and all.
fn remove(lab: &str, machine: &str) {
    let volumes = volumes(lab, machine);
    docker(&["rm", "--force", "--volumes", &container(lab, machine)]);
    for volume in volumes {
        docker(&["volume", "rm", "--force", &volume]);
    }
}

/// The volumes of a machine that have its name on them.
fn volumes(lab: &str, machine: &str) -> Vec<String> {
    let lab = format!("label=caravan.lab={lab}");
    let machine = format!("label=caravan.machine={machine}");
    let found = docker(&[
        "volume", "ls", "--quiet", "--filter", &lab, "--filter", &machine,
    ]);
    found.lines().map(ToOwned::to_owned).collect()
}

/// The outcome of one check, and what was seen.
fn check(tool: &Tool, lab: &str, id: &str) -> (VerifyOutcome, String) {
    let report: Report = tool.run(&["verify", lab, "--json"]).read();
    let found = report.check(id);
    let found = found.unwrap_or_else(|| panic!("no check `{id}` in {report:#?}"));
    (found.outcome, found.evidence.clone())
}

/// Waits until the machine's bootstrap says `words`.
fn heard(lab: &str, machine: &str, words: &str) {
    let began = Instant::now();
    let name = container(lab, machine);
    loop {
        let said = Program::find("docker")
            .and_then(|docker| {
                let journal = [
                    "journalctl",
                    "--unit",
                    "caravan-bootstrap",
                    "--output",
                    "cat",
                ];
                docker.call(["exec", &name]).args(journal).output()
            })
            .unwrap_or_else(|error| panic!("{error}"))
            .stdout;
        if said.contains(words) {
            return;
        }
        assert!(
            began.elapsed() < WHOLE,
            "{machine} never said `{words}`:\n{said}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until `machine` is what it should be, by its own word.
fn ready(lab: &str, machine: &str) {
    heard(lab, machine, " ready done");
}

#[test]
#[ignore = "needs real machines"]
fn every_machine_of_ha_is_made_anew_by_vagrant_alone() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        tool.ok(&["up", "ha", "--yes", "--airgap"]);
        kubectl(
            tool,
            "ha",
            &["create", "configmap", "kept", "--from-literal=word=caravan"],
        );
        let asker = Asker::start(tool, "ha");
        for (server, machine) in [
            ("server2", "etcdone"),
            ("server2", "etcdtwo"),
            ("server2", "etcdthree"),
            ("server1", "masterone"),
            ("server1", "mastertwo"),
            ("server1", "masterthree"),
            ("server2", "lbone"),
            ("server2", "lbtwo"),
            ("server2", "workerone"),
        ] {
            let before = asker.answers();
            let began = Instant::now();
            let volumes = volumes("ha", machine);
            tool.vagrant("ha", server, &["destroy", "-f", machine]);
            for volume in volumes {
                docker(&["volume", "rm", "--force", &volume]);
            }
            let without = asker.answers();
            tool.vagrant("ha", server, &["up", machine]);
            if machine == "etcdtwo" {
                // A power cut between its removal from the cluster and its return.
                heard("ha", machine, "etcd to ");
                docker(&["kill", &container("ha", machine)]);
                tool.vagrant("ha", server, &["up", machine]);
            }
            ready("ha", machine);
            let took = began.elapsed();
            assert_verified(tool, "ha", &["--wait"]);
            println!(
                "{machine}: whole after {:.1} s; the API answered {} times, the longest pause until now was {:.1} s",
                took.as_secs_f32(),
                asker.answers() - before,
                asker.longest_gap().as_secs_f32()
            );
            assert!(without > before, "no answer while {machine} was destroyed");
            assert!(
                asker.answers() > without,
                "no answer while {machine} was made"
            );
        }
        drop(asker);
        let word = ["get", "configmap", "kept", "-o", "jsonpath={.data.word}"];
        assert_eq!(kubectl(tool, "ha", &word), "caravan");

        // What is stopped is told.
        for (machine, unit) in [
            ("etcdone", "etcd"),
            ("lbone", "keepalived"),
            ("workerone", "kubelet"),
        ] {
            let name = container("ha", machine);
            docker(&["exec", &name, "systemctl", "stop", unit]);
            let (outcome, evidence) = check(tool, "ha", "machines-run");
            assert_eq!(outcome, VerifyOutcome::Failed, "{evidence}");
            assert!(
                evidence.contains(machine) && evidence.contains(unit),
                "{evidence}"
            );
            docker(&["exec", &name, "systemctl", "start", unit]);
        }
        tool.ok(&["destroy", "ha", "--yes"]);
    });
}

#[test]
#[ignore = "needs real machines"]
fn every_machine_of_external_etcd_is_made_anew_by_up() {
    on_a_clean_host(|tool| {
        let lab = "external-etcd";
        tool.ok(&["up", lab, "--yes", "--airgap"]);
        kubectl(
            tool,
            lab,
            &["create", "configmap", "kept", "--from-literal=word=caravan"],
        );
        for machine in ["etcdthree", "masterone", "workerone", "etcdone", "etcdtwo"] {
            remove(lab, machine);
            tool.ok(&["up", lab, "--yes"]);
        }
        // A log that is lost with its machine running.
        let name = container(lab, "etcdone");
        docker(&["exec", &name, "systemctl", "stop", "etcd"]);
        docker(&["exec", &name, "rm", "-r", "/var/lib/etcd/member/wal"]);
        docker(&["exec", &name, "systemctl", "restart", "caravan-bootstrap"]);
        let began = Instant::now();
        while check(tool, lab, "etcd-members").0 != VerifyOutcome::Passed {
            assert!(began.elapsed() < WHOLE, "etcdone does not come back");
        }
        let aside = docker(&["exec", &name, "sh", "-c", "ls /var/lib/etcd/aside/*/member"]);
        assert!(
            aside.contains("snap"),
            "what was left of its data is gone: {aside}"
        );

        let word = ["get", "configmap", "kept", "-o", "jsonpath={.data.word}"];
        assert_eq!(kubectl(tool, lab, &word), "caravan");
        assert_verified(tool, lab, &[]);
        tool.ok(&["destroy", lab, "--yes"]);
    });
}
