//! Whole runs of the command: exit status, standard output, standard error.

mod authorities;
mod exports;
mod forms;
mod leaks;
mod life;
mod migration;
mod mistakes;

use expect_test::{Expect, expect};
use std::path::Path;

/// Runs `caravan-pki` in `folder`.
fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = duct::cmd(env!("CARGO_BIN_EXE_caravan-pki"), args)
        .dir(folder)
        .stderr_to_stdout()
        .stdout_capture()
        .unchecked()
        .run()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn words(command: &str) -> Vec<&str> {
    command.split(' ').collect()
}

/// Runs a command that must succeed.
fn done(folder: &Path, command: &str) -> String {
    let (status, output) = run(folder, &words(command));
    assert_eq!(status, 0, "{command}: {output}");
    output
}

fn check(folder: &Path, command: &str, status: i32, expect: Expect) {
    let (found, output) = run(folder, &words(command));
    assert_eq!(found, status, "{command}\n{output}");
    expect.assert_eq(&output);
}

#[test]
fn from_authority_to_renewal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    check(
        folder,
        "init --store pki --cn example",
        0,
        expect![[r#"
        made pki/ca.crt
    "#]],
    );
    check(
        folder,
        "init --store pki --cn example",
        0,
        expect![[r#"
        kept pki/ca.crt
    "#]],
    );
    let issue = "issue web --store pki --server --san web.example.com --san 10.0.0.1";
    check(
        folder,
        issue,
        0,
        expect![[r#"
        made pki/web.crt: was not there
    "#]],
    );
    check(
        folder,
        issue,
        0,
        expect![[r#"
        kept pki/web.crt
    "#]],
    );
    check(
        folder,
        "issue web --store pki --server --san web.example.org",
        0,
        expect![[r#"
        made pki/web.crt: its alternative names changed
    "#]],
    );
    check(
        folder,
        "verify --ca pki/ca.crt --server web.example.org pki/web.crt",
        0,
        expect![[r#"
        pki/web.crt is trusted as server `web.example.org`
    "#]],
    );
    check(
        folder,
        "verify --ca pki/ca.crt --client pki/web.crt",
        1,
        expect![[r#"
        error: certificate of `web` is not trusted as client: it is for other purposes (serverAuth)
    "#]],
    );
    check(
        folder,
        "renew --store pki",
        0,
        expect![[r#"
        nothing is due
    "#]],
    );
    check(
        folder,
        "renew --store pki web --new-key",
        0,
        expect![[r#"
        renewed web: as requested; new key: restart what uses it
    "#]],
    );
    check(
        folder,
        "lint pki",
        0,
        expect![[r#"
        2 certificates, 0 findings
    "#]],
    );
}

#[test]
fn json_is_stable() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "--store", "pki", "--cn", "example"]);
    let (status, output) = run(folder, &["inspect", "--json", "pki/ca.crt"]);
    assert_eq!(status, 0);
    let value: serde_json::Value = serde_json::from_str(&output).unwrap();
    let certificate = &value[0]["certificate"];
    assert_eq!(value[0]["file"], "pki/ca.crt");
    assert_eq!(certificate["subject"], "CN=example");
    assert_eq!(certificate["state"], "valid");
    assert_eq!(certificate["path_length"], 0);
    let fields: Vec<&String> = certificate.as_object().unwrap().keys().collect();
    // Fields are only ever added.
    expect![[r#"
        [
            "authority_key_id",
            "common_names",
            "dns_names",
            "fingerprint",
            "ip_addresses",
            "is_authority",
            "issuer",
            "key_algorithm",
            "key_usages",
            "not_after",
            "not_before",
            "organizations",
            "other_names",
            "path_length",
            "pem",
            "public_key_pin",
            "purposes",
            "remaining_seconds",
            "revocation_lists",
            "serial",
            "signature_algorithm",
            "state",
            "subject",
            "subject_key_id",
            "uris",
        ]
    "#]]
    .assert_debug_eq(&fields);
    for command in [
        "renew --store pki --json",
        "lint --json pki",
        "verify --json --ca pki/ca.crt --client pki/ca.crt",
    ] {
        let args: Vec<&str> = command.split(' ').collect();
        let (_, output) = run(folder, &args);
        serde_json::from_str::<serde_json::Value>(&output).unwrap();
    }
}

#[test]
fn findings_name_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "--store", "pki", "--cn", "example"]);
    let issue = "issue a/root --store pki --client --organization system:masters";
    run(folder, &issue.split(' ').collect::<Vec<_>>());
    check(
        folder,
        "lint pki",
        0,
        expect![[r#"
            pki/a/root.crt: notice[system-masters]: `root`: it is a member of `system:masters`, which no authorization rule can stop and Kubernetes cannot revoke (kubeadm #2414)
            2 certificates, 1 findings
        "#]],
    );
}
