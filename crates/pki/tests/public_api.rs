//! What the public interface may hold, judged on `public-api.txt`; `tests/public-api` keeps that list current.

use std::collections::BTreeSet;

const LIST: &str = include_str!("../public-api.txt");

/// Sets that are complete by their nature: whoever matches on them wants to be told when that turns out wrong.
const CLOSED: [&str; 5] = [
    "caravan_pki::KeyPolicy",
    "caravan_pki::inspect::State",
    "caravan_pki::kubernetes::EtcdTopology",
    "caravan_pki::lint::Severity",
    "caravan_pki::store::EntryOutcome",
];

/// The type that a line with a public field or variant belongs to.
fn owner(line: &str) -> Option<&str> {
    let path = line.strip_prefix("pub caravan_pki::")?;
    let end = path.find([':', '(']).unwrap_or(path.len());
    let mut at = end;
    // A path has `::` between its parts, a field's type comes after `: `.
    while path[at..].starts_with("::") {
        at += 2;
        at += path[at..].find([':', '(']).unwrap_or(path.len() - at);
    }
    let path = &line["pub ".len().."pub caravan_pki::".len() + at];
    path.rsplit_once("::").map(|(owner, _)| owner)
}

#[test]
fn what_may_grow_can_grow() {
    let open: BTreeSet<&str> = LIST
        .lines()
        .filter_map(|line| line.strip_prefix("#[non_exhaustive] pub "))
        .filter_map(|line| line.split([' ', '<']).nth(1))
        .collect();
    let mut owners: BTreeSet<&str> = LIST.lines().filter_map(owner).collect();
    // A variant's fields are the variant's, and those grow only with its type.
    owners.retain(|name| {
        !open
            .iter()
            .any(|open| name.starts_with(&format!("{open}::")))
    });
    let closed: Vec<&str> = owners.difference(&open).copied().collect();
    assert_eq!(closed, CLOSED);
    assert!(
        open.contains("caravan_pki::Error") && open.len() > 15,
        "{open:?}"
    );
}

#[test]
fn no_type_of_another_crate() {
    const OWN: [&str; 4] = ["caravan_pki", "core", "alloc", "std"];
    // Keys in memory, conversions for rustls, and what serde serializes; each is promised in the crate's documentation.
    const PASSED_ON: [&str; 5] = [
        "zeroize::Zeroizing<",
        "rustls_pki_types::CertificateDer<",
        "rustls_pki_types::PrivateKeyDer<",
        "serde_core::ser::Serialize",
        "serde_core::ser::Serializer",
    ];
    // What is made for rustls, behind a feature of its own, is said in its types.
    const FOR_RUSTLS: [&str; 2] = ["rustls::", "rustls_pki_types::"];
    let mut foreign = Vec::new();
    for line in LIST.lines() {
        let passed_on: &[&str] = match line.contains("caravan_pki::reload::") {
            true => &FOR_RUSTLS,
            false => &PASSED_ON,
        };
        for (at, _) in line.match_indices("::") {
            let before = &line[..at];
            let start = before
                .rfind(|character: char| !(character.is_alphanumeric() || character == '_'))
                .map_or(0, |index| index + 1);
            // The first part of a path alone: what follows another `::` is inside that crate.
            if before[..start].ends_with("::") || before[start..].is_empty() {
                continue;
            }
            // Type parameters and `Self`.
            let root = &before[start..];
            if OWN.contains(&root) || root == "Self" || root.starts_with("__") {
                continue;
            }
            if !passed_on
                .iter()
                .any(|known| line[start..].starts_with(known))
            {
                foreign.push(line);
            }
        }
    }
    assert_eq!(foreign, Vec::<&str>::new());
}

#[test]
fn keys_are_not_cloned_printed_compared_or_serialized() {
    for holder in ["PrivateKey", "Identity", "Authority", "SshKey", "Material"] {
        let traits: BTreeSet<&str> = LIST
            .lines()
            .filter(|line| line.ends_with(&format!(" for caravan_pki::{holder}")))
            .filter_map(|line| line.strip_prefix("impl ")?.split(' ').next())
            .collect();
        assert_eq!(traits, BTreeSet::from(["core::fmt::Debug"]), "{holder}");
    }
}
