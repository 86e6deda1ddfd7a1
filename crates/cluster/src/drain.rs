//! Emptying a node before it goes: no new pods, and those that are there are evicted, as `kubectl drain` does it.
//!
//! An eviction is a request that a disruption budget may refuse for a while
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>); what it still refuses in the end stays, and is
//! told.

use std::fmt;
use std::time::{Duration, Instant};

use caravan_process::{Pace, interrupt};
use serde_json::{Value, json};

use crate::kube::{Api, items};
use crate::{Error, parallel};

/// How long pods have for going, at the usual pace: the grace that Kubernetes gives them by default, and a little more.
const LIMIT: Duration = Duration::from_secs(45);

/// How often those are looked at that have not gone yet.
const POLL: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainOutcome {
    /// The pods that have gone, as `namespace/name`.
    pub gone: Vec<String>,
    /// Those that have not, each with what was said of it last.
    pub left: Vec<(String, String)>,
}

impl fmt::Display for DrainOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drained: {} pods have gone", self.gone.len())?;
        for (pod, why) in &self.left {
            write!(f, "; {pod} stays: {why}")?;
        }
        Ok(())
    }
}

/// A pod that would not come back by itself on the same node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EvictablePod {
    namespace: String,
    name: String,
    uid: String,
}

impl EvictablePod {
    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name)
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Whether it, and no other of its name, is still there.
    fn is_there(&self, api: &Api) -> bool {
        match api.get(&self.path()) {
            Ok(pod) => pod["metadata"]["uid"] == self.uid.as_str(),
            Err(error) => !error.is_status(404),
        }
    }

    fn evict(&self, api: &Api) -> Result<(), Error> {
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": { "name": self.name, "namespace": self.namespace },
        });
        match api.create(&format!("{}/eviction", self.path()), &eviction) {
            Err(error) if !error.is_status(404) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Takes the node out of scheduling and evicts its pods; a node that the cluster does not have is empty.
///
/// # Errors
///
/// [`Error::Unreachable`] and [`Error::Answered`] where the API does not tell what is there, [`Error::Interrupted`]. A pod
/// that does not go is none: see [`DrainOutcome::left`].
pub fn node(api: &Api, name: &str, pace: Pace) -> Result<DrainOutcome, Error> {
    match api.patch(
        &format!("/api/v1/nodes/{name}"),
        &json!({ "spec": { "unschedulable": true } }),
    ) {
        Err(error) if error.is_status(404) => return Ok(DrainOutcome::default()),
        patched => patched?,
    };
    let list = api.get(&format!(
        "/api/v1/pods?fieldSelector=spec.nodeName%3D{name}"
    ))?;
    let mut left = evictable(&list);
    let mut outcome = DrainOutcome::default();
    let began = Instant::now();
    loop {
        let round = Instant::now();
        let said = parallel::each(&left, |pod| match pod.is_there(api) {
            false => None,
            true => Some(match pod.evict(api) {
                Ok(()) => "it ends".to_owned(),
                // Also a refusal by a budget: 429.
                Err(error) => error.chain(),
            }),
        });
        let mut remaining = Vec::new();
        outcome.left.clear();
        for (pod, said) in left.into_iter().zip(said) {
            match said {
                None => outcome.gone.push(pod.shown()),
                Some(why) => {
                    outcome.left.push((pod.shown(), why));
                    remaining.push(pod);
                }
            }
        }
        if remaining.is_empty() || began.elapsed() >= pace.of(LIMIT) {
            return Ok(outcome);
        }
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        left = remaining;
        std::thread::sleep(POLL.saturating_sub(round.elapsed()));
    }
}

/// The pods of a list that an eviction moves: no node's own copies of files (mirror pods), none that its set puts there again
/// (daemon sets), none that have ended.
fn evictable(list: &Value) -> Vec<EvictablePod> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let stays = |pod: &Value| {
        let metadata = &pod["metadata"];
        let is_mirror = !metadata["annotations"]["kubernetes.io/config.mirror"].is_null();
        let mut owners = metadata["ownerReferences"].as_array().into_iter().flatten();
        let has_ended = matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        is_mirror || has_ended || owners.any(|owner| owner["kind"] == "DaemonSet")
    };
    items(list)
        .filter(|pod| !stays(pod))
        .map(|pod| EvictablePod {
            namespace: text(&pod["metadata"]["namespace"]),
            name: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_evicted_and_what_stays() {
        let pod = |name: &str, more: Value| {
            let mut pod = json!({
                "metadata": { "name": name, "namespace": "default", "uid": format!("{name}-1") },
                "status": { "phase": "Running" },
            });
            for (key, value) in more.as_object().into_iter().flatten() {
                let known = pod[key].as_object_mut().expect("an object");
                known.extend(value.as_object().cloned().unwrap_or_default());
            }
            pod
        };
        let owned = |kind: &str| json!({ "metadata": { "ownerReferences": [{ "kind": kind }] } });
        let mirror =
            json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } });
        let list = json!({ "items": [
            pod("bare", json!({})),
            pod("of-a-set", owned("ReplicaSet")),
            pod("of-a-daemon", owned("DaemonSet")),
            pod("static", mirror),
            pod("done", json!({ "status": { "phase": "Succeeded" } })),
        ]});
        let names: Vec<String> = evictable(&list).iter().map(EvictablePod::shown).collect();
        assert_eq!(names, ["default/bare", "default/of-a-set"]);
    }

    #[test]
    fn what_stays_is_told() {
        let outcome = DrainOutcome {
            gone: vec!["default/one".to_owned()],
            left: vec![("default/two".to_owned(), "its budget".to_owned())],
        };
        assert_eq!(
            outcome.to_string(),
            "drained: 1 pods have gone; default/two stays: its budget"
        );
    }
}
