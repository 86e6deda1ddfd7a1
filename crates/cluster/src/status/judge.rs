//! Puts answers together and says what is wrong with them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use caravan_lab::{Lab, Machine, Role};
use caravan_vagrant::MachineState;

use super::{
    CertificateReport, EXPIRY_DAYS, EndpointReport, EtcdReport, LabStatus, MachineReport,
    MemberReport, Served, VipReport,
};
use crate::Inspect;
use crate::etcd::{Status, alarm};
use crate::facts::Facts;
use crate::kube::Node;

/// What was found, of running machines only.
pub(super) struct StatusAnswers {
    pub(super) endpoint: EndpointReport,
    pub(super) nodes: Vec<Node>,
    pub(super) members: Vec<(Served, Option<Status>)>,
    pub(super) masters: Vec<Served>,
    pub(super) balancers: Vec<(String, Result<Facts, String>)>,
}

/// What else the judgement depends on.
pub(super) struct Terms<'a> {
    pub(super) inspect: Inspect,
    /// Now, in seconds since 1970.
    pub(super) now_s: i64,
    /// How the program is started, for what is to be done.
    pub(super) tool: &'a str,
}

/// Everything that is known of the lab.
pub(super) fn report(
    lab: &Lab,
    states: &BTreeMap<String, MachineState>,
    found: StatusAnswers,
    terms: &Terms<'_>,
) -> LabStatus {
    let mut certificates: Vec<CertificateReport> = found
        .members
        .iter()
        .map(|(served, _)| served)
        .chain(&found.masters)
        .filter_map(|served| {
            let certificate = (terms.inspect)(served.shown.as_deref()?)?;
            Some(CertificateReport {
                machine: served.machine.clone(),
                at: served.at,
                subject: certificate.subject,
                not_after: certificate.not_after,
                days_left: (certificate.not_after - terms.now_s).div_euclid(86_400),
            })
        })
        .collect();
    certificates.sort_by_key(|certificate| certificate.not_after);
    let mut status = LabStatus {
        lab: lab.name().to_owned(),
        machines: lab
            .machines()
            .iter()
            .map(|machine| machine_report(machine, states, &found))
            .collect(),
        vip: vip(lab, &found),
        etcd: etcd(lab, &found),
        endpoint: found.endpoint,
        nodes: found.nodes,
        certificates,
        problems: Vec::new(),
    };
    status.problems = problems(lab, &status, terms.tool);
    status
}

fn machine_report(
    machine: &Machine,
    states: &BTreeMap<String, MachineState>,
    found: &StatusAnswers,
) -> MachineReport {
    let node = found.nodes.iter().find(|node| node.name == machine.name);
    let mut versions = BTreeMap::new();
    let mut well = None;
    let mut why = None;
    let mut judge = |reason: Option<String>| {
        well = Some(reason.is_none());
        why = reason;
    };
    match machine.role {
        Role::Etcd => {
            let member = found
                .members
                .iter()
                .find(|(served, _)| served.machine == machine.name);
            if let Some((served, status)) = member {
                judge(served.why.clone());
                if let Some(status) = status {
                    versions.insert("etcd".to_owned(), status.version.clone());
                }
            }
        }
        Role::LoadBalancer => {
            let asked = found
                .balancers
                .iter()
                .find(|(name, _)| *name == machine.name);
            if let Some((_, asked)) = asked {
                judge(asked.as_ref().err().cloned());
                let lines = asked.as_ref().ok().and_then(|facts| facts.get("versions"));
                for line in lines.unwrap_or_default() {
                    if let Some((name, version)) = line.split_once(' ') {
                        versions.insert(name.to_owned(), version.to_owned());
                    }
                }
            }
        }
        Role::ControlPlane => {
            let served = found.masters.iter().find(|it| it.machine == machine.name);
            if let Some(served) = served {
                judge(served.why.clone());
            }
        }
        Role::Worker => {
            if let Some(node) = node {
                judge((!node.ready).then(|| node.message.clone()));
            }
        }
    }
    if let Some(node) = node {
        versions.insert("kubelet".to_owned(), node.version.clone());
    }
    MachineReport {
        name: machine.name.clone(),
        role: machine.role,
        server: machine.server.clone(),
        ip: machine.ip,
        state: states
            .get(&machine.name)
            .cloned()
            .unwrap_or(MachineState::Absent),
        versions,
        well,
        why,
    }
}

fn vip(lab: &Lab, found: &StatusAnswers) -> Option<VipReport> {
    let address = lab.vip()?;
    let mut report = VipReport {
        address,
        owners: Vec::new(),
        refused_adverts: BTreeMap::new(),
        unasked: Vec::new(),
    };
    for (name, asked) in &found.balancers {
        match asked {
            Ok(facts) => {
                if facts.has_address(address) {
                    report.owners.push(name.clone());
                }
                if let Some(refused) = facts.packets("adverts", "adverts") {
                    report.refused_adverts.insert(name.clone(), refused);
                }
            }
            Err(why) => report.unasked.push(format!("{name}: {why}")),
        }
    }
    Some(report)
}

fn etcd(lab: &Lab, found: &StatusAnswers) -> EtcdReport {
    let members: Vec<MemberReport> = lab
        .of_role(Role::Etcd)
        .map(|machine| {
            let asked = found
                .members
                .iter()
                .find(|(served, _)| served.machine == machine.name);
            match asked {
                Some((served, status)) => MemberReport {
                    name: machine.name.clone(),
                    healthy: served.why.is_none(),
                    why: served.why.clone(),
                    status: status.clone(),
                },
                None => MemberReport {
                    name: machine.name.clone(),
                    healthy: false,
                    why: Some("its machine does not run".to_owned()),
                    status: None,
                },
            }
        })
        .collect();
    let statuses = || members.iter().filter_map(|member| member.status.as_ref());
    let alarms = alarm::of(
        members
            .iter()
            .filter_map(|member| Some((member.name.as_str(), member.status.as_ref()?))),
    );
    // With an alarm a member may refuse even the question whether it is well; that it has a leader says that it is.
    let agrees = |member: &&MemberReport| {
        let led = member.status.as_ref().is_some_and(|it| it.leader != 0);
        member.healthy || (!alarms.is_empty() && led)
    };
    let clusters: BTreeSet<u64> = statuses().map(|status| status.cluster_id).collect();
    let leaders: BTreeSet<u64> = statuses().map(|status| status.leader).collect();
    let leader = members.iter().find(|member| {
        let id = member.status.as_ref().map(|status| status.member_id);
        leaders.len() == 1 && id == leaders.first().copied()
    });
    EtcdReport {
        quorum: members.iter().filter(agrees).count() >= lab.etcd_quorum(),
        leader: leader.map(|member| member.name.clone()),
        clusters: clusters.len(),
        alarms,
        members,
    }
}

fn problems(lab: &Lab, status: &LabStatus, tool: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for machine in &status.machines {
        let MachineReport {
            name, state, why, ..
        } = machine;
        match (state, why) {
            (MachineState::Running, None) => {}
            (MachineState::Running, Some(why)) => problems.push(format!("`{name}`: {why}")),
            (state, _) => problems.push(format!("`{name}` is {}", state.word())),
        }
        let node = machine.role.is_node() && *state == MachineState::Running;
        if node && status.endpoint.version.is_some() {
            match status.nodes.iter().find(|node| node.name == *name) {
                None => problems.push(format!("`{name}` is no node of the cluster")),
                // A worker's own report says so already.
                Some(node) if !node.ready && machine.role == Role::ControlPlane => {
                    problems.push(format!("node `{name}` is not ready: {}", node.message));
                }
                Some(_) => {}
            }
        }
    }
    if let Some(why) = &status.endpoint.why {
        problems.push(format!(
            "the API does not answer at {}: {why}",
            status.endpoint.address
        ));
    }
    if let Some(vip) = &status.vip {
        match &vip.owners[..] {
            [_] => {}
            [] => problems.push(format!("no load balancer has {}", vip.address)),
            several => problems.push(format!(
                "{} is on {}",
                vip.address,
                several.join(" and on ")
            )),
        }
    }
    if !status.etcd.quorum {
        problems.push("etcd has no quorum, so nothing can be written".to_owned());
    }
    for alarm in &status.etcd.alarms {
        let advice = alarm.advice(lab, tool);
        problems.push(format!("{alarm}: {advice}"));
    }
    if status.etcd.clusters > 1 {
        problems.push(format!(
            "the etcd members belong to {} different clusters",
            status.etcd.clusters
        ));
    }
    for certificate in &status.certificates {
        let CertificateReport {
            machine,
            at,
            days_left,
            ..
        } = certificate;
        let lab = lab.name();
        match *days_left {
            ..0 => problems.push(format!(
                "the certificate of `{machine}` at {at} has ended: `{tool} certs renew {lab} --expired` makes all anew"
            )),
            0..EXPIRY_DAYS => problems.push(format!(
                "the certificate of `{machine}` at {at} ends in {days_left} days: `{tool} certs renew {lab}` makes it anew"
            )),
            _ => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests;
