//! The page of a lab in a browser: it asks for nothing, says of no error, fits its window, and shows what it is to show.
//!
//! `cargo test -p caravan-e2e --test report -- --ignored --test-threads=1 --nocapture`
//!
//! The browser comes by `cargo xtask setup --checkers`. Pictures of all forms stay in `target/report-pictures`.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use caravan_cluster::timeline::{PhaseOutcome, Timeline};
use caravan_cluster::verify::{self, Check, Depth, Evidence, Report, VerifyOutcome};
use caravan_e2e::{Browser, FORMS, Loaded, Tool, on_a_clean_host};
use caravan_lab::Lab;
use caravan_lab::generate::{Shape, lab_file};

/// How long a page of a thousand machines may take until it is painted.
const PAINTED: Duration = Duration::from_secs(2);

/// How much of a page is in a picture, in pixels from above.
const PICTURED: u64 = 12_000;

/// A folder for pictures, empty.
fn pictures(tool: &Tool, name: &str) -> PathBuf {
    let folder = tool.root().join("target/report-pictures").join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).expect("made");
    folder
}

fn assert_sound(loaded: &Loaded, form: &str) {
    assert_eq!(loaded.requests, [""; 0], "{form}");
    assert_eq!(loaded.errors, [""; 0], "{form}");
    assert!(
        loaded.overflow <= 0,
        "{form}: {} pixels too wide",
        loaded.overflow
    );
}

/// Opens a page in all forms; returns the longest time until it was painted.
fn look(browser: &mut Browser, page: &Path, pictures: &Path) -> Duration {
    let mut longest = Duration::ZERO;
    for form in FORMS {
        let loaded = browser.open(page, form);
        assert_sound(&loaded, form.name);
        longest = longest.max(loaded.painted);
        println!(
            "TIME {}: painted after {} ms",
            form.name,
            loaded.painted.as_millis()
        );
        browser.picture(&pictures.join(format!("{}.png", form.name)), PICTURED);
    }
    longest
}

/// Chooses what is lost, and returns what is said of it and how many machines are dimmed.
fn lose(browser: &mut Browser, name: &str) -> (String, i64) {
    let choose = format!(
        "{{ const choice = document.getElementById('lost');
            choice.selectedIndex = [...choice.options].findIndex(it => it.dataset.name === '{name}');
            choice.dispatchEvent(new Event('change')); }}
         document.getElementById('cost').textContent"
    );
    let said = browser.evaluate(&choose);
    let dimmed = browser.evaluate("document.querySelectorAll('.wide-only .machine.gone').length");
    (
        said.as_str().expect("a sentence").to_owned(),
        dimmed.as_i64().expect("a number"),
    )
}

#[test]
#[ignore = "needs real machines, root and a browser"]
fn a_real_lab_as_a_page() {
    on_a_clean_host(|tool| {
        let pictures = pictures(tool, "ha");
        let (page, junit) = (pictures.join("ha.html"), pictures.join("verify.xml"));
        let name = |path: &Path| path.to_str().expect("text").to_owned();
        tool.ok(&["up", "ha", "--yes", "--airgap"]);
        tool.run(&["verify", "ha", "--junit", &name(&junit)]);
        // What anybody may ask stands in for a Service of the user's own.
        let watched = "https://192.168.29.80:6443/livez";
        tool.run(&["drill", "ha", "etcd-leader", "--watch", watched]);
        let began = Instant::now();
        let ended = tool.ok(&["report", "ha", "-o", &name(&page)]);
        println!("TIME report of ha: {:.1} s", began.elapsed().as_secs_f32());
        assert_eq!(ended.stdout.trim(), name(&page));
        let text = fs::read_to_string(&page).expect("written");
        for words in [
            "holds the VIP",
            "leads etcd",
            "etcd-leader:crash",
            "watched https://192.168.29.80:6443/livez: ",
            "All 9 machines run",
        ] {
            assert!(text.contains(words), "{words}");
        }
        let junit = fs::read_to_string(&junit).expect("written");
        assert!(junit.contains("<testcase name=\"vip-owner\""), "{junit}");
        assert_no_secret(tool, &pictures);

        let folder = tempfile::tempdir().expect("a folder");
        let mut browser = Browser::start(folder.path());
        look(&mut browser, &page, &pictures);
        browser.open(&page, FORMS[0]);
        let (said, dimmed) = lose(&mut browser, "server2");
        assert!(said.contains("0 etcd members left, 2 needed"), "{said}");
        assert_eq!(dimmed, 6);
        let (said, dimmed) = lose(&mut browser, "etcdone");
        assert!(
            said.contains("everything goes on") && said.contains("2 of 3 etcd"),
            "{said}"
        );
        assert_eq!(dimmed, 1);

        // A lab that is halted is reported too, and what has changed is told.
        tool.ok(&["halt", "ha"]);
        tool.ok(&["report", "ha", "-o", &name(&page)]);
        let text = fs::read_to_string(&page).expect("written");
        assert!(
            text.contains("All machines are there, and none runs."),
            "{text}"
        );
        assert!(text.contains("Since the report of"), "the difference");
        look(&mut browser, &page, &self::pictures(tool, "ha-halted"));
        tool.ok(&["destroy", "ha", "--yes"]);
        let absent = tool.ok(&["report", "ha", "--json"]).json();
        assert_eq!(absent["verdict"]["standing"], "absent");
    });
}

/// The pages of the records that `caravan-report` keeps for its tests: labs that are well, half broken, halted and not there.
#[test]
#[ignore = "needs root and a browser"]
fn pages_of_labs_in_every_condition() {
    let tool = Tool::build();
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start(folder.path());
    let pages = golden(&tool, "html");
    for (name, page) in &pages {
        look(&mut browser, page, &pictures(&tool, name));
    }
    assert!(pages.len() >= 5, "{pages:?}");
}

/// What `caravan-report` keeps with this ending, by name.
fn golden(tool: &Tool, end: &str) -> Vec<(String, PathBuf)> {
    let folder = tool.root().join("crates/report/tests/golden");
    let entries = fs::read_dir(folder).expect("golden files").flatten();
    let paths = entries.map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == end));
    let mut named: Vec<(String, PathBuf)> = paths
        .map(|path| {
            let name = path.file_stem().and_then(|it| it.to_str());
            (name.expect("a name").to_owned(), path.clone())
        })
        .collect();
    named.sort();
    named
}

/// Mermaid draws the topology as we wrote it: every machine is a box, and every way an edge. `e2e/install-mermaid` brings it.
#[test]
#[ignore = "needs root and a browser"]
fn mermaid_draws_the_topology() {
    let Some(program) = std::env::var_os("CARAVAN_MERMAID") else {
        let is_required = std::env::var("CARAVAN_REQUIRE_CHECKERS").is_ok_and(|it| it == "1");
        assert!(
            !is_required,
            "CARAVAN_MERMAID does not say where Mermaid is"
        );
        println!("skipped: CARAVAN_MERMAID does not say where Mermaid is");
        return;
    };
    let tool = Tool::build();
    let pictures = pictures(&tool, "mermaid");
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start(folder.path());
    let page = folder.path().join("page.html");
    let script = format!(
        "<!doctype html><meta charset=\"utf-8\"><script src=\"file://{}\"></script>",
        Path::new(&program).display()
    );
    fs::write(&page, script).expect("written");
    for (name, file) in golden(&tool, "mmd") {
        let text = fs::read_to_string(&file).expect("text");
        let loaded = browser.open(&page, FORMS[0]);
        assert_eq!(loaded.errors, [""; 0], "{name}");
        let draw = format!(
            "mermaid.initialize({{startOnLoad: false}});
             mermaid.render('drawn', {}).then(it => {{
                document.body.innerHTML = it.svg;
                const count = what => document.querySelectorAll(what).length;
                return {{boxes: count('.node'), frames: count('.cluster'), edges: count('.flowchart-link')}};
             }})",
            serde_json::to_string(&text).expect("text is JSON")
        );
        let drawn = browser.evaluate(&draw);
        let lines = |of: &dyn Fn(&str) -> bool| text.lines().filter(|line| of(line.trim())).count();
        let counted = serde_json::json!({
            "boxes": lines(&|line| line.contains("[\"") && !line.starts_with("subgraph") || line.contains("([\"")),
            "frames": lines(&|line| line.starts_with("subgraph")),
            "edges": lines(&|line| line.contains(" --> ") || line.contains(" .-x ")),
        });
        assert_eq!(drawn, counted, "{name}");
        browser.picture(&pictures.join(format!("{name}.png")), PICTURED);
    }
    // It would tell of what it cannot read.
    let broken = browser.evaluate(
        "mermaid.parse('flowchart TB\\n  a[\"x --> b').then(() => 'read', () => 'refused')",
    );
    assert_eq!(broken, "refused");
}

/// Holds that none of the lab's keys is in what was written, line by line.
fn assert_no_secret(tool: &Tool, folder: &Path) {
    let mut secrets = Vec::new();
    let mut folders = vec![tool.state("ha").join("pki"), tool.state("ha").join("ssh")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path)
                && (text.contains("PRIVATE KEY")
                    || path.components().any(|it| it.as_os_str() == "secrets"))
            {
                let lines = text
                    .lines()
                    .filter(|it| !it.starts_with("-----") && it.len() >= 8);
                secrets.extend(lines.map(str::to_owned));
            }
        }
    }
    assert!(secrets.len() > 20, "{} lines of keys", secrets.len());
    for entry in fs::read_dir(folder).expect("read").flatten() {
        let text = fs::read_to_string(entry.path()).expect("text");
        for secret in &secrets {
            assert!(
                !text.contains(secret),
                "a key is in {}",
                entry.path().display()
            );
        }
    }
}

#[test]
#[ignore = "needs root and a browser"]
fn a_thousand_machines_open_within_two_seconds() {
    let tool = Tool::build();
    let pictures = pictures(&tool, "big");
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let source = lab_file(&Shape::of_machines(1000));
    let lab = Lab::parse("big", &source).expect("valid");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("labs/big.toml", &source);
    let json = |value: &Report| serde_json::to_string(value).expect("plain data");
    write(".lab/big/verify.json", &json(&verification(&lab)));
    let run = serde_json::to_string(&up(&lab)).expect("plain data");
    write(".lab/big/timeline/20261129T113000.000Z.json", &run);

    let tool = tool.with_env("CARAVAN_ROOT", root);
    let page = root.join("big.html");
    let began = Instant::now();
    tool.ok(&["report", "big", "-o", page.to_str().expect("text")]);
    let size = fs::metadata(&page).expect("written").len() / 1024;
    println!(
        "TIME report of 1,000 machines: {:.1} s, {size} KiB",
        began.elapsed().as_secs_f32()
    );

    let profile = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start(profile.path());
    let longest = look(&mut browser, &page, &pictures);
    assert!(
        longest < PAINTED,
        "painted after {} ms",
        longest.as_millis()
    );
    browser.open(&page, FORMS[0]);
    let (said, dimmed) = lose(&mut browser, "worker990");
    assert!(said.contains("everything goes on"), "{said}");
    assert_eq!(dimmed, 1);
}

/// Every promise, with as many things seen as there are machines.
fn verification(lab: &Lab) -> Report {
    let checks = verify::list(Depth::Disrupt).map(|(id, promise)| Check {
        id: id.to_owned(),
        promise: promise.to_owned(),
        outcome: VerifyOutcome::Passed,
        evidence: "all as it must be".to_owned(),
        findings: (lab.machines().iter())
            .map(|machine| Evidence {
                subject: machine.name.clone(),
                holds: true,
                text: format!(
                    "{}: as it must be, to every port of every other machine",
                    machine.name
                ),
                measured: None,
            })
            .collect(),
        seconds: 1.5,
    });
    Report {
        lab: lab.name().to_owned(),
        began_unix_ms: 1_795_953_600_000,
        depth: Depth::Disrupt,
        checks: checks.collect(),
        seconds: 90.0,
        left_behind: None,
    }
}

/// A run in which every machine did what machines do.
fn up(lab: &Lab) -> Timeline {
    let mut run = Timeline::begin("up", lab.name(), 1_795_950_000_000);
    for (place, machine) in (0..).zip(lab.machines()) {
        let mut at = 200;
        for phase in [
            "create",
            "prepare",
            "wait-endpoint",
            "join",
            "node-ready",
            "ready",
        ] {
            let to = at + 900 + place * 7;
            run.start(&machine.name, phase, at, phase.starts_with("wait-"), "");
            run.end(&machine.name, phase, to, PhaseOutcome::Done, "");
            at = to;
        }
    }
    run.outcome = PhaseOutcome::Done;
    run
}
