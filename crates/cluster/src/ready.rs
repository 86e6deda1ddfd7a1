//! Waits until a lab is what it should be: not only its machines' own word for it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use caravan_lab::{Lab, Role};
use caravan_process::interrupt;
use serde::Serialize;

use crate::etcd::{self, Member};
use crate::kube::{Api, Node, Pod};
use crate::{Access, Error, parallel};

/// How often is asked.
const POLL: Duration = Duration::from_millis(250);

/// The static pods that each master runs.
const STATIC_PODS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// What a lab lacks for being ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Readiness {
    /// What is missing; nothing when it is ready.
    pub missing: Vec<Missing>,
}

impl Readiness {
    /// Whether nothing is missing.
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }
}

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Missing {
    /// The API does not answer through the endpoint.
    Endpoint {
        /// Why.
        why: String,
    },
    /// Too few etcd members are healthy.
    Etcd {
        /// The member.
        member: String,
        /// Why it is not.
        why: String,
    },
    /// A node is not registered, or not ready.
    Node {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// A system pod is not there, or not ready.
    Pod {
        /// Its name, or the name it would begin with.
        name: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint { why } => write!(f, "the API does not answer: {why}"),
            Self::Etcd { member, why } => {
                write!(f, "etcd member `{member}` is not healthy: {why}")
            }
            Self::Node { name, why } => write!(f, "node `{name}` is not ready: {why}"),
            Self::Pod { name, why } => write!(f, "pod `{name}` is not ready: {why}"),
        }
    }
}

/// Whoever asks a lab again and again: connections are kept, because a lab that comes up has better things to do than
/// to greet us.
struct Inquiry<'a> {
    lab: &'a Lab,
    api: Api,
    members: Vec<Member>,
}

impl<'a> Inquiry<'a> {
    fn new(lab: &'a Lab, access: &Access) -> Result<Self, Error> {
        Ok(Self {
            lab,
            api: Api::endpoint(lab, access)?,
            members: etcd::members(lab, access)?,
        })
    }

    /// What is missing now.
    ///
    /// While nodes or pods are missing etcd works, or they could not be told; so it is asked when the API is silent, and
    /// last of all.
    fn ask(&self) -> Readiness {
        let asked = self
            .api
            .nodes()
            .and_then(|nodes| Ok((nodes, self.api.pods("kube-system")?)));
        let mut missing = match asked {
            Ok((nodes, pods)) => {
                let mut missing = nodes_missing(self.lab, &nodes);
                missing.extend(pods_missing(self.lab, &pods));
                if !missing.is_empty() {
                    return Readiness { missing };
                }
                missing
            }
            Err(error) => vec![Missing::Endpoint { why: error.chain() }],
        };
        let members = parallel::each(&self.members, |member| {
            member.health().err().map(|error| Missing::Etcd {
                member: member.name.clone(),
                why: error.chain(),
            })
        });
        missing.extend(members.into_iter().flatten());
        Readiness { missing }
    }
}

/// Asks once; keys that cannot be used count as an API that does not answer.
pub fn ask(lab: &Lab, access: &Access) -> Readiness {
    match Inquiry::new(lab, access) {
        Ok(inquiry) => inquiry.ask(),
        Err(error) => Readiness {
            missing: vec![Missing::Endpoint { why: error.chain() }],
        },
    }
}

/// Asks until nothing is missing or `limit` is over; `on_change` hears each answer that differs from the one before.
///
/// # Errors
///
/// [`Error::NotReady`] with what was missing last, [`Error::Interrupted`], [`Error::Credentials`].
pub fn wait(
    lab: &Lab,
    access: &Access,
    limit: Duration,
    on_change: &mut dyn FnMut(&Readiness),
) -> Result<(), Error> {
    let inquiry = Inquiry::new(lab, access)?;
    let began = Instant::now();
    let mut last = None;
    loop {
        let asked = Instant::now();
        let readiness = inquiry.ask();
        if last.as_ref() != Some(&readiness) {
            on_change(&readiness);
        }
        if readiness.is_ready() {
            return Ok(());
        }
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        if began.elapsed() >= limit {
            return Err(Error::NotReady {
                seconds: began.elapsed().as_secs(),
                missing: readiness.missing,
            });
        }
        last = Some(readiness);
        std::thread::sleep(POLL.saturating_sub(asked.elapsed()));
    }
}

fn nodes_missing(lab: &Lab, nodes: &[Node]) -> Vec<Missing> {
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

fn pods_missing(lab: &Lab, pods: &[Pod]) -> Vec<Missing> {
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

    const LAB: &str = include_str!("../../../labs/external-etcd.toml");

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
