//! From text to a lab: reads all, checks all, and only then builds.

use std::collections::HashMap;
use std::ops::Range;

use toml::de::DeTable;

use crate::check::check;
use crate::draft::{Draft, DraftMachine};
use crate::fault::{Fault, FaultSink, Faults};
use crate::lab::Lab;
use crate::machine::Machine;
use crate::network::{self, DEFAULT_POD_CIDR, DEFAULT_SERVICE_CIDR};
use crate::place::{Lines, Places, TablePlaces, TableSpans};
use crate::rule::Rule;
use crate::server::Server;

pub(crate) fn parse(name: &str, source: &str) -> Result<Lab, Faults> {
    let mut sink = FaultSink::default();
    let (document, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        syntax(error, source, &mut sink);
    }
    let mut draft = Draft::read(document.get_ref(), source, &mut sink);
    check(name, &draft, &mut sink);
    let lines = Lines::new(source);
    match sink.finish(name, &lines) {
        (Some(faults), _) => Err(faults),
        (None, warnings) => {
            let places = places(&mut draft, &lines);
            Ok(build(name, draft, places, warnings).expect("what cannot be read has a fault"))
        }
    }
}

/// Notes an error of the TOML parser, with advice where its reason can be seen.
fn syntax(error: &toml::de::Error, source: &str, sink: &mut FaultSink) {
    let span = error.span().unwrap_or(source.len()..source.len());
    let written = source.get(span.clone()).unwrap_or_default();
    let said = error.message();
    let is_word = !written.is_empty()
        && written
            .chars()
            .all(|c| c.is_alphanumeric() || ".-_/:@".contains(c));
    if said == "duplicate key" {
        let message = format!("`{written}` is there twice");
        sink.refuse(Rule::Syntax, &span, message);
    } else if is_word && is_value(source, &span) {
        let message = format!("`{written}` is no value");
        sink.refuse(Rule::Syntax, &span, message)
            .help(format!("put text in quotes: `\"{written}\"`"));
    } else {
        sink.refuse(Rule::Syntax, &span, said);
    }
}

/// Returns true if what is at `span` stands right of an equals sign.
fn is_value(source: &str, span: &Range<usize>) -> bool {
    let before = source.get(..span.start).unwrap_or_default();
    before.trim_end_matches([' ', '\t']).ends_with('=')
}

/// Takes the places of all values out of a draft.
fn places(draft: &mut Draft, lines: &Lines<'_>) -> Places {
    let table = |spans: &mut TableSpans| TablePlaces::new(std::mem::take(spans), lines);
    let lab = table(&mut draft.spans);
    let mut servers = HashMap::new();
    for server in draft.servers.iter_mut().flatten() {
        servers.insert(server.name.value.clone(), table(&mut server.spans));
    }
    let mut machines = HashMap::new();
    for machine in draft.machines.iter_mut().flatten() {
        if let Some(name) = &machine.name {
            machines.insert(name.value.clone(), table(&mut machine.spans));
        }
    }
    let settings = std::mem::take(&mut draft.settings.places);
    Places {
        lab,
        servers,
        machines,
        settings: (settings.into_iter())
            .map(|(path, spans)| (path, spans.map(|span| lines.place(span))))
            .collect(),
    }
}

/// Builds a lab of a draft without faults; `None` if something is missing all the same.
fn build(name: &str, draft: Draft, places: Places, warnings: Vec<Fault>) -> Option<Lab> {
    let subnet = draft.subnet?.value;
    let pod_cidr = draft.pod_cidr.map_or(DEFAULT_POD_CIDR, |it| it.value);
    let vip = draft.vip.map(|it| it.value);
    let servers = draft.servers?.into_iter().map(|server| Server {
        name: server.name.value,
        host: server.host.map(|it| it.value),
        bridge: server.bridge.map(|it| it.value),
        address: server.address.map(|it| it.value),
        provider: server.provider.map(|it| it.value),
    });
    let machines: Option<Vec<Machine>> = draft.machines?.into_iter().map(machine).collect();
    let machines = machines?;
    let nodes = machines.iter().filter(|machine| machine.role.is_node());
    let mut subnets = network::pod_subnets(pod_cidr, subnet, nodes.map(|it| it.ip)).into_iter();
    Some(Lab {
        name: name.to_owned(),
        domain: draft.domain?.value,
        kubernetes: draft.kubernetes?.value,
        etcd: draft.etcd.map(|it| it.value),
        vip,
        subnet,
        pod_cidr,
        service_cidr: draft
            .service_cidr
            .map_or(DEFAULT_SERVICE_CIDR, |it| it.value),
        pod_network: draft.pod_network.map(|it| it.value).unwrap_or_default(),
        add_ons: draft.cluster.map(|it| it.add_ons()).unwrap_or_default(),
        provider: draft.provider.map(|it| it.value),
        airgap: draft.airgap.unwrap_or_default(),
        emulated: draft.emulated,
        virtual_router_id: draft
            .virtual_router_id
            .and_then(|it| u8::try_from(it.value).ok())
            .unwrap_or_else(|| network::router_id(vip)),
        operators: draft.operators.into_iter().map(|it| it.value).collect(),
        drills: draft.drills,
        settings: draft.settings.settings,
        servers: servers.collect(),
        positions: machines
            .iter()
            .enumerate()
            .map(|(position, machine)| (machine.name.clone(), position))
            .collect(),
        pod_subnets: machines
            .iter()
            .map(|machine| machine.role.is_node().then(|| subnets.next()).flatten())
            .collect(),
        machines,
        places,
        warnings,
    })
}

fn machine(draft: DraftMachine) -> Option<Machine> {
    Some(Machine {
        name: draft.name?.value,
        role: draft.role?.value,
        server: draft.server?.value,
        ip: draft.ip?.value,
        memory_mib: draft.memory_mib?.value,
        cpus: u8::try_from(draft.cpus?.value).ok()?,
        labels: (draft.labels.into_iter())
            .map(|(key, value)| (key.value, value))
            .collect(),
        taints: draft.taints.into_iter().map(|it| it.value).collect(),
    })
}
