//! Addresses of machines, of the virtual address, of servers and of operators.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::draft::{Draft, DraftServer};
use crate::fault::{FaultDraft, FaultSink};
use crate::network::nth_address;
use crate::place::At;
use crate::rule::Rule;

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    let subnet = draft.subnet.as_ref();
    if let (Some(vip), Some(subnet)) = (&draft.vip, subnet) {
        in_subnet("vip", vip, subnet, sink);
        not_gateway("vip", vip, subnet, sink);
    }
    let mut first: HashMap<Ipv4Addr, (&At<Ipv4Addr>, &str)> = HashMap::new();
    for machine in draft.machines() {
        let Some(ip) = &machine.ip else { continue };
        let name = machine.name.as_ref().map_or("", |name| &name.value);
        if let Some((earlier, other)) = first.get(&ip.value) {
            let message = format!("machine `{other}` has the address `{}` too", ip.value);
            sink.refuse(Rule::DuplicateAddress, &ip.span, message)
                .label("expected an address of its own")
                .related(&earlier.span, "first used here");
            continue;
        }
        first.insert(ip.value, (ip, name));
        if let Some(vip) = draft.vip.as_ref().filter(|vip| vip.value == ip.value) {
            taken("ip", ip, "the virtual address", sink).related(&vip.span, "the virtual address");
            continue;
        }
        if let Some(subnet) = subnet {
            in_subnet("ip", ip, subnet, sink);
            not_gateway("ip", ip, subnet, sink);
        }
    }
    servers(draft, &first, sink);
    for operator in &draft.operators {
        let machine = first.get(&operator.value);
        let vip = draft.vip.as_ref().filter(|vip| vip.value == operator.value);
        let Some(span) = machine.map(|(ip, _)| &ip.span).or(vip.map(|vip| &vip.span)) else {
            continue;
        };
        let whose = match machine {
            Some((_, name)) => format!("the machine `{name}`"),
            None => "the virtual address".to_owned(),
        };
        let message = format!("operator `{}` is {whose}", operator.value);
        sink.refuse(Rule::OperatorInLab, &operator.span, message)
            .help(
                "operators reach etcd from outside the lab; etcd members and masters are let in anyway, and others never are",
            )
            .related(span, "the same address");
    }
}

/// Notes servers' addresses that are somebody else's, or no address of the LAN. A server may be the LAN's router.
fn servers(
    draft: &Draft,
    machines: &HashMap<Ipv4Addr, (&At<Ipv4Addr>, &str)>,
    sink: &mut FaultSink,
) {
    let mut first: HashMap<Ipv4Addr, (&At<Ipv4Addr>, &DraftServer)> = HashMap::new();
    for server in draft.servers() {
        let Some(address) = &server.address else {
            continue;
        };
        let mut duplicate = |whose: String, earlier: &At<Ipv4Addr>| {
            let message = format!("{whose} has the address `{}` too", address.value);
            sink.refuse(Rule::DuplicateAddress, &address.span, message)
                .label("expected the address that this server has on the LAN")
                .related(&earlier.span, "the same address");
        };
        if let Some((ip, name)) = machines.get(&address.value) {
            duplicate(format!("machine `{name}`"), ip);
            continue;
        }
        // Servers of one computer have one address.
        let (other, owner) = *first.entry(address.value).or_insert((address, server));
        if owner.computer() != server.computer() {
            duplicate(format!("server `{}`", owner.name.value), other);
            continue;
        }
        if let Some(vip) = draft.vip.as_ref().filter(|vip| vip.value == address.value) {
            taken("address", address, "the virtual address", sink)
                .related(&vip.span, "the virtual address");
            continue;
        }
        if let Some(subnet) = &draft.subnet {
            in_subnet("address", address, subnet, sink);
        }
    }
}

/// Notes an address that nobody in the subnet can have.
fn in_subnet(key: &'static str, ip: &At<Ipv4Addr>, subnet: &At<Ipv4Net>, sink: &mut FaultSink) {
    let range = subnet.value;
    if !range.contains(&ip.value) {
        let message = format!("`{key}` is `{}`, outside the subnet `{range}`", ip.value);
        sink.refuse(Rule::OutsideSubnet, &ip.span, message)
            .label(format!("expected an address in `{range}`"))
            .related(&subnet.span, "the subnet");
        return;
    }
    let owner = if ip.value == range.network() {
        "the address of the network itself"
    } else if ip.value == range.broadcast() {
        "the broadcast address"
    } else {
        return;
    };
    taken(key, ip, owner, sink).related(&subnet.span, "of this subnet");
}

/// Notes the gateway's address where a machine or the load balancers are to have it.
fn not_gateway(key: &'static str, ip: &At<Ipv4Addr>, subnet: &At<Ipv4Net>, sink: &mut FaultSink) {
    if ip.value == nth_address(subnet.value, 1) {
        taken(key, ip, "the gateway: the first of the subnet", sink)
            .related(&subnet.span, "of this subnet");
    }
}

/// Refuses an address of the subnet that is not for machines.
fn taken<'s>(
    key: &str,
    ip: &At<Ipv4Addr>,
    owner: &str,
    sink: &'s mut FaultSink,
) -> &'s mut FaultDraft {
    let message = format!("`{key}` is `{}`, {owner}", ip.value);
    sink.refuse(Rule::TakenAddress, &ip.span, message)
        .label("expected a free address")
}
