use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use expect_test::expect;

use crate::world::{World, shown};

#[test]
fn list() {
    let world = World::new();
    world.is_up();
    world.has_machine("workerone", "server2", "exited");
    world.write("labs/broken.toml", "nonsense");
    expect![[r#"
        status 0
        --- stdout
        lab      machines   running   file
        broken   0          0         there
        small    3          2         there
    "#]]
    .assert_eq(&shown(&world.run(&["list"])));
    expect![[r#"
        status 0
        --- stdout
        machine     role            address       server    state
        etcdone     etcd            10.213.7.61   server2   running
        masterone   control-plane   10.213.7.51   server1   running
        workerone   worker          10.213.7.71   server2   stopped
    "#]]
    .assert_eq(&shown(&world.run(&["list", "small"])));
    let json = world.run(&["list", "small", "--json"]);
    let machines: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(machines[2]["name"], "workerone");
    assert_eq!(machines[2]["state"], "stopped");
    assert_eq!(machines[2]["id"], "id-workerone");
}

#[test]
fn ssh_and_its_status() {
    let world = World::new();
    world.is_elsewhere();
    world.calls();
    let ended = world.run(&["ssh", "small", "masterone", "--", "exit 7"]);
    assert_eq!(ended.status, Some(7));
    expect![[r#"
        ssh -F none -o IdentityFile=.lab/small/ssh/id_ecdsa -o IdentitiesOnly=yes -o IdentityAgent=none -o GlobalKnownHostsFile=none -o UserKnownHostsFile=.lab/small/ssh/known_hosts -o StrictHostKeyChecking=accept-new -o HashKnownHosts=no -o UpdateHostKeys=no -o ConnectTimeout=4 -o ServerAliveInterval=2 -o ServerAliveCountMax=3 -o LogLevel=ERROR -o ProxyCommand=bin/ssh -o 'UserKnownHostsFile=.lab/small/ssh/known_hosts ~/.ssh/known_hosts ~/.ssh/known_hosts2' -o StrictHostKeyChecking=yes -o HashKnownHosts=no -o UpdateHostKeys=no -o ConnectTimeout=12 -o ServerAliveInterval=2 -o ServerAliveCountMax=3 -o LogLevel=ERROR -o BatchMode=yes -W %h:%p ssh://me@other vagrant@10.213.7.51 exit 7
    "#]].assert_eq(&world.calls());
    let before = World::new().run(&["ssh", "small", "masterone"]);
    // No address is dialled while this computer has no network of the lab's.
    expect![[r#"
        status 1
        --- stderr
        error: no network of this computer has `10.213.7.0/24`: no machine of lab `small` runs here

        hint: `cargo xtask up small` starts them
    "#]]
    .assert_eq(&shown(&before));
}

#[test]
fn logs() {
    let world = World::new();
    world.is_elsewhere();
    world.calls();
    let ended = world.run(&["logs", "small", "masterone", "--unit", "kubelet"]);
    assert_eq!(ended.stdout, "CARAVAN 1795000000000 prepare start\n");
    assert!(
        world
            .calls()
            .contains("journalctl --no-pager --output=short-iso --unit kubelet")
    );
    world.write(".lab/small/logs/server1.log", "masterone: made\n");
    expect![[r#"
        status 0
        --- stdout
        ==> .lab/small/logs/server1.log <==
        masterone: made
    "#]]
    .assert_eq(&shown(&world.run(&["logs"])));
}

#[test]
fn status_of_a_halted_lab() {
    let world = World::new();
    world.is_up();
    for (name, server) in [
        ("etcdone", "server2"),
        ("masterone", "server1"),
        ("workerone", "server2"),
    ] {
        world.has_machine(name, server, "exited");
    }
    let ended = world.run(&["status"]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("lab `small` is not well:\n  `etcdone` is stopped\n"),
        "{}",
        ended.stdout
    );
    let json = world.run(&["status", "small", "--json"]);
    assert_eq!(json.status, Some(3));
    let status: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(status["machines"][0]["state"], "stopped");
}

#[test]
fn nothing_is_dialled_without_a_network() {
    let world = World::new();
    world.is_up();
    for args in [
        &["status", "small"][..],
        &["verify", "small"],
        &["verify", "small", "--wait"],
    ] {
        let ended = world.run(args);
        assert_eq!(ended.status, Some(1), "{args:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("no network of this computer has"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn plan() {
    let world = World::new();
    let mut before = world.run(&["plan", "small"]);
    // How many files machines get is told by the golden files of `render`.
    let count = before
        .stdout
        .split("would be made, with ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let count = count.expect("a number of files").to_owned();
    before.stdout = before
        .stdout
        .replace(&format!("with {count} files"), "with [N] files");
    expect![[r#"
        status 0
        --- stdout
        lab small: Kubernetes 1.36, endpoint https://10.213.7.51:6443, 3 machines on 2 servers, 4096 MiB, 4 CPUs

        machine     role            address       memory     cpus   server
        etcdone     etcd            10.213.7.61   1024 MiB   1      server2
        masterone   control-plane   10.213.7.51   2048 MiB   2      server1
        workerone   worker          10.213.7.71   1024 MiB   1      server2

        3 machines would be made, with [N] files

        loss of                        endpoint   reads   writes   scheduling   pods    because
        etcdone                        works      stops   stops    stops        works   0 etcd members left, 1 needed
        masterone                      stops      stops   stops    stops        works   no master left
        workerone                      works      works   works    stops        stops   no worker left
        server1 with its one machine   stops      stops   stops    stops        works   no master left
        server2 with its 2 machines    works      stops   stops    stops        stops   0 etcd members left, 1 needed; no worker left

        The cluster does not survive the loss of `etcdone`, `masterone`.
        It does not survive the loss of server `server1`, nor of server `server2`.
        `server1` and `server2` are one computer, this one, which is lost as a whole; a `host` makes another of a server.
        Wherever they are, 1 of role `etcd` are too few to lose one server: 3 are needed.
        Wherever they are, 0 of role `load-balancer` are too few to lose one server: 2 are needed.
        Wherever they are, 1 of role `control-plane` are too few to lose one server: 2 are needed.
        Wherever they are, 1 of role `worker` are too few to lose one server: 2 are needed.
    "#]].assert_eq(&shown(&before));
    assert!(!world.path(".lab").exists(), "to plan is not to do");
    let json = world.run(&["plan", "small", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(plan["machines"].as_array().map(Vec::len), Some(3));
    assert_eq!(plan["changes"][0]["new"], true);
}

#[test]
fn plan_writes_what_vagrant_needs() {
    let world = World::new();
    let args = [
        "plan",
        "small",
        "--write",
        "--airgap",
        "--image",
        "caravan-machine:test",
    ];
    let written = world.run(&args);
    assert_eq!(written.status, Some(0), "{}", written.stderr);
    assert!(
        written
            .stderr
            .contains("next: `cd .lab/small/server1 && vagrant up`"),
        "{}",
        written.stderr
    );
    let vagrantfile = world.read(".lab/small/server2/Vagrantfile");
    assert!(
        vagrantfile.contains("caravan-machine:test"),
        "{vagrantfile}"
    );
    let again = world.run(&args);
    assert!(again.stderr.contains("0 files written"), "{}", again.stderr);
    private(&world.path(".lab"));
}

/// Everything below is the owner's alone.
fn private(folder: &Path) {
    let mode = fs::metadata(folder).expect("there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{} is {mode:o}", folder.display());
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            private(&entry.path());
        }
    }
}

#[test]
fn what_changed_since_the_machines_were_made() {
    let world = World::new();
    world.is_up();
    let plan = world.run(&["plan", "small", "--diff"]);
    // The machines of this test were given one file that nobody renders.
    assert!(
        plan.stdout.contains("etcdone would change:"),
        "{}",
        plan.stdout
    );
    assert!(
        plan.stdout
            .contains("/etc/x  (may hold a secret: not shown)"),
        "{}",
        plan.stdout
    );
}

#[test]
fn no_secret_is_shown_or_listed() {
    let world = World::new();
    world.is_up();
    let mut secrets: Vec<String> = Vec::new();
    for entry in fs::read_dir(world.path(".lab/small/pki/secrets"))
        .expect("there")
        .flatten()
    {
        secrets.push(
            fs::read_to_string(entry.path())
                .expect("read")
                .trim()
                .to_owned(),
        );
    }
    assert!(!secrets.is_empty());
    let key = world.read(".lab/small/pki/ca.key");
    secrets.extend(key.lines().nth(1).map(str::to_owned));
    for args in [
        &["plan", "small", "--diff"][..],
        &["plan", "small", "--json"],
        &["up", "small", "--airgap"],
        &["list", "small", "--json"],
        &["explain", "small", "etcdone", "cluster.env"],
        &["explain", "small", "kubeadm-init.yaml", "--json"],
        &["explain", "small", "join-token.env", "TOKEN"],
        &["explain", "small", "ca.key"],
        &["halt", "small"],
        &["logs", "small"],
    ] {
        let ended = world.run(args);
        let said = ended.stdout
            + &ended.stderr
            + &world.read("state/calls")
            + &world.read("state/docker-calls");
        for secret in &secrets {
            assert!(!said.contains(secret.as_str()), "{args:?} tells a secret");
        }
    }
    for timeline in fs::read_dir(world.path(".lab/small/timeline"))
        .expect("there")
        .flatten()
    {
        let text = fs::read_to_string(timeline.path()).expect("read");
        assert!(secrets.iter().all(|secret| !text.contains(secret.as_str())));
    }
}

#[test]
fn certificates_are_judged_offline() {
    let world = World::new();
    assert_eq!(world.run(&["certs", "check", "small"]).status, Some(1));
    world.is_up();
    let good = world.run(&["certs", "check", "small", "--offline", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&good.stdout).expect("JSON");
    assert_eq!(good.status, Some(0), "{report:#}");
    assert!(report["certificates"].as_array().expect("a list").len() > 5);
    assert_eq!(report["findings"], serde_json::json!([]));
    assert_eq!(report["live"], serde_json::json!(null), "nobody was asked");
    // No certificate, but what calls itself one.
    world.write(
        ".lab/small/pki/operator.crt",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let bad = world.run(&["certs", "check", "small", "--offline"]);
    assert_eq!(bad.status, Some(1), "{}", bad.stdout);
    assert!(bad.stderr.contains("operator.crt"), "{}", bad.stderr);
}
