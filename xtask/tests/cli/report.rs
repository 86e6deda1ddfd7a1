//! `report`: what is written, of labs in every condition. How it looks is a matter of `caravan-report`'s own tests.

use expect_test::expect;
use serde_json::Value;

use crate::world::{Ended, World, shown};

/// What a report says, as data.
fn report(world: &World) -> Value {
    let ended = world.run(&["report", "small", "--json"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    data(&ended)
}

fn data(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter().filter_map(Value::as_str).collect()
}

const VERIFY: &str = r#"{"lab":"small","began_unix_ms":1795953600000,"depth":"quick","seconds":0.5,"checks":[
{"id":"machines-run","promise":"p","outcome":"passed","evidence":"e","findings":[],"seconds":0.1},
{"id":"etcd-members","promise":"p","outcome":"failed","evidence":"two are missing","findings":[],"seconds":0.1}]}"#;

#[test]
fn a_lab_that_was_never_made_is_reported_and_nobody_is_asked() {
    let world = World::new();
    let ended = world.run(&["report", "small"]);
    expect![[r#"
        status 0
        --- stdout
        report-small.html
        --- stderr
        beside it: the same as data (`report-small.json`), and its topology (`report-small.svg`, `report-small.mmd`)
    "#]]
    .assert_eq(&shown(&ended));
    assert_eq!(world.calls(), "");
    let page = world.read("report-small.html");
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(page.contains("No machine of the lab is there."), "{page}");
    assert!(world.read("report-small.svg").starts_with("<svg"));
    assert!(world.read("report-small.mmd").starts_with("flowchart TB"));
    let report: Value = serde_json::from_str(&world.read("report-small.json")).expect("JSON");
    assert_eq!(report["verdict"]["standing"], "absent");
    assert!(!world.path(".lab").exists(), "nothing is left");
}

#[test]
fn a_lab_that_is_halted_is_reported() {
    let world = World::new();
    world.is_up();
    for (machine, server) in [
        ("etcdone", "server2"),
        ("masterone", "server1"),
        ("workerone", "server2"),
    ] {
        world.has_machine(machine, server, "exited");
    }
    world.write(".lab/small/verify.json", VERIFY);
    let report = report(&world);
    assert_eq!(report["verdict"]["standing"], "halted");
    let promise = |id: &str| {
        let promises = report["verdict"]["promises"].as_array().expect("a list");
        promises
            .iter()
            .find(|it| it["id"] == id)
            .expect("a promise")["outcome"]
            .clone()
    };
    assert_eq!(promise("machines-run"), "held");
    assert_eq!(promise("etcd-members"), "broken");
    assert_eq!(promise("no-join-token"), "not-tested");
    assert!(
        report["certificates"]["count"].as_u64() > Some(8),
        "{}",
        report["certificates"]
    );
}

#[test]
fn a_lab_that_cannot_be_asked_is_reported() {
    let world = World::new();
    world.is_up();
    world.has_machine("workerone", "server2", "exited");
    let report = report(&world);
    assert_eq!(report["verdict"]["standing"], "unwell");
    let problems = texts(&report["verdict"]["problems"]).join("\n");
    assert!(
        problems.contains("no network of this computer has `10.213.7.0/24`"),
        "{problems}"
    );
    let machines = report["topology"]["machines"].as_array().expect("a list");
    let states: Vec<&str> = machines
        .iter()
        .filter_map(|it| it["state"].as_str())
        .collect();
    assert_eq!(states, ["running", "running", "stopped"]);
}

#[test]
fn damaged_records_are_named_and_the_rest_is_reported() {
    let world = World::new();
    world.is_up();
    world.write(".lab/small/verify.json", "{\"lab\":");
    world.write(".lab/small/timeline/20261129T120000.000Z.json", "[]");
    world.write(
        ".lab/small/drills/20261129T120000Z-worker-crash.jsonl",
        "{\"record\":",
    );
    world.write(
        ".lab/small/pki/ca.crt",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let report = report(&world);
    let problems = texts(&report["verdict"]["problems"]).join("\n");
    for file in [
        "verify.json",
        "20261129T120000.000Z.json",
        "worker-crash.jsonl",
        "pki/ca.crt",
    ] {
        assert!(problems.contains(file), "{file} in {problems}");
    }
    assert_eq!(
        report["topology"]["machines"].as_array().map(Vec::len),
        Some(3)
    );
}

#[test]
fn what_has_changed_since_the_report_before_is_told() {
    let world = World::new();
    assert_eq!(
        world.run(&["report", "small", "-o", "out.html"]).status,
        Some(0)
    );
    world.is_up();
    world.write(".lab/small/verify.json", VERIFY);
    assert_eq!(
        world.run(&["report", "small", "-o", "out.html"]).status,
        Some(0)
    );
    let report: Value = serde_json::from_str(&world.read("out.json")).expect("JSON");
    let changes = report["difference"]["changes"].as_array().expect("a list");
    let change = changes
        .iter()
        .find(|it| it["what"] == "promise machines-run");
    let change = change.expect("it was not tested before");
    assert_eq!(
        (&change["before"], &change["after"]),
        (&"not tested".into(), &"holds".into())
    );
    let ended = world.run(&["report", "small", "--json", "--before", "none.json"]);
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("cannot read `none.json`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn no_key_of_the_lab_is_in_any_of_it() {
    let world = World::new();
    world.is_up();
    let key = world.read(".lab/small/pki/ca.key");
    let key = match key.is_empty() {
        true => world.read(".lab/small/ssh/id_ecdsa"),
        false => key,
    };
    let line = key.lines().nth(1).expect("a line of a key").to_owned();
    let secret = "Zr8!k-4_vrrp";
    world.write(".lab/small/pki/secrets/planted", &format!("{secret}\n"));
    let note = format!("kubelet said {line} and {secret} <script>alert(1)</script>");
    let run = serde_json::json!({"verb": "up", "lab": "small", "began_unix_ms": 1, "outcome": "failed", "spans": [
        {"subject": "etcdone", "phase": "ready", "from_ms": 0, "to_ms": 9, "waits": false, "outcome": "failed", "note": note}]});
    world.write(
        ".lab/small/timeline/20261129T120000.000Z.json",
        &run.to_string(),
    );
    world.write(
        ".lab/small/verify.json",
        &VERIFY.replace("two are missing", &line),
    );
    assert_eq!(world.run(&["report", "small"]).status, Some(0));
    for end in ["html", "json", "svg", "mmd"] {
        let text = world.read(&format!("report-small.{end}"));
        assert!(!text.is_empty());
        assert!(!text.contains(&line), "{end}");
        assert!(!text.contains(secret), "{end}");
    }
    let page = world.read("report-small.html");
    let said = "kubelet said [secret] and [secret] &lt;script&gt;alert(1)&lt;/script&gt;";
    assert!(page.contains(said), "{page}");
}

#[test]
fn a_page_that_would_be_overwritten_is_refused() {
    let world = World::new();
    let ended = world.run(&["report", "small", "-o", "out.svg"]);
    expect![[r#"
        status 2
        --- stderr
        error: `out.svg` cannot be a page: files that end so stand beside it

        hint: name the page: `-o out.html`
    "#]]
    .assert_eq(&shown(&ended));
    assert!(!world.path("out.svg").exists());
    let ended = world.run(&["report", "nobody"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}
