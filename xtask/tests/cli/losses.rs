//! A lab whose machines were lost, as by `docker system prune`: with their data, or without it.

use std::fs;

use expect_test::expect;

use crate::world::{World, shown};

/// The lab `small`, made and seen ready, of which only the volumes of `kept` are left.
fn pruned(kept: &[(&str, &str)]) -> World {
    let world = World::new();
    world.is_up();
    world.write(
        ".lab/small/cluster.toml",
        "kube_system = \"6b8c\"\nseen = \"2026-11-21T12:00:00Z\"\n",
    );
    fs::remove_dir_all(world.path("state/containers")).expect("removed");
    for (machine, holds) in kept {
        world.has_volume(machine, holds);
    }
    world.calls();
    world
}

#[test]
fn a_lab_that_was_pruned_goes_on_with_its_data() {
    let world = pruned(&[("etcdone", "etcd"), ("masterone", "kubelet")]);
    let list = world.run(&["list", "small"]);
    assert_eq!(
        list.stdout.matches("absent, its data is kept").count(),
        2,
        "{}",
        list.stdout
    );
    // What was chosen holds, though no machine is there.
    let other = world.run(&["up", "small", "--airgap"]);
    assert_eq!(other.status, Some(2), "{}", other.stderr);
    // The fake Vagrant makes machines but no network, which ends the run once they are made.
    let ended = world.run(&["up", "small", "--yes"]);
    assert!(
        ended.stderr.contains("no network of this computer has"),
        "{}",
        ended.stderr
    );
    assert_eq!(world.calls().matches("vagrant up").count(), 2);
    assert!(
        world
            .path("state/volumes/caravan.small.etcdone.etcd")
            .exists()
    );
    assert!(world.path(".lab/small/cluster.toml").exists());
}

#[test]
fn a_lab_whose_data_is_lost_is_not_made_anew_without_a_word() {
    let world = pruned(&[("masterone", "kubelet")]);
    let ended = world.run(&["up", "small", "--yes"]);
    expect![[r#"
        status 1
        --- stderr
        error: the cluster of lab `small`, first seen ready at 2026-11-21T12:00:00Z, is lost: `etcdone` is gone, and etcd's data with it. All that was stored in the cluster goes with it; no machine of the lab is left

        hint: `cargo xtask up small --new-cluster` removes what is left and makes a new, empty cluster
    "#]].assert_eq(&shown(&ended));
    // Machines that are there are no cluster without it.
    world.has_machine("masterone", "server1", "exited");
    let ended = world.run(&["up", "small", "masterone", "--yes"]);
    assert!(
        ended.stderr.contains("1 machine of the lab is left"),
        "{}",
        ended.stderr
    );
    assert_eq!(world.calls(), "");
    assert!(
        world
            .path("state/volumes/caravan.small.masterone.kubelet")
            .exists()
    );

    let ended = world.run(&["up", "small", "--yes", "--new-cluster"]);
    assert!(
        ended.stderr.contains("warning: the cluster of lab `small`"),
        "{}",
        ended.stderr
    );
    // Nothing of the old one meets the new one.
    assert!(
        !world
            .path("state/volumes/caravan.small.masterone.kubelet")
            .exists()
    );
    assert_eq!(
        world.engine_calls("rm"),
        "docker rm --force --volumes id-masterone\n"
    );
    assert_eq!(world.calls().matches("vagrant up").count(), 2);
    assert!(!world.path(".lab/small/cluster.toml").exists());
}

#[test]
fn the_word_for_a_new_cluster_changes_nothing_where_data_is_kept() {
    let world = pruned(&[("etcdone", "etcd")]);
    world.run(&["up", "small", "--new-cluster"]);
    assert!(
        world
            .path("state/volumes/caravan.small.etcdone.etcd")
            .exists()
    );
    assert!(world.path(".lab/small/cluster.toml").exists());
}

#[test]
fn data_of_a_lab_whose_state_is_gone_is_a_strangers() {
    let world = pruned(&[("etcdone", "etcd")]);
    fs::remove_dir_all(world.path(".lab")).expect("removed");
    let up = world.run(&["up", "small", "--yes"]);
    assert!(
        up.stderr
            .contains("that were not made from this workspace: `etcdone`"),
        "{}",
        up.stderr
    );
    // Also where no file tells of the lab.
    fs::remove_dir_all(world.path(".lab")).expect("removed");
    fs::remove_file(world.path("labs/small.toml")).expect("removed");
    let list = world.run(&["list"]);
    assert!(list.stdout.contains("small"), "{}", list.stdout);
    let ended = world.run(&["destroy", "small", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        !world
            .path("state/volumes/caravan.small.etcdone.etcd")
            .exists()
    );
}

#[test]
fn data_of_another_workspaces_lab_is_left_alone() {
    let world = World::new();
    world.write("other/.lab/small/server2/Vagrantfile", "");
    let project = world.path("other/.lab/small/server2");
    world.write(
        "state/volumes/caravan.small.etcdone.etcd",
        &format!("small etcdone etcd {}\n", project.display()),
    );
    for verb in [&["up", "small"][..], &["destroy", "small", "--yes"]] {
        let ended = world.run(verb);
        assert!(
            ended.stderr.contains("were made from `other`: `etcdone`"),
            "{}",
            ended.stderr
        );
    }
    assert!(
        world
            .path("state/volumes/caravan.small.etcdone.etcd")
            .exists()
    );
}

#[test]
fn a_machine_that_is_gone_can_be_destroyed_with_its_data_and_no_other() {
    let world = pruned(&[("etcdone", "etcd"), ("workerone", "kubelet")]);
    let ended = world.run(&["destroy", "small", "workerone", "--yes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        !world
            .path("state/volumes/caravan.small.workerone.kubelet")
            .exists()
    );
    assert!(
        world
            .path("state/volumes/caravan.small.etcdone.etcd")
            .exists()
    );
    assert!(world.path(".lab/small/pki").exists());
}
