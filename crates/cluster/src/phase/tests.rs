use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn lines() {
    let check = |line: &str, wanted: Option<(u64, &str, PhaseEvent, &str)>| {
        let found = PhaseLine::parse(line);
        let found = found.as_ref();
        assert_eq!(
            found.map(|it| (it.at_ms, it.phase.name(), it.event, it.text.as_str())),
            wanted,
            "{line}"
        );
    };
    check(
        "CARAVAN 1795265050123 prepare start masterone, control-plane",
        Some((
            1_795_265_050_123,
            "prepare",
            PhaseEvent::Start,
            "masterone, control-plane",
        )),
    );
    check(
        "CARAVAN 1 vip wait 192.168.29.80:6443 to accept connections (10s)",
        Some((
            1,
            "vip",
            PhaseEvent::Wait,
            "192.168.29.80:6443 to accept connections (10s)",
        )),
    );
    check(
        "CARAVAN 2 my-own-step fail why",
        Some((2, "my-own-step", PhaseEvent::Fail, "why")),
    );
    for ready in ["CARAVAN 2 ready done", "CARAVAN 2 ready done\r"] {
        check(ready, Some((2, "ready", PhaseEvent::Done, "")));
        assert!(PhaseLine::parse(ready).is_some_and(|line| line.is_ready()));
    }
    for other in [
        "[init] Using Kubernetes version: v1.36.3",
        "CARAVAN x ready done",
        "CARAVAN 2 ready",
        "CARAVAN 2 ready begun",
        "CARAVAN 2  done",
        "caravan 2 ready done",
        "",
    ] {
        check(other, None);
    }
}

#[test]
fn a_name_is_kept_whoever_knows_it() {
    for phase in Phase::KNOWN {
        assert_eq!(Phase::from(phase.name()), phase);
        assert!(!matches!(Phase::from(phase.name()), Phase::Other(_)));
    }
    let own = Phase::from("wait-licence");
    assert_eq!(own, Phase::Other("wait-licence".to_owned()));
    assert!(own.waits() && Phase::WaitEtcd.waits() && !Phase::EtcdQuorum.waits());
    let text = serde_json::to_string(&[own.clone(), Phase::EtcdData]).expect("plain data");
    assert_eq!(text, r#"["wait-licence","etcd-data"]"#);
    let read: Vec<Phase> = serde_json::from_str(&text).expect("what was written");
    assert_eq!(read, [own, Phase::EtcdData]);
}

/// The phases that a script names: the first word behind what prints a line, where it is not a variable.
fn named(script: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in script.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        for (place, word) in words.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| words[before]);
            let is_command = before.is_none_or(|before| {
                ["||", "&&", "{", "then", "else", "do"].contains(&before)
                    || before.ends_with(';')
                    || before.starts_with("EVERY=")
            });
            let name = match *word {
                "begin" | "finish" | "fail" | "await" | "say" if is_command => {
                    words.get(place + 1).copied()
                }
                _ => word.strip_prefix("PHASE="),
            };
            // A definition (`fail()`) is no call; what is given on (`$1`, `"$PHASE"`) was named elsewhere.
            if let Some(name) = name
                && name
                    .chars()
                    .all(|one| one.is_ascii_lowercase() || one == '-')
                && !name.is_empty()
            {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn scripts_print_the_known_phases_and_no_others() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../render/templates/usr/lib/caravan");
    let mut printed = BTreeSet::new();
    let mut scripts = 0;
    for entry in fs::read_dir(folder).expect("the machines' scripts") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("text");
        scripts += 1;
        printed.extend(named(&text));
    }
    assert!(scripts > 6, "only {scripts} scripts were read");
    let known: BTreeSet<String> = Phase::KNOWN
        .iter()
        .filter(|phase| **phase != Phase::Create)
        .map(ToString::to_string)
        .collect();
    assert_eq!(printed, known);
}

#[test]
fn names_are_found_where_lines_are_printed() {
    let found = named(
        "begin one\n  EVERY=0.5 await two 60 \"it to say what is\" command\nfail \"$PHASE\" \"x\"\n# say three\nPHASE=four\n\
         command || fail five \"it\"\nsay \"$1\" \"done\"\nbegin() {\n",
    );
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["five", "four", "one", "two"]);
}
