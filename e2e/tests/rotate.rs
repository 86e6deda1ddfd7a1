//! What signs in one `ha` lab, authorities and the key of tokens, changes its keys while it is used: with the runner killed on the way, and with
//! others trying to interfere.
//!
//! `CARAVAN_LONG=1 cargo test -p caravan-e2e --test rotate -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use caravan_e2e::{
    Tool, Users, Writer, assert_verified, bundled_kubectl, kubectl, on_a_clean_host, runs_long,
};

const LAB: &str = "ha";

/// What a killed program exits with: none, as a signal ended it.
const KILLED: Option<i32> = None;

/// Rotates in one go, while somebody reads and writes.
fn rotate(tool: &Tool, authority: &str, budget: Duration, write_gap: Duration) {
    let before = public_keys(tool, authority);
    let users = Users::start(tool, LAB);
    std::thread::sleep(Duration::from_secs(5));
    let began = Instant::now();
    tool.ok(&["certs", "rotate", LAB, authority, "--yes"]);
    let took = began.elapsed();
    let [reads, writes] = users.end();
    println!("TIME rotating {authority}: {:.1} s", took.as_secs_f32());
    assert_settled(tool);
    assert_ne!(public_keys(tool, authority), before, "another key");
    assert_eq!((reads.failed, writes.failed), (0, 0), "{reads}; {writes}");
    // A computer that does other things too is no reason to fail.
    if took > budget {
        println!("over its budget of {} s", budget.as_secs());
    }
    if writes.longest > write_gap {
        println!("writes: over the budget of {} ms", write_gap.as_millis());
    }
}

/// The store's certificate of an authority.
fn public_keys(tool: &Tool, authority: &str) -> String {
    let name = match authority {
        "kubernetes-ca" => "ca",
        other => other,
    };
    let path = tool.state(LAB).join("pki").join(format!("{name}.crt"));
    std::fs::read_to_string(path).expect("in the store")
}

fn assert_settled(tool: &Tool) {
    for left in ["operation.json", "retiring.pem"] {
        assert!(!tool.state(LAB).join(left).exists(), "{left}");
    }
    tool.ok(&["certs", "list", LAB]);
    assert_verified(tool, LAB, &["--wait"]);
}

/// Rotates, killing the runner after each of `steps`, and goes on with the same command each time.
fn rotate_killed(tool: &Tool, authority: &str, steps: &[&str]) {
    let users = Users::start(tool, LAB);
    for step in steps {
        let killed = tool.with_env("CARAVAN_KILL_AFTER", step.as_ref());
        let ended = killed.run(&["certs", "rotate", LAB, authority, "--yes"]);
        assert_eq!(ended.status, KILLED, "killed after `{step}`");
        let said = tool.run(&["status", LAB]);
        assert_eq!(said.status, Some(3));
        let goes_on = format!("`cargo xtask certs rotate {LAB} {authority}` goes on with it");
        assert!(said.stdout.contains(&goes_on), "{}", said.stdout);
        for refused in [
            &["certs", "renew", LAB, "--all"][..],
            &["up", LAB, "--yes"],
            &["replace", LAB, "etcdtwo", "--yes"],
        ] {
            let ended = tool.run(refused);
            assert_eq!(ended.status, Some(1), "{refused:?}");
            let words = format!("the rotation of `{authority}` has been under way");
            assert!(ended.stderr.contains(&words), "{}", ended.stderr);
        }
        // Half way, the lab works.
        drop(kubectl(tool, LAB, &["get", "nodes"]));
    }
    tool.ok(&["certs", "rotate", LAB, authority]);
    let [reads, writes] = users.end();
    assert_eq!((reads.failed, writes.failed), (0, 0), "{reads}; {writes}");
    assert_settled(tool);
}

/// Deletes what an earlier writer has written, whose names are those of the next one: all at once, as it may be a thousand.
fn forget_writes(tool: &Tool) {
    let all = "/api/v1/namespaces/default/configmaps";
    drop(kubectl(tool, LAB, &["delete", "--raw", all]));
}

/// Rotates what all clients are known by, killing the runner after each of `steps`, while somebody writes who reads the
/// operator's kubeconfig each time.
fn rotate_clients_too(tool: &Tool, authority: &str, steps: &[&str]) {
    let before = public_keys(tool, authority);
    let kubeconfig = tool.state(LAB).join("kubeconfig");
    let old = std::fs::read(&kubeconfig).expect("read");
    forget_writes(tool);
    let writer = Writer::start(tool, LAB);
    let began = Instant::now();
    for step in steps {
        let killed = tool.with_env("CARAVAN_KILL_AFTER", step.as_ref());
        let ended = killed.run(&["certs", "rotate", LAB, authority, "--yes"]);
        assert_eq!(ended.status, KILLED, "killed after `{step}`");
        assert_eq!(tool.run(&["status", LAB]).status, Some(3));
        drop(kubectl(tool, LAB, &["get", "nodes"]));
    }
    tool.ok(&["certs", "rotate", LAB, authority, "--yes"]);
    println!(
        "TIME rotating {authority}, killed {} times: {:.1} s",
        steps.len(),
        began.elapsed().as_secs_f32()
    );
    writer.assert_nothing_lost(tool);
    assert_ne!(public_keys(tool, authority), before, "another key");
    if authority == "kubernetes-ca" {
        let now = std::fs::read(&kubeconfig).expect("read");
        assert_ne!(now, old, "the operator's kubeconfig follows");
        let reason = "reason=NodeNotReady";
        let events = [
            "get",
            "events",
            "-A",
            "--field-selector",
            reason,
            "-o",
            "name",
        ];
        assert_eq!(
            kubectl(tool, LAB, &events).trim(),
            "",
            "no node was ever away"
        );
    }
    assert_settled(tool);
}

/// Whether the API lets somebody in who has a token and nothing else.
fn lets_in(tool: &Tool, token: &str) -> bool {
    let server = "jsonpath={.clusters[0].cluster.server}";
    let server = kubectl(tool, LAB, &["config", "view", "--output", server]);
    let authority = tool.state(LAB).join("pki/ca.crt");
    let ended = bundled_kubectl(tool)
        .call([
            "--server",
            &server,
            "--token",
            token,
            "--certificate-authority",
        ])
        .arg(authority)
        .args(["get", "--raw", "/apis"])
        .env("KUBECONFIG", "/dev/null")
        .timeout(Duration::from_secs(60))
        .run();
    match ended {
        Ok(_) => true,
        Err(error) => {
            let said = error.to_string();
            assert!(
                said.contains("Unauthorized") || said.contains("logged in"),
                "{said}"
            );
            false
        }
    }
}

/// The token that a Secret has, as soon as it has one.
fn token_of_secret(tool: &Tool) -> String {
    for _ in 0..60 {
        let path = "jsonpath={.data.token}";
        let token = kubectl(tool, LAB, &["get", "secret", "kept", "--output", path]);
        if !token.is_empty() {
            let token = BASE64.decode(token).expect("base64");
            return String::from_utf8(token).expect("a token");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("the controller manager gave it no token");
}

/// Rotates what tokens are signed with, killing the runner after each of `steps`, while somebody writes.
fn rotate_tokens(tool: &Tool, steps: &[&str]) {
    let secret = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"kept","annotations":{"kubernetes.io/service-account.name":"default"}},"type":"kubernetes.io/service-account-token"}"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret.json");
    std::fs::write(&file, secret).expect("written");
    kubectl(
        tool,
        LAB,
        &["create", "--filename", &file.to_string_lossy()],
    );
    let old_of_secret = token_of_secret(tool);
    let old = kubectl(
        tool,
        LAB,
        &["create", "token", "default", "--duration", "24h"],
    );
    let old = old.trim();
    assert!(lets_in(tool, old) && lets_in(tool, &old_of_secret));
    forget_writes(tool);
    let writer = Writer::start(tool, LAB);
    let began = Instant::now();
    for step in steps {
        let killed = tool.with_env("CARAVAN_KILL_AFTER", step.as_ref());
        let ended = killed.run(&["certs", "rotate", LAB, "sa", "--yes"]);
        assert_eq!(ended.status, KILLED, "killed after `{step}`");
        assert_eq!(tool.run(&["status", LAB]).status, Some(3));
        assert!(lets_in(tool, old), "until the end, both are trusted");
    }
    tool.ok(&["certs", "rotate", LAB, "sa", "--yes"]);
    println!(
        "TIME rotating sa, killed {} times: {:.1} s",
        steps.len(),
        began.elapsed().as_secs_f32()
    );
    assert!(!lets_in(tool, old) && !lets_in(tool, &old_of_secret));
    assert!(lets_in(tool, &token_of_secret(tool)));
    writer.assert_nothing_lost(tool);
    assert_settled(tool);
}

#[test]
#[ignore = "needs the engine, a bundle and minutes"]
fn etcds_authority_changes_its_key() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        rotate(
            tool,
            "etcd-ca",
            Duration::from_secs(180),
            Duration::from_millis(500),
        );
        // A second time, and never in one go.
        let before = public_keys(tool, "etcd-ca");
        let steps = ["trust-both 2/3", "reissue 1/3", "trust-new 2/3"];
        rotate_killed(tool, "etcd-ca", &steps);
        assert_ne!(public_keys(tool, "etcd-ca"), before);
        // Who is made anew is one of those that trust the new one.
        tool.ok(&["replace", LAB, "etcdtwo", "--yes"]);
        assert_verified(tool, LAB, &["--wait"]);
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}

#[test]
#[ignore = "needs the engine, a bundle and minutes"]
fn what_the_cluster_signs_with_changes() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        let steps = ["trust-both 2/3", "reissue 1/3", "trust-new 2/3"];
        // What all clients are known by, the operator and the nodes too.
        rotate_clients_too(tool, "kubernetes-ca", &steps);
        rotate_clients_too(tool, "front-proxy-ca", &["reissue 2/3"]);
        rotate_tokens(tool, &["trust-both 2/3", "reissue 1/3", "trust-new begun"]);
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}
