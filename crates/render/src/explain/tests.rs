//! Every template has its reasons, every reason has its lines, and every value comes from somewhere.

use std::collections::BTreeSet;

use super::{marked, origin, why};
use crate::group;
use crate::table;

/// All templates with reasons: their names and texts.
fn templates() -> Vec<(&'static str, &'static str)> {
    let mut templates = vec![(group::TEMPLATE_NAME, group::VAGRANTFILE_TEMPLATE)];
    let with_reasons = table::templates().filter(|template| template.why.is_some());
    templates.extend(with_reasons.map(|template| (template.name, template.text)));
    templates
}

#[test]
fn rows_are_in_the_order_of_their_paths_and_only_scripts_lack_reasons() {
    let order: Vec<_> = table::FILES.iter().map(|row| row.path).collect();
    assert!(order.is_sorted());
    for pair in table::FILES.windows(2) {
        // What is known of a path is asked without a machine.
        let same_path = pair[0].path == pair[1].path;
        assert!(!same_path || pair[0].purpose == pair[1].purpose);
    }
    for row in table::FILES {
        let Some(template) = row.template() else {
            continue;
        };
        let is_script = row.path.starts_with("/usr/lib/caravan/");
        assert_eq!(template.why.is_none(), is_script, "{}", row.path);
        let mut named = table::templates().filter(|other| other.name == template.name);
        assert!(
            named.next().is_some() && named.next().is_none(),
            "{}",
            row.path
        );
    }
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
