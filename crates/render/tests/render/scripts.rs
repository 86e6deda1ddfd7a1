//! What the machines' scripts decide, with answers put before them.

use std::path::Path;

use crate::checkers::checker;

/// Prints `ready` or `not ready` for a worker that started at 12:00:00, with the API's answers in `$NODE` and `$PODS`.
const ASK: &str = r#"
set -Eeuo pipefail
source "$NODE_SH"
started_at() { echo 2026-11-21T12:00:00Z; }
kubelet_asks() {
    case $1 in
        nodes/workerone) printf '%s' "$NODE" ;;
        'pods?fieldSelector=spec.nodeName=workerone') printf '%s' "$PODS" ;;
        *) return 22 ;;
    esac
}
if node_ready; then echo ready; else echo "not ready"; fi
"#;

#[test]
fn a_node_is_ready_by_what_was_said_since_it_started() {
    let Some(bash) = checker("bash") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/usr/lib/caravan/node.sh");
    let node = |status: &str, time: &str| {
        // Another program's condition may be as old as it likes.
        format!(
            r#"{{"status": {{"conditions": [
                {{"type": "NetworkUnavailable", "status": "False", "lastHeartbeatTime": "2026-11-20T08:00:00Z"}},
                {{"type": "Ready", "status": "{status}", "lastHeartbeatTime": "2026-11-21T{time}Z"}}]}}}}"#
        )
    };
    let pods = |times: &[&str]| {
        let state = |time: &&str| {
            format!(
                r#"{{"state": {{"running": {{"startedAt": "2026-11-21T{time}Z"}}}}, "ready": true,
                    "lastState": {{"terminated": {{"startedAt": "2026-11-21T09:00:00Z"}}}}}}"#
            )
        };
        let all: Vec<String> = times.iter().map(state).collect();
        format!(
            r#"{{"items": [{{"status": {{"containerStatuses": [{}]}}}}]}}"#,
            all.join(", ")
        )
    };
    let check = |node: &str, pods: &str, expected: &str| {
        let output = bash
            .call(["-c", ASK])
            .env("NODE_SH", &script)
            .env("CARAVAN_ENDPOINT", "192.168.29.80:6443")
            .env("CARAVAN_MACHINE", "workerone")
            .env("NODE", node)
            .env("PODS", pods)
            .output()
            .unwrap();
        assert!(output.success(), "{output:#?}");
        assert_eq!(
            output.stdout.trim(),
            expected,
            "{node}\n{pods}\n{output:#?}"
        );
    };
    let now = node("True", "12:00:03");
    check(&now, &pods(&["12:00:02", "12:00:04"]), "ready");
    check(&now, &pods(&[]), "ready");
    check(&now.replace([' ', '\n'], ""), &pods(&["12:00:00"]), "ready");
    // Said before the start: of the node, of one of its pods.
    check(&node("True", "11:59:59"), &pods(&["12:00:02"]), "not ready");
    check(&now, &pods(&["12:00:02", "11:59:59"]), "not ready");
    check(
        &node("False", "12:00:03"),
        &pods(&["12:00:02"]),
        "not ready",
    );
    // No answer.
    check("", &pods(&["12:00:02"]), "not ready");
}

#[test]
fn pods_get_the_subnet_that_flannel_says() {
    let Some(bash) = checker("bash") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/usr/lib/caravan/cni");
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("subnet.env");
    let cni = folder.path().join("net.d");
    for (subnet, expected) in [
        ("10.244.3.1/24", "10.244.3.0/24"),
        ("10.200.0.129/25", "10.200.0.128/25"),
    ] {
        std::fs::write(
            &said,
            format!("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET={subnet}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n"),
        )
        .unwrap();
        let output = bash
            .call([&script])
            .env("CARAVAN_FLANNEL", &said)
            .env("CARAVAN_CNI", &cni)
            .output()
            .unwrap();
        assert!(output.success(), "{output:#?}");
        let written: Vec<_> = std::fs::read_dir(&cni)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(written, ["10-caravan.conflist"]);
        let text = std::fs::read_to_string(cni.join("10-caravan.conflist")).unwrap();
        // The same network as the mesh's, but for the subnet.
        let lab = crate::labs::lab("external-etcd");
        let mesh = crate::labs::golden("external-etcd/masterone/etc/cni/net.d/10-caravan.conflist");
        let mesh = std::fs::read_to_string(mesh).unwrap();
        let own = lab.pod_subnet(lab.first_master()).unwrap().to_string();
        assert_eq!(text, mesh.replace(&own, expected));
    }
}
