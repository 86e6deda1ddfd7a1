//! The add-ons of `[cluster]`: what they need of the machines, and whose addresses they may give away.

use std::net::Ipv4Addr;
use std::ops::Range;

use ipnet::Ipv4Net;

use crate::add_on::{AddOn, AddressRange};
use crate::draft::{Draft, DraftCluster};
use crate::fault::FaultSink;
use crate::machine::Role;
use crate::network::nth_address;
use crate::place::At;
use crate::rule::Rule;

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    let Some(cluster) = &draft.cluster else {
        return;
    };
    workers(draft, cluster, sink);
    if let (Some(range), Some(subnet)) = (&cluster.load_balancer, &draft.subnet) {
        service_addresses(draft, range, subnet, sink);
    }
}

/// Notes add-ons that would stand on nothing. The metrics server runs on masters too.
fn workers(draft: &Draft, cluster: &DraftCluster, sink: &mut FaultSink) {
    // An unreadable role could be a worker's.
    let has_role =
        |role: &Option<At<Role>>| role.as_ref().is_none_or(|role| role.value == Role::Worker);
    if draft.machines.is_none() || draft.machines().any(|it| has_role(&it.role)) {
        return;
    }
    let storage = cluster
        .storage
        .as_ref()
        .map(|it| (AddOn::Storage, &it.span));
    let range = (cluster.load_balancer.as_ref()).map(|it| (AddOn::LoadBalancer, &it.span));
    for (add_on, span) in [storage, range].into_iter().flatten() {
        let message = format!("`{}` in a lab without workers", add_on.key());
        sink.refuse(Rule::AddOnWithoutWorkers, span, message)
            .label("expected a machine with the role `worker`")
            .help("its pods, and those that would use it, run on workers alone");
    }
}

/// Somebody who has an address of the lab.
struct Owner {
    address: Ipv4Addr,
    who: String,
    /// Where the file says so, and what stands there.
    place: (Range<usize>, &'static str),
}

/// Notes a range that leaves the subnet, or has addresses of others. All of those are told at once.
fn service_addresses(
    draft: &Draft,
    range: &At<AddressRange>,
    subnet: &At<Ipv4Net>,
    sink: &mut FaultSink,
) {
    let At { value, span } = range;
    let net = subnet.value;
    if !net.contains(&value.first()) || !net.contains(&value.last()) {
        let message = format!("`load_balancer` is `{value}`, not inside the subnet `{net}`");
        sink.refuse(Rule::OutsideSubnet, span, message)
            .label(format!("expected addresses in `{net}`"))
            .related(&subnet.span, "the subnet");
        return;
    }
    let taken: Vec<Owner> = owners(draft, subnet)
        .into_iter()
        .filter(|owner| value.contains(owner.address))
        .collect();
    if taken.is_empty() {
        return;
    }
    let named: Vec<String> = (taken.iter())
        .map(|owner| format!("`{}` ({})", owner.address, owner.who))
        .collect();
    let message = format!(
        "`load_balancer` `{value}` has addresses of others: {}",
        named.join(", ")
    );
    let fault = sink
        .refuse(Rule::TakenAddress, span, message)
        .label("expected addresses that nobody has")
        .help("services get any address of the range, and two owners of one would take turns");
    for Owner {
        place: (span, what),
        ..
    } in taken
    {
        fault.related(&span, what);
    }
}

/// Everybody who has an address of the subnet.
fn owners(draft: &Draft, subnet: &At<Ipv4Net>) -> Vec<Owner> {
    let net = subnet.value;
    let of_subnet = [
        (net.network(), "the network itself"),
        (nth_address(net, 1), "the gateway"),
        (net.broadcast(), "the broadcast address"),
    ];
    let of_subnet = of_subnet.map(|(address, who)| Owner {
        address,
        who: who.to_owned(),
        place: (subnet.span.clone(), "of this subnet"),
    });
    let owner = |at: &At<Ipv4Addr>, who: String, what| Owner {
        address: at.value,
        who,
        place: (at.span.clone(), what),
    };
    let vip = draft.vip.iter();
    let vip = vip.map(|at| owner(at, "the virtual address".to_owned(), "the virtual address"));
    let operators = (draft.operators.iter())
        .map(|at| owner(at, "an operator".to_owned(), "the operator's address"));
    let servers = draft.servers().filter_map(|server| {
        let who = format!("server `{}`", server.name.value);
        Some(owner(server.address.as_ref()?, who, "the server's address"))
    });
    let machines = draft.machines().filter_map(|machine| {
        let name = machine.name.as_ref().map_or("", |name| &name.value);
        let who = format!("machine `{name}`");
        Some(owner(machine.ip.as_ref()?, who, "the machine's address"))
    });
    of_subnet
        .into_iter()
        .chain(vip)
        .chain(operators)
        .chain(servers)
        .chain(machines)
        .collect()
}
