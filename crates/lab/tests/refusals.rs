//! One bad lab file per rule: what is said about it, word for word, and where.
//!
//! `tests/bad/<rule>.toml`, or `<rule>--<variant>.toml`, breaks the rule it is named after; beside it stands what is said.
//! To add a rule's test, write its file and run with `UPDATE_EXPECT=1`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::{Fault, KnownSettings, Lab, Place, Rule, Severity};
use expect_test::expect_file;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Tells faults in plain lines, with the text at each place.
fn tell<'f>(source: &str, faults: impl IntoIterator<Item = &'f Fault>) -> String {
    let mut told = String::new();
    for fault in faults {
        let kind = match fault.severity {
            Severity::Warning => "warning",
            Severity::Refusal => "error",
        };
        let at = |place: &Place| {
            let Place { line, column, .. } = place;
            format!("{line}:{column} {:?}", &source[place.span.clone()])
        };
        let rule = fault.rule.name();
        writeln!(told, "{kind}[{rule}]: {}", fault.message).unwrap();
        writeln!(told, "  at {}", at(&fault.place)).unwrap();
        if let Some(label) = &fault.label {
            writeln!(told, "  {label}").unwrap();
        }
        for other in &fault.related {
            let place = at(&other.place);
            writeln!(told, "  see {place}: {}", other.message).unwrap();
        }
        if let Some(help) = &fault.help {
            writeln!(told, "  help: {help}").unwrap();
        }
    }
    told
}

/// What programs know, as far as the files ask for it.
fn known() -> KnownSettings {
    let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
    let by_program = |of: &[(&str, &[&str])]| {
        let known = of
            .iter()
            .map(|(program, names)| ((*program).to_owned(), words(names)));
        known.collect()
    };
    KnownSettings {
        kubernetes: "v1.36.3".to_owned(),
        flags: by_program(&[
            (
                "kube-apiserver",
                &["event-ttl", "v", "max-requests-inflight"],
            ),
            ("kube-controller-manager", &["v", "node-monitor-period"]),
            ("kube-scheduler", &["v"]),
        ]),
        gates: by_program(&[
            ("kube-apiserver", &["APIServerIdentity", "AllAlpha"]),
            ("kubelet", &["AllAlpha", "PodLevelResources"]),
        ]),
        kubelet_fields: words(&["maxPods", "logging"]),
    }
}

#[test]
fn a_policy_is_known_by_its_kind() {
    let source = fs::read_to_string(folder().join("bad/invalid-policy.toml")).unwrap();
    let lab = Lab::parse("lab", &source).unwrap();
    let told = |text: &str| {
        lab.check_audit_policy(Some(text))
            .map_err(|it| it.to_string())
    };
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n";
    assert_eq!(told(policy), Ok(()));
    let why = told(&policy.replace("Policy", "Pod")).unwrap_err();
    assert_eq!(
        why,
        "lab:6:1: `audit.yaml` is no audit policy: it has no line `kind: Policy`"
    );
}

/// Parses a file that has faults or warnings, and returns both as text with the rules' names.
fn refuse(path: &Path) -> (String, BTreeSet<&'static str>) {
    let source = fs::read_to_string(path).unwrap();
    let faults: Vec<Fault> = match Lab::parse("lab", &source) {
        // What only others know: the bundle's programs, and who sees files.
        Ok(lab) => match (lab.check_settings(&known()), lab.check_audit_policy(None)) {
            (Ok(()), Ok(())) => lab.warnings().to_vec(),
            (Err(faults), _) | (_, Err(faults)) => faults.into_iter().collect(),
        },
        Err(faults) => faults.into_iter().collect(),
    };
    let rules = faults.iter().map(|fault| fault.rule.name()).collect();
    (tell(&source, &faults), rules)
}

fn bad_files() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder().join("bad"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect();
    files.sort();
    files
}

/// Returns the rule that a file is named after.
fn rule_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    stem.split("--").next().unwrap().to_owned()
}

#[test]
fn each_bad_file_breaks_the_rule_it_is_named_after() {
    let files = bad_files();
    assert!(!files.is_empty());
    for path in files {
        let (told, rules) = refuse(&path);
        let rule = rule_of(&path);
        assert!(rules.contains(rule.as_str()), "{}:\n{told}", path.display());
        expect_file![path.with_extension("txt")].assert_eq(&told);
    }
}

#[test]
fn each_file_breaks_one_rule_only() {
    // These show what happens when several meet.
    let several = [
        "missing-key--empty-file",
        "syntax--and-more",
        "special-range",
        "range-size--subnet",
    ];
    for path in bad_files() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let (told, rules) = refuse(&path);
        if !several.contains(&stem) {
            assert_eq!(rules.len(), 1, "{stem}:\n{told}");
        }
    }
}

#[test]
fn each_rule_has_a_bad_file_and_a_line_in_the_docs() {
    let named: BTreeSet<String> = Rule::ALL
        .iter()
        .map(|rule| rule.name().to_owned())
        .collect();
    assert_eq!(named.len(), Rule::ALL.len(), "two rules of one name");
    let tested: BTreeSet<String> = bad_files().iter().map(|path| rule_of(path)).collect();
    assert_eq!(named, tested);

    let page = fs::read_to_string(folder().join("../../../docs/lab-file.md")).unwrap();
    let told: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(rule, _)| rule.to_owned())
        .filter(|rule| tested.contains(rule))
        .collect();
    assert_eq!(tested, told, "docs/lab-file.md lists each rule");
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let path = folder().join("several.toml");
    let source = fs::read_to_string(&path).unwrap();
    let faults = Lab::parse("lab", &source).unwrap_err();
    expect_file![path.with_extension("txt")].assert_eq(&tell(&source, &faults));
    let places: Vec<_> = faults.iter().map(|fault| fault.place.span.start).collect();
    assert!(places.is_sorted());
}

#[test]
fn a_lab_is_named_after_its_file_and_that_must_be_a_label() {
    let source = fs::read_to_string(folder().join("../../../labs/ha.toml")).unwrap();
    let faults = Lab::parse("My Lab", &source).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "My Lab:1:1: `My Lab` cannot be the name of a lab: it has capital letters"
    );
    assert_eq!(
        faults.iter().next().unwrap().help.as_deref(),
        Some("did you mean `my-lab`?")
    );
}
