//! A user's own image in a lab: from the engine, an archive and a pipe; to machines that were halted, and that are made anew.
//!
//! `cargo test -p caravan-e2e --test images -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::fs;

use caravan_e2e::{Tool, kubectl, on_a_clean_host, runs_long};
use caravan_process::Program;
use serde_json::{Value, json};

const LAB: &str = "ha";

/// The nodes of the lab.
const NODES: [&str; 4] = ["masterone", "mastertwo", "masterthree", "workerone"];

/// A program that says which one it is, and stays.
const PROGRAM: &str = r#"fn main() {
    println!("caravan {}", env!("WORD"));
    loop {
        std::thread::park();
    }
}
"#;

fn run(program: &str, args: &[&str]) -> String {
    println!("\n$ {program} {}", args.join(" "));
    let ended = Program::find(program).and_then(|program| program.call(args).run());
    ended.unwrap_or_else(|error| panic!("{error}")).stdout
}

/// Makes the image `name` of one static program, without a registry.
fn make_image(folder: &std::path::Path, name: &str) {
    let source = folder.join("app.rs");
    fs::write(&source, PROGRAM).expect("written");
    let built = Program::find("rustc").and_then(|rustc| {
        rustc
            .call([
                "-C",
                "target-feature=+crt-static",
                "-C",
                "opt-level=z",
                "-o",
            ])
            .arg(folder.join("app"))
            .arg(&source)
            .env("WORD", name)
            .run()
    });
    built.unwrap_or_else(|error| panic!("{error}"));
    let tar = folder.join("app.tar");
    let (folder, tar) = (folder.display().to_string(), tar.display().to_string());
    run("tar", &["-C", &folder, "-cf", &tar, "app"]);
    run(
        "docker",
        &["import", "--change", "ENTRYPOINT [\"/app\"]", &tar, name],
    );
}

/// What became of the one image that was loaded, by node.
fn outcomes(tool: &Tool, args: &[&str]) -> Value {
    let ended = tool.ok(&[&["load", LAB, "--json"], args].concat());
    ended.json()[0]["nodes"].clone()
}

/// Runs a pod of `image` on each node, which asks no registry, and holds that it says what it is.
fn assert_runs(tool: &Tool, image: &str, word: &str) {
    for node in NODES {
        let name = format!("app-{node}");
        let spec = json!({"apiVersion": "v1", "spec": {
            "nodeName": node, "terminationGracePeriodSeconds": 0, "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "app", "image": image, "imagePullPolicy": "Never"}]}});
        let overrides = format!("--overrides={spec}");
        kubectl(
            tool,
            LAB,
            &[
                "run",
                &name,
                "--image",
                image,
                "--restart=Never",
                &overrides,
            ],
        );
    }
    for node in NODES {
        let pod = format!("pod/app-{node}");
        kubectl(
            tool,
            LAB,
            &["wait", "--for=condition=Ready", "--timeout=60s", &pod],
        );
        let said = kubectl(tool, LAB, &["logs", &pod]);
        assert_eq!(said.trim(), format!("caravan {word}"), "{node}");
    }
    let pods = NODES.map(|node| format!("pod/app-{node}"));
    let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
    kubectl(
        tool,
        LAB,
        &[&["delete", "--wait=true"], pods.as_slice()].concat(),
    );
}

#[test]
#[ignore = "needs real machines"]
fn a_users_image_runs_on_every_node() {
    if !runs_long() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = ("caravan-e2e-app:1", "caravan-e2e-app:2");
    on_a_clean_host(|tool| {
        make_image(folder.path(), one);
        make_image(folder.path(), two);
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        for node in NODES {
            assert_eq!(outcomes(tool, &[one, "--machine", node])[node], "copied");
        }
        assert_runs(tool, one, one);
        assert_runs(tool, &format!("docker.io/library/{one}"), one);
        let all = |word: &str| {
            json!(
                NODES
                    .map(|node| (node, word))
                    .into_iter()
                    .collect::<std::collections::BTreeMap<_, _>>()
            )
        };
        assert_eq!(
            outcomes(tool, &[one]),
            all("had"),
            "a second time nothing is copied"
        );
        // The same from an archive.
        let archive = folder.path().join("saved.tar").display().to_string();
        run("docker", &["image", "save", "--output", &archive, one]);
        assert_eq!(outcomes(tool, &[&archive]), all("had"));

        // One node's disk is full, as far as what it takes in is concerned.
        let ingest = "/var/lib/containerd/io.containerd.content.v1.content/ingest";
        let mount = [
            "sudo", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", ingest,
        ];
        tool.ok(&[&["ssh", LAB, "mastertwo", "--"], &mount[..]].concat());
        let ended = tool.run(&["load", LAB, two]);
        assert_eq!(ended.status, Some(1));
        assert!(
            ended.stderr.contains("`mastertwo` could not be given"),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("no space left on device"),
            "{}",
            ended.stderr
        );
        let lacking = tool.run(&["images", LAB, "--json"]);
        assert_eq!(lacking.status, Some(3));
        tool.ok(&["ssh", LAB, "mastertwo", "--", "sudo", "umount", ingest]);

        // A machine that is halted, or made anew, has them once it is up, and so has the one whose disk was full.
        tool.ok(&["destroy", LAB, "workerone", "--yes"]);
        tool.ok(&["up", LAB, "--yes"]);
        let images = tool.ok(&["images", LAB, "--json"]).json();
        for name in [one, two] {
            let images = images["images"].as_array().expect("a list");
            let found = images
                .iter()
                .find(|it| it["name"] == format!("docker.io/library/{name}"));
            let found = found.unwrap_or_else(|| panic!("{name}"));
            assert_eq!(found["nodes"].as_array().map(Vec::len), Some(4), "{found}");
        }
        assert_runs(tool, two, two);
        let ended = tool.run(&["kubectl", LAB, "--", "get", "node", "nobody"]);
        assert_eq!(ended.status, Some(1), "kubectl's own");
        let members = tool.ok(&["etcdctl", LAB, "--", "member", "list"]).stdout;
        assert_eq!(members.lines().count(), 3, "{members}");
        tool.ok(&["destroy", LAB, "--yes"]);
        run("docker", &["image", "rm", one, two]);
    });
}
