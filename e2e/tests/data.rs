//! The data of one lab: copied, changed, and brought back, with the runner killed on the way, and from one member alone; an
//! alarm that is ended by the command that `status` names; and its certificates, renewed while it goes on.
//!
//! `CARAVAN_LONG=1 cargo test -p caravan-e2e --test data -- --ignored --test-threads=1 --nocapture`
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use caravan_cluster::status::LabStatus;
use caravan_e2e::{
    Asker, Informer, LabFile, Tool, assert_renewed_unnoticed, assert_verified, bundled_kubectl,
    docker, kubectl, on_a_clean_host, runs_long,
};
use caravan_process::Program;
use serde_json::Value;

/// A small lab that has what matters here: a majority to lose, and an API server that stays while another one ends.
const LAB: &str = "e2e-data";
const SHAPE: [&str; 8] = [
    "--etcd",
    "3",
    "--masters",
    "2",
    "--balancers",
    "2",
    "--workers",
    "1",
];

const MEMBERS: [&str; 3] = ["etcd1", "etcd2", "etcd3"];

/// What a killed program exits with: none, as a signal ended it.
const KILLED: Option<i32> = None;

/// What the informer holds.
const CONFIG_MAPS_PATH: &str = "/api/v1/namespaces/e2e-data/configmaps";

/// How much is written before the snapshot.
const CONFIG_MAPS: usize = 2000;
const SECRETS: usize = 200;

/// Writes a key on a member's machine, again and again, for seven seconds, and prints the longest time from one
/// acknowledgement to the next, in milliseconds.
const LONGEST_GAP: &str = r#"
pki=/etc/etcd/pki
end=$((SECONDS + 7)) last=${EPOCHREALTIME/./} longest=0
while ((SECONDS < end)); do
    curl --silent --fail --max-time 5 --output /dev/null --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \
        --key $pki/healthcheck-client.key --data '{"key":"ZTJlLWdhcA==","value":"MQ=="}' https://127.0.0.1:2379/v3/kv/put || continue
    now=${EPOCHREALTIME/./}
    ((now - last <= longest)) || longest=$((now - last))
    last=$now
done
echo $((longest / 1000))
"#;

/// Prints the SHA-256 of all that etcd has below the story's namespace: keys, values, and the revisions that made them and
/// changed them last. What comes before is of the answer, not of the data.
const DIGEST: &str = r#"
set -o pipefail
pki=/etc/etcd/pki
for kind in configmaps secrets; do
    etcdctl --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt --key $pki/healthcheck-client.key \
        get /registry/$kind/e2e-data/ --prefix --write-out json REVISION | sed 's/^{"header":{[^}]*},//'
done | sha256sum
"#;

/// What a script prints that root runs on a machine of the lab.
fn on(tool: &Tool, machine: &str, script: &str) -> String {
    caravan_e2e::on(tool, LAB, machine, script)
}

/// Tells how long a part of the story took.
fn timed<T>(what: &str, part: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = part();
    println!("TIME {what}: {:.1} s", began.elapsed().as_secs_f32());
    done
}

fn digest(tool: &Tool, revision: Option<u64>) -> String {
    let at = revision.map_or(String::new(), |it| format!("--rev {it}"));
    on(tool, "etcd1", &DIGEST.replace("REVISION", &at))
}

/// How many clients write at once: one may ask fifty times a second.
const WRITERS: usize = 5;

/// Has `kubectl` do `verb` with a file of objects.
fn apply(tool: &Tool, kubectl: &Program, verb: &str, objects: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), objects).expect("written");
    let path = file.path().to_str().expect("text");
    kubectl
        .call([verb, "--filename", path])
        .env("KUBECONFIG", tool.state(LAB).join("kubeconfig"))
        .timeout(Duration::from_secs(120))
        .run()
        .unwrap_or_else(|error| panic!("{error}"));
}

/// The same with many objects of a kind, by several clients at once.
fn apply_all(tool: &Tool, verb: &str, kind: &str, numbers: Range<usize>, content: &str) {
    let kubectl = bundled_kubectl(tool);
    let each = numbers.len().div_ceil(WRITERS);
    std::thread::scope(|scope| {
        for first in numbers.clone().step_by(each) {
            let part = objects(kind, first..numbers.end.min(first + each), content);
            let kubectl = &kubectl;
            scope.spawn(move || apply(tool, kubectl, verb, &part));
        }
    });
}

fn objects(kind: &str, numbers: Range<usize>, content: &str) -> String {
    let field = if kind == "Secret" {
        "stringData"
    } else {
        "data"
    };
    let mut text = String::new();
    for number in numbers {
        let name = format!("{}-{number}", kind.to_lowercase());
        writeln!(
            text,
            "---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: e2e-data}}\n{field}: {{content: \"{content} {number}\"}}"
        )
        .expect("text grows");
    }
    text
}

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: two, namespace: e2e-data}
spec:
  replicas: 2
  selector: {matchLabels: {app: two}}
  template:
    metadata: {labels: {app: two}}
    spec:
      containers:
      - {name: probe, image: "IMAGE", imagePullPolicy: Never, args: [serve, "8080"]}
"#;

/// Writes what the snapshot is to have; returns how many config maps the namespace has.
fn fill(tool: &Tool) -> usize {
    kubectl(tool, LAB, &["create", "namespace", "e2e-data"]);
    let image = caravan_bundle::software_of("1.36")
        .expect("it is pinned")
        .probe_image;
    let deployment = DEPLOYMENT.replace("IMAGE", &image);
    apply(tool, &bundled_kubectl(tool), "create", &deployment);
    apply_all(tool, "create", "ConfigMap", 0..CONFIG_MAPS, "first");
    apply_all(tool, "create", "Secret", 0..SECRETS, "first");
    wait_for_pods(tool);
    config_maps(tool).len()
}

fn wait_for_pods(tool: &Tool) {
    let args = [
        "rollout",
        "status",
        "deployment/two",
        "-n",
        "e2e-data",
        "--timeout",
        "50s",
    ];
    kubectl(tool, LAB, &args);
}

fn config_maps(tool: &Tool) -> Vec<String> {
    let names = kubectl(
        tool,
        LAB,
        &["get", "configmaps", "-n", "e2e-data", "-o", "name"],
    );
    names.lines().map(str::to_owned).collect()
}

/// Writes over, deletes and adds what the snapshot does not know.
fn change(tool: &Tool) {
    let delete = |kind: &str, names: &[String]| {
        let mut args = vec!["delete", kind, "-n", "e2e-data", "--wait=false"];
        args.extend(names.iter().map(String::as_str));
        kubectl(tool, LAB, &args);
    };
    delete("deployment", &["two".to_owned()]);
    let doomed: Vec<String> = (500..600)
        .map(|number| format!("configmap-{number}"))
        .collect();
    delete("configmap", &doomed);
    apply_all(tool, "replace", "ConfigMap", 0..500, "second");
    apply_all(tool, "create", "ConfigMap", 5000..5100, "second");
}

fn snapshot(tool: &Tool, more: &[&str]) -> Value {
    tool.ok(&[&["etcd", "snapshot", LAB, "--json"], more].concat())
        .json()
}

fn copied(from: &str, to: &Path) -> PathBuf {
    let (from, to) = (Path::new(from), to.join("copy.db"));
    fs::copy(from, &to).expect("copied");
    fs::copy(from.with_extension("json"), to.with_extension("json")).expect("copied");
    to
}

/// Snapshots that are not what they say, or of something else, are refused before anything is changed.
fn refuse_damaged(tool: &Tool, file: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copied(file, folder.path());
    let name = copy.to_str().expect("text");
    let whole = fs::read(&copy).expect("read");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let record = copy.with_extension("json");
    let text = fs::read_to_string(&record).expect("read");
    let refused = |words: &str| {
        let ended = tool.run(&["etcd", "restore", LAB, name, "--yes"]);
        assert_eq!(ended.status, Some(1), "{words}");
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert!(!tool.state(LAB).join("operation.json").exists());
    };
    fs::write(&copy, &flipped).expect("written");
    refused("its SHA-256 is ");
    fs::write(&copy, &whole[..whole.len() - 4096]).expect("written");
    refused("bytes, and ");
    fs::write(&copy, &whole).expect("written");
    fs::write(
        &record,
        text.replace("\"lab\": \"e2e-data\"", "\"lab\": \"other\""),
    )
    .expect("written");
    refused("it is of lab `other`");
    let other = text.replace("\"etcd\": [", "\"etcd\": [\"0000\"], \"then\": [");
    assert_ne!(other, text);
    fs::write(&record, other).expect("written");
    refused("another certificate authority of etcd");
    let status: LabStatus = tool.run(&["status", LAB, "--json"]).read();
    assert_eq!(status.problems, [""; 0], "nothing was changed");
}

/// Restores, killing the runner after each of `steps`, and goes on with the same command each time.
fn restore_killed(tool: &Tool, name: &str, steps: &[&str]) {
    for step in steps {
        let killed = tool.with_env("CARAVAN_KILL_AFTER", step.as_ref());
        let ended = killed.run(&["etcd", "restore", LAB, name, "--yes"]);
        assert_eq!(ended.status, KILLED, "killed after `{step}`");
        let said = tool.run(&["status", LAB]);
        assert_eq!(said.status, Some(3));
        assert!(said.stdout.contains("goes on with it"), "{}", said.stdout);
        let refused = tool.run(&["up", LAB, "--yes"]);
        assert_eq!(refused.status, Some(1), "`up` starts no old member");
        assert!(
            refused.stderr.contains("the restoration of"),
            "{}",
            refused.stderr
        );
        if *step != "started" {
            assert_no_member_runs(tool);
        }
    }
    // What was begun need not be named.
    tool.ok(&["etcd", "restore", LAB]);
    assert!(!tool.state(LAB).join("operation.json").exists());
}

/// Raises the alarm that a full member raises, and ends it by the command that `status` names.
fn end_alarm(tool: &Tool) {
    let raise = r#"
pki=/etc/etcd/pki
post() { curl --silent --fail --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt --key $pki/healthcheck-client.key --data "$1" "https://127.0.0.1:2379$2"; }
id=$(post '{}' /v3/maintenance/status | sed 's/.*"member_id":"\([0-9]*\)".*/\1/')
post "{\"action\":\"ACTIVATE\",\"memberID\":\"$id\",\"alarm\":\"NOSPACE\"}" /v3/maintenance/alarm
"#;
    on(tool, "etcd2", raise);
    let said = tool.run(&["status", LAB]);
    assert_eq!(said.status, Some(3));
    assert!(
        said.stdout.contains("alarm NOSPACE of `etcd2`"),
        "{}",
        said.stdout
    );
    assert!(
        said.stdout.contains("`cargo xtask etcd defrag e2e-data`"),
        "{}",
        said.stdout
    );
    let refused = kubectl_status(tool, &["create", "configmap", "full", "-n", "e2e-data"]);
    assert!(!refused, "no write is let through");
    tool.ok(&["etcd", "defrag", LAB]);
    assert_eq!(tool.run(&["etcd", "status", LAB]).status, Some(0));
    assert!(kubectl_status(
        tool,
        &["create", "configmap", "not-full", "-n", "e2e-data"]
    ));
}

fn kubectl_status(tool: &Tool, args: &[&str]) -> bool {
    let ended = bundled_kubectl(tool)
        .call(args)
        .env("KUBECONFIG", tool.state(LAB).join("kubeconfig"))
        .timeout(Duration::from_secs(60))
        .run();
    ended.is_ok()
}

/// Each config map's name and revision, as the API lists them.
fn listed(tool: &Tool) -> BTreeMap<String, String> {
    let list = kubectl(tool, LAB, &["get", "--raw", CONFIG_MAPS_PATH]);
    let list: Value = serde_json::from_str(&list).expect("a list");
    let items = list["items"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    items
        .iter()
        .map(|it| &it["metadata"])
        .map(|it| (text(&it["name"]), text(&it["resourceVersion"])))
        .collect()
}

/// Holds that who watched all along was told that its revision is gone, listed again, and holds what is there.
fn assert_informed(tool: &Tool, informer: &Informer, gone_before: usize) {
    let began = Instant::now();
    loop {
        let told = informer.gone() > gone_before;
        if told && informer.objects() == listed(tool) {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "gone {} times, listed {} times, holds {} objects",
            informer.gone(),
            informer.lists(),
            informer.objects().len()
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(informer.lists() > informer.gone());
}

/// Holds that no member of etcd runs: whoever starts machines meanwhile starts none.
fn assert_no_member_runs(tool: &Tool) {
    for member in MEMBERS {
        let said = on(tool, member, "systemctl is-active etcd.service || true");
        assert_eq!(said.trim(), "inactive", "{member}");
    }
}

/// A snapshot disturbs nobody. Returns what it is of.
fn measured_snapshot(tool: &Tool) -> Value {
    std::thread::scope(|scope| {
        let gap = scope.spawn(|| on(tool, "etcd1", LONGEST_GAP));
        std::thread::sleep(Duration::from_secs(2));
        let began = Instant::now();
        let taken = snapshot(tool, &[]);
        let took = began.elapsed();
        let gap = gap.join().expect("measured");
        let gap: u64 = gap.trim().parse().expect("a number");
        println!(
            "TIME a snapshot: {:.1} s; the longest pause of writes meanwhile: {gap} ms",
            took.as_secs_f32()
        );
        // Limits for what hangs: it is to take 5 s, and a write is not to wait for more than 200 ms.
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert!(gap < 3000, "{gap} ms");
        taken
    })
}

/// Given up in time, all is as it was.
fn give_up(tool: &Tool, name: &str) {
    let changed = digest(tool, None);
    let killed = tool.with_env("CARAVAN_KILL_AFTER", "swapped 2/3".as_ref());
    let ended = killed.run(&["etcd", "restore", LAB, name, "--yes"]);
    assert_eq!(ended.status, KILLED);
    tool.ok(&["etcd", "restore", LAB, "--give-up"]);
    assert_eq!(digest(tool, None), changed, "the old cluster is back");
    assert_verified(tool, LAB, &["--wait"]);
}

/// Restored in one go, and measured.
fn restore_measured(tool: &Tool, name: &str) {
    let asker = Asker::start(tool, LAB);
    let began = Instant::now();
    tool.ok(&["etcd", "restore", LAB, name, "--yes"]);
    println!("TIME a restoration: {:.1} s", began.elapsed().as_secs_f32());
    println!(
        "TIME the API away: {:.1} s",
        asker.longest_gap().as_secs_f32()
    );
}

/// Two members are gone for good: what the third has is enough.
fn restore_from_one(tool: &Tool) {
    let before = digest(tool, None);
    for machine in ["etcd1", "etcd2"] {
        docker(&["rm", "--force", &format!("caravan-{LAB}-{machine}")]);
        docker(&["volume", "rm", &format!("caravan.{LAB}.{machine}.etcd")]);
    }
    tool.ok(&["etcd", "restore", LAB, "--from", "etcd3", "--yes"]);
    assert_eq!(digest(tool, None), before);
}

#[test]
#[ignore = "needs the engine, a bundle and minutes"]
fn data_comes_back() {
    // Until it has been measured where nothing else runs; then it is to run always, without what is asked for below.
    if !runs_long() {
        return;
    }
    on_a_clean_host(|tool| {
        let _file = LabFile::write(tool, LAB, &SHAPE);
        tool.ok(&["up", LAB, "--yes", "--airgap"]);
        assert_renewed_unnoticed(tool, LAB);

        let count = timed("what is written first", || fill(tool));
        let taken = measured_snapshot(tool);
        let (name, file) = (
            taken["name"].as_str().expect("a name"),
            taken["file"].as_str().expect("a file"),
        );
        assert!(taken["revision"].as_u64() >= taken["confirmed"].as_u64());
        let before = digest(tool, taken["revision"].as_u64());
        let informer = Informer::start(tool, LAB, CONFIG_MAPS_PATH);
        timed("refusals", || refuse_damaged(tool, file));
        timed("what is changed", || change(tool));
        assert_ne!(digest(tool, None), before);
        let mut steps = vec!["etcd-stopped-masked", "staged-on-all", "swapped 2/3"];
        let long = runs_long();
        if long {
            give_up(tool, name);
            restore_measured(tool, name);
            assert_eq!(digest(tool, None), before);
            change(tool);
            steps.extend(["swapped-on-all", "started"]);
        }

        let gone = informer.gone();
        timed("a restoration with kills", || {
            restore_killed(tool, name, &steps);
        });
        assert_eq!(
            digest(tool, None),
            before,
            "what was there then, to the byte"
        );
        assert_eq!(config_maps(tool).len(), count);
        assert_informed(tool, &informer, gone);
        drop(informer);
        wait_for_pods(tool);
        timed("an alarm", || end_alarm(tool));

        // A machine that is made anew is one of the restored cluster.
        timed("a worker made anew", || {
            tool.ok(&["destroy", LAB, "worker1", "--yes"]);
            tool.ok(&["up", LAB, "--yes"]);
        });
        if long {
            tool.ok(&["replace", LAB, "etcd2", "--yes"]);
        }
        timed("a restoration from one member", || restore_from_one(tool));
        timed("all promises", || assert_verified(tool, LAB, &["--wait"]));

        // A snapshot elsewhere outlives the lab.
        let safe = tempfile::tempdir().expect("a folder");
        let out = safe.path().to_str().expect("text");
        let kept = snapshot(tool, &["--out", out]);
        tool.ok(&["destroy", LAB, "--yes"]);
        assert!(Path::new(kept["file"].as_str().expect("a file")).is_file());
    });
}
