//! What a lab file sets of its cluster: refused where it is wrong, in force on every master, changed while the lab runs.
//!
//! `CARAVAN_LONG=1 cargo test -p caravan-e2e --test settings -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::fs;
use std::path::PathBuf;

use caravan_cluster::verify::{Report, VerifyOutcome};
use caravan_e2e::{Asker, Ended, Tool, Writer, kubectl, on_a_clean_host, runs_long};

const LAB: &str = "e2e-settings";

/// What the lab file sets, of each kind something.
const SETTINGS: &str = r#"[cluster]
feature_gates = { APIResponseCompression = false, HPAScaleToZero = true }
runtime_config = { "api/alpha" = "true" }
audit = "metadata"
encryption = "secretbox"

[api_server]
args = { event-ttl = "2h" }

[controller_manager]
args = { node-monitor-grace-period = "45s" }

[scheduler]
args = { v = "3" }

[kubelet]
config = { maxPods = 50, imageMaximumGCAge = "24h" }

"#;

/// The promises about settings.
const PROMISES: [&str; 6] = [
    "feature-gates",
    "kubelet-settings",
    "secrets-encrypted",
    "node-marks",
    "same-flags",
    "audit-log",
];

/// A lab file of the story's own, which is gone with it.
struct LabFile {
    path: PathBuf,
}

impl LabFile {
    /// Three masters with a load balancer before them, and a worker.
    fn new(tool: &Tool) -> Self {
        let path = tool.root().join("labs").join(format!("{LAB}.toml"));
        let file = Self { path };
        tool.ok(&[
            "new",
            LAB,
            "--etcd",
            "1",
            "--masters",
            "3",
            "--balancers",
            "1",
            "--workers",
            "1",
        ]);
        let text = file
            .text()
            .replacen("[servers.", &format!("{SETTINGS}[servers."), 1);
        file.write(&text);
        file.mark("worker1", "labels = { \"node-role.kubernetes.io/db\" = \"\", disk = \"ssd\" }\ntaints = [\"dedicated=db:NoSchedule\"]\n");
        file
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("there")
    }

    fn write(&self, text: &str) {
        fs::write(&self.path, text).expect("written");
    }

    fn replace(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "{from} in {text}");
        self.write(&text.replace(from, to));
    }

    fn mark(&self, machine: &str, lines: &str) {
        let name = format!("name = \"{machine}\"\n");
        self.replace(&name, &format!("{name}{lines}"));
    }
}

impl Drop for LabFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
        drop(fs::remove_file(self.path.with_file_name("e2e-audit.yaml")));
    }
}

/// Holds that nothing was made of a lab file with this slip, and that its line is told with `words`.
fn assert_refused(tool: &Tool, file: &LabFile, from: &str, to: &str, words: &[&str]) {
    let good = file.text();
    file.replace(from, to);
    let bad = file.text();
    let line = bad
        .lines()
        .position(|line| line.contains(to))
        .expect("there")
        + 1;
    let ended = tool.run(&["up", LAB, "--yes", "--airgap"]);
    assert_eq!(ended.status, Some(2));
    let place = format!("labs/{LAB}.toml:{line}:");
    for words in words.iter().copied().chain([place.as_str()]) {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    file.write(&good);
}

/// Holds that every promise holds, and that each of those about settings was tested.
fn assert_in_force(tool: &Tool) -> Report {
    let ended = tool.run(&["verify", LAB, "--json"]);
    let report: Report = ended.read();
    let broken: Vec<String> = (report.checks.iter())
        .filter(|check| check.outcome == VerifyOutcome::Failed)
        .map(|check| format!("{}: {}", check.id, check.evidence))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    for promise in PROMISES {
        let check = report.checks.iter().find(|check| check.id == promise);
        let outcome = check.map(|check| check.outcome);
        assert_eq!(outcome, Some(VerifyOutcome::Passed), "{promise}");
    }
    report
}

fn on(tool: &Tool, machine: &str, words: &[&str]) -> Ended {
    tool.ok(&[&["ssh", LAB, machine, "--", "sudo"], words].concat())
}

/// The command line of each API server, by master.
fn api_servers(tool: &Tool) -> String {
    let path =
        "-o=jsonpath={range .items[*]}{.spec.nodeName}{.spec.containers[0].command}{\"\\n\"}{end}";
    kubectl(
        tool,
        LAB,
        &[
            "-n",
            "kube-system",
            "get",
            "pods",
            "-l",
            "component=kube-apiserver",
            path,
        ],
    )
}

/// The processes of the three API servers, which are others once each was started again.
fn processes(tool: &Tool) -> Vec<String> {
    let of = |master| on(tool, master, &["pgrep", "--full", "^kube-apiserver "]).stdout;
    ["master1", "master2", "master3"].map(of).to_vec()
}

#[test]
#[ignore = "needs real machines"]
fn what_the_lab_file_sets_is_in_force_on_every_master() {
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        let file = LabFile::new(tool);
        // Slips, before anything is made.
        assert_refused(
            tool,
            &file,
            "HPAScaleToZero",
            "HPAScaleToZer",
            &["did you mean `HPAScaleToZero`?"],
        );
        assert_refused(
            tool,
            &file,
            "event-ttl",
            "evnt-ttl",
            &["did you mean `event-ttl`?"],
        );
        assert_refused(
            tool,
            &file,
            "event-ttl",
            "etcd-servers",
            &["the role `etcd`"],
        );
        assert_refused(
            tool,
            &file,
            "maxPods",
            "maxPodz",
            &["did you mean `maxPods`?"],
        );
        assert_refused(
            tool,
            &file,
            "maxPods = 50",
            "maxPods = \"many\"",
            &["cannot unmarshal string"],
        );
        assert!(!tool.state(LAB).join("pki").exists(), "no key was made");

        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        assert_in_force(tool);
        let secret = fs::read_dir(tool.state(LAB).join("pki/secrets")).expect("the store");
        assert!(
            secret.count() >= 2,
            "the key of encryption lies beside the others"
        );
        // What a pod's schedule goes by.
        let node = kubectl(tool, LAB, &["get", "node", "worker1", "-o", "yaml"]);
        for words in [
            "node-role.kubernetes.io/db: \"\"",
            "disk: ssd",
            "key: dedicated",
        ] {
            assert!(node.contains(words), "{words} in {node}");
        }
        let groups = kubectl(tool, LAB, &["api-versions"]);
        assert!(groups.contains("alpha"), "{groups}");

        // A second time nothing is done, and the key is the same.
        let key = || {
            on(
                tool,
                "master1",
                &[
                    "sha256sum",
                    "/etc/kubernetes/caravan/api-server/encryption.json",
                ],
            )
            .stdout
        };
        let (before, made) = (key(), processes(tool));
        let again = tool.ok(&["up", LAB, "--yes"]);
        assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
        assert_eq!(key(), before);

        // A change reaches one master after the other, and nobody is left without.
        let (asker, writer) = (Asker::start(tool, LAB), Writer::start(tool, LAB));
        file.replace("event-ttl = \"2h\"", "event-ttl = \"3h\"");
        file.replace("maxPods = 50", "maxPods = 60");
        file.replace("disk = \"ssd\"", "disk = \"hdd\"");
        file.replace("audit = \"metadata\"", "audit = \"e2e-audit.yaml\"");
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Request\n";
        fs::write(file.path.with_file_name("e2e-audit.yaml"), policy).expect("written");
        let ended = tool.ok(&["up", LAB, "--yes"]);
        let turns = ["master1", "master2", "master3"].map(|master| {
            let said = format!("settings of the cluster go to {master}");
            ended
                .stderr
                .find(&said)
                .unwrap_or_else(|| panic!("{said}: {}", ended.stderr))
        });
        assert!(turns.is_sorted(), "{turns:?}");
        println!(
            "MEASURED longest gap of a reader: {:?}",
            asker.longest_gap()
        );
        drop(asker);
        writer.assert_nothing_lost(tool);
        assert_in_force(tool);
        let lines = api_servers(tool);
        assert_eq!(lines.matches("--event-ttl=3h").count(), 3, "{lines}");
        let now = processes(tool);
        assert!(
            made.iter().zip(&now).all(|(then, now)| then != now),
            "{made:?} {now:?}"
        );
        let node = kubectl(tool, LAB, &["get", "node", "worker1", "-o", "yaml"]);
        assert!(node.contains("disk: hdd"), "{node}");

        // Only labels: no API server is touched.
        file.replace(", disk = \"hdd\"", "");
        tool.ok(&["up", LAB, "--yes"]);
        let node = kubectl(tool, LAB, &["get", "node", "worker1", "-o", "yaml"]);
        assert!(!node.contains("disk:"), "{node}");
        assert_eq!(processes(tool), now);

        // What cannot be changed while it runs is refused with what does it.
        let good = file.text();
        file.replace("encryption = \"secretbox\"\n", "");
        let ended = tool.run(&["up", LAB, "--yes"]);
        assert_eq!(ended.status, Some(1));
        for words in [
            "`cluster.encryption` was `secretbox` and is `absent`",
            "destroy e2e-settings",
        ] {
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
        }
        file.write(&good);
        tool.ok(&["destroy", LAB, "--yes"]);
    });
}
