//! `cargo xtask status`: what a lab's machines and its cluster are doing.

use std::collections::{BTreeMap, BTreeSet};

use caravan_cluster::status::{self, LabStatus};
use caravan_lifecycle::{Keys, LabTarget, OperationRecord, Workspace, reach};
use caravan_vagrant::MachineState;
use serde::Serialize;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags;
use crate::show::table;

/// Everything that is known, for programs.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    status: &'a LabStatus,
    /// What runs each machine, by its name.
    providers: &'a BTreeMap<&'a str, &'a str>,
}

/// Runs the verb; a lab that is not well is [`Exit::Degraded`].
pub(crate) fn run(flags: &flags::Status, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let lab = target.lab(workspace)?;
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    let (there, silent) = target.machines_reached()?;
    let all = target.providers();
    let providers: BTreeMap<&str, &str> = (lab.machines().iter())
        .map(|machine| {
            let found = there.iter().find(|it| it.name == machine.name);
            let planned = || all.of_server(&machine.server).word();
            let provider = found.map_or_else(planned, |it| it.provider);
            (machine.name.as_str(), provider)
        })
        .collect();
    let mut states: BTreeMap<String, MachineState> = there
        .iter()
        .map(|machine| (machine.name.clone(), machine.state.clone()))
        .collect();
    // Nobody could be asked: they may well run.
    for machine in lab.machines() {
        if silent.iter().any(|it| it.servers.contains(&machine.server)) {
            let unknown = MachineState::Other("unknown".to_owned());
            states.insert(machine.name.clone(), unknown);
        }
    }
    if states.values().any(|state| *state == MachineState::Running) {
        reach::check(lab)?;
    }
    let mut found = status::ask(
        lab,
        &keys.access(lab, &target.dir, target.pace())?,
        TOOL,
        &states,
    )?;
    for silent in silent {
        let error = caravan_lifecycle::Error::Silent(Box::new(silent));
        found.problems.push(error.to_string());
    }
    if let Some(open) = OperationRecord::read(&target.dir)? {
        found.problems.push(open.told(TOOL, &target.name));
    }
    if flags.json {
        let report = Report {
            status: &found,
            providers: &providers,
        };
        println!(
            "{}",
            serde_json::to_string_pretty(&report).expect("plain data")
        );
    } else {
        println!("{}", text(&found, &providers));
    }
    Ok(if found.degraded() {
        Exit::Degraded
    } else {
        Exit::Done
    })
}

fn text(found: &LabStatus, providers: &BTreeMap<&str, &str>) -> String {
    let mut parts = vec![machines(found, providers), endpoint(found), etcd(found)];
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

/// With what runs each machine, where that is not the same for all.
fn machines(found: &LabStatus, providers: &BTreeMap<&str, &str>) -> String {
    let is_mixed = providers.values().collect::<BTreeSet<_>>().len() > 1;
    let mut columns = vec!["machine", "role", "address", "state", "service", "versions"];
    columns.extend(is_mixed.then_some("provider"));
    let mut table = table::plain(&columns);
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
        let mut row = vec![
            machine.name.clone(),
            machine.role.to_string(),
            machine.ip.to_string(),
            machine.state.word().to_owned(),
            service,
            versions.join(", "),
        ];
        let provider = providers.get(machine.name.as_str()).copied();
        row.extend(provider.filter(|_| is_mixed).map(str::to_owned));
        table.add_row(row);
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
