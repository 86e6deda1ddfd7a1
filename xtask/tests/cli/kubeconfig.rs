use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::world::World;

const THEIRS: &str = "# mine\napiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster: {server: \"https://prod\"}\ncontexts: []\nusers: []\ncurrent-context: prod\n";

#[test]
fn merged_and_unmerged() {
    let world = World::new();
    world.is_up();
    let path = world.run(&["kubeconfig"]);
    assert_eq!(
        (path.status, path.stdout.trim()),
        (Some(0), ".lab/small/kubeconfig")
    );
    let mode = fs::metadata(world.path(".lab/small/kubeconfig"))
        .expect("made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    world.write("home/.kube/config", THEIRS);
    let merged = world.run(&["kubeconfig", "small", "--merge"]);
    assert_eq!(merged.status, Some(0), "{}", merged.stderr);
    let both = world.read("home/.kube/config");
    for name in [
        "caravan-small",
        "caravan-small-masterone",
        "caravan-small-admin",
        "prod",
    ] {
        assert!(both.contains(name), "{name} is not in {both}");
    }
    assert!(both.contains("current-context: prod\n"));
    assert_eq!(world.read("home/.kube/config.before-caravan"), THEIRS);
    assert!(!world.path("home/.kube/config.lock").exists());
    // A second time nothing changes.
    assert_eq!(
        world.run(&["kubeconfig", "small", "--merge"]).status,
        Some(0)
    );
    assert_eq!(world.read("home/.kube/config"), both);

    let taken = world.run(&["kubeconfig", "small", "--unmerge"]);
    assert_eq!(taken.status, Some(0), "{}", taken.stderr);
    assert_eq!(world.read("home/.kube/config"), THEIRS);
}

#[test]
fn destroy_takes_the_contexts_along() {
    let world = World::new();
    world.is_up();
    world.write("home/.kube/config", THEIRS);
    assert_eq!(
        world.run(&["kubeconfig", "small", "--merge"]).status,
        Some(0)
    );
    assert_eq!(world.run(&["destroy", "small", "--yes"]).status, Some(0));
    assert_eq!(world.read("home/.kube/config"), THEIRS);
}

#[test]
fn the_first_of_kubeconfig_is_written() {
    let world = World::new();
    world.is_up();
    let list =
        std::env::join_paths([world.path("home/one"), world.path("home/two")]).expect("joined");
    let output = world
        .call(&["kubeconfig", "small", "--merge"])
        .env("KUBECONFIG", list)
        .output()
        .expect("the tool starts");
    assert_eq!(output.status, Some(0), "{}", output.stderr);
    assert!(
        world
            .read("home/one")
            .contains("current-context: caravan-small")
    );
    let mode = fs::metadata(world.path("home/one"))
        .expect("made")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!world.path("home/two").exists());
}

#[test]
fn what_is_not_understood_is_left_alone() {
    for theirs in ["{", "kind: Pod\n", "clusters: [{name: prod}]\n"] {
        let world = World::new();
        world.is_up();
        world.write("home/.kube/config", theirs);
        let refused = world.run(&["kubeconfig", "small", "--merge"]);
        assert_eq!(refused.status, Some(1), "{theirs}");
        assert!(
            refused.stderr.contains("is left as it is"),
            "{}",
            refused.stderr
        );
        assert_eq!(world.read("home/.kube/config"), theirs);
        assert!(!world.path("home/.kube/config.lock").exists());
    }
    let world = World::new();
    world.is_up();
    world.write("home/.kube/config.lock", "");
    let refused = world.run(&["kubeconfig", "small", "--merge"]);
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("another program holds"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_lab_without_keys() {
    let world = World::new();
    let refused = world.run(&["kubeconfig", "small"]);
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.stderr.contains("was never brought up from here"),
        "{}",
        refused.stderr
    );
}
