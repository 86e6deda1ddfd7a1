//! What the machines' scripts decide, with answers put before them.

use std::collections::BTreeSet;
use std::path::Path;

use caravan_lab::ports;
use caravan_process::{Output, Program};

use crate::checkers::checker;

/// Prints `ready` or `not ready` for a worker that started at 12:00:00, with the API's answers in `$NODE` and `$PODS`.
const ASK: &str = r#"
set -Eeuo pipefail
source "$NODE_SH"
kubelet_asks() {
    case $1 in
        nodes/workerone) printf '%s' "$NODE" ;;
        'pods?fieldSelector=spec.nodeName=workerone') printf '%s' "$PODS" ;;
        *) return 22 ;;
    esac
}
if node_ready 2026-11-21T12:00:00Z; then echo ready; else echo "not ready"; fi
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

/// What `script` prints, which uses the functions of etcd's bootstrap, where these variables are set.
fn with_bootstrap_etcd(bash: &Program, script: &str, variables: &[(&str, &str)]) -> Output {
    let bootstrap = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("templates/usr/lib/caravan")
        .join("bootstrap-etcd");
    let call = bash.call(["-c", script]).env("BOOTSTRAP_ETCD", bootstrap);
    let call = variables
        .iter()
        .fold(call, |call, (name, value)| call.env(name, value));
    let output = call.output().unwrap();
    assert!(output.success(), "{output:#?}");
    output
}

/// Prints what a member does that has begun without data, question after question. etcd answers `READY` to `/readyz`, and
/// `NON_LEARNER` to that part of it asked alone; the others say that it is `STANDING`. Where `VOTER` is a file that is there,
/// it was marked as a voter before.
const ASK_FOR_A_VOTE: &str = r#"
set -Eeuo pipefail
CARAVAN_MACHINE=etcdone PHASE=etcd-quorum ID=8e9e
source <(sed '/^source /d' "$BOOTSTRAP_ETCD")
answers() {
    case $2 in
        /readyz) [[ $READY == 200 ]] ;;
        /readyz/non_learner) [[ $NON_LEARNER == 200 ]] ;;
        *) exit 22 ;;
    esac
}
standing() { :; }
exec 9>&2
ask_others() { echo "$*" >&9; }
look_at_etcd() { :; }
for ((question = 1; question <= QUESTIONS; question++)); do
    if quorum; then echo "a vote at question $question"; exit; fi
done
echo "no vote"
"#;

#[test]
fn a_learner_that_passes_for_a_voter_gets_its_vote_all_the_same() {
    let Some(bash) = checker("bash") else { return };
    let ask = |ready: &str, non_learner: &str, standing: &str, marked: bool, questions: u32| {
        let said = with_bootstrap_etcd(
            &bash,
            ASK_FOR_A_VOTE,
            &[
                ("READY", ready),
                ("NON_LEARNER", non_learner),
                ("STANDING", standing),
                ("VOTER", if marked { "/dev/null" } else { "/nonexistent" }),
                ("QUESTIONS", &questions.to_string()),
            ],
        );
        // What it says, and what it asks the others.
        (said.stdout.trim().to_owned(), said.stderr.trim().to_owned())
    };
    let check = |ready, non_learner, standing| ask(ready, non_learner, standing, false, 4);
    let none = String::new();
    assert_eq!(
        check("200", "200", "voter"),
        ("a vote at question 1".to_owned(), none.clone())
    );
    // The whole answer was made before the member heard that it is a learner.
    let promote = "member promote 8e9e".to_owned();
    assert_eq!(
        check("200", "503", "learner"),
        ("no vote".to_owned(), promote.clone())
    );
    assert_eq!(
        check("503", "503", "learner"),
        ("no vote".to_owned(), promote)
    );
    assert_eq!(
        check("503", "200", "voter"),
        ("no vote".to_owned(), none.clone())
    );
    // Marked as a voter by a bootstrap that was taken in: the others are asked seldom, and the vote comes.
    let no_vote = "no vote".to_owned();
    assert_eq!(
        ask("200", "503", "learner", true, 39),
        (no_vote.clone(), none)
    );
    assert_eq!(
        ask("200", "503", "learner", true, 40),
        (no_vote, "member promote 8e9e".to_owned())
    );
}

/// Prints what a member does that waits for etcd, which is in the state `STATE`, was restarted `ENDED` times, and has written
/// `SAID` to its journal; `LOG` is empty where it has no data.
const LOOK_AT_ETCD: &str = r#"
set -Eeuo pipefail
CARAVAN_MACHINE=etcdone PHASE=etcd-quorum LOOKS_SINCE=0
source <(sed '/^source /d' "$BOOTSTRAP_ETCD")
systemctl() {
    case $1 in
        show) echo "$ENDED" ;;
        is-active) echo "$STATE"; [[ $STATE == active ]] ;;
        *) echo "$*" ;;
    esac
}
journalctl() { echo "$SAID"; }
has_log() { [[ $LOG ]]; }
standing() { :; }
set_aside() { echo "set aside: $1"; }
fail() { echo "fail: $2"; exit 0; }
LOOKED=7
look_at_etcd
"#;

#[test]
fn etcd_that_somebody_stopped_is_started_again() {
    let Some(bash) = checker("bash") else { return };
    let look = |state: &str, ended: &str, said: &str, log: &str| {
        let is = [
            ("STATE", state),
            ("ENDED", ended),
            ("SAID", said),
            ("LOG", log),
        ];
        let said = with_bootstrap_etcd(&bash, LOOK_AT_ETCD, &is);
        said.stdout.trim().to_owned()
    };
    let start = "start --no-block etcd.service";
    assert_eq!(look("inactive", "0", "", "a log"), start);
    assert_eq!(look("failed", "3", "", "a log"), start);
    // systemd is at it.
    assert_eq!(look("activating", "3", "", "a log"), "");
    assert_eq!(look("active", "0", "", "a log"), "");
    // Data that is of no use is not started with once more, and a member without any is told how to begin again.
    let damaged = "failed to open database";
    let said = look("failed", "1", damaged, "a log");
    assert!(said.starts_with("set aside: etcd cannot use it"), "{said}");
    let said = look("inactive", "0", "", "");
    assert!(
        said.starts_with("fail: etcd did not start without data"),
        "{said}"
    );
}

#[test]
fn what_listens_is_told_without_a_program() {
    let Some(bash) = checker("bash") else { return };
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("machine.env");
    std::fs::write(&empty, "").unwrap();
    let lib = include_str!("../../templates/usr/lib/caravan/lib.sh")
        .replace("/etc/caravan/machine.env", &empty.display().to_string());
    // Says what it is told to on each connection, or nothing at all.
    let server = |answer: Option<&'static str>| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for connection in listener.incoming().flatten() {
                if let Some(answer) = answer {
                    std::io::Write::write_all(&mut &connection, answer.as_bytes()).ok();
                }
                open.push(connection);
            }
        });
        port
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = closed.local_addr().unwrap().port();
    drop(closed);
    for (port, expected) in [
        (server(Some("HTTP/1.0 200 OK\r\n\r\nok")), "accepts answers"),
        (server(Some("HTTP/1.1 503 Unavailable\r\n\r\n")), "accepts"),
        (server(None), "accepts"),
        (nobody, ""),
    ] {
        let script = format!(
            "set -Eeuo pipefail\n{lib}\n\
             if accepts 127.0.0.1:{port}; then echo accepts; fi\n\
             if answers {port} /healthz; then echo answers; fi\n"
        );
        let output = bash.call(["-c", &script]).output().unwrap();
        assert!(output.success(), "{output:#?}");
        let words: Vec<&str> = output.stdout.split_whitespace().collect();
        assert_eq!(words.join(" "), expected, "{output:#?}");
    }
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

/// What a node runs to set up its mesh, with an interface of this `mtu`; and the network configuration of its pods after
/// it, once and again. The mesh is there already where `again`.
fn mesh(mtu: u32, again: bool) -> Option<(String, String)> {
    let bash = checker("bash")?;
    let text = include_str!("../../templates/usr/lib/caravan/network");
    let start = text
        .find("# The hardware address that every node's")
        .unwrap();
    let end = text.find("# With flannel or Calico a daemon").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir_all(path("net/eth0")).unwrap();
    std::fs::write(path("net/eth0/mtu"), format!("{mtu}\n")).unwrap();
    if again {
        std::fs::create_dir(path("net/caravan-pods")).unwrap();
    }
    for (file, golden) in [
        ("mesh", "ha/masterone/etc/caravan/mesh"),
        ("conflist", "ha/masterone/etc/cni/net.d/10-caravan.conflist"),
    ] {
        std::fs::copy(crate::labs::golden(golden), path(file)).unwrap();
    }
    let functions = text[start..end]
        .replace("/sys/class/net", &path("net"))
        .replace("/etc/caravan/mesh", &path("mesh"))
        .replace("/etc/cni/net.d/10-caravan.conflist", &path("conflist"));
    let script = format!(
        "set -euo pipefail\nPODS=caravan-pods NIC=eth0\n\
         ip() {{ echo \"ip $*\"; [[ $1 != -batch ]] || cat; }}\n\
         bridge() {{ echo \"bridge $*\"; cat; }}\n{functions}\npod_mesh\n"
    );
    let run = || {
        let output = bash
            .call(["-c", &script])
            .env("CARAVAN_ADDRESS", "192.168.29.51")
            .env("CARAVAN_POD_SUBNET", "10.244.51.0/24")
            .env("CARAVAN_MACHINE", "masterone")
            .output()
            .unwrap();
        assert!(output.success(), "{output:#?}");
        let written = std::fs::read_to_string(path("conflist")).unwrap();
        (output.stdout, written)
    };
    let first = run();
    // What is right already is left alone.
    assert_eq!(first, run());
    Some(first)
}

#[test]
fn packets_of_the_mesh_and_of_pods_follow_from_the_machines_interface() {
    let usual = crate::labs::golden("ha/masterone/etc/cni/net.d/10-caravan.conflist");
    let usual = std::fs::read_to_string(usual).unwrap();
    assert!(usual.contains("\"mtu\": 1450,\n"), "{usual}");
    for (lab, pods) in [(1500, 1450), (9000, 8950), (1400, 1350), (1280, 1230)] {
        for again in [false, true] {
            let Some((ran, written)) = mesh(lab, again) else {
                return;
            };
            let added = format!(
                "ip link add caravan-pods address 02:ca:c0:a8:1d:33 mtu {pods} type vxlan id 1 local 192.168.29.51"
            );
            assert_eq!(ran.contains(&added), !again, "{ran}");
            // A mesh that was made when the interface had another size follows it.
            let set = format!("ip link set caravan-pods mtu {pods} up\n");
            assert!(ran.contains(&set), "{ran}");
            assert_eq!(
                written,
                usual.replace("\"mtu\": 1450,", &format!("\"mtu\": {pods},"))
            );
        }
    }
}

/// Returns the numbers of a script that stand where ports do: after an address, a flag or a command that takes one.
fn ports_of(script: &str) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    for line in script.lines() {
        for before in [
            ":",
            "/127.0.0.1/",
            "dport ",
            "dstport ",
            "answers ",
            "port=",
            "$host/",
        ] {
            for (at, _) in line.match_indices(before) {
                let rest = &line[at + before.len()..];
                let digits = rest.split(|char: char| !char.is_ascii_digit()).next();
                // Bash takes parts of texts with a colon too: `${text:2}`.
                let digits = digits.filter(|digits| digits.len() > 2 || before != ":");
                found.extend(digits.and_then(|digits| digits.parse::<u16>().ok()));
            }
        }
    }
    found
}

#[test]
fn scripts_name_no_port_but_those_of_labs() {
    assert_eq!(
        ports_of("a 10.0.0.1:8080/x ${a:2}\nudp dport 53 accept\nanswers 7 /x\n"),
        BTreeSet::from([8080, 53, 7])
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/usr/lib/caravan");
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = ports_of(&std::fs::read_to_string(&path).unwrap());
        for port in &found {
            let known = ports::ALL.contains(port);
            assert!(
                known,
                "{}: port {port} is none of `lab::ports`",
                path.display()
            );
        }
        all.extend(found);
    }
    assert!(all.len() >= 6, "{all:?}");
}

/// What the bootstrap says of programs that its machine's image lacks, with `there` on the search path.
fn lacking(role: &str, there: &[&str]) -> Option<String> {
    let bash = checker("bash")?;
    let text = include_str!("../../templates/usr/lib/caravan/bootstrap");
    let start = text.find("# Programs come with").unwrap();
    let end = text.find("# Without its routes").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for program in there {
        let path = folder.path().join(program);
        std::fs::write(&path, "").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable).unwrap();
    }
    let script = format!("fail() {{ echo \"$*\"; }}\n{}", &text[start..end]);
    let output = bash
        .call(["-c", &script])
        .env("PATH", folder.path())
        .env("CARAVAN_ROLE", role)
        .output()
        .unwrap();
    assert!(output.success(), "{output:#?}");
    Some(output.stdout)
}

#[test]
fn programs_that_an_image_lacks_are_named() {
    let common = ["ip", "nft", "curl"];
    let with = |own: &[&'static str]| [&common[..], own].concat();
    for (role, own) in [
        ("etcd", &["etcd", "etcdctl"][..]),
        ("load-balancer", &["haproxy", "keepalived"]),
        (
            "worker",
            &[
                "containerd",
                "runc",
                "kubelet",
                "kubeadm",
                "kubectl",
                "bridge",
                "modprobe",
            ],
        ),
    ] {
        let Some(said) = lacking(role, &with(own)) else {
            return;
        };
        assert_eq!(said, "", "{role}");
        let said = lacking(role, &with(&own[1..])).unwrap();
        assert!(
            said.starts_with(&format!(
                "prepare the image of this machine lacks {}:",
                own[0]
            )),
            "{said}"
        );
    }
    let said = lacking("etcd", &[]).unwrap();
    assert!(
        said.contains("lacks ip nft curl etcd etcdctl: name one"),
        "{said}"
    );
}
