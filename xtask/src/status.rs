//! `cargo xtask status`: what a lab's machines and its cluster are doing.

use std::collections::BTreeMap;

use caravan_cluster::status::{self, LabStatus};
use caravan_lifecycle::{Keys, LabTarget, Workspace, reach};
use caravan_vagrant::MachineState;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::table;

/// Runs the verb; a lab that is not well is [`Exit::Degraded`].
pub(crate) fn run(flags: &flags::Status, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let lab = target.lab(workspace)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    let states: BTreeMap<String, MachineState> = target
        .machines()?
        .into_iter()
        .map(|machine| (machine.name, machine.state))
        .collect();
    if states.values().any(|state| *state == MachineState::Running) {
        reach::check(lab)?;
    }
    let found = status::ask(lab, &keys.access(&target.dir)?, TOOL, &states)?;
    if flags.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&found).expect("plain data")
        );
    } else {
        println!("{}", text(&found));
    }
    Ok(if found.degraded() {
        Exit::Degraded
    } else {
        Exit::Done
    })
}

fn text(found: &LabStatus) -> String {
    let mut parts = vec![machines(found), endpoint(found), etcd(found)];
    if let Some(first) = found.certificates.first() {
        parts.push(format!(
            "certificates: {} seen; the first to end is {} of {}, in {} days",
            found.certificates.len(),
            first.subject,
            first.machine,
            first.days_left
        ));
    }
    if found.problems.is_empty() {
        parts.push(format!("lab `{}` is well", found.lab));
    } else {
        let lines: Vec<String> = found
            .problems
            .iter()
            .map(|line| format!("  {line}"))
            .collect();
        parts.push(format!(
            "lab `{}` is not well:\n{}",
            found.lab,
            lines.join("\n")
        ));
    }
    parts.join("\n\n")
}

fn machines(found: &LabStatus) -> String {
    let mut table = table::plain(&["machine", "role", "address", "state", "service", "versions"]);
    for machine in &found.machines {
        let node = found.nodes.iter().find(|node| node.name == machine.name);
        let service = match (machine.well, node) {
            (Some(false), _) => machine
                .why
                .clone()
                .unwrap_or_else(|| "does not answer".to_owned()),
            (_, Some(node)) if !node.ready => format!("not ready: {}", node.message),
            (Some(true), _) | (None, Some(_)) => "well".to_owned(),
            (None, None) => String::new(),
        };
        let versions: Vec<String> = machine
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        table.add_row([
            machine.name.clone(),
            machine.role.to_string(),
            machine.ip.to_string(),
            machine.state.word().to_owned(),
            service,
            versions.join(", "),
        ]);
    }
    table::text(&table)
}

fn endpoint(found: &LabStatus) -> String {
    let endpoint = &found.endpoint;
    let answers = match (&endpoint.version, &endpoint.why) {
        (Some(version), _) => format!("answers, {version}"),
        (None, Some(why)) => format!("does not answer: {why}"),
        (None, None) => "does not answer".to_owned(),
    };
    let mut text = format!("endpoint https://{}: {answers}", endpoint.address);
    if let Some(vip) = &found.vip {
        let owners = match vip.owners.as_slice() {
            [] => "nobody".to_owned(),
            owners => owners.join(", "),
        };
        text += &format!("\nvirtual address {}: held by {owners}", vip.address);
        let refused: Vec<String> = vip
            .refused_adverts
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, count)| format!("{count} by {name}"))
            .collect();
        if !refused.is_empty() {
            text += &format!(
                "\nforged VRRP announcements refused: {}",
                refused.join(", ")
            );
        }
    }
    text
}

fn etcd(found: &LabStatus) -> String {
    let etcd = &found.etcd;
    let healthy = etcd.members.iter().filter(|member| member.healthy).count();
    format!(
        "etcd: {healthy} of {} members healthy, {}, {}",
        etcd.members.len(),
        match &etcd.leader {
            Some(leader) => format!("the leader is {leader}"),
            None => "no leader".to_owned(),
        },
        if etcd.quorum && etcd.alarms.is_empty() {
            "writes are accepted"
        } else {
            "no writes are accepted"
        }
    )
}
