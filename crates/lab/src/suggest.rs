//! Finds what somebody probably meant.

/// Words that are far from ours in letters but near in meaning: what other tools and people say, and ours.
const SYNONYMS: [(&str, &str); 25] = [
    ("addr", "ip"),
    ("address", "ip"),
    ("balancer", "load-balancer"),
    ("cni", "pod_network"),
    ("cpu", "cpus"),
    ("haproxy", "load-balancer"),
    ("hostname", "name"),
    ("interface", "bridge"),
    ("ip", "address"),
    ("k8s", "kubernetes"),
    ("keepalived", "load-balancer"),
    ("lb", "load-balancer"),
    ("master", "control-plane"),
    ("memory", "memory_mib"),
    ("minion", "worker"),
    ("network", "subnet"),
    ("node", "worker"),
    ("nodes", "machines"),
    ("pods", "pod_cidr"),
    ("ram", "memory_mib"),
    ("services", "service_cidr"),
    ("vbox", "virtualbox"),
    ("vcpus", "cpus"),
    ("version", "kubernetes"),
    ("virtual_ip", "vip"),
];

/// How alike two words must be, from 0 to 1, before one is suggested for the other: a slip in each third letter.
const ALIKE: f64 = 0.6;

/// Returns the one of `choices` that `found` was probably meant to be.
pub(crate) fn nearest<'c>(
    found: &str,
    choices: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    let found = found.to_lowercase();
    let synonym = SYNONYMS.iter().find(|(theirs, _)| *theirs == found);
    let mut best: Option<(f64, &str)> = None;
    for choice in choices {
        if synonym.is_some_and(|(_, ours)| *ours == choice) {
            return Some(choice.to_owned());
        }
        let alike = strsim::normalized_damerau_levenshtein(&found, &choice.to_lowercase());
        if alike >= ALIKE && best.is_none_or(|(most, _)| alike > most) {
            best = Some((alike, choice));
        }
    }
    best.map(|(_, choice)| choice.to_owned())
}

/// Joins words for a sentence: `a`, `b` or `c`, each in backticks.
pub(crate) fn alternatives<'c>(choices: impl IntoIterator<Item = &'c str>) -> String {
    let quoted: Vec<_> = choices
        .into_iter()
        .map(|choice| format!("`{choice}`"))
        .collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// Returns `names` in backticks, with commas between them.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = (names.iter())
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_synonyms() {
        let roles = ["etcd", "load-balancer", "control-plane", "worker"];
        let check = |found, meant: Option<&str>| {
            assert_eq!(nearest(found, roles).as_deref(), meant, "{found}");
        };
        check("etdc", Some("etcd"));
        check("Worker", Some("worker"));
        check("loadbalancer", Some("load-balancer"));
        check("master", Some("control-plane"));
        check("controlplane", Some("control-plane"));
        check("database", None);
        check("", None);
    }

    #[test]
    fn words_in_a_sentence() {
        assert_eq!(alternatives(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(alternatives(["a"]), "`a`");
    }
}
