//! Where servers are, and which machines they run.

use std::collections::{HashMap, HashSet};

use crate::draft::{Draft, DraftServer};
use crate::fault::FaultSink;
use crate::name::{host_fault, interface_fault, listed_interface_fault};
use crate::place::At;
use crate::rule::Rule;
use crate::server::Provider;
use crate::suggest::{alternatives, nearest};

/// What a server on another computer needs.
const ANOTHER_COMPUTER: &str = "a server on another computer is `host = \"ssh://user@host\"` and `bridge = \"enp3s0\"`, a LAN that all of them share";

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    if draft.servers.is_some() {
        machines(draft, sink);
        places(draft, sink);
        computers(draft, sink);
    }
}

fn machines(draft: &Draft, sink: &mut FaultSink) {
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
        let message = format!("the lab has no server `{}`", server.value);
        sink.refuse(Rule::UnknownServer, &server.span, message)
            .label(format!("expected {}", alternatives(ordered())))
            .suggest(nearest(&server.value, ordered()).as_deref())
            .of_whole_file();
    }
    // Where a machine's server is unknown, it may be meant to be the one without machines.
    let unused = draft
        .servers()
        .filter(|server| all_known && !used.contains(server.name.value.as_str()));
    for server in unused {
        let name = &server.name.value;
        let message = format!("server `{name}` has no machines");
        sink.warn(Rule::ServerWithoutMachines, &server.name.span, message)
            .help(format!("remove `[servers.{name}]`, or give it a machine"))
            .of_whole_file();
    }
}

fn places(draft: &Draft, sink: &mut FaultSink) {
    for server in draft.servers() {
        if let Some(host) = &server.host
            && let Some(reason) = host_fault(&host.value)
        {
            let message = format!("host `{}` is no ssh URL: {reason}", host.value);
            sink.refuse(Rule::InvalidHost, &host.span, message)
                .label("expected `ssh://[user@]host[:port]`")
                .help(ANOTHER_COMPUTER);
        }
        if let Some(bridge) = &server.bridge
            && let Some(reason) = bridge_fault(draft, server, &bridge.value)
        {
            let message = format!(
                "bridge `{}` names no network interface: {reason}",
                bridge.value
            );
            let fault = sink.refuse(Rule::InvalidBridge, &bridge.span, message);
            let fault = fault.label("expected a name like `enp3s0`");
            if listed_interface_fault(&bridge.value).is_none() {
                fault.help("names with blanks are those of macOS and Windows, for `provider = \"virtualbox\"`");
            }
        }
    }
}

/// What keeps `name` from being an interface of what runs the machines of `server`. Where the file does not say what does,
/// it may be VirtualBox, which has names of other systems; who asks on the server itself finds what is none.
fn bridge_fault(draft: &Draft, server: &DraftServer, name: &str) -> Option<&'static str> {
    let stated = server.provider.as_ref().or(draft.provider.as_ref());
    match stated.map(|it| it.value) {
        Some(Provider::Docker | Provider::Libvirt) => interface_fault(name),
        None | Some(Provider::VirtualBox) => listed_interface_fault(name),
    }
}

/// Notes what keeps machines apart: those of several computers meet on a LAN, which each server must be joined to, and all
/// servers of one computer in the same way, for a lab has one network there.
fn computers(draft: &Draft, sink: &mut FaultSink) {
    let host = |server: &DraftServer| server.host.as_ref().map(|host| host.value.clone());
    let hosts: HashSet<_> = draft.servers().map(host).collect();
    let several = hosts.len() > 1;
    let mut first: HashMap<_, &At<String>> = HashMap::new();
    for server in draft.servers() {
        if let Some(bridge) = &server.bridge {
            first.entry(host(server)).or_insert(bridge);
        }
    }
    for server in draft.servers() {
        let name = &server.name.value;
        match (&server.bridge, first.get(&host(server))) {
            (None, _) if several => {
                let message = format!("machines on `{name}` cannot reach those on other computers");
                sink.refuse(Rule::MissingBridge, &server.header, message)
                    .help(ANOTHER_COMPUTER)
                    .of_whole_file();
            }
            (None, Some(bridge)) => {
                let message = format!("machines on `{name}` cannot reach those on a bridge");
                sink.refuse(Rule::MissingBridge, &server.header, message)
                    .help(format!("give it the same: `bridge = \"{}\"`", bridge.value))
                    .related(
                        &bridge.span,
                        "the bridge of other machines of this computer",
                    )
                    .of_whole_file();
            }
            (Some(bridge), Some(other)) if bridge.value != other.value => {
                let message = format!(
                    "the lab has two bridges on one computer, `{}` and `{}`",
                    other.value, bridge.value
                );
                sink.refuse(Rule::BridgesDiffer, &bridge.span, message)
                    .label(format!("expected `{}`", other.value))
                    .related(&other.span, "the other one")
                    .of_whole_file();
            }
            _ => {}
        }
    }
}
