//! `load` and `images`: what is refused before any node is touched, what is queued, what fails on one node, and what a second
//! time does. That pods run is shown on real machines.

use std::fs;
use std::path::Path;

use caravan_process::Program;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::{Ended, LAB, World, shown};

const MASTER: &str = "10.213.7.51";
const WORKER: &str = "10.213.7.71";

/// This computer's processor, as images have it, and another one.
const OURS: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};
const OTHER: &str = if cfg!(target_arch = "aarch64") {
    "amd64"
} else {
    "arm64"
};

/// The lab `small` on another computer, so that no address is dialled here, with all machines running.
fn world() -> World {
    let world = World::new();
    let server = |name: &str| format!("[servers.{name}]");
    let there = "\nhost = \"ssh://me@other\"\nbridge = \"br0\"\naddress = \"10.213.7.11\"";
    let text = LAB
        .replace(&server("server1"), &(server("server1") + there))
        .replace(&server("server2"), &(server("server2") + there));
    world.write("labs/small.toml", &text);
    world.install_as("node-ssh", "ssh");
    fs::create_dir_all(world.path("there/other")).expect("made");
    world.is_up();
    world
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, content.as_slice())
            .expect("added");
    }
    archive.into_inner().expect("whole")
}

/// An image as `docker save` writes it, and its id.
fn image(word: &str, arch: &str, tags: &[&str]) -> (Vec<u8>, String) {
    let layer = tar(&[("app".to_owned(), word.as_bytes().to_vec())]);
    let config = json!({"architecture": arch, "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sum(&layer))]}});
    let config = config.to_string().into_bytes();
    let id = sum(&config);
    let manifest =
        json!([{"Config": format!("{id}.json"), "RepoTags": tags, "Layers": ["one/layer.tar"]}]);
    let archive = tar(&[
        ("one/layer.tar".to_owned(), layer),
        (format!("{id}.json"), config),
        (
            "manifest.json".to_owned(),
            manifest.to_string().into_bytes(),
        ),
    ]);
    (archive, id)
}

/// Gives the engine an image called `name`.
fn engine_has(world: &World, name: &str, word: &str, arch: &str, tags: &[&str]) -> String {
    let (archive, id) = image(word, arch, tags);
    let flat = name.replace(':', "_");
    let about = json!([{"Id": format!("sha256:{id}"), "RepoTags": tags, "Os": "linux", "Architecture": arch}]);
    world.write(&format!("state/inspect/{flat}"), &about.to_string());
    world.write(&format!("state/images/{flat}"), "");
    fs::create_dir_all(world.path("state/saved")).expect("made");
    fs::write(world.path("state/saved").join(&flat), archive).expect("written");
    id
}

fn give(world: &World, path: &str, bytes: &[u8]) {
    fs::write(world.path(path), bytes).expect("written");
}

/// How often each node was sent an image.
fn sent(world: &World) -> (usize, usize) {
    let sent = world.read("state/sent");
    let to = |node: &str| sent.lines().filter(|line| *line == node).count();
    (to(MASTER), to(WORKER))
}

fn json_of(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", shown(ended)))
}

#[test]
fn all_nodes_have_it_and_a_second_time_nothing_is_copied() {
    let world = world();
    let id = engine_has(&world, "app:1", "one", OURS, &["app:1"]);
    let first = world.run(&["load", "small", "app:1", "--json"]);
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    let loaded = &json_of(&first)[0];
    assert_eq!(loaded["names"], json!(["docker.io/library/app:1"]));
    assert_eq!(loaded["id"], format!("sha256:{id}"));
    assert_eq!(
        loaded["nodes"],
        json!({"masterone": "copied", "workerone": "copied"})
    );
    assert_eq!(sent(&world), (1, 1), "etcd machines run no images");
    let line = format!(
        "docker.io/library/app:1 {}\n",
        loaded["digest"].as_str().expect("text")
    );
    assert_eq!(world.read(&format!("state/images.{WORKER}")), line);

    let saved = |world: &World| world.engine_calls("image save").lines().count();
    assert_eq!(saved(&world), 1);
    let again = world.run(&["load", "small", "app:1"]);
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains("and nothing was copied"),
        "{}",
        again.stderr
    );
    assert_eq!(
        (sent(&world), saved(&world)),
        ((1, 1), 1),
        "it was not even read"
    );

    // The same image from an archive, a pipe, and under another name.
    let (archive, _) = image("one", OURS, &["app:1"]);
    give(&world, "app.tar", &archive);
    let ended = world.run(&["load", "small", "app.tar", "--json"]);
    assert_eq!(
        json_of(&ended)[0]["nodes"],
        json!({"masterone": "had", "workerone": "had"})
    );
    let call = world
        .call(&["load", "small", "-", "--name", "other:2", "--json"])
        .stdin(archive);
    let output = call.run().expect("loaded");
    let loaded: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        loaded[0]["nodes"],
        json!({"masterone": "named", "workerone": "named"})
    );
    assert_eq!(sent(&world), (1, 1));
    let ended = world.run(&["images", "small"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("docker.io/library/other:2"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("all 2"), "{}", ended.stdout);
}

#[test]
fn what_is_no_image_touches_no_node() {
    let world = world();
    let (whole, _) = image("one", OURS, &["app:1"]);
    give(&world, "text.tar", &b"hello\n".repeat(200));
    give(&world, "half.tar", &whole[..whole.len() / 2]);
    give(&world, "other.tar", &image("one", OTHER, &["app:1"]).0);
    give(&world, "nameless.tar", &image("one", OURS, &[]).0);
    engine_has(&world, "foreign:1", "one", OTHER, &["foreign:1"]);
    engine_has(&world, "0123", "one", OURS, &[]);
    engine_has(&world, "application:1", "one", OURS, &["application:1"]);
    fs::create_dir(world.path("layout.oci")).expect("made");
    let platform = format!("linux/{OURS}");
    for (args, status, says) in [
        (
            &["text.tar"][..],
            1,
            "`text.tar` is no image: it is no tar archive",
        ),
        (&["half.tar"], 1, "`half.tar` is no image: it breaks off"),
        (&["other.tar"], 1, &format!("and the nodes are {platform}")),
        (
            &["foreign:1"],
            1,
            &format!("`docker build --platform {platform} ...`"),
        ),
        (&["nameless.tar"], 2, "`--name app:1` gives it one"),
        (&["0123"], 2, "so does `--name app:1` here"),
        (&["aplication:1"], 2, "did you mean `application:1`?"),
        (&["none.tar"], 1, "cannot read `none.tar`"),
        (&["layout.oci"], 2, "is a folder"),
        (
            &["nameless.tar", "--name", "App"],
            2,
            "cannot be the name of an image",
        ),
        (
            &["application:1", "--machine", "etcdone"],
            2,
            "is etcd, and runs no images",
        ),
        (
            &["application:1", "--machine", "workerono"],
            2,
            "did you mean `workerone`?",
        ),
    ] {
        let ended = world.run(&[&["load", "small"], args].concat());
        assert_eq!(ended.status, Some(status), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
    assert_eq!(sent(&world), (0, 0));
    assert!(!world.path(".lab/small/images/images.toml").exists());
    let left = fs::read_dir(world.path(".lab/small/images")).expect("made");
    assert_eq!(left.count(), 0, "nothing half is kept");
}

#[test]
fn a_halted_machine_gets_it_later() {
    let world = world();
    world.has_machine("workerone", "server2", "exited");
    engine_has(&world, "app:1", "one", OURS, &["app:1"]);
    let ended = world.run(&["load", "small", "app:1"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`workerone` does not run: `cargo xtask up small` gives `docker.io/library/app:1` to what it starts"),
        "{}",
        ended.stderr
    );
    assert_eq!(sent(&world), (1, 0));
    world.has_machine("workerone", "server2", "running");
    let ended = world.run(&["images", "small", "--json"]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert_eq!(
        json_of(&ended)["images"][0]["lacking"],
        json!(["workerone"])
    );
    // What is not wanted any more is not kept.
    let ended = world.run(&["images", "small", "--forget", "ap:1"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended
            .stderr
            .contains("did you mean `docker.io/library/app:1`?"),
        "{}",
        ended.stderr
    );
    let ended = world.run(&["images", "small", "--forget", "app:1"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let left = fs::read_dir(world.path(".lab/small/images")).expect("made");
    assert_eq!(left.count(), 1, "the record alone");
}

#[test]
fn a_full_disk_on_one_node_is_that_nodes_alone() {
    let world = world();
    world.write(&format!("state/full.{MASTER}"), "");
    engine_has(&world, "app:latest", "one", OURS, &["app:latest"]);
    let ended = world.run(&["load", "small", "app:latest"]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    for says in [
        "error: `masterone` could not be given `docker.io/library/app:latest`",
        "no space left on device",
        "pull policy `Always`",
    ] {
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    assert_eq!(sent(&world), (0, 1));
    fs::remove_file(world.path(&format!("state/full.{MASTER}"))).expect("there");
    let ended = world.run(&["load", "small", "app:latest"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("it was copied to `masterone`"),
        "{}",
        ended.stderr
    );
    assert_eq!(sent(&world), (1, 1));
}

#[test]
fn ctrl_c_in_the_stream_leaves_nothing_half() {
    let world = world();
    world.write("state/slow", "");
    engine_has(&world, "app:1", &"one".repeat(2 << 20), OURS, &["app:1"]);
    // A shell of its own sends the signal once the first node has begun.
    let script = "\"$XTASK\" load small app:1 & pid=$!
        while [ ! -e state/began ]; do /bin/sleep 0.05; done
        kill -INT $pid
        wait $pid";
    let call = world.dress(Program::at("/bin/bash").call(["-m", "-c", script]));
    let output = call.output().expect("a shell");
    assert_eq!(output.status, Some(130), "{}", output.stderr);
    assert!(!world.path(".lab/small/images/images.toml").exists());
    assert!(!world.path(".lab/small/lock").exists() || lock_is_free(&world));
    fs::remove_file(world.path("state/slow")).expect("there");
    let ended = world.run(&["load", "small", "app:1"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(sent(&world), (1, 1));
    let kept = names(&world.path(".lab/small/images"));
    assert_eq!(kept.len(), 2, "{kept:?}");
}

fn lock_is_free(world: &World) -> bool {
    world.run(&["images", "small"]).status != Some(1)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("read").flatten();
    entries
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn it_may_be_for_one_machine() {
    let world = world();
    engine_has(&world, "app:1", "one", OURS, &["app:1"]);
    let ended = world.run(&["load", "small", "app:1", "--machine", "workerone"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(sent(&world), (0, 1));
    let ended = world.run(&["images", "small", "--json"]);
    assert_eq!(
        ended.status,
        Some(0),
        "the master need not have it: {}",
        ended.stdout
    );
}
