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
const ANOTHER_COMPUTER: &str = "a server on another computer is `host = \"ssh://user@host\"`; it and all others name their `bridge`, such as `\"br0\"`, on a LAN that they share, and their own `address` there";

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    if draft.servers.is_some() {
        machines(draft, sink);
        places(draft, sink);
        computers(draft, sink);
        addresses(draft, sink);
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
    let elsewhere = another_computer(draft);
    let first = firsts(draft, |server| server.bridge.as_ref());
    for server in draft.servers() {
        let name = &server.name.value;
        match (&server.bridge, elsewhere, first.get(&server.computer())) {
            (None, Some(host), other) => {
                let message = format!(
                    "server `{name}` has no `bridge`, so its machines cannot reach those on other computers"
                );
                sink.refuse(Rule::MissingBridge, &server.header, message)
                    .label("expected `bridge` and `address`, whatever makes the machines")
                    .help(other.map_or_else(|| ANOTHER_COMPUTER.to_owned(), |it| give_the_same(it)))
                    .related(&host.span, "with this the lab is on several computers")
                    .of_whole_file();
            }
            (None, None, Some(bridge)) => {
                let message = format!("machines on `{name}` cannot reach those on a bridge");
                sink.refuse(Rule::MissingBridge, &server.header, message)
                    .help(give_the_same(bridge))
                    .related(
                        &bridge.span,
                        "the bridge of other machines of this computer",
                    )
                    .of_whole_file();
            }
            (Some(bridge), _, Some(other)) if bridge.value != other.value => {
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

/// Returns a host that is not where another server is, if there are several computers.
fn another_computer(draft: &Draft) -> Option<&At<String>> {
    let first = draft.servers().next()?;
    let mut others = draft
        .servers()
        .filter(|it| it.computer() != first.computer());
    others.find_map(|it| it.host.as_ref().or(first.host.as_ref()))
}

fn give_the_same(bridge: &At<String>) -> String {
    format!("give it the same: `bridge = \"{}\"`", bridge.value)
}

/// Returns the first value of each computer.
fn firsts<'d, T>(
    draft: &'d Draft,
    value: impl Fn(&'d DraftServer) -> Option<&'d At<T>>,
) -> HashMap<Option<&'d str>, &'d At<T>> {
    let mut first = HashMap::new();
    for server in draft.servers() {
        if let Some(value) = value(server) {
            first.entry(server.computer()).or_insert(value);
        }
    }
    first
}

/// Notes servers that would be shut out of their own machines, and addresses that nobody asks for. On a LAN the gateway is its
/// router, so whose packets are let in cannot be guessed.
fn addresses(draft: &Draft, sink: &mut FaultSink) {
    let first = firsts(draft, |server| server.address.as_ref());
    let on_a_lan =
        another_computer(draft).is_some() || draft.servers().any(|server| server.bridge.is_some());
    let has_operator = draft.has_operators || draft.servers().any(|it| it.has_address);
    for server in draft.servers() {
        let name = &server.name.value;
        match (&server.bridge, &server.address) {
            // On a LAN it is the bridge that is missing.
            (None, Some(address)) if !on_a_lan => {
                let message = format!("server `{name}` has an `address` and no `bridge`");
                sink.refuse(Rule::AddressWithoutBridge, &address.span, message)
                    .label("expected beside `bridge` alone")
                    .help(
                        "without a bridge the lab has a network of its own, in which its computer is the first address of the subnet",
                    )
                    .of_whole_file();
            }
            (Some(bridge), None)
                if !server.has_address && (may_be_containers(draft, server) || !has_operator) =>
            {
                let message = format!(
                    "server `{name}` is on a bridge and has no `address`: etcd members and load balancers would let nobody in from it"
                );
                let address = match first.get(&server.computer()) {
                    Some(known) => format!("`address = \"{}\"`", known.value),
                    None => format!(
                        "the one that `ip address show dev {}` says there",
                        bridge.value
                    ),
                };
                sink.refuse(Rule::MissingAddress, &server.header, message)
                    .label("expected `address`, the server's own on that LAN")
                    .help(format!("add it: {address}"))
                    .related(&bridge.span, "the bridge")
                    .of_whole_file();
            }
            (_, Some(address)) => {
                if let Some(other) = first.get(&server.computer())
                    && other.value != address.value
                {
                    let message = format!(
                        "the lab has two addresses of one computer, `{}` and `{}`",
                        other.value, address.value
                    );
                    sink.refuse(Rule::AddressesDiffer, &address.span, message)
                        .label(format!("expected `{}`", other.value))
                        .related(&other.span, "the other one")
                        .of_whole_file();
                }
            }
            _ => {}
        }
    }
}

/// Whether the server's machines may be containers, which Vagrant enters by their lab addresses. Virtual machines have another
/// way in.
fn may_be_containers(draft: &Draft, server: &DraftServer) -> bool {
    let stated = server.provider.as_ref().or(draft.provider.as_ref());
    stated.is_none_or(|it| it.value == Provider::Docker)
}
