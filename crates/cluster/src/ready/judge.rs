//! Which nodes and pods are missing. Pure.

use std::collections::BTreeSet;

use caravan_lab::{Lab, Role};

use super::Missing;
use crate::kube::{Node, Pod};

/// The static pods that each master runs.
const STATIC_PODS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

pub(super) fn nodes_missing(lab: &Lab, nodes: &[Node]) -> Vec<Missing> {
    let expected = lab
        .machines()
        .iter()
        .filter(|machine| machine.role.is_node());
    expected
        .filter_map(|machine| {
            let name = machine.name.clone();
            match nodes.iter().find(|node| node.name == machine.name) {
                Some(node) if node.ready => None,
                Some(node) => Some(Missing::Node {
                    name,
                    why: node.message.clone(),
                }),
                None => Some(Missing::Node {
                    name,
                    why: "it has not joined".to_owned(),
                }),
            }
        })
        .collect()
}

pub(super) fn pods_missing(lab: &Lab, pods: &[Pod]) -> Vec<Missing> {
    let mut missing: Vec<Missing> = pods
        .iter()
        .filter(|pod| !pod.ready)
        .map(|pod| Missing::Pod {
            name: pod.name.clone(),
            why: pod.state.clone(),
        })
        .collect();
    let names: BTreeSet<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
    let mut absent = |name: String| {
        missing.push(Missing::Pod {
            name,
            why: "it is not there".to_owned(),
        });
    };
    for master in lab.of_role(Role::ControlPlane) {
        for pod in STATIC_PODS {
            let name = format!("{pod}-{}", master.name);
            if !names.contains(name.as_str()) {
                absent(name);
            }
        }
    }
    let nodes = lab
        .machines()
        .iter()
        .filter(|machine| machine.role.is_node());
    for machine in nodes {
        let there = pods
            .iter()
            .any(|pod| pod.app == "kube-proxy" && pod.node.as_deref() == Some(&machine.name));
        if !there {
            absent(format!("kube-proxy on {}", machine.name));
        }
    }
    if !pods.iter().any(|pod| pod.app == "kube-dns") {
        absent("coredns".to_owned());
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAB: &str = include_str!("../../../../labs/external-etcd.toml");

    fn pod(name: &str, app: &str, node: &str, ready: bool) -> Pod {
        Pod {
            name: name.to_owned(),
            uid: String::new(),
            node: Some(node.to_owned()),
            address: None,
            ready,
            state: "Pending".to_owned(),
            app: app.to_owned(),
        }
    }

    fn all_pods() -> Vec<Pod> {
        vec![
            pod(
                "kube-apiserver-masterone",
                "kube-apiserver",
                "masterone",
                true,
            ),
            pod("kube-controller-manager-masterone", "", "masterone", true),
            pod("kube-scheduler-masterone", "", "masterone", true),
            pod("kube-proxy-x", "kube-proxy", "masterone", true),
            pod("kube-proxy-y", "kube-proxy", "workerone", true),
            pod("coredns-z", "kube-dns", "workerone", true),
        ]
    }

    fn lab() -> Lab {
        Lab::parse("external-etcd", LAB).expect("a valid lab")
    }

    #[test]
    fn each_pod_is_needed() {
        assert_eq!(pods_missing(&lab(), &all_pods()), []);
        for place in 0..all_pods().len() {
            let mut fewer = all_pods();
            let gone = fewer.remove(place);
            assert_eq!(
                pods_missing(&lab(), &fewer).len(),
                1,
                "without {}",
                gone.name
            );
            let mut unready = all_pods();
            unready[place].ready = false;
            assert_eq!(
                pods_missing(&lab(), &unready),
                [Missing::Pod {
                    name: gone.name,
                    why: "Pending".to_owned()
                }]
            );
        }
    }

    #[test]
    fn each_node_is_needed() {
        let node = |name: &str, ready| Node {
            name: name.to_owned(),
            ready,
            address: None,
            version: String::new(),
            message: "no network".to_owned(),
        };
        let both = [node("masterone", true), node("workerone", true)];
        assert_eq!(nodes_missing(&lab(), &both), []);
        assert_eq!(nodes_missing(&lab(), &both[..1]).len(), 1);
        let half = [node("masterone", true), node("workerone", false)];
        let [missing] = &nodes_missing(&lab(), &half)[..] else {
            panic!("one is missing")
        };
        assert_eq!(
            missing.to_string(),
            "node `workerone` is not ready: no network"
        );
    }
}
