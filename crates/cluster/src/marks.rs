//! Labels and taints that the lab file gives its nodes: written by the API, since a kubelet may not give itself any label.
//!
//! What was given is noted on the node itself, so that what the file does not say any more is taken away again, and what
//! others have written stays.

use std::collections::{BTreeMap, BTreeSet};

use caravan_lab::{Lab, Machine, Taint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::kube::{self, Api};
use crate::{Access, Error};

/// The annotation that says what was given.
const GIVEN: &str = "caravan/given";

/// How often a node that somebody else changes meanwhile is tried again.
const TRIES: usize = 5;

/// What a node was given: keys of labels, and taints without their values.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    #[serde(default)]
    labels: BTreeSet<String>,
    #[serde(default)]
    taints: BTreeSet<(String, String)>,
}

impl Given {
    fn to(machine: &Machine) -> Self {
        Self {
            labels: machine.labels.keys().cloned().collect(),
            taints: machine.taints.iter().map(whose).collect(),
        }
    }

    fn of(node: &Value) -> Self {
        let text = node["metadata"]["annotations"][GIVEN].as_str();
        // What somebody has spoilt is written anew.
        text.and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What tells a taint from others of its node.
fn whose(taint: &Taint) -> (String, String) {
    (taint.key.clone(), taint.effect.clone())
}

/// Gives every node that is registered the labels and taints of the lab file; returns the names of those that changed.
///
/// # Errors
///
/// As [`Api::get`].
pub fn give(lab: &Lab, access: &Access) -> Result<Vec<String>, Error> {
    let api = Api::endpoint(lab, access)?;
    let mut changed = Vec::new();
    for node in kube::items(&api.get("/api/v1/nodes")?) {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let Some(machine) = lab.machine(name) else {
            continue;
        };
        if give_one(&api, machine, node)? {
            changed.push(name.to_owned());
        }
    }
    Ok(changed)
}

fn give_one(api: &Api, machine: &Machine, node: &Value) -> Result<bool, Error> {
    let path = format!("/api/v1/nodes/{}", machine.name);
    let mut node = node.clone();
    for _ in 1..TRIES {
        let Some(patch) = patch(machine, &node) else {
            return Ok(false);
        };
        match api.patch(&path, &patch) {
            // Its kubelet or a controller was quicker.
            Err(error) if error.is_status(409) => node = api.get(&path)?,
            patched => return patched.map(|_| true),
        }
    }
    match patch(machine, &node) {
        None => Ok(false),
        Some(patch) => api.patch(&path, &patch).map(|_| true),
    }
}

/// The JSON merge patch that makes a node what the lab file says; `None`: it is.
fn patch(machine: &Machine, node: &Value) -> Option<Value> {
    let (before, now) = (Given::of(node), Given::to(machine));
    let has = |key: &str| node["metadata"]["labels"][key].as_str();
    let mut labels = Map::new();
    for key in before.labels.difference(&now.labels) {
        if has(key).is_some() {
            labels.insert(key.clone(), Value::Null);
        }
    }
    for (key, value) in &machine.labels {
        if has(key) != Some(value.as_str()) {
            labels.insert(key.clone(), Value::from(value.as_str()));
        }
    }
    let there = taints_of(node);
    let mut wanted: Vec<Value> = (there.iter())
        .filter(|(key, _)| !before.taints.contains(*key) && !now.taints.contains(*key))
        .map(|(_, taint)| (*taint).clone())
        .collect();
    let others = wanted.len();
    for taint in &machine.taints {
        let said = there.get(&whose(taint));
        let same = said.filter(|it| it["value"].as_str().unwrap_or_default() == taint.value);
        // With the time since when it is there, where it is.
        wanted.push(same.map_or_else(|| written(taint), |it| (*it).clone()));
    }
    let all_there = machine.taints.iter().all(|taint| is_there(taint, &there));
    let taints_differ = !all_there || there.len() != others + machine.taints.len();
    if labels.is_empty() && !taints_differ && before == now {
        return None;
    }
    let given = match now.is_nothing() {
        true => Value::Null,
        false => Value::from(serde_json::to_string(&now).expect("plain data")),
    };
    let mut patch = json!({
        "metadata": {
            "resourceVersion": node["metadata"]["resourceVersion"],
            "labels": labels,
            "annotations": { GIVEN: given },
        },
    });
    if taints_differ {
        patch["spec"] = json!({ "taints": wanted });
    }
    Some(patch)
}

type Taints<'a> = BTreeMap<(String, String), &'a Value>;

fn taints_of(node: &Value) -> Taints<'_> {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    taints
        .map(|taint| ((text(&taint["key"]), text(&taint["effect"])), taint))
        .collect()
}

fn is_there(taint: &Taint, there: &Taints<'_>) -> bool {
    let found = there.get(&whose(taint));
    found.is_some_and(|it| it["value"].as_str().unwrap_or_default() == taint.value)
}

fn written(taint: &Taint) -> Value {
    match taint.value.as_str() {
        "" => json!({ "key": taint.key, "effect": taint.effect }),
        value => json!({ "key": taint.key, "value": value, "effect": taint.effect }),
    }
}

/// What a node lacks of its labels and taints, and has of what it was given and is not to have; nothing where it is as the
/// lab file says.
pub(crate) fn amiss(machine: &Machine, node: &Value) -> Vec<String> {
    let mut amiss = Vec::new();
    for (key, value) in &machine.labels {
        match node["metadata"]["labels"][key].as_str() {
            Some(found) if found == value => {}
            Some(found) => amiss.push(format!("{key}={found} instead of {value}")),
            None => amiss.push(format!("no label {key}={value}")),
        }
    }
    let there = taints_of(node);
    for taint in &machine.taints {
        if !is_there(taint, &there) {
            amiss.push(format!("no taint {taint}"));
        }
    }
    let (before, now) = (Given::of(node), Given::to(machine));
    for key in before.labels.difference(&now.labels) {
        if node["metadata"]["labels"][key].is_string() {
            amiss.push(format!("still the label {key}"));
        }
    }
    for (key, effect) in before.taints.difference(&now.taints) {
        if there.contains_key(&(key.clone(), effect.clone())) {
            amiss.push(format!("still the taint {key}:{effect}"));
        }
    }
    amiss
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(marks: &str) -> Machine {
        let name = "name = \"workerone\"\n";
        let source = include_str!("../../../labs/ha.toml").replace(name, &format!("{name}{marks}"));
        let lab = Lab::parse("ha", &source).expect("valid");
        lab.machine("workerone").expect("there").clone()
    }

    /// What an API server makes of a merge patch.
    fn merge(target: &mut Value, patch: &Value) {
        let Value::Object(fields) = patch else {
            *target = patch.clone();
            return;
        };
        for (key, value) in fields {
            match value {
                Value::Null => drop(target.as_object_mut().expect("an object").remove(key)),
                value => merge(&mut target[key], value),
            }
        }
    }

    #[test]
    fn what_is_given_can_be_taken_away_and_what_others_gave_stays() {
        let mut node = json!({
            "metadata": {
                "resourceVersion": "7",
                "labels": { "kubernetes.io/os": "linux", "theirs": "1" },
                "annotations": { "theirs": "2" },
            },
            "spec": { "taints": [{ "key": "theirs", "effect": "NoExecute", "timeAdded": "t" }] },
        });
        let plain = machine("");
        assert_eq!(patch(&plain, &node), None);
        assert!(amiss(&plain, &node).is_empty());
        let before = node.clone();
        let marked = machine(
            "labels = { disk = \"ssd\", \"node-role.kubernetes.io/db\" = \"\" }\ntaints = [\"dedicated=db:NoSchedule\", \"gpu:NoExecute\"]\n",
        );
        assert_eq!(amiss(&marked, &node).len(), 4);
        let first = patch(&marked, &node).expect("it is not");
        assert_eq!(first["metadata"]["resourceVersion"], "7");
        merge(&mut node, &first);
        assert_eq!(patch(&marked, &node), None, "{node}");
        assert!(amiss(&marked, &node).is_empty());
        assert_eq!(node["metadata"]["labels"]["node-role.kubernetes.io/db"], "");
        assert_eq!(node["spec"]["taints"].as_array().map(Vec::len), Some(3));
        // Another value of the same taint, one label less.
        let other =
            machine("labels = { disk = \"hdd\" }\ntaints = [\"dedicated=web:NoSchedule\"]\n");
        let second = patch(&other, &node).expect("it is not");
        merge(&mut node, &second);
        assert!(amiss(&other, &node).is_empty(), "{node}");
        assert_eq!(node["metadata"]["labels"]["disk"], "hdd");
        assert_eq!(amiss(&plain, &node).len(), 2);
        let last = patch(&plain, &node).expect("it is not");
        merge(&mut node, &last);
        assert_eq!(node, before);
    }

    #[test]
    fn what_a_kubelet_registered_with_is_only_noted() {
        let marked = machine("taints = [\"dedicated=db:NoSchedule\"]\n");
        let mut node = json!({
            "metadata": { "labels": {} },
            "spec": { "taints": [{ "key": "dedicated", "value": "db", "effect": "NoSchedule" }] },
        });
        let noted = patch(&marked, &node).expect("it is not noted");
        assert!(noted.get("spec").is_none());
        merge(&mut node, &noted);
        assert_eq!(patch(&marked, &node), None);
    }
}
