//! Every template has its reasons, every reason has its lines, and every value comes from somewhere.

use std::collections::BTreeSet;

use super::{marked, origin, why};
use crate::group;
use crate::table::{self, Source};

/// All templates with reasons: their names and texts.
fn templates() -> Vec<(&'static str, &'static str)> {
    let mut templates = vec![(group::TEMPLATE_NAME, group::VAGRANTFILE_TEMPLATE)];
    for entry in table::FILES {
        let (Source::Fixed(text) | Source::Lab(text) | Source::Machine(text)) = entry.source;
        if !entry.path.starts_with("/usr/lib/caravan/") {
            templates.push((entry.template, text));
        }
    }
    templates
}

#[test]
fn every_template_has_its_file_of_reasons() {
    let found: Vec<_> = templates().into_iter().map(|(name, _)| name).collect();
    let found: BTreeSet<_> = found.into_iter().map(key).collect();
    let known: BTreeSet<_> = why::WHY.iter().map(|(name, _)| key(name)).collect();
    let missing: Vec<_> = found.symmetric_difference(&known).collect();
    assert!(missing.is_empty(), "in one list only: {missing:?}");
}

fn key(template: &str) -> &str {
    let name = template.strip_suffix(".hbs").unwrap_or(template);
    name.trim_start_matches('/')
}

#[test]
fn every_reason_has_its_own_lines_and_no_others() {
    let mut faults = Vec::new();
    for (name, text) in templates() {
        let reasons = why::of(name).unwrap_or_else(|| panic!("no reasons of {name}"));
        let (_, found) = reasons.of(text);
        faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    assert!(faults.is_empty(), "in .why.toml:\n{}", faults.join("\n"));
}

#[test]
fn only_a_program_is_explained_by_blocks() {
    // A setting that is added below another one needs a reason of its own; a list of names does not.
    let allowed = ["Vagrantfile.hbs", "etc/containerd/config.toml.hbs"];
    for (name, _) in templates() {
        let reasons = why::of(name).expect("tested above");
        let blocks = reasons.reasons.iter().any(|reason| reason.block);
        assert_eq!(blocks, allowed.contains(&name), "{name}");
    }
}

#[test]
fn every_reason_is_written_out() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify.md");
    let page = std::fs::read_to_string(page).expect("docs/verify.md");
    for (name, _) in templates() {
        let reasons = why::of(name).expect("tested above");
        for reason in &reasons.reasons {
            let at = format!("{name}: {}", reason.why);
            assert!(reason.why.ends_with('.') && reason.why.len() > 20, "{at}");
            for docs in reason.docs.iter().chain(&reasons.docs) {
                assert!(docs.starts_with("https://"), "{at}: {docs}");
            }
            for check in &reason.verify {
                let row = format!("| `{check}` |");
                assert!(page.contains(&row), "{at}: no check `{check}`");
            }
        }
    }
}

#[test]
fn every_value_comes_from_somewhere() {
    let used: BTreeSet<String> = templates()
        .into_iter()
        .flat_map(|(_, text)| marked::names(text))
        .collect();
    let known: BTreeSet<String> = origin::all().keys().cloned().collect();
    let missing: Vec<_> = used.difference(&known).collect();
    assert!(missing.is_empty(), "put into values.toml: {missing:?}");
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(unused.is_empty(), "no template uses {unused:?}");
    for (name, origin) in origin::all() {
        assert!(origin.is_told(), "{name}: neither keys nor a word");
    }
}
