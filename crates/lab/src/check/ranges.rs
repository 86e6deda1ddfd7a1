//! The lab's subnet and the ranges of pods and services.

use std::net::Ipv4Addr;
use std::ops::Range;

use ipnet::Ipv4Net;

use crate::draft::Draft;
use crate::fault::{At, Sink};
use crate::network::{DEFAULT_POD_CIDR, DEFAULT_SERVICE_CIDR, pod_subnet_count};
use crate::problem::Problem;

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

const fn net(first: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(first, 0, 0, 0), prefix)
}

pub(crate) fn check(draft: &Draft, sink: &mut Sink) {
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

    // A /29 has six addresses: gateway, master, etcd member and three more. Beyond a /16 nothing is a lab.
    let subnet = subnet.filter(|subnet| fits(subnet, 16, 29, sink));
    // kubeadm's `PodSubnetNodeMaskMaxDiff`: a node's /24 is at most 16 bits longer than the whole range.
    let pods = Some(pods).filter(|pods| fits(pods, 8, 24, sink));
    // kubeadm's `MaximumBitsForServiceSubnet` (20) and `MinimumAddressesInServiceSubnet` (10).
    let services = Some(services).filter(|services| fits(services, 12, 28, sink));

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
        sink.push(span, Problem::PublicSubnet { subnet: *range });
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

fn fits(entry: &Entry, shortest: u8, longest: u8, sink: &mut Sink) -> bool {
    let found = entry.range.prefix_len();
    let fits = (shortest..=longest).contains(&found);
    if let (false, Some(span)) = (fits, &entry.span) {
        let problem = Problem::RangeSize {
            key: entry.key,
            found,
            shortest,
            longest,
        };
        sink.push(span, problem);
    }
    fits
}

fn special(entry: &Entry, sink: &mut Sink) {
    let kind = SPECIAL
        .iter()
        .find(|(special, _)| overlap(*special, entry.range));
    if let (Some((_, kind)), Some(span)) = (kind, &entry.span) {
        let problem = Problem::SpecialRange {
            key: entry.key,
            range: entry.range,
            kind,
        };
        sink.push(span, problem);
    }
}

/// Notes two ranges that overlap, at the one that the file says; the defaults do not overlap.
fn overlaps(one: &Entry, other: &Entry, sink: &mut Sink) {
    if !overlap(one.range, other.range) {
        return;
    }
    let (at, with) = match one.span {
        Some(_) => (one, other),
        None => (other, one),
    };
    let Some(span) = &at.span else { return };
    let problem = Problem::Overlap {
        key: at.key,
        range: at.range,
        other_key: with.key,
        other: with.range,
        is_default: with.span.is_none(),
    };
    let related = with
        .span
        .iter()
        .map(|span| (span.clone(), "the other range".to_owned()));
    sink.push_related(span, problem, related.collect());
}

/// Notes more nodes than the pod range has subnets for.
fn room(draft: &Draft, pods: &Entry, sink: &mut Sink) {
    let mut nodes = draft.machines().filter(|machine| {
        machine
            .role
            .as_ref()
            .is_some_and(|role| role.value.is_node())
    });
    let subnets = pod_subnet_count(pods.range) as usize;
    if let Some(first_without) = nodes.clone().nth(subnets) {
        let problem = Problem::PodRangeTooSmall {
            nodes: nodes.by_ref().count(),
            pod_cidr: pods.range,
            subnets,
        };
        let span = pods.span.as_ref().unwrap_or(&first_without.header);
        sink.push(span, problem);
    }
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

fn is_private(range: Ipv4Net) -> bool {
    range.network().is_private() && range.broadcast().is_private()
}
