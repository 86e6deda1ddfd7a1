//! Labs whose servers have different providers, and labs on a bridge.

use expect_test::expect;

use crate::world::{World, shown};

/// The world with lines below the headers of both servers.
fn with(server1: &str, server2: &str) -> World {
    let world = World::new();
    let text = world.read("labs/small.toml");
    let text = text.replace(
        "[servers.server1]\n",
        &format!("[servers.server1]\n{server1}\n"),
    );
    let text = text.replace(
        "[servers.server2]\n",
        &format!("[servers.server2]\n{server2}\n"),
    );
    world.write("labs/small.toml", &text);
    world
}

#[test]
fn a_plan_shows_what_runs_each_machine_where_that_differs() {
    let table = |args: &[&str]| {
        let world = with("", "provider = \"libvirt\"");
        let ended = world.run(&[&["plan", "small"], args].concat());
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let (table, _) = ended.stdout.split_once("\n\n").expect("two parts");
        let machines = ended.stdout.split("\n\n").nth(1).expect("a table");
        format!("{table}\n\n{machines}\n")
    };
    expect![[r#"
        lab small: Kubernetes 1.36, endpoint https://10.213.7.51:6443, 3 machines on 2 servers, 4096 MiB, 4 CPUs
        libvirt's machines are emulated: some ten times slower, and given more time

        machine     role            address       memory     cpus   server    provider
        etcdone     etcd            10.213.7.61   1024 MiB   1      server2   libvirt
        masterone   control-plane   10.213.7.51   2048 MiB   2      server1   docker
        workerone   worker          10.213.7.71   1024 MiB   1      server2   libvirt
    "#]].assert_eq(&table(&["--emulated"]));
    expect![[r#"
        lab small: Kubernetes 1.36, endpoint https://10.213.7.51:6443, 3 machines on 2 servers, 4096 MiB, 4 CPUs

        machine     role            address       memory     cpus   server
        etcdone     etcd            10.213.7.61   1024 MiB   1      server2
        masterone   control-plane   10.213.7.51   2048 MiB   2      server1
        workerone   worker          10.213.7.71   1024 MiB   1      server2
    "#]].assert_eq(&table(&["--provider", "docker"]));
    let world = with("", "provider = \"libvirt\"");
    let ended = world.run(&["plan", "small", "--json", "--emulated=no"]);
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let providers = serde_json::json!({ "server1": "docker", "server2": "libvirt" });
    assert_eq!(plan["providers"], providers);
    assert_eq!(plan["emulated"], false);
}

#[test]
fn a_flag_that_does_not_say_what_it_is_about() {
    let world = with("", "provider = \"libvirt\"");
    let ended = world.run(&["plan", "small", "--provider", "server3=docker"]);
    expect![[r#"
        status 2
        --- stderr
        error: lab `small` has no server `server3`

        hint: did you mean `server2`?
    "#]]
    .assert_eq(&shown(&ended));
    let ended = world.run(&["plan", "small", "--image", "box"]);
    expect![[r#"
        status 2
        --- stderr
        error: the machines of lab `small` are of docker and libvirt, and `box` is one image

        hint: `--image docker=IMAGE` or `--image libvirt=IMAGE` says which machines are made from it
    "#]]
    .assert_eq(&shown(&ended));
    let ended = world.run(&["plan", "small", "--provider", "server1=moon"]);
    assert_eq!(ended.status, Some(2));
    let text = "`moon` is none of docker, libvirt, virtualbox";
    assert!(ended.stderr.contains(text), "{}", ended.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn a_bridge_that_is_not_here_is_told_before_anything_is_made() {
    let bridge = "bridge = \"nosuchbridge0\"";
    let lines = format!("{bridge}\naddress = \"10.213.7.11\"");
    let world = with(&lines, &lines);
    let line = world.read("labs/small.toml");
    let line = line.lines().position(|it| it == bridge).expect("a bridge") + 1;
    let text =
        format!("labs/small.toml:{line}: this computer has no network interface `nosuchbridge0`");
    let ended = world.run(&["up", "small", "--image", "caravan-machine:test"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&text), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: there "), "{}", ended.stderr);
    assert!(!world.path("state/calls").exists(), "{}", world.calls());
    assert!(!world.path(".lab/small/server1").exists());
    // A plan can be of another computer's lab.
    let ended = world.run(&["plan", "small"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(&text), "{}", ended.stderr);
}
