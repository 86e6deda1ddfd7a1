//! What a machine says while it makes itself what the lab says: lines of the journal of `caravan-bootstrap`.
//!
//! `CARAVAN <unix-ms> <phase> <start|wait|done|fail> <text...>`; whatever else the journal holds is for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The unit that prints the lines.
pub const UNIT: &str = "caravan-bootstrap.service";

/// What a machine, or a run of a verb, is about for a while. Written as its name.
///
/// The named variants are what this code knows something about. The machines' scripts print all of them but
/// [`Create`](Phase::Create), and no others, which a test holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Phase {
    /// `create`: Vagrant makes the machine. No script prints it; who runs Vagrant records it.
    Create,
    /// `prepare`: what a machine of each role needs first.
    Prepare,
    /// `network`: the machine waits for its own address. In the journal of its own unit, `caravan-network`.
    Network,
    /// `etcd-data`: a member without data finds out how to start.
    EtcdData,
    /// `etcd-start`: etcd starts.
    EtcdStart,
    /// `etcd-quorum`: a member waits for a majority.
    EtcdQuorum,
    /// `haproxy`: the load balancer starts.
    Haproxy,
    /// `vip`: Keepalived starts, and the endpoint takes connections.
    Vip,
    /// `wait-etcd`: a master waits for etcd's quorum.
    WaitEtcd,
    /// `wait-endpoint`: a node waits for the endpoint.
    WaitEndpoint,
    /// `init`: the first master makes itself.
    Init,
    /// `join`: any other node makes itself.
    Join,
    /// `settings`: a node applies what the lab file sets of the cluster, which has changed.
    Settings,
    /// `node-ready`: a node waits until the API tells that it is ready.
    NodeReady,
    /// `ready`: its end means that the machine is what the lab says.
    Ready,
    /// `certificates`: what kubeadm has made on a master is made anew. In the journal of its own unit, `caravan-certificates`.
    Certificates,
    /// Any other name: a step of a run, or a phase of a script of the user's own.
    Other(String),
}

impl Phase {
    /// The phases that this code knows by name.
    pub const KNOWN: [Self; 16] = [
        Self::Create,
        Self::Prepare,
        Self::Network,
        Self::EtcdData,
        Self::EtcdStart,
        Self::EtcdQuorum,
        Self::Haproxy,
        Self::Vip,
        Self::WaitEtcd,
        Self::WaitEndpoint,
        Self::Init,
        Self::Join,
        Self::Settings,
        Self::NodeReady,
        Self::Ready,
        Self::Certificates,
    ];

    /// Returns its name: a word without blanks where a machine's script has printed it.
    pub fn name(&self) -> &str {
        match self {
            Self::Create => "create",
            Self::Prepare => "prepare",
            Self::Network => "network",
            Self::EtcdData => "etcd-data",
            Self::EtcdStart => "etcd-start",
            Self::EtcdQuorum => "etcd-quorum",
            Self::Haproxy => "haproxy",
            Self::Vip => "vip",
            Self::WaitEtcd => "wait-etcd",
            Self::WaitEndpoint => "wait-endpoint",
            Self::Init => "init",
            Self::Join => "join",
            Self::Settings => "settings",
            Self::NodeReady => "node-ready",
            Self::Ready => "ready",
            Self::Certificates => "certificates",
            Self::Other(name) => name,
        }
    }

    /// Whether a machine does nothing itself in it, but waits for another machine; a phase of the user's own says so by a
    /// name that begins with `wait-`.
    pub fn waits(&self) -> bool {
        self.name().starts_with("wait-")
    }

    /// The systemd unit whose log tells most about it.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::EtcdStart | Self::EtcdQuorum => "etcd",
            Self::Haproxy => "haproxy",
            Self::Vip => "keepalived",
            Self::NodeReady | Self::Settings => "kubelet",
            Self::Network => "caravan-network",
            Self::Certificates => "caravan-certificates",
            _ => "caravan-bootstrap",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<&str> for Phase {
    fn from(name: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|phase| phase.name() == name);
        known.unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl From<String> for Phase {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<Phase> for String {
    fn from(phase: Phase) -> Self {
        phase.name().to_owned()
    }
}

/// One line that a machine printed about a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseLine {
    /// When, in milliseconds since 1970, by the machine's clock.
    pub at_ms: u64,
    /// The phase.
    pub phase: Phase,
    /// What became of it.
    pub event: PhaseEvent,
    /// Details for people: what is awaited, or why it failed.
    pub text: String,
}

/// What became of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseEvent {
    /// It begins.
    Start,
    /// It waits for something outside of the machine.
    Wait,
    /// It is done.
    Done,
    /// It failed; the unit starts again and tries once more.
    Fail,
}

impl PhaseEvent {
    /// Returns the word for people, in the past tense.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Wait => "waits",
            Self::Done => "done",
            Self::Fail => "failed",
        }
    }
}

impl PhaseLine {
    /// Reads one line of the journal; `None` when it tells of no phase.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim().splitn(5, ' ');
        if words.next()? != "CARAVAN" {
            return None;
        }
        let at_ms = words.next()?.parse().ok()?;
        let phase = words.next().filter(|phase| !phase.is_empty())?.into();
        let event = match words.next()? {
            "start" => PhaseEvent::Start,
            "wait" => PhaseEvent::Wait,
            "done" => PhaseEvent::Done,
            "fail" => PhaseEvent::Fail,
            _ => return None,
        };
        let text = words.next().unwrap_or_default().trim().to_owned();
        Some(Self {
            at_ms,
            phase,
            event,
            text,
        })
    }

    /// Whether it says that the machine is what the lab says.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready && self.event == PhaseEvent::Done
    }
}

#[cfg(test)]
mod tests;
