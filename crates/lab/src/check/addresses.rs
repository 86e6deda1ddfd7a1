//! Addresses of machines, of the virtual address and of operators.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::draft::Draft;
use crate::fault::{FaultDraft, FaultSink};
use crate::network::nth_address;
use crate::place::At;
use crate::rule::Rule;

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    let subnet = draft.subnet.as_ref();
    if let (Some(vip), Some(subnet)) = (&draft.vip, subnet) {
        in_subnet("vip", vip, subnet, sink);
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
        }
    }
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

/// Notes an address that no machine of the subnet can have.
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
    } else if ip.value == nth_address(range, 1) {
        "the gateway: the first of the subnet"
    } else {
        return;
    };
    taken(key, ip, owner, sink).related(&subnet.span, "of this subnet");
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
