//! Labs with virtual machines by libvirt, emulated where there is no KVM: one lab of containers and virtual machines on one
//! network, made, broken, continued, and gone without a trace.
//!
//! `cargo test -p caravan-e2e --test virtual_machines -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use caravan_cluster::status::LabStatus;
use caravan_cluster::verify::{Report, VerifyOutcome};
use caravan_e2e::{Asker, Tool, Writer, assert_verified, on_a_clean_host, runs_virtual_machines};
use caravan_process::Program;

/// A lab of this file's own, on a bridge of its own.
const BRIDGED: &str = "e2e-bridge";

/// Its bridge.
const BRIDGE: &str = "cv-e2e0";

/// A limit for what never comes, far above what it takes on a busy computer.
const LIMIT: Duration = Duration::from_secs(900);

/// A lab whose machines are all virtual when `--provider libvirt` says so.
const ALL_VIRTUAL: &str = "external-etcd";

/// What its machines are made by.
const VIRTUAL: [&str; 4] = ["--provider", "libvirt", "--base", "debian-12"];

/// How many times it is made, in a row: what works once may have been lucky.
const ROUNDS: u32 = 3;

/// Says how long something took: these are figures for people, and no promise depends on them.
fn timed(what: &str, act: impl FnOnce()) {
    let began = Instant::now();
    act();
    println!("TIME {what}: {:.0} s", began.elapsed().as_secs_f32());
}

/// Runs libvirt's own client.
fn virsh(args: &[&str]) -> String {
    println!("\n$ virsh {}", args.join(" "));
    Program::find("virsh")
        .and_then(|virsh| {
            let system = ["--connect", "qemu:///system", "--quiet"];
            virsh.call(system).args(args).run()
        })
        .unwrap_or_else(|error| panic!("{error}"))
        .stdout
}

/// Takes a machine's power.
fn power_off(lab: &str, machine: &str) {
    virsh(&["destroy", &format!("caravan-{lab}-{machine}")]);
}

/// Which boot of a machine it is, once it answers.
fn boot(tool: &Tool, lab: &str, machine: &str) -> Option<String> {
    let file = "/proc/sys/kernel/random/boot_id";
    let ended = tool.run(&["ssh", lab, machine, "--", "cat", file]);
    (ended.status == Some(0)).then(|| ended.stdout.trim().to_owned())
}

/// Boots a machine again, and waits until it answers.
fn reboot(tool: &Tool, lab: &str, machine: &str) {
    let before = boot(tool, lab, machine).expect("it answers");
    // The connection ends with the machine, so its status says nothing.
    tool.run(&["ssh", lab, machine, "--", "sudo", "systemctl", "reboot"]);
    let began = Instant::now();
    while boot(tool, lab, machine).is_none_or(|now| now == before) {
        assert!(began.elapsed() < LIMIT, "{machine} does not come back");
        std::thread::sleep(Duration::from_secs(2));
    }
}

fn status(tool: &Tool, lab: &str) -> LabStatus {
    tool.run(&["status", lab, "--json"]).read()
}

fn owners(status: &LabStatus) -> Vec<String> {
    status
        .vip
        .as_ref()
        .expect("a virtual address")
        .owners
        .clone()
}

/// The machine that has the virtual address, once exactly one has it and the API answers there.
fn owner(tool: &Tool, lab: &str, not: Option<&str>) -> String {
    let began = Instant::now();
    loop {
        let now = status(tool, lab);
        if let [owner] = &owners(&now)[..]
            && not != Some(owner)
            && now.endpoint.version.is_some()
        {
            println!(
                "{owner} has it, {:.1} s later",
                began.elapsed().as_secs_f32()
            );
            return owner.clone();
        }
        assert!(began.elapsed() < LIMIT, "not one owner: {now:#?}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The owner of the virtual address and an etcd member lose their power while a client reads and another writes.
fn assert_power_cuts_lose_nothing(tool: &Tool, lab: &str) {
    let (asker, writer) = (Asker::start(tool, lab), Writer::start(tool, lab));
    let before = owner(tool, lab, None);
    power_off(lab, &before);
    owner(tool, lab, Some(&before));
    println!(
        "the longest pause of a client: {:.1} s",
        asker.longest_gap().as_secs_f32()
    );
    let written = writer.count();
    power_off(lab, "etcdtwo");
    let began = Instant::now();
    while writer.count() < written + 5 {
        assert!(began.elapsed() < LIMIT, "nobody can write any more");
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(asker);
    tool.ok(&["up", lab, "--yes"]);
    writer.assert_nothing_lost(tool);
    assert_verified(tool, lab, &["--wait"]);
}

/// What a machine sends to a service address stays there, whatever is done to its network.
fn assert_service_addresses_stay(tool: &Tool, lab: &str) {
    let report: Report = tool.run(&["verify", lab, "--wait", "--json"]).read();
    let found = report
        .check("service-addresses-stay")
        .expect("in the table");
    assert_eq!(found.outcome, VerifyOutcome::Passed, "{}", found.evidence);
}

#[test]
#[ignore = "needs real machines"]
fn containers_and_virtual_machines_are_one_lab() {
    if !runs_virtual_machines() {
        return;
    }
    on_a_clean_host(|tool| {
        let lab = "mixed";
        tool.ok(&["up", lab, "--yes", "--airgap", "--base", "debian-12"]);
        assert_verified(tool, lab, &["--wait"]);

        let restart = ["sudo", "systemctl", "restart", "systemd-networkd"];
        tool.ok(&[&["ssh", lab, "lbtwo", "--"], &restart[..]].concat());
        tool.vagrant(lab, "virtual", &["up", "lbtwo"]);
        assert_service_addresses_stay(tool, lab);
        reboot(tool, lab, "lbtwo");
        tool.vagrant(lab, "virtual", &["up", "lbtwo"]);
        assert_service_addresses_stay(tool, lab);
        assert_power_cuts_lose_nothing(tool, lab);

        tool.ok(&["halt", lab]);
        assert_eq!(virsh(&["list", "--name"]).trim(), "");
        tool.ok(&["up", lab, "--yes"]);
        assert_verified(tool, lab, &["--wait"]);
        tool.ok(&["destroy", lab, "--yes"]);
    });
}

#[test]
#[ignore = "needs real machines"]
fn virtual_machines_alone_are_a_lab_again_and_again() {
    if !runs_virtual_machines() {
        return;
    }
    on_a_clean_host(|tool| {
        let lab = ALL_VIRTUAL;
        for round in 1..=ROUNDS {
            timed(
                &format!("round {round}, up from nothing until verified"),
                || {
                    let up = [&["up", lab, "--yes", "--airgap"][..], &VIRTUAL].concat();
                    timed(&format!("round {round}, up from nothing"), || {
                        drop(tool.ok(&up))
                    });
                    assert_verified(tool, lab, &["--wait"]);
                },
            );
            timed(&format!("round {round}, halt"), || {
                drop(tool.ok(&["halt", lab]))
            });
            timed(&format!("round {round}, up again until verified"), || {
                timed(&format!("round {round}, up again"), || {
                    tool.ok(&["up", lab, "--yes"]);
                });
                assert_verified(tool, lab, &["--wait"]);
            });
            timed(&format!("round {round}, destroy"), || {
                tool.ok(&["destroy", lab, "--yes"]);
            });
        }
    });
}

#[test]
#[ignore = "needs real machines"]
fn vagrant_alone_brings_up_virtual_machines_in_any_order() {
    if !runs_virtual_machines() {
        return;
    }
    on_a_clean_host(|tool| {
        let lab = ALL_VIRTUAL;
        tool.ok(&[&["bake", "--yes"][..], &VIRTUAL].concat());
        tool.ok(&[&["plan", lab, "--write", "--airgap"][..], &VIRTUAL].concat());
        tool.vagrant(lab, "server2", &["up", "workerone", "etcdthree"]);
        tool.vagrant(lab, "server1", &["up", "masterone"]);
        tool.vagrant(lab, "server2", &["up", "etcdtwo", "etcdone"]);
        assert_verified(tool, lab, &["--wait"]);
        tool.vagrant(lab, "server1", &["halt"]);
        tool.vagrant(lab, "server2", &["halt", "workerone"]);
        tool.vagrant(lab, "server2", &["halt"]);
        assert_eq!(virsh(&["list", "--name"]).trim(), "");
        tool.vagrant(lab, "server1", &["up"]);
        tool.vagrant(lab, "server2", &["up", "etcdthree", "etcdone", "etcdtwo"]);
        tool.vagrant(lab, "server2", &["up", "workerone"]);
        assert_verified(tool, lab, &["--wait"]);
        tool.vagrant(lab, "server2", &["destroy", "-f"]);
        tool.vagrant(lab, "server1", &["destroy", "-f"]);
        tool.ok(&["destroy", lab, "--yes"]);
    });
}

#[test]
#[ignore = "needs real machines"]
fn a_runner_killed_while_virtual_machines_begin_is_continued() {
    if !runs_virtual_machines() {
        return;
    }
    on_a_clean_host(|tool| {
        let lab = ALL_VIRTUAL;
        let up = [&["up", lab, "--yes", "--airgap"][..], &VIRTUAL].concat();
        let (runner, lines) = tool.start(&up);
        loop {
            let line = lines
                .recv_timeout(LIMIT)
                .expect("a master begins its work before the runner is killed");
            if line.contains("masterone") && line.contains(" init") {
                break;
            }
        }
        drop(runner);
        tool.ok(&["up", lab, "--yes"]);
        assert_verified(tool, lab, &["--wait"]);
        tool.ok(&["destroy", lab, "--yes"]);
    });
}

/// A bridge of the computer that is gone when this is dropped.
struct Bridge;

impl Bridge {
    fn new() -> Self {
        ip(&["link", "add", BRIDGE, "type", "bridge"]);
        ip(&["address", "add", "192.168.29.1/24", "dev", BRIDGE]);
        ip(&["link", "set", BRIDGE, "up"]);
        Self
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        ip(&["link", "delete", BRIDGE]);
    }
}

fn ip(args: &[&str]) {
    Program::find_also_in("ip", &["/usr/sbin", "/sbin"])
        .and_then(|ip| ip.call(args).run())
        .unwrap_or_else(|error| panic!("{error}"));
}

/// A lab file that is gone when this is dropped.
struct LabFile(PathBuf);

impl Drop for LabFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[test]
#[ignore = "needs real machines"]
fn a_bridge_of_this_computer_joins_them_too() {
    if !runs_virtual_machines() {
        return;
    }
    let bridge = Bridge::new();
    on_a_clean_host(|tool| {
        let labs = tool.root().join("labs");
        let like = std::fs::read_to_string(labs.join("mixed.toml")).expect("a lab file");
        let text = like
            .replace(
                "provider = \"docker\"",
                &format!(
                    "provider = \"docker\"\nbridge = \"{BRIDGE}\"\naddress = \"192.168.29.1\""
                ),
            )
            .replace(
                "provider = \"libvirt\"",
                &format!(
                    "provider = \"libvirt\"\nbridge = \"{BRIDGE}\"\naddress = \"192.168.29.1\""
                ),
            );
        assert_eq!(text.matches(BRIDGE).count(), 2);
        let file = LabFile(labs.join(format!("{BRIDGED}.toml")));
        std::fs::write(&file.0, text).expect("written");

        tool.ok(&["up", BRIDGED, "--yes", "--airgap", "--base", "debian-13"]);
        assert_verified(tool, BRIDGED, &["--wait"]);
        tool.ok(&["destroy", BRIDGED, "--yes"]);
    });
    drop(bridge);
}
