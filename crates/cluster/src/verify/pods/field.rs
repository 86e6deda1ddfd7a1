//! Makes the namespace and the probes, asks them, and takes all of it away.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{HEADLESS, PORT, Pod, SERVICE, Tasks};
use crate::kube::{self, Api};
use crate::parallel;
use crate::verify::context::{Context, told};

/// What marks our namespaces, so that a later run finds what an earlier one had to leave.
const LABEL: &str = "caravan.local/verify";

/// How long pods may take to run on every node, and then names and rules to get there.
const START: Duration = Duration::from_secs(40);
/// How long a probe may take to be answered well. What was without an API for a while, as CoreDNS and kube-proxy are after an
/// outage, asks it again after up to half a minute, and by chance twice that; until then names of new services are not known.
const SETTLE: Duration = Duration::from_secs(65);

/// Reasons for a container to wait that do not go away by themselves.
const HOPELESS: [&str; 4] = [
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "InvalidImageName",
    "CrashLoopBackOff",
];

/// The namespace that everything is made in.
#[derive(Debug)]
pub(in crate::verify) struct Space {
    name: String,
}

impl Space {
    /// Makes a new one; that of an earlier run may still be on its way out.
    pub(in crate::verify) fn make(context: &Context) -> Result<Self, String> {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "generateName": "caravan-verify-", "labels": { LABEL: "true" } },
        });
        let made = context
            .api()?
            .ensure("/api/v1/namespaces", &namespace)
            .map_err(told)?;
        match made["metadata"]["name"].as_str() {
            Some(name) => Ok(Self {
                name: name.to_owned(),
            }),
            None => Err("the API made a namespace without a name".to_owned()),
        }
    }

    /// Its name.
    pub(in crate::verify) fn name(&self) -> &str {
        &self.name
    }

    /// Its place in the API.
    pub(in crate::verify) fn path(&self) -> String {
        format!("/api/v1/namespaces/{}", self.name)
    }

    /// Removes every namespace with our label; the cluster empties them in its own time.
    pub(in crate::verify) fn remove_all(context: &Context) -> Result<(), String> {
        let api = context.api()?;
        let path = format!(
            "/api/v1/namespaces?labelSelector={}",
            LABEL.replace('/', "%2F")
        );
        let list = api.get(&path).map_err(told)?;
        for namespace in kube::items(&list) {
            let name = namespace["metadata"]["name"].as_str().unwrap_or_default();
            api.delete(&format!("/api/v1/namespaces/{name}"))
                .map_err(told)?;
        }
        Ok(())
    }
}

/// Probes on all nodes, and what each said.
#[derive(Debug)]
pub(in crate::verify) struct Field {
    pub(super) answers: Vec<(Pod, Tasks, Result<String, String>)>,
}

impl Field {
    /// Makes the probes, waits until they run, and asks each.
    pub(in crate::verify) fn lay_out(context: &Context) -> Result<Self, String> {
        let image = context.options.probe_image.as_deref();
        let image = image.ok_or("no probe image was named")?;
        let space = context.space()?;
        let api = context.api()?;
        let apps = format!("/apis/apps/v1/namespaces/{}/daemonsets", space.name);
        // A pod needs its account; waiting for the default one would cost the moment that the cluster takes to make it.
        for (path, object) in [
            (format!("{}/serviceaccounts", space.path()), account()),
            (apps, daemon_set(image)),
            (format!("{}/services", space.path()), service(SERVICE, None)),
            (
                format!("{}/services", space.path()),
                service(HEADLESS, Some("None")),
            ),
        ] {
            api.ensure(&path, &object).map_err(told)?;
        }
        let nodes: BTreeSet<&str> = context.nodes().map(|node| node.name.as_str()).collect();
        let mut pods = Vec::new();
        let mut hopeless = None;
        context
            .until(START, "a probe on every node", || {
                let found = api.pods(&space.name).map_err(told)?;
                hopeless = found
                    .iter()
                    .find(|pod| HOPELESS.iter().any(|reason| pod.state.contains(reason)))
                    .map(|pod| format!("pod {}: {}", pod.name, pod.state));
                pods = running(found);
                let placed: BTreeSet<&str> = pods.iter().map(|pod| pod.node.as_str()).collect();
                if hopeless.is_some() || placed == nodes {
                    return Ok(true);
                }
                let missing: Vec<&str> = nodes.difference(&placed).copied().collect();
                Err(format!("none runs on {}", missing.join(", ")))
            })
            .map_err(told)?;
        if let Some(why) = hopeless {
            return Err(why);
        }
        let all = pods.clone();
        Ok(Self {
            answers: parallel::each(pods, |pod| {
                let tasks = Tasks::of(&context.lab, &space.name, &pod, &all);
                let answer = ask(context, &api, space, &pod, &tasks);
                (pod, tasks, answer)
            }),
        })
    }
}

/// Asks a probe until its answer is good, or it has had its time.
fn ask(
    context: &Context,
    api: &Api,
    space: &Space,
    pod: &Pod,
    tasks: &Tasks,
) -> Result<String, String> {
    let path = format!(
        "{}/pods/{}:{PORT}/proxy{}",
        space.path(),
        pod.name,
        tasks.query()
    );
    let mut last = Err("not asked".to_owned());
    // Not in time is no failure here: the last answer says what is missing.
    drop(context.until(SETTLE, "a good answer", || {
        last = api.text(&path).map_err(told);
        Ok(last.as_ref().is_ok_and(|answer| tasks.is_done(answer)))
    }));
    last
}

/// The pods that run and have an address.
fn running(pods: Vec<kube::Pod>) -> Vec<Pod> {
    pods.into_iter()
        .filter(|pod| pod.ready)
        .filter_map(|pod| {
            Some(Pod {
                name: pod.name,
                node: pod.node?,
                address: pod.address?,
            })
        })
        .collect()
}

fn account() -> Value {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "probe" } })
}

fn daemon_set(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": { "name": "probe" },
        "spec": {
            "selector": { "matchLabels": { "app": "probe" } },
            "template": {
                "metadata": { "labels": { "app": "probe" } },
                "spec": {
                    "serviceAccountName": "probe",
                    // It holds no secret and needs none.
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": 1,
                    // Masters too.
                    "tolerations": [{ "operator": "Exists" }],
                    "containers": [{
                        "name": "probe",
                        "image": image,
                        // The machine image holds it; a registry is never asked.
                        "imagePullPolicy": "Never",
                        "args": ["serve", PORT.to_string()],
                        "env": [{
                            "name": "NODE_NAME",
                            "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } },
                        }],
                    }],
                },
            },
        },
    })
}

fn service(name: &str, cluster_ip: Option<&str>) -> Value {
    let mut service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name },
        "spec": {
            "selector": { "app": "probe" },
            "ports": [{ "port": 80, "targetPort": PORT }],
        },
    });
    if let Some(address) = cluster_ip {
        service["spec"]["clusterIP"] = address.into();
    }
    service
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_run_everywhere_and_pull_nothing() {
        let set = daemon_set("caravan.local/probe:1");
        let spec = &set["spec"]["template"]["spec"];
        assert_eq!(spec["containers"][0]["image"], "caravan.local/probe:1");
        assert_eq!(spec["containers"][0]["imagePullPolicy"], "Never");
        assert_eq!(spec["tolerations"][0]["operator"], "Exists");
        assert_eq!(service("a", None)["spec"]["clusterIP"], Value::Null);
        assert_eq!(service("a", Some("None"))["spec"]["clusterIP"], "None");
    }

    #[test]
    fn only_pods_with_a_place_and_an_address_count() {
        let pod = |ready, node: Option<&str>, address: Option<&str>| kube::Pod {
            name: "probe-x".to_owned(),
            uid: String::new(),
            node: node.map(ToOwned::to_owned),
            address: address.and_then(|it| it.parse().ok()),
            ready,
            state: "Running".to_owned(),
            app: "probe".to_owned(),
        };
        let found = running(vec![
            pod(true, Some("a"), Some("10.244.1.2")),
            pod(false, Some("b"), Some("10.244.2.2")),
            pod(true, None, Some("10.244.3.2")),
            pod(true, Some("d"), None),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].node, "a");
    }
}
