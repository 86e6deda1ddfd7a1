//! The lab's subnet and the ranges of pods and services.

use std::net::Ipv4Addr;
use std::ops::Range;

use ipnet::Ipv4Net;

use crate::draft::Draft;
use crate::fault::FaultSink;
use crate::network::{DEFAULT_POD_CIDR, DEFAULT_SERVICE_CIDR, pod_subnet_count};
use crate::place::At;
use crate::rule::Rule;

/// One of a lab's ranges: its key, what the file says or the default, and where the file says it.
struct Entry {
    key: &'static str,
    range: Ipv4Net,
    span: Option<Range<usize>>,
}

/// Ranges that mean something else everywhere (RFC 6890).
const SPECIAL: [(Ipv4Net, &str); 5] = [
    (net(0, 8), "inside `0.0.0.0/8`, which means this network"),
    (net(127, 8), "inside the loopback range"),
    (
        Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
        "inside the link-local range",
    ),
    (net(224, 4), "inside the multicast range"),
    (net(240, 4), "inside the reserved range"),
];

/// How long the prefix of a range may be, and why.
struct Size {
    shortest: u8,
    longest: u8,
    reason: &'static str,
}

/// A /29 has six addresses: gateway, master, etcd member and three more. Beyond a /16 nothing is a lab.
const SUBNET_SIZE: Size = Size {
    shortest: 16,
    longest: 29,
    reason: "a lab needs room for its machines, and not for more than 65,534",
};

/// kubeadm's `PodSubnetNodeMaskMaxDiff`: a node's /24 is at most 16 bits longer than the whole range.
const POD_SIZE: Size = Size {
    shortest: 8,
    longest: 24,
    reason: "each node has a /24 of it, and kubeadm takes at most 65,536 nodes",
};

/// kubeadm's `MaximumBitsForServiceSubnet` (20) and `MinimumAddressesInServiceSubnet` (10).
const SERVICE_SIZE: Size = Size {
    shortest: 12,
    longest: 28,
    reason: "API servers take at most 20 bits for services, and the DNS service is the tenth address",
};

const fn net(first: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(first, 0, 0, 0), prefix)
}

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    let entry = |key, said: &Option<At<Ipv4Net>>, default: Ipv4Net| match said {
        Some(At { value, span }) => Entry {
            key,
            range: *value,
            span: Some(span.clone()),
        },
        None => Entry {
            key,
            range: default,
            span: None,
        },
    };
    let subnet = draft
        .subnet
        .as_ref()
        .map(|_| entry("subnet", &draft.subnet, DEFAULT_POD_CIDR));
    let pods = entry("pod_cidr", &draft.pod_cidr, DEFAULT_POD_CIDR);
    let services = entry("service_cidr", &draft.service_cidr, DEFAULT_SERVICE_CIDR);

    let subnet = subnet.filter(|subnet| fits(subnet, &SUBNET_SIZE, sink));
    let pods = Some(pods).filter(|pods| fits(pods, &POD_SIZE, sink));
    let services = Some(services).filter(|services| fits(services, &SERVICE_SIZE, sink));

    for entry in [&subnet, &pods, &services].into_iter().flatten() {
        special(entry, sink);
    }
    if let Some(Entry {
        range,
        span: Some(span),
        ..
    }) = &subnet
        && !is_private(*range)
        && !SPECIAL.iter().any(|(special, _)| overlap(*special, *range))
    {
        sink.warn(Rule::PublicSubnet, span, format!("the subnet `{range}` is not private"))
            .help(
                "hosts on the internet with these addresses become unreachable from here; private are `10.0.0.0/8`, `172.16.0.0/12` and `192.168.0.0/16`",
            );
    }
    for (one, other) in [(&pods, &subnet), (&services, &subnet), (&services, &pods)] {
        if let (Some(one), Some(other)) = (one, other) {
            overlaps(one, other, sink);
        }
    }
    if let Some(pods) = pods {
        room(draft, &pods, sink);
    }
}

fn fits(entry: &Entry, size: &Size, sink: &mut FaultSink) -> bool {
    let found = entry.range.prefix_len();
    let fits = (size.shortest..=size.longest).contains(&found);
    if let (false, Some(span)) = (fits, &entry.span) {
        sink.refuse(
            Rule::RangeSize,
            span,
            format!("`{}` is a /{found}", entry.key),
        )
        .label(format!("expected /{} to /{}", size.shortest, size.longest))
        .help(size.reason);
    }
    fits
}

fn special(entry: &Entry, sink: &mut FaultSink) {
    let kind = SPECIAL
        .iter()
        .find(|(special, _)| overlap(*special, entry.range));
    if let (Some((_, kind)), Some(span)) = (kind, &entry.span) {
        let message = format!("`{}` `{}` is {kind}", entry.key, entry.range);
        sink.refuse(Rule::SpecialRange, span, message)
            .label("expected a range for machines");
    }
}

/// Notes two ranges that overlap, at the one that the file says; the defaults do not overlap.
fn overlaps(one: &Entry, other: &Entry, sink: &mut FaultSink) {
    if !overlap(one.range, other.range) {
        return;
    }
    let (at, with) = match one.span {
        Some(_) => (one, other),
        None => (other, one),
    };
    let Some(span) = &at.span else { return };
    let message = format!(
        "`{}` `{}` and `{}` `{}` overlap",
        at.key, at.range, with.key, with.range
    );
    let fault = sink.refuse(Rule::Overlap, span, message);
    match &with.span {
        Some(other) => fault
            .help("addresses of machines, pods and services must differ for packets to find their way")
            .related(other, "the other range"),
        None => fault.help(format!(
            "`{}` has its default: set it to a free range, or move this one",
            with.key
        )),
    };
}

/// Notes more nodes than the pod range has subnets for.
fn room(draft: &Draft, pods: &Entry, sink: &mut FaultSink) {
    let mut nodes = draft.machines().filter(|machine| {
        machine
            .role
            .as_ref()
            .is_some_and(|role| role.value.is_node())
    });
    let subnets = pod_subnet_count(pods.range) as usize;
    if let Some(first_without) = nodes.clone().nth(subnets) {
        let count = nodes.by_ref().count();
        let span = pods.span.as_ref().unwrap_or(&first_without.header);
        let message = format!(
            "{count} nodes do not fit into `{}`: it has room for {subnets}",
            pods.range
        );
        let prefix = 24 - count.next_power_of_two().trailing_zeros().min(24);
        sink.refuse(Rule::PodRangeTooSmall, span, message)
            .help(format!(
                "each master and worker has a /24: {count} need a `pod_cidr` of /{prefix} or larger"
            ));
    }
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

fn is_private(range: Ipv4Net) -> bool {
    range.network().is_private() && range.broadcast().is_private()
}
