//! Both labs, and one with another pod network, on real machines: made, proven, broken, continued, and gone without a trace.
//!
//! `cargo test -p caravan-e2e -- --ignored --test-threads=1 --nocapture`
//!
//! The labs have the same addresses, so one runs at a time. What the host needs is installed by `cargo xtask setup`.
#![allow(missing_docs)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use caravan_e2e::{
    Settings, Tool, assert_a_removed_address_comes_back, assert_forged_adverts_are_refused,
    assert_recorded, assert_verified, docker, kubectl, on_a_clean_host, runs_long,
};
use caravan_process::Program;

/// A lab of this file's own.
const FLANNEL: &str = "e2e-flannel";

/// The uid of `kube-system`: another cluster has another one.
fn cluster_uid(tool: &Tool, lab: &str) -> String {
    let path = "jsonpath={.metadata.uid}";
    kubectl(tool, lab, &["get", "namespace", "kube-system", "-o", path])
}

/// Halts a lab and lets the engine take what `docker system prune` takes of it, and nothing of anybody else.
fn halt_and_prune(tool: &Tool, lab: &str) {
    tool.ok(&["halt", lab]);
    let filter = format!("label=caravan.lab={lab}");
    for kind in ["container", "network"] {
        docker(&[kind, "prune", "--force", "--filter", &filter]);
    }
}

#[test]
#[ignore = "needs real machines"]
fn ha_lives_its_whole_life() {
    on_a_clean_host(|tool| {
        let settings = Settings::now();
        tool.ok(&["up", "ha", "--yes", "--airgap"]);
        Settings::now().assert_only_watchers_raised_since(&settings);
        assert_recorded(tool, "ha");
        assert_verified(tool, "ha", &["--disrupt"]);

        assert_forged_adverts_are_refused(tool, "ha");
        assert_a_removed_address_comes_back(tool, "ha", 24);

        // A second `up` finds nothing to do and starts no Vagrant.
        let again = tool.ok(&["up", "ha", "--yes", "--airgap"]);
        assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);

        kubectl(
            tool,
            "ha",
            &["create", "configmap", "kept", "--from-literal=word=caravan"],
        );
        let cluster = cluster_uid(tool, "ha");
        tool.ok(&["halt", "ha"]);
        assert_ne!(
            tool.run(&["status", "ha"]).status,
            Some(0),
            "a halted lab is not healthy"
        );
        tool.ok(&["up", "ha", "--yes"]);
        assert_eq!(cluster_uid(tool, "ha"), cluster, "another cluster came up");
        assert_eq!(
            kubectl(
                tool,
                "ha",
                &["get", "configmap", "kept", "-o", "jsonpath={.data.word}"]
            ),
            "caravan"
        );
        assert_verified(tool, "ha", &[]);
        tool.ok(&["destroy", "ha", "--yes"]);
    });
}

#[test]
#[ignore = "needs real machines"]
fn a_killed_runner_and_a_dead_machine_are_continued() {
    on_a_clean_host(|tool| {
        let (runner, lines) = tool.start(&["up", "ha", "--yes", "--airgap"]);
        let limit = Instant::now() + Duration::from_secs(600);
        loop {
            let line = lines
                .recv_timeout(limit.saturating_duration_since(Instant::now()))
                .expect("a master begins its work before the runner is killed");
            if line.contains("masterone") && line.contains("init") {
                break;
            }
        }
        drop(runner);
        // One machine dies as well, in the middle of whatever it was doing.
        Program::find("docker")
            .and_then(|docker| {
                docker
                    .call(["kill", &container(tool, "ha", "mastertwo")])
                    .run()
            })
            .unwrap_or_else(|error| panic!("{error}"));

        tool.ok(&["up", "ha", "--yes", "--airgap"]);
        assert_verified(tool, "ha", &[]);
        tool.ok(&["destroy", "ha", "--yes"]);
    });
}

#[test]
#[ignore = "needs real machines"]
fn a_pruned_lab_is_the_same_cluster_or_is_said_to_be_lost() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        tool.ok(&["up", "ha", "--yes", "--airgap"]);
        let cluster = cluster_uid(tool, "ha");
        let word = "--from-literal=word=caravan";
        kubectl(tool, "ha", &["create", "configmap", "kept", word]);

        // Containers and network are gone, and the data is not. What was chosen holds without saying it again.
        halt_and_prune(tool, "ha");
        tool.run(&["status", "ha"]);
        let list = tool.ok(&["list", "ha", "--json"]).json();
        let kept = |machine: &str| {
            let all = list.as_array().expect("a list");
            let found = all.iter().find(|it| it["name"] == machine);
            let found = found.expect("in the lab");
            assert_eq!(found["state"], "absent");
            found["volumes"].as_array().map_or(0, Vec::len)
        };
        assert_eq!(
            (kept("etcdone"), kept("masterone"), kept("lbone")),
            (1, 2, 0)
        );
        tool.ok(&["up", "ha", "--yes"]);
        assert_eq!(cluster_uid(tool, "ha"), cluster, "another cluster came up");
        kubectl(tool, "ha", &["get", "configmap", "kept"]);
        assert_verified(tool, "ha", &[]);

        // One member's data is gone too: the others give it theirs.
        halt_and_prune(tool, "ha");
        docker(&["volume", "rm", "caravan.ha.etcdtwo.etcd"]);
        tool.ok(&["up", "ha", "--yes"]);
        assert_eq!(cluster_uid(tool, "ha"), cluster, "another cluster came up");
        assert_verified(tool, "ha", &[]);

        // All data is gone: that is said, and nothing is made before somebody agrees.
        halt_and_prune(tool, "ha");
        let volumes = [
            "volume",
            "ls",
            "--quiet",
            "--filter",
            "label=caravan.lab=ha",
        ];
        let names = docker(&volumes);
        docker(
            &[
                &["volume", "rm"][..],
                &names.lines().collect::<Vec<_>>()[..],
            ]
            .concat(),
        );
        let refused = tool.run(&["up", "ha", "--yes"]);
        assert_eq!(refused.status, Some(1));
        for said in [
            "is lost",
            "`etcdone`, `etcdtwo`, `etcdthree`",
            "--new-cluster",
        ] {
            assert!(refused.stderr.contains(said), "{said}");
        }
        let machines = ["ps", "--all", "--quiet", "--filter", "label=caravan.lab=ha"];
        assert_eq!(docker(&machines), "");
        tool.ok(&["up", "ha", "--yes", "--new-cluster"]);
        assert_ne!(cluster_uid(tool, "ha"), cluster);
        assert_verified(tool, "ha", &[]);
        // It is the lab's cluster from now on.
        let again = tool.ok(&["up", "ha", "--yes"]);
        assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
        tool.ok(&["destroy", "ha", "--yes"]);
    });
}

fn container(tool: &Tool, lab: &str, machine: &str) -> String {
    let list = tool.ok(&["list", lab, "--json"]).json();
    list.as_array()
        .and_then(|machines| machines.iter().find(|found| found["name"] == machine))
        .and_then(|found| found["id"].as_str())
        .unwrap_or_else(|| panic!("no container of `{machine}` in {list:#}"))
        .to_owned()
}

#[test]
#[ignore = "needs real machines"]
fn vagrant_alone_brings_up_the_same_cluster_in_any_order() {
    on_a_clean_host(|tool| {
        let settings = Settings::now();
        tool.ok(&["plan", "ha", "--write", "--airgap"]);
        tool.vagrant("ha", "server2", &["up", "workerone", "lbone", "lbtwo"]);
        tool.vagrant(
            "ha",
            "server1",
            &["up", "masterone", "mastertwo", "masterthree"],
        );
        tool.vagrant("ha", "server2", &["up", "etcdone", "etcdtwo", "etcdthree"]);
        assert_verified(tool, "ha", &["--wait"]);
        tool.vagrant(
            "ha",
            "server2",
            &["halt", "etcdone", "etcdtwo", "etcdthree"],
        );
        tool.vagrant(
            "ha",
            "server1",
            &["halt", "masterone", "mastertwo", "masterthree"],
        );
        tool.vagrant("ha", "server2", &["halt", "workerone", "lbone", "lbtwo"]);
        tool.vagrant(
            "ha",
            "server1",
            &["up", "masterone", "mastertwo", "masterthree"],
        );
        tool.vagrant("ha", "server2", &["up", "etcdone", "etcdtwo", "etcdthree"]);
        tool.vagrant("ha", "server2", &["up", "workerone", "lbone", "lbtwo"]);
        assert_verified(tool, "ha", &["--wait"]);
        tool.vagrant(
            "ha",
            "server1",
            &["destroy", "-f", "masterone", "mastertwo", "masterthree"],
        );
        tool.vagrant(
            "ha",
            "server2",
            &["destroy", "-f", "workerone", "lbone", "lbtwo"],
        );
        tool.vagrant(
            "ha",
            "server2",
            &["destroy", "-f", "etcdone", "etcdtwo", "etcdthree"],
        );
        // Vagrant alone leaves the host as it found it.
        Settings::now().assert_as_before(&settings);
        tool.ok(&["destroy", "ha", "--yes"]);
    });
}

#[test]
#[ignore = "needs real machines"]
fn external_etcd_comes_up_without_a_load_balancer() {
    on_a_clean_host(|tool| {
        live_also_after_a_halt(tool, "external-etcd");
    });
}

/// Brings a lab up, halts it, brings it up again and destroys it; all is verified both times.
fn live_also_after_a_halt(tool: &Tool, lab: &str) {
    tool.ok(&["up", lab, "--yes", "--airgap"]);
    assert_verified(tool, lab, &[]);
    tool.ok(&["halt", lab]);
    tool.ok(&["up", lab, "--yes"]);
    assert_verified(tool, lab, &[]);
    tool.ok(&["destroy", lab, "--yes"]);
}

/// What people keep in their own Vagrant folder for all projects: each of these would change or break a lab.
const USERS_VAGRANTFILE: &str = r#"Vagrant.configure("2") do |config|
  config.ssh.insert_key = true
  config.ssh.username = "me"
  config.vm.synced_folder "/tmp", "/host-tmp"
  config.vm.provision "shell", inline: "echo personal > /etc/personal"
  config.vm.network "private_network", ip: "192.168.56.77"
  config.vm.provider :docker do |docker|
    docker.volumes = ["/tmp:/personal"]
    docker.env = { "http_proxy" => "http://127.0.0.1:9" }
  end
end
"#;

#[test]
#[ignore = "needs real machines"]
fn a_users_own_vagrantfile_takes_no_part() {
    on_a_clean_host(|tool| {
        let lab = "external-etcd";
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("Vagrantfile"), USERS_VAGRANTFILE).expect("written");
        let tool = tool.with_env("VAGRANT_HOME", home.path());
        tool.ok(&["up", lab, "--yes", "--airgap"]);
        // Vagrant by hand reads the user's file, and leaves it out as well.
        tool.vagrant(lab, "server2", &["destroy", "-f", "workerone"]);
        tool.vagrant(lab, "server2", &["up", "workerone"]);
        assert_verified(&tool, lab, &["--wait"]);
        for machine in ["masterone", "workerone"] {
            let look = "ls -d /etc/personal /personal /host-tmp; env | grep http_proxy; id -un";
            let seen = Program::find("docker")
                .and_then(|docker| {
                    docker
                        .call(["exec", &container(&tool, lab, machine), "sh", "-c", look])
                        .run()
                })
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(seen.stdout.trim(), "root", "{machine}");
        }
        tool.ok(&["destroy", lab, "--yes"]);
    });
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
fn flannel_carries_pods_packets_also_after_a_halt() {
    on_a_clean_host(|tool| {
        let labs = tool.root().join("labs");
        let like = std::fs::read_to_string(labs.join("external-etcd.toml")).expect("a lab file");
        let wanted = "pod_network = \"flannel\"\nkubernetes = ";
        let text = like.replacen("kubernetes = ", wanted, 1);
        assert_ne!(text, like);
        let file = LabFile(labs.join(format!("{FLANNEL}.toml")));
        std::fs::write(&file.0, text).expect("written");

        live_also_after_a_halt(tool, FLANNEL);
    });
}
