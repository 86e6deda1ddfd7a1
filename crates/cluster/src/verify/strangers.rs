//! Whom etcd's machines let in, and what those have who have no business there.

use std::net::Ipv4Addr;

use caravan_lab::{Lab, Machine, Role, ports};

use super::context::{Context, etcd_address};
use super::etcd_pairs;
use super::findings::Findings;
use super::refusals::OPEN;
use crate::Certificate;
use crate::attempt::End;
use crate::facts::Facts;

/// The ports of etcd machines that are dialled: clients, peers, ssh.
pub const ETCD_PORTS: [u16; 3] = [ports::ETCD_CLIENT, ports::ETCD_PEER, ports::SSH];

/// Whether a machine of this role may connect to this port, one of [`ETCD_PORTS`], of an etcd machine.
pub fn may_reach_etcd(role: Role, port: u16) -> bool {
    match role {
        Role::Etcd => port != ports::SSH,
        Role::ControlPlane => port == ports::ETCD_CLIENT,
        Role::LoadBalancer | Role::Worker => false,
    }
}

/// Every machine dials every port of every etcd machine. That a port is open to one machine proves that it was not dead
/// when another found it shut.
pub(super) fn packet_filter(context: &Context) -> Result<Findings, String> {
    let lab = &context.lab;
    let mut findings = Findings::new();
    let mut opened: Vec<(Ipv4Addr, u16)> = Vec::new();
    for (machine, asked) in context.each_survey(lab.machines(), |machine, facts| {
        (
            judge_dials(lab, machine, facts),
            judge_filter(machine, facts),
        )
    }) {
        match asked {
            Ok(((dials, open), filter)) => {
                findings.extend(dials);
                findings.extend(filter);
                opened.extend(open);
            }
            Err(why) => findings.wrong(&machine.name, why),
        }
    }
    // We are the operator: nobody else may use this port.
    opened.extend(
        lab.of_role(Role::Etcd)
            .map(|member| (member.ip, ports::SSH)),
    );
    findings.extend(judge_alive(lab, &opened));
    Ok(findings)
}

/// Judges one machine's dials; returns also what it found open.
fn judge_dials(lab: &Lab, machine: &Machine, facts: &Facts) -> (Findings, Vec<(Ipv4Addr, u16)>) {
    let mut findings = Findings::new();
    let mut open = Vec::new();
    let lines = facts.get("etcd-ports").unwrap_or_default();
    let (mut opened, mut shut) = (0, 0);
    for member in lab.of_role(Role::Etcd).filter(|it| it.name != machine.name) {
        for port in ETCD_PORTS {
            let place = format!("{} {port} ", member.ip);
            let state = lines.iter().find_map(|line| line.strip_prefix(&place));
            let told = |what: &str| format!("{} {what} {}:{port}", machine.name, member.name);
            match (state, may_reach_etcd(machine.role, port)) {
                (Some("open"), allowed) => {
                    opened += 1;
                    open.push((member.ip, port));
                    if !allowed {
                        findings.wrong(&machine.name, told("reaches"));
                    }
                }
                (Some(why), true) => {
                    findings.wrong(&machine.name, format!("{} ({why})", told("does not reach")))
                }
                (Some(_), false) => shut += 1,
                (None, _) => findings.wrong(&machine.name, told("did not say whether it reaches")),
            }
        }
    }
    findings.right(
        &machine.name,
        format!("{}: {opened} open, {shut} shut", machine.name),
    );
    (findings, open)
}

/// The filter is loaded on etcd machines, and has refused what it should have.
fn judge_filter(machine: &Machine, facts: &Facts) -> Findings {
    let mut findings = Findings::new();
    if machine.role != Role::Etcd {
        return findings;
    }
    let table = facts.text("filter");
    if !(table.contains("table inet caravan_filter") && table.contains("hook input")) {
        findings.wrong(
            &machine.name,
            format!("{} has no packet filter", machine.name),
        );
    }
    findings
}

/// Every port was open to somebody, else nobody's being shut out proves anything.
fn judge_alive(lab: &Lab, open: &[(Ipv4Addr, u16)]) -> Findings {
    let mut findings = Findings::new();
    let several = lab.of_role(Role::Etcd).count() > 1;
    for member in lab.of_role(Role::Etcd) {
        // A single member has no peer to open its port to.
        for port in ETCD_PORTS
            .into_iter()
            .filter(|port| several || *port != ports::ETCD_PEER)
        {
            if !open.contains(&(member.ip, port)) {
                findings.wrong(
                    &member.name,
                    format!(
                        "{}:{port} is open to nobody, so that it is shut to others proves nothing",
                        member.name
                    ),
                );
            }
        }
    }
    findings
}

/// A worker asks every member with the kubelet's certificate and gets no connection, while the operator is served.
pub(super) fn requests(context: &Context) -> Result<Findings, String> {
    let client = context.etcd_client()?;
    let mut findings = Findings::new();
    let mut served = Vec::new();
    for member in context.lab.of_role(Role::Etcd) {
        let control = client.get(etcd_address(member), OPEN);
        match control.end {
            End::Answered { status: 200, .. } => served.push(member),
            other => findings.wrong(
                &member.name,
                format!(
                    "nothing is proved, because {} does not serve the operator either: {other}",
                    member.name
                ),
            ),
        }
    }
    findings.extend(
        context.gather_surveys(context.strangers(), |machine, facts| {
            judge_requests(machine, &served, facts)
        }),
    );
    Ok(findings)
}

fn judge_requests(machine: &Machine, members: &[&Machine], facts: &Facts) -> Findings {
    // 192.168.29.61 7 000: address, curl's exit status, status of the answer. Curl has 7 for no connection and 28 for
    // no time left; anything else means that it came further than it may.
    let lines = facts.get("etcd-requests").unwrap_or_default();
    members
        .iter()
        .map(|member| {
            let address = member.ip.to_string();
            let line = lines.iter().find_map(|line| {
                let mut words = line.split(' ');
                (words.next() == Some(&address)).then(|| (words.next(), words.next()))
            });
            let judged = match line {
                Some((Some(code @ ("7" | "28")), Some("000"))) => Ok(format!(
                    "{} to {}: no connection (curl {code})",
                    machine.name, member.name
                )),
                Some((code, status)) => Err(format!(
                    "{} to {}: curl {}, status {}",
                    machine.name,
                    member.name,
                    code.unwrap_or("?"),
                    status.unwrap_or("?")
                )),
                None => Err(format!("{} did not ask {}", machine.name, member.name)),
            };
            (&machine.name, judged)
        })
        .collect()
}

/// No certificate on a stranger's machine is etcd's CA's own, or issued by it.
pub(super) fn certificates(context: &Context) -> Result<Findings, String> {
    let issuer = etcd_pairs::issuer(context)?;
    let own = context.certificates(&context.access.etcd_ca);
    let own: Vec<&str> = own.iter().map(|it| it.public_key_sha256.as_str()).collect();
    Ok(
        context.judge_surveys(context.strangers(), |machine, facts| {
            let found = context.certificates(&facts.text("certificates"));
            judge_certificates(&machine.name, &issuer, &own, &found)
        }),
    )
}

fn judge_certificates(
    name: &str,
    issuer: &str,
    authority_keys: &[&str],
    found: &[Certificate],
) -> Result<String, String> {
    if found.is_empty() {
        return Err(format!(
            "{name} shows no certificate at all, so that none is etcd's proves nothing"
        ));
    }
    let etcds = found
        .iter()
        .find(|it| it.issuer == issuer || authority_keys.contains(&it.public_key_sha256.as_str()));
    match etcds {
        Some(it) => Err(format!("{name} has {} of {}", it.subject, it.issuer)),
        None => {
            let mut subjects: Vec<&str> = found.iter().map(|it| it.subject.as_str()).collect();
            subjects.sort_unstable();
            subjects.dedup();
            Ok(format!("{name} has only {}", subjects.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests;
