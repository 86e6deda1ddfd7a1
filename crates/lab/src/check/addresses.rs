//! Addresses of machines, of the virtual address and of operators.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::draft::Draft;
use crate::fault::{At, Sink};
use crate::network::nth_address;
use crate::problem::Problem;

pub(crate) fn check(draft: &Draft, sink: &mut Sink) {
    let subnet = draft.subnet.as_ref();
    if let (Some(vip), Some(subnet)) = (&draft.vip, subnet) {
        in_subnet("vip", vip, subnet, sink);
    }
    let mut first: HashMap<Ipv4Addr, (&At<Ipv4Addr>, &str)> = HashMap::new();
    for machine in draft.machines() {
        let Some(ip) = &machine.ip else { continue };
        let name = machine.name.as_ref().map_or("", |name| &name.value);
        if let Some((earlier, other)) = first.get(&ip.value) {
            let problem = Problem::DuplicateAddress {
                ip: ip.value,
                other: (*other).to_owned(),
            };
            let related = vec![(earlier.span.clone(), "first used here".to_owned())];
            sink.push_related(&ip.span, problem, related);
            continue;
        }
        first.insert(ip.value, (ip, name));
        if let Some(vip) = draft.vip.as_ref().filter(|vip| vip.value == ip.value) {
            let problem = Problem::TakenAddress {
                key: "ip",
                ip: ip.value,
                taken: "the virtual address",
            };
            let related = vec![(vip.span.clone(), "the virtual address".to_owned())];
            sink.push_related(&ip.span, problem, related);
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
        let problem = Problem::OperatorInLab {
            ip: operator.value,
            machine: machine.map(|(_, name)| (*name).to_owned()),
        };
        let related = vec![(span.clone(), "the same address".to_owned())];
        sink.push_related(&operator.span, problem, related);
    }
}

/// Notes an address that no machine of the subnet can have.
fn in_subnet(key: &'static str, ip: &At<Ipv4Addr>, subnet: &At<Ipv4Net>, sink: &mut Sink) {
    let range = subnet.value;
    let related = |message: &str| vec![(subnet.span.clone(), message.to_owned())];
    if !range.contains(&ip.value) {
        let problem = Problem::OutsideSubnet {
            key,
            ip: ip.value,
            subnet: range,
        };
        sink.push_related(&ip.span, problem, related("the subnet"));
        return;
    }
    let taken = if ip.value == range.network() {
        "the address of the network itself"
    } else if ip.value == range.broadcast() {
        "the broadcast address"
    } else if ip.value == nth_address(range, 1) {
        "the gateway: the first of the subnet"
    } else {
        return;
    };
    let problem = Problem::TakenAddress {
        key,
        ip: ip.value,
        taken,
    };
    sink.push_related(&ip.span, problem, related("of this subnet"));
}
