//! What is where, who may talk to whom, and who was refused.

use caravan_lab::{Lab, Role};
use serde::{Deserialize, Serialize};

use crate::flows::{FLOWS, Flow, Party};
use crate::records::LabRecords;
use crate::verdict::{Outcome, PromiseView, Verdict};

/// How many findings of a check are shown beside an edge; the check has all.
const FINDINGS: usize = 3;

/// A server of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its name.
    pub name: String,
    /// Where it is: `ssh://me@there`; none where it is the computer that the tool runs on.
    pub host: Option<String>,
    /// What runs its machines.
    pub provider: String,
}

/// A machine of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineView {
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub role: Role,
    /// The server that it is on.
    pub server: String,
    /// Its address.
    pub ip: String,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Processors.
    pub cpus: u8,
    /// What its provider says of it: `running`, `absent`, `unknown`; empty where nobody was asked.
    pub state: String,
    /// Whether it is not as it should be.
    pub unwell: bool,
    /// Why; empty where it is, or where that is all that is known.
    pub why: String,
    /// Whether it holds the virtual address.
    pub owner: bool,
    /// Whether it leads etcd.
    pub leader: bool,
}

/// What a machine does for all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// It holds the virtual address.
    Address,
    /// It leads etcd.
    Leader,
}

impl Duty {
    /// What it does, in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Address => "holds the VIP",
            Self::Leader => "leads etcd",
        }
    }
}

impl MachineView {
    /// What is wrong with it, in a word or two; none where nothing is, or nobody was asked.
    pub(crate) fn trouble(&self) -> Option<&str> {
        match self.state.as_str() {
            _ if !self.unwell => None,
            "" => None,
            "running" => Some("not well"),
            state => Some(state),
        }
    }

    /// What it does for all others, also where it is not well: then that is what matters most about it.
    pub(crate) fn duty(&self) -> Option<Duty> {
        match (self.owner, self.leader) {
            (true, _) => Some(Duty::Address),
            (_, true) => Some(Duty::Leader),
            _ => None,
        }
    }
}

/// Who may, or may not, connect to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowView {
    /// Its name.
    pub id: String,
    /// Who connects.
    pub from: Party,
    /// To whom.
    pub to: Party,
    /// To which ports: `2379, 2380`.
    pub ports: String,
    /// By what, or what for.
    pub what: String,
    /// Whether it may.
    pub allowed: bool,
    /// What came of the tests of that: the worst of them, where any was made.
    pub outcome: Outcome,
    /// The checks that show it.
    pub checks: Vec<FlowCheck>,
    /// Some of what they saw.
    pub evidence: Vec<String>,
}

/// A check that shows a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowCheck {
    /// Its name.
    pub id: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What is where, and who may talk to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Where everybody reaches the API: `192.168.29.80:6443`.
    pub endpoint: String,
    /// Whether load balancers share that address.
    pub shared: bool,
    /// Who besides the lab's machines may reach all of it.
    pub operators: Vec<String>,
    /// The servers, in the order of their names.
    pub servers: Vec<ServerView>,
    /// The machines, in the order of the lab file.
    pub machines: Vec<MachineView>,
    /// The flows that the lab has.
    pub flows: Vec<FlowView>,
}

impl FlowView {
    /// What stands beside it in a picture: its ports, and whether it is not so.
    pub(crate) fn label(&self) -> String {
        let ports = match self.to {
            Party::Outside => "outside",
            _ => &self.ports,
        };
        match self.outcome {
            Outcome::Broken => format!("{ports} (!)"),
            _ => ports.to_owned(),
        }
    }
}

impl Topology {
    pub(crate) fn of(records: &LabRecords<'_>, verdict: &Verdict) -> Self {
        let lab = records.lab;
        let mut topology = Self::of_file(lab);
        for server in &mut topology.servers {
            let machine = lab.machines().iter().find(|it| it.server == server.name);
            let facts = machine.and_then(|it| records.machines.get(&it.name));
            server.provider = facts.map_or_else(String::new, |it| it.provider.clone());
        }
        for machine in &mut topology.machines {
            see(machine, records);
        }
        let flows = FLOWS.iter().filter(|flow| flow.applies(lab));
        topology.flows = flows
            .map(|flow| flow_view(lab, flow, Some(verdict)))
            .collect();
        topology
    }

    /// The topology of a lab of which nothing but its file is known.
    pub fn of_file(lab: &Lab) -> Self {
        let servers = lab.servers().iter().map(|server| ServerView {
            name: server.name.clone(),
            host: server.host.clone(),
            provider: String::new(),
        });
        let machines = lab.machines().iter().map(|machine| MachineView {
            name: machine.name.clone(),
            role: machine.role,
            server: machine.server.clone(),
            ip: machine.ip.to_string(),
            memory_mib: machine.memory_mib,
            cpus: machine.cpus,
            state: String::new(),
            unwell: false,
            why: String::new(),
            owner: false,
            leader: false,
        });
        let flows = FLOWS.iter().filter(|flow| flow.applies(lab));
        Self {
            endpoint: lab.api_endpoint().to_string(),
            shared: lab.has_load_balancers(),
            operators: lab.operators().iter().map(ToString::to_string).collect(),
            servers: servers.collect(),
            machines: machines.collect(),
            flows: flows.map(|flow| flow_view(lab, flow, None)).collect(),
        }
    }

    /// The machines of a role on a server.
    pub(crate) fn group<'a>(
        &'a self,
        server: &'a str,
        role: Role,
    ) -> impl Iterator<Item = &'a MachineView> {
        let machines = self.machines.iter();
        machines.filter(move |it| it.role == role && it.server == server)
    }
}

/// Adds what is known of a machine at the moment.
fn see(machine: &mut MachineView, records: &LabRecords<'_>) {
    let facts = records.machines.get(&machine.name);
    let status = records.status.as_ref();
    let asked = status.and_then(|it| it.machines.iter().find(|it| it.name == machine.name));
    let node = status.and_then(|it| it.nodes.iter().find(|it| it.name == machine.name));
    let state = facts.and_then(|it| it.state.as_deref());
    let state = match (state, records.unasked.is_empty()) {
        (Some(state), _) => state,
        (None, true) => "absent",
        (None, false) => "unknown",
    };
    let why = match (asked, node) {
        (Some(asked), _) if asked.well == Some(false) => asked.why.clone(),
        (_, Some(node)) if !node.ready => Some(format!("not ready: {}", node.message)),
        _ => None,
    };
    let is_silent = asked.is_some_and(|it| it.well == Some(false));
    machine.unwell = is_silent || why.is_some() || state != "running";
    state.clone_into(&mut machine.state);
    machine.why = why.unwrap_or_default();
    let vip = status.and_then(|it| it.vip.as_ref());
    machine.owner = vip.is_some_and(|vip| vip.owners.contains(&machine.name));
    machine.leader = status.is_some_and(|it| it.etcd.leader.as_ref() == Some(&machine.name));
}

fn flow_view(lab: &Lab, flow: &Flow, verdict: Option<&Verdict>) -> FlowView {
    let promises = |id: &str| verdict.and_then(|it| it.promise(id));
    let checks: Vec<FlowCheck> = (flow.checks.iter())
        .map(|id| FlowCheck {
            id: (*id).to_owned(),
            outcome: promises(id).map_or(Outcome::NotTested, |it| outcome(flow, lab, it)),
        })
        .collect();
    // A check that was not made takes nothing from one that was.
    let tested = checks.iter().map(|check| check.outcome);
    let tested = tested.filter(|it| matches!(it, Outcome::Broken | Outcome::Held));
    FlowView {
        id: flow.id.to_owned(),
        from: flow.from,
        to: flow.to,
        ports: flow.ports.word(lab.pod_network()),
        what: flow.what.to_owned(),
        allowed: flow.allowed,
        outcome: tested.min().unwrap_or(Outcome::NotTested),
        evidence: evidence(flow, lab, verdict),
        checks,
    }
}

/// What a promise came to for a flow: what speaks against it may be about others, who have flows of their own.
fn outcome(flow: &Flow, lab: &Lab, promise: &PromiseView) -> Outcome {
    let mut wrong = promise.findings.iter().filter(|it| !it.holds).peekable();
    match promise.outcome {
        Outcome::Broken if wrong.peek().is_some() => {
            match wrong.any(|it| concerns(flow, lab, &it.subject)) {
                true => Outcome::Broken,
                false => Outcome::Held,
            }
        }
        other => other,
    }
}

/// Whether what is said of a subject may be about a flow: of a machine, where it is one of its ends.
fn concerns(flow: &Flow, lab: &Lab, subject: &str) -> bool {
    let ends = || flow.from.roles().iter().chain(flow.to.roles());
    let machine = lab.machine(subject);
    machine.is_none_or(|machine| ends().count() == 0 || ends().any(|it| *it == machine.role))
}

/// Some of what was seen: what speaks against the flow first, and what is about who connects before the rest.
fn evidence(flow: &Flow, lab: &Lab, verdict: Option<&Verdict>) -> Vec<String> {
    let promises = flow.checks.iter().filter_map(|id| verdict?.promise(id));
    let all = promises.flat_map(|it| &it.findings);
    let mut findings: Vec<_> = all
        .filter(|it| it.holds || concerns(flow, lab, &it.subject))
        .collect();
    let is_of_who_connects = |subject: &str| {
        let role = lab.machine(subject).map(|it| it.role);
        role.is_some_and(|role| flow.from.roles().contains(&role))
    };
    findings.sort_by_key(|it| (it.holds, !is_of_who_connects(&it.subject)));
    let first = findings.into_iter().take(FINDINGS);
    first.map(|it| it.text.clone()).collect()
}
