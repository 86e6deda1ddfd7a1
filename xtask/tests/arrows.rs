//! Holds the arrows between the crates: what each may use is decided in `docs/architecture.md`, not by a `use` line.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use caravan_process::Program;
use serde_json::Value;

/// Which of our packages each package may use, tests included.
const ARROWS: [(&str, &[&str]); 19] = [
    (
        "caravan-bench",
        &[
            "caravan-bundle",
            "caravan-cluster",
            "caravan-docker",
            "caravan-files",
            "caravan-host",
            "caravan-lab",
            "caravan-lifecycle",
            "caravan-process",
            "caravan-render",
            "caravan-screen",
            "caravan-vagrant",
        ],
    ),
    ("caravan-bundle", &["caravan-docker", "caravan-process"]),
    (
        "caravan-cluster",
        &["caravan-lab", "caravan-process", "caravan-vagrant"],
    ),
    ("caravan-docker", &["caravan-process"]),
    (
        "caravan-e2e",
        &[
            "caravan-bundle",
            "caravan-cluster",
            "caravan-host",
            "caravan-lab",
            "caravan-pki",
            "caravan-process",
        ],
    ),
    ("caravan-files", &[]),
    (
        "caravan-host",
        &[
            "caravan-bundle",
            "caravan-docker",
            "caravan-files",
            "caravan-lab",
            "caravan-process",
            "caravan-vagrant",
        ],
    ),
    ("caravan-kubeconfig", &["caravan-files", "caravan-process"]),
    ("caravan-lab", &[]),
    (
        "caravan-lifecycle",
        &[
            "caravan-bundle",
            "caravan-cluster",
            "caravan-files",
            "caravan-lab",
            "caravan-pki",
            "caravan-process",
            "caravan-render",
            "caravan-secrets",
            "caravan-vagrant",
        ],
    ),
    ("caravan-pki", &[]),
    (
        "caravan-pki-cli",
        &["caravan-files", "caravan-pki", "caravan-process"],
    ),
    ("caravan-process", &[]),
    ("caravan-render", &["caravan-lab", "caravan-pki"]),
    (
        "caravan-report",
        &["caravan-cluster", "caravan-lab", "caravan-secrets"],
    ),
    (
        "caravan-screen",
        &[
            "caravan-cluster",
            "caravan-host",
            "caravan-lifecycle",
            "caravan-process",
        ],
    ),
    ("caravan-secrets", &[]),
    ("caravan-vagrant", &["caravan-docker", "caravan-process"]),
    (
        "xtask",
        &[
            "caravan-bundle",
            "caravan-cluster",
            "caravan-docker",
            "caravan-files",
            "caravan-host",
            "caravan-kubeconfig",
            "caravan-lab",
            "caravan-lifecycle",
            "caravan-pki",
            "caravan-process",
            "caravan-render",
            "caravan-report",
            "caravan-screen",
            "caravan-secrets",
            "caravan-vagrant",
        ],
    ),
];

/// Which of our packages the tests and examples of a package may use besides.
const TESTS: [(&str, &[&str]); 3] = [
    // What is measured is read by `report`.
    ("caravan-bench", &["caravan-report"]),
    // Fake servers need certificates.
    ("caravan-cluster", &["caravan-pki"]),
    // The native checkers are run through the one door.
    ("caravan-render", &["caravan-process"]),
];

fn packages() -> Vec<Value> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Program::at(env!("CARGO"))
        .call([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version=1",
            "--manifest-path",
            manifest,
        ])
        .run()
        .unwrap_or_else(|error| panic!("{error}"));
    let metadata: Value = serde_json::from_str(&output.stdout).expect("cargo prints JSON");
    metadata["packages"].as_array().expect("a list").clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("text")
}

#[test]
fn crates_use_only_what_they_may() {
    let allowed: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let in_tests: BTreeMap<_, _> = TESTS.into_iter().collect();
    for package in packages() {
        let name = text(&package, "name");
        let may = allowed
            .get(name)
            .unwrap_or_else(|| panic!("`{name}` is not in the table of arrows"));
        for dependency in package["dependencies"].as_array().expect("a list") {
            let used = text(dependency, "name");
            if !allowed.contains_key(used) || may.contains(&used) {
                continue;
            }
            let tests_may = in_tests.get(name).is_some_and(|may| may.contains(&used));
            assert!(
                dependency["kind"] == "dev" && tests_may,
                "`{name}` may not use `{used}`"
            );
        }
    }
}

#[test]
fn every_package_takes_the_lints() {
    for package in packages() {
        let manifest = text(&package, "manifest_path");
        let source = std::fs::read_to_string(manifest).expect("a manifest");
        let table: toml::Table = source.parse().expect("TOML");
        let takes = table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        assert_eq!(
            takes,
            Some(true),
            "`[lints] workspace = true` is missing in {manifest}"
        );
    }
}

#[test]
fn the_table_names_packages_that_exist() {
    let names: Vec<String> = packages()
        .iter()
        .map(|package| text(package, "name").to_owned())
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, _) in ARROWS {
        // pki's command line is a package of its own that may be absent.
        let optional = name == "caravan-pki-cli" && !root.join("crates/pki-cli").exists();
        assert!(
            optional || names.iter().any(|known| known == name),
            "no package `{name}`"
        );
    }
}
