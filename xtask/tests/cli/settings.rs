//! What a lab file sets of its cluster, as far as no machine is needed for it.

use crate::world::{Ended, LAB, World};

const UP: [&str; 4] = ["up", "small", "--image", "caravan-machine:test"];

/// The lab's file with `settings` before its servers.
fn with(settings: &str) -> String {
    let (head, servers) = LAB.split_once("[servers.").expect("it has servers");
    format!("{head}{settings}\n[servers.{servers}")
}

fn assert_says(ended: &Ended, status: i32, words: &[&str]) {
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    for words in words {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[test]
fn what_the_lab_sets_itself_is_refused_with_its_line() {
    let world = World::new();
    world.write(
        "labs/small.toml",
        &with("[api_server]\nargs = { etcd-servers = \"x\" }"),
    );
    let ended = world.run(&UP);
    assert_says(
        &ended,
        2,
        &[
            "--> labs/small.toml:",
            "args = { etcd-servers",
            "the role `etcd`",
        ],
    );
    assert!(!world.path(".lab").exists());
}

#[test]
fn a_policy_lies_beside_the_lab_file() {
    let world = World::new();
    world.write(
        "labs/small.toml",
        &with("[cluster]\naudit = \"audit.yaml\""),
    );
    for verb in [&UP[..], &["plan", "small"]] {
        let ended = world.run(verb);
        assert_says(
            &ended,
            2,
            &[
                "there is no file `audit.yaml` beside the lab file",
                "--> labs/small.toml:",
            ],
        );
    }
    world.write("labs/audit.yaml", "rules: []\n");
    assert_says(&world.run(&["plan", "small"]), 2, &["is no audit policy"]);
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: None\n";
    world.write("labs/audit.yaml", policy);
    assert_says(&world.run(&["plan", "small"]), 0, &[]);
}

#[test]
fn without_a_bundle_nobody_knows_flags_and_that_is_told() {
    let world = World::new();
    world.write(
        "labs/small.toml",
        &with("[scheduler]\nargs = { zzz = \"1\" }"),
    );
    let ended = world.run(&UP);
    let words = "are not checked, because there is no bundle whose programs know them; `cargo xtask bundle build";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}

#[test]
fn encryption_is_not_changed_under_a_lab_that_runs() {
    let world = World::new();
    world.has_machine("etcdone", "server2", "running");
    world.write(".lab/small/deployed/lab.toml", LAB);
    world.write(
        "labs/small.toml",
        &with("[cluster]\nencryption = \"secretbox\""),
    );
    let ended = world.run(&UP);
    let said = "`cluster.encryption` was `absent` and is `secretbox`";
    assert_says(&ended, 1, &[said, "`cargo xtask destroy small`"]);
    // Other settings are no edit that machines must be made anew for.
    world.write("labs/small.toml", &with("[cluster]\naudit = \"metadata\""));
    let ended = world.run(&UP);
    assert!(!ended.stderr.contains("was changed"), "{}", ended.stderr);
}
