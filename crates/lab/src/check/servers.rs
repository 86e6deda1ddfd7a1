//! Where servers are, and which machines they run.

use std::collections::HashSet;

use crate::draft::Draft;
use crate::fault::Sink;
use crate::name::{host_fault, interface_fault};
use crate::problem::Problem;
use crate::server::Provider;
use crate::suggest::{alternatives, nearest};

pub(crate) fn check(draft: &Draft, sink: &mut Sink) {
    if draft.servers.is_some() {
        machines(draft, sink);
        places(draft, sink);
        computers(draft, sink);
    }
}

fn machines(draft: &Draft, sink: &mut Sink) {
    let names: HashSet<&str> = draft.servers().map(|it| it.name.value.as_str()).collect();
    let ordered = || draft.servers().map(|it| it.name.value.as_str());
    let mut used = HashSet::new();
    let mut all_known = draft.machines.is_some();
    for machine in draft.machines() {
        let Some(server) = &machine.server else {
            all_known = false;
            continue;
        };
        if names.contains(server.value.as_str()) {
            used.insert(server.value.as_str());
            continue;
        }
        all_known = false;
        let problem = Problem::UnknownServer {
            found: server.value.clone(),
            known: alternatives(ordered()),
            suggestion: nearest(&server.value, ordered()),
        };
        sink.push(&server.span, problem);
    }
    // Where a machine's server is unknown, it may be meant to be the one without machines.
    let unused = draft
        .servers()
        .filter(|server| all_known && !used.contains(server.name.value.as_str()));
    for server in unused {
        let problem = Problem::ServerWithoutMachines {
            name: server.name.value.clone(),
        };
        sink.push(&server.name.span, problem);
    }
}

fn places(draft: &Draft, sink: &mut Sink) {
    for server in draft.servers() {
        if let Some(host) = &server.host
            && let Some(reason) = host_fault(&host.value)
        {
            let problem = Problem::InvalidHost {
                found: host.value.clone(),
                reason,
            };
            sink.push(&host.span, problem);
        }
        if let Some(bridge) = &server.bridge
            && let Some(reason) = interface_fault(&bridge.value)
        {
            let problem = Problem::InvalidBridge {
                found: bridge.value.clone(),
                reason,
            };
            sink.push(&bridge.span, problem);
        }
    }
}

/// Notes what keeps machines on different computers apart.
fn computers(draft: &Draft, sink: &mut Sink) {
    let hosts: HashSet<_> = draft
        .servers()
        .map(|server| server.host.as_ref().map(|host| &host.value))
        .collect();
    if hosts.len() < 2 {
        return;
    }
    for server in draft.servers().filter(|server| server.bridge.is_none()) {
        let problem = Problem::MissingBridge {
            server: server.name.value.clone(),
        };
        sink.push(&server.header, problem);
    }
    if let Some(provider) = &draft.provider
        && provider.value == Provider::Docker
    {
        sink.push(&provider.span, Problem::DockerSpansComputers);
    }
}
