//! What differs between the settings of two versions of a lab.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ClusterSettings;
use crate::change::Changed;

impl ClusterSettings {
    /// Returns the path of each setting that is not as in `old`, with what it was and what it is, as JSON; `None` where it
    /// was or is not said. In the order of the paths.
    pub(crate) fn changes_since(&self, old: &Self) -> Vec<(String, Changed<Option<String>>)> {
        let (old, new) = (leaves(old), leaves(self));
        let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let differ = paths.into_iter().filter_map(|path| {
            let (from, to) = (old.get(path).cloned(), new.get(path).cloned());
            (from != to).then(|| (path.clone(), Changed { from, to }))
        });
        differ.collect()
    }
}

/// Every setting by its path in the file, such as `cluster.feature_gates.NAME`.
fn leaves(settings: &ClusterSettings) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    for (name, on) in &settings.feature_gates {
        leaves.insert(format!("cluster.feature_gates.{name}"), on.to_string());
    }
    for (name, value) in &settings.runtime_config {
        leaves.insert(format!("cluster.runtime_config.{name}"), value.clone());
    }
    if let Some(audit) = &settings.audit {
        leaves.insert("cluster.audit".to_owned(), audit.to_string());
    }
    if let Some(encryption) = &settings.encryption {
        leaves.insert("cluster.encryption".to_owned(), encryption.to_string());
    }
    for (component, args) in &settings.args {
        for (name, value) in args {
            leaves.insert(format!("{}.args.{name}", component.table()), value.clone());
        }
    }
    for (name, value) in &settings.kubelet {
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        leaves.insert(format!("kubelet.config.{name}"), value);
    }
    leaves
}
