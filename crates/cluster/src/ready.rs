//! Waits until a lab is what it should be: not only its machines' own word for it.

use std::fmt;
use std::time::{Duration, Instant};

use caravan_lab::{Lab, Role};
use caravan_process::interrupt;
use serde::Serialize;

use crate::etcd::{self, Member, alarm};
use crate::kube::Api;
use crate::{Access, Error, parallel};

mod judge;

use judge::{nodes_missing, pods_missing};

/// How often is asked.
const POLL: Duration = Duration::from_millis(250);

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
    /// A machine does not say that it is what it should be.
    Machine {
        /// Its name.
        name: String,
        /// What it is about.
        why: String,
    },
    /// An API server does not say that it is ready.
    ApiServer {
        /// Its master.
        master: String,
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
    /// Etcd refuses work until somebody has ended an alarm.
    Alarm {
        /// Which alarm, and of which member.
        alarm: String,
        /// What it forbids, and what ends it.
        advice: String,
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

impl Missing {
    /// Whether waiting is in vain, because somebody has to do something about it first.
    fn is_final(&self) -> bool {
        matches!(self, Self::Alarm { .. })
    }

    /// Whether it is a node whose kubelet reported once and does so no more: what the node controller says of it.
    fn was_ready(&self) -> bool {
        matches!(self, Self::Node { why, .. } if why.contains("stopped posting"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint { why } => write!(f, "the API does not answer: {why}"),
            Self::Machine { name, why } => write!(f, "machine `{name}` is not ready: {why}"),
            Self::ApiServer { master, why } => {
                write!(f, "the API server of `{master}` is not ready: {why}")
            }
            Self::Etcd { member, why } => {
                write!(f, "etcd member `{member}` is not healthy: {why}")
            }
            Self::Alarm { alarm, advice } => write!(f, "{alarm}: {advice}"),
            Self::Node { name, why } => write!(f, "node `{name}` is not ready: {why}"),
            Self::Pod { name, why } => write!(f, "pod `{name}` is not ready: {why}"),
        }
    }
}

/// Whoever asks a lab again and again: connections are kept, because a lab that comes up has better things to do than
/// to greet us.
struct Inquiry<'a> {
    lab: &'a Lab,
    tool: &'a str,
    api: Api,
    masters: Vec<(String, Api)>,
    members: Vec<Member>,
}

impl<'a> Inquiry<'a> {
    fn new(lab: &'a Lab, access: &Access, tool: &'a str) -> Result<Self, Error> {
        Ok(Self {
            lab,
            tool,
            api: Api::endpoint(lab, access)?,
            masters: lab
                .of_role(Role::ControlPlane)
                .map(|master| Ok((master.name.clone(), Api::master(master, access)?)))
                .collect::<Result<_, Error>>()?,
            members: etcd::members(lab, access)?,
        })
    }

    /// The alarms that members tell of.
    fn alarms(&self) -> Vec<Missing> {
        let said = parallel::each(&self.members, |member| {
            Some((member.name.as_str(), member.status().ok()?))
        });
        let said: Vec<_> = said.into_iter().flatten().collect();
        alarm::of(said.iter().map(|(name, status)| (*name, status)))
            .into_iter()
            .map(|alarm| Missing::Alarm {
                alarm: alarm.to_string(),
                advice: alarm.advice(self.lab, self.tool),
            })
            .collect()
    }

    /// What is missing now.
    ///
    /// While nodes or pods are missing etcd works, or they could not be told; so it is asked when the API is silent, and
    /// last of all. An API server answers such questions before it says that it is ready, and refuses others until then.
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
                    // With an alarm kubelets cannot report, and nodes that were ready are not any more.
                    if missing.iter().any(Missing::was_ready) {
                        missing.extend(self.alarms());
                    }
                    return Readiness { missing };
                }
                let unready = parallel::each(&self.masters, |(master, api)| {
                    api.text("/readyz").err().map(|error| Missing::ApiServer {
                        master: master.clone(),
                        why: error.chain(),
                    })
                });
                unready.into_iter().flatten().collect()
            }
            Err(error) => vec![Missing::Endpoint { why: error.chain() }],
        };
        let members = parallel::each(&self.members, |member| {
            member.health().err().map(|error| Missing::Etcd {
                member: member.name.clone(),
                why: error.chain(),
            })
        });
        let unwell: Vec<Missing> = members.into_iter().flatten().collect();
        if !unwell.is_empty() {
            missing.extend(self.alarms());
        }
        missing.extend(unwell);
        Readiness { missing }
    }
}

/// Asks once; keys that cannot be used count as an API that does not answer.
///
/// `tool` is how the program that calls this is started, such as `cargo xtask`: what is missing may say what to do.
pub fn ask(lab: &Lab, access: &Access, tool: &str) -> Readiness {
    match Inquiry::new(lab, access, tool) {
        Ok(inquiry) => inquiry.ask(),
        Err(error) => Readiness {
            missing: vec![Missing::Endpoint { why: error.chain() }],
        },
    }
}

/// Asks until nothing is missing or `limit` at the usual pace is over; `on_change` hears each answer that differs from the
/// one before.
/// `tool` is as in [`ask`].
///
/// # Errors
///
/// [`Error::NotReady`] with what was missing last, [`Error::Interrupted`], [`Error::Credentials`].
pub fn wait(
    lab: &Lab,
    access: &Access,
    tool: &str,
    limit: Duration,
    on_change: &mut dyn FnMut(&Readiness),
) -> Result<(), Error> {
    let inquiry = Inquiry::new(lab, access, tool)?;
    let (limit, poll) = (access.pace().of(limit), access.pace().of(POLL));
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
        let in_vain = readiness.missing.iter().any(Missing::is_final);
        if in_vain || began.elapsed() >= limit {
            return Err(Error::NotReady {
                seconds: began.elapsed().as_secs(),
                missing: readiness.missing,
            });
        }
        last = Some(readiness);
        std::thread::sleep(poll.saturating_sub(asked.elapsed()));
    }
}
