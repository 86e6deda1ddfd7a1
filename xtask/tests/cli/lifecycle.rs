use std::fs;

use expect_test::expect;

use crate::world::{LAB, World, shown};

const IMAGE: [&str; 2] = ["--image", "caravan-machine:test"];

#[test]
fn a_machine_that_cannot_be_made() {
    let world = World::new();
    world.write("state/refuse-etcdone", "");
    let ended = world.run(&[&["up", "small", "etcdone"][..], &IMAGE].concat());
    expect![[r#"
        status 1
        --- stderr
        [T] s  5 files written
        [T] s  etcdone        create
        error: `vagrant up --machine-readable --no-destroy-on-error --provider docker --provision etcdone` gave up in `.lab/small/server2`: The machine etcdone cannot be made. 

        hint: all of its output is in `.lab/small/logs/server2.log`
    "#]].assert_eq(&shown(&ended));
    expect![[r#"
        vagrant up --machine-readable --no-destroy-on-error --provider docker --provision etcdone
          in .lab/small/server2
          VAGRANT_BOX_UPDATE_CHECK_DISABLE=1
          VAGRANT_CHECKPOINT_DISABLE=1
          VAGRANT_HOME=.lab/small/vagrant.d
          VAGRANT_NO_COLOR=1
          VAGRANT_NO_PLUGINS=1
    "#]]
    .assert_eq(&world.calls());
    let timelines: Vec<_> = fs::read_dir(world.path(".lab/small/timeline"))
        .expect("kept")
        .flatten()
        .collect();
    assert_eq!(timelines.len(), 1);
    let text = fs::read_to_string(timelines[0].path()).expect("read");
    let timeline: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(timeline["outcome"], "failed");
    let create = timeline["spans"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|span| span["phase"] == "create")
        .expect("the machine's phase is there");
    assert_eq!(
        (&create["subject"], &create["outcome"]),
        (&"etcdone".into(), &"failed".into())
    );
}

#[test]
fn no_address_is_dialled_before_the_lab_has_a_network() {
    let world = World::new();
    // The fake Vagrant makes a machine, but no network.
    let ended = world.run(&[&["up", "small", "etcdone"][..], &IMAGE].concat());
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("no network of this computer has"),
        "{}",
        ended.stderr
    );
    let calls = world.calls();
    assert!(
        calls.contains("vagrant up") && !calls.contains("ssh "),
        "{calls}"
    );
    // What was made is known, so that the next run goes on from it.
    assert!(
        world
            .path(".lab/small/deployed/machines/etcdone/etc/etcd/cluster.env")
            .exists()
    );
}

#[test]
fn a_running_machine_with_older_files_is_told_and_left_alone() {
    let world = World::new();
    let up = [&["up", "small", "etcdone"][..], &IMAGE].concat();
    world.run(&up);
    let again = world.run(&up);
    assert!(!again.stderr.contains("warning:"), "{}", again.stderr);
    world.calls();
    world.write(
        ".lab/small/deployed/machines/etcdone/etc/etcd/cluster.env",
        "AS_IT_WAS=1\n",
    );
    let after = world.run(&up);
    let told: String = after
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning:"))
        .map(|line| format!("{line}\n"))
        .collect();
    expect![[r#"
        warning: machine `etcdone` runs with other files than would be made now: `cargo xtask plan small` shows them, `cargo xtask halt small` and `cargo xtask up small` deliver them
    "#]]
    .assert_eq(&told);
    assert!(!world.calls().contains("vagrant up"));
}

#[test]
fn a_full_disk_is_named_whoever_meets_it() {
    let world = World::new();
    world.write("state/refuse-etcdone", "mkdir: No space left on device");
    let ended = world.run(&[&["up", "small", "etcdone"][..], &IMAGE].concat());
    assert!(
        ended.stderr.contains("hint: the disk is full"),
        "{}",
        ended.stderr
    );
}

#[test]
fn halt_stops_etcd_last() {
    let world = World::new();
    world.is_up();
    world.calls();
    let ended = world.run(&["halt"]);
    expect![[r#"
        status 0
        --- stderr
        [T] s  masterone      halt
        [T] s  workerone      halt
        [T] s  masterone      halt: done
        [T] s  workerone      halt: done
        [T] s  etcdone        halt
        [T] s  etcdone        halt: done
        [T] s  3 machines stopped in [T] s
        next: `cargo xtask up small`
    "#]]
    .assert_eq(&shown(&ended));
    expect![[r#"
        docker stop -t 30 id-masterone id-workerone
        docker stop -t 30 id-etcdone
    "#]]
    .assert_eq(&world.engine_calls("stop"));
    let again = world.run(&["halt", "small"]);
    expect![[r#"
        status 0
        --- stderr
        nothing to do: no such machine runs
    "#]]
    .assert_eq(&shown(&again));
    assert_eq!(world.engine_calls("stop").lines().count(), 2);
    assert_eq!(world.calls(), "", "containers are stopped without Vagrant");
}

#[test]
fn halt_of_one_machine() {
    let world = World::new();
    world.is_up();
    world.calls();
    assert_eq!(world.run(&["halt", "small", "workerone"]).status, Some(0));
    assert_eq!(
        world.engine_calls("stop"),
        "docker stop -t 30 id-workerone\n"
    );
    assert!(world.read("state/containers/workerone").contains("exited"));
    assert!(world.read("state/containers/etcdone").contains("running"));
    let ended = world.run(&["halt", "small", "nobody"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}

#[test]
fn destroy_leaves_nothing() {
    let world = World::new();
    world.is_up();
    world.has_volume("etcdone", "etcd");
    // Of a machine that is gone, and that no file knows any more.
    world.has_volume("etcdfour", "etcd");
    world.calls();
    let unasked = world.run(&["destroy", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: destroying machines of lab `small` was not confirmed

        hint: answer `y` on a terminal, or run the same command with `--yes`
    "#]]
    .assert_eq(&shown(&unasked));
    assert_eq!(world.calls(), "");
    let index = world.remembers_machines();
    let ended = world.run(&["destroy", "small", "--yes"]);
    expect![[r#"
        status 0
        --- stderr
        [T] s  etcdone        destroy
        [T] s  masterone      destroy
        [T] s  workerone      destroy
        [T] s  etcdone        destroy: done
        [T] s  masterone      destroy: done
        [T] s  workerone      destroy: done
        [T] s  removed 2 volumes
        [T] s  lab `small` is gone, after [T] s
    "#]]
    .assert_eq(&shown(&ended));
    // All at once, and none of them is asked to end in peace.
    expect![[r#"
        docker rm --force --volumes id-etcdone id-masterone id-workerone
    "#]]
    .assert_eq(&world.engine_calls("rm"));
    assert_eq!(world.engine_calls("stop"), "");
    assert_eq!(world.calls(), "", "containers are removed without Vagrant");
    // Vagrant knows of no machine of the lab any more, and of all others.
    let left = fs::read_to_string(&index).expect("there");
    assert!(
        left.contains("/elsewhere") && !left.contains("etcdone"),
        "{left}"
    );
    assert!(!world.path(".lab").exists());
    let again = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert!(!world.path(".lab").exists());
}

#[test]
fn destroy_of_one_machine_keeps_the_rest() {
    let world = World::new();
    world.is_up();
    for (machine, holds) in [("workerone", "kubelet"), ("etcdone", "etcd")] {
        world.has_volume(machine, holds);
    }
    let ended = world.run(&["destroy", "small", "workerone", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    // The others are told.
    assert_eq!(
        world.engine_calls("stop"),
        "docker stop -t 2 id-workerone\n"
    );
    let volumes = world.path("state/volumes");
    assert!(!volumes.join("caravan.small.workerone.kubelet").exists());
    assert!(volumes.join("caravan.small.etcdone.etcd").exists());
    assert!(world.path(".lab/small/pki").exists());
    assert!(
        !world
            .path(".lab/small/deployed/machines/workerone")
            .exists()
    );
    assert!(world.path(".lab/small/deployed/machines/etcdone").exists());
}

#[test]
fn destroy_needs_neither_lab_file_nor_vagrant_nor_state() {
    // The file is gone.
    let world = World::new();
    world.is_up();
    fs::remove_file(world.path("labs/small.toml")).expect("removed");
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!world.path(".lab").exists());
    assert_eq!(world.run(&["destroy", "small", "--yes"]).status, Some(2));

    // The file is broken.
    let world = World::new();
    world.is_up();
    world.write("labs/small.toml", "nonsense");
    fs::remove_file(world.path(".lab/small/deployed/lab.toml")).expect("removed");
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);

    // Vagrant refuses its Vagrantfile.
    let world = World::new();
    world.is_up();
    world.write("state/broken", "");
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!world.path("state/containers/etcdone").exists());

    // The state was removed by hand.
    let world = World::new();
    world.is_up();
    fs::remove_dir_all(world.path(".lab")).expect("removed");
    let up = world.run(&["up", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: lab `small` has machines that were not made from this workspace: `etcdone`, `masterone`, `workerone`

        hint: `cargo xtask destroy small` removes them; nobody has their keys any more
    "#]].assert_eq(&shown(&up));
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!world.path("state/containers/etcdone").exists());
    assert!(!world.path(".lab").exists());
}

#[test]
fn an_edited_lab_is_refused_while_its_machines_are_there() {
    let world = World::new();
    world.is_up();
    world.write(
        "labs/small.toml",
        &LAB.replace("10.213.7.71", "10.213.7.72")
            .replace("cpus = 2", "cpus = 3"),
    );
    let ended = world.run(&["up", "small"]);
    expect![[r#"
        status 1
        --- stderr
        error: the file of lab `small` was changed, and its machines were made from the file as it was before:
            machine `masterone`: `cpus` was `2` and is `3`
            machine `workerone`: `ip` was `10.213.7.71` and is `10.213.7.72`

        hint: `cargo xtask destroy small`, then `up` again; `cargo xtask plan small` shows what would change; or undo the edit
    "#]].assert_eq(&shown(&ended));
    let written = world.run(&["plan", "small", "--write"]);
    assert_eq!(written.status, Some(1), "{}", written.stderr);
    let plan = world.run(&["plan", "small"]);
    assert!(
        plan.stdout.contains("edited: machine `workerone`"),
        "{}",
        plan.stdout
    );
}

#[test]
fn other_choices_are_refused_while_machines_are_there() {
    let world = World::new();
    world.is_up();
    let ended = world.run(&["up", "small", "--airgap"]);
    expect![[r#"
        status 2
        --- stderr
        error: lab `small` was made with airgap `false`, and `true` is asked for

        hint: leave the flag out to go on with the machines there are, or `cargo xtask destroy small` first
    "#]].assert_eq(&shown(&ended));
    let ended = world.run(&["up", "small", "--provider", "virtualbox"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}

#[test]
fn a_stopped_engine() {
    let world = World::new();
    world.is_up();
    world.write("state/engine-down", "");
    let ended = world.run(&["halt", "small"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended
            .stderr
            .contains("hint: the container engine has stopped"),
        "{}",
        ended.stderr
    );
    // Nobody can tell how many there are.
    let list = world.run(&["list"]);
    assert_eq!(list.status, Some(0));
    assert!(
        list.stderr.contains("could not be counted") && list.stdout.contains("unknown"),
        "{}{}",
        list.stdout,
        list.stderr
    );
    let list = world.run(&["list", "--json"]);
    let labs: serde_json::Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert_eq!(labs[0]["machines"], serde_json::Value::Null);
}

#[test]
fn a_stopped_engine_is_not_a_lab_without_machines() {
    let world = World::new();
    world.is_up();
    let kept = world.read(".lab/small/deployed/lab.toml");
    let vagrantfile = world.read(".lab/small/server1/Vagrantfile");
    world.write("state/engine-down", "");
    // What can be said without the engine is said, and what cannot is told.
    let plan = world.run(&["plan", "small", "--json"]);
    assert_eq!(plan.status, Some(0), "{}", plan.stderr);
    assert!(
        plan.stderr
            .contains("cannot ask which machines of lab `small` are there"),
        "{}",
        plan.stderr
    );
    let report: serde_json::Value = serde_json::from_str(&plan.stdout).expect("JSON");
    assert_eq!(report["there"], serde_json::Value::Null);
    // The same lab may be written again; another one would take the place of what describes live machines.
    let again = world.run(&["plan", "small", "--write"]);
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    let text = world.read("labs/small.toml");
    world.write(
        "labs/small.toml",
        &text.replace("10.213.7.71", "10.213.7.72"),
    );
    let ended = world.run(&["plan", "small", "--write"]);
    assert_eq!(ended.status, Some(1));
    expect![[r#"
        status 1
        --- stderr
        error: the file of lab `small` was changed, and it is not known whether machines exist that were made from the file as it was before:
            machine `workerone`: `ip` was `10.213.7.71` and is `10.213.7.72`
          the container engine does not answer: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?

        hint: the container engine has stopped: `cargo xtask setup` starts it where nothing else does; then run the same command again, which goes on from here
    "#]]
    .assert_eq(&shown(&ended));
    assert_eq!(world.read(".lab/small/deployed/lab.toml"), kept);
    assert_eq!(world.read(".lab/small/server1/Vagrantfile"), vagrantfile);
    // Two labs with state, and nobody to say which of them has machines.
    world.write(".lab/other/server1/Vagrantfile", "");
    let status = world.run(&["status"]);
    assert_eq!(status.status, Some(1));
    assert!(
        status
            .stderr
            .contains("the container engine does not answer"),
        "{}",
        status.stderr
    );
}

#[test]
fn a_machine_that_is_gone_would_be_made() {
    let world = World::new();
    world.is_up();
    std::fs::remove_file(world.path("state/containers/workerone")).expect("removed");
    let plan = world.run(&["plan", "small", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&plan.stdout).expect("JSON");
    let new: Vec<bool> = (report["changes"].as_array().expect("a list").iter())
        .map(|change| change["new"] == true)
        .collect();
    assert_eq!(new, [false, false, true]);
    assert_eq!(report["there"], serde_json::json!(["etcdone", "masterone"]));
}
