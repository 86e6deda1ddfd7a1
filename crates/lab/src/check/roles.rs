//! How many machines of each role there are, how large they are, and what goes together.

use std::ops::Range;

use crate::draft::Draft;
use crate::fault::{FaultDraft, FaultSink};
use crate::machine::Role;
use crate::rule::Rule;

/// The most load balancers that Keepalived's priorities can order.
///
/// Priorities go down by one from 101; the lowest, 82, stays well above 0, which says goodbye.
const MOST_LOAD_BALANCERS: usize = 20;

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    sizes(draft, sink);
    versions(draft, sink);
    // An unreadable role could be any: what does not add up then is no fault of its own.
    let all_known = draft.machines.is_some() && draft.machines().all(|it| it.role.is_some());
    if all_known {
        counts(draft, sink);
    }
}

fn sizes(draft: &Draft, sink: &mut FaultSink) {
    for machine in draft.machines() {
        let Some(role) = machine.role.as_ref().map(|role| role.value) else {
            continue;
        };
        if let Some(cpus) = &machine.cpus
            && cpus.value < role.minimum_cpus().into()
        {
            let message = format!("{} CPU is too few for the role `{role}`", cpus.value);
            sink.refuse(Rule::CpusBelowRole, &cpus.span, message)
                .label(format!("expected at least {}", role.minimum_cpus()))
                .help(minimum_reason(role, "fewer CPUs"));
        }
        if let Some(memory) = &machine.memory_mib
            && memory.value < role.minimum_memory_mib()
        {
            let found = memory.value;
            let message = format!("{found} MiB is too little for the role `{role}`");
            sink.refuse(Rule::MemoryBelowRole, &memory.span, message)
                .label(format!("expected at least {}", role.minimum_memory_mib()))
                .help(match found {
                    1..=64 => format!(
                        "memory is in MiB: {found} GiB is `memory_mib = {}`",
                        found * 1024
                    ),
                    _ => minimum_reason(role, "less memory"),
                });
        }
    }
}

fn minimum_reason(role: Role, less: &str) -> String {
    match role {
        Role::ControlPlane => format!("kubeadm's preflight refuses masters with {less}"),
        Role::Etcd | Role::LoadBalancer | Role::Worker => {
            "the operating system alone needs this much".to_owned()
        }
    }
}

fn versions(draft: &Draft, sink: &mut FaultSink) {
    if let (Some(etcd), Some(kubernetes)) = (&draft.etcd, &draft.kubernetes) {
        let oldest = kubernetes.value.oldest_etcd();
        if etcd.value < oldest {
            let message = format!(
                "etcd `{}` is too old for Kubernetes `{}`",
                etcd.value, kubernetes.value
            );
            sink.refuse(Rule::EtcdTooOld, &etcd.span, message)
                .label(format!("expected `{oldest}` or later"))
                .help(
                    "kubeadm's preflight refuses older members; without the key `etcd` the bundle's etcd is used",
                )
                .related(&kubernetes.span, "the lab's Kubernetes");
        }
    }
}

fn counts(draft: &Draft, sink: &mut FaultSink) {
    let of = |role: Role| -> Vec<Range<usize>> {
        draft
            .machines()
            .filter_map(|machine| machine.role.as_ref())
            .filter(|it| it.value == role)
            .map(|it| it.span.clone())
            .collect()
    };
    let etcd = of(Role::Etcd);
    let masters = of(Role::ControlPlane);
    let balancers = of(Role::LoadBalancer);
    if etcd.is_empty() {
        missing(Role::Etcd, sink)
            .help("all state is in etcd: add one, three or five machines with `role = \"etcd\"`");
    }
    if masters.is_empty() {
        missing(Role::ControlPlane, sink).help("add a machine with `role = \"control-plane\"`");
    }
    if let [others @ .., last] = etcd.as_slice()
        && etcd.len().is_multiple_of(2)
    {
        let count = etcd.len();
        let fault = sink
            .refuse(Rule::EvenEtcd, last, format!("{count} etcd members are an even number"))
            .label(format!("expected {} or {} members", count - 1, count + 1))
            .help(format!(
                "a majority of {count} is {}: with one member fewer the same number may fail, with one more one more may fail",
                count / 2 + 1
            ))
            .of_whole_file();
        for other in others {
            fault.related(other, "another member");
        }
    }
    if let [first, second, ..] = masters.as_slice()
        && balancers.is_empty()
    {
        let count = masters.len();
        let message = format!("{count} masters have no load balancer in front of them");
        sink.refuse(Rule::MastersWithoutLoadBalancers, second, message)
            .help(
                "add two machines with `role = \"load-balancer\"` and a `vip`, or keep one master",
            )
            .related(first, "the first master")
            .of_whole_file();
    }
    match (balancers.first(), &draft.vip) {
        (Some(balancer), None) if !draft.has_vip => {
            let message = "load balancers have no address to share";
            sink.refuse(Rule::LoadBalancersWithoutVip, balancer, message)
                .label("expected a `vip` for this one")
                .help("add a free address of the subnet: `vip = \"...\"`")
                .of_whole_file();
        }
        (None, Some(vip)) => {
            let message = format!(
                "virtual address `{}` has no load balancer to hold it",
                vip.value
            );
            sink.refuse(Rule::VipWithoutLoadBalancers, &vip.span, message)
                .help(
                    "add a machine with `role = \"load-balancer\"`, or remove `vip`: then the endpoint is the one master",
                )
                .of_whole_file();
        }
        _ => {}
    }
    if let Some(first_too_many) = balancers.get(MOST_LOAD_BALANCERS) {
        let message = format!("{} load balancers are too many", balancers.len());
        sink.refuse(Rule::TooManyLoadBalancers, first_too_many, message)
            .label(format!("expected at most {MOST_LOAD_BALANCERS}"))
            .help(
                "their priorities go down by one from 101, and must stay well above 0, with which Keepalived gives the address up",
            );
    }
}

/// Refuses a lab without a role that each cluster needs.
fn missing(role: Role, sink: &mut FaultSink) -> &mut FaultDraft {
    let message = format!("the lab has no machine of the role `{role}`");
    sink.refuse(Rule::MissingRole, &(0..0), message)
        .of_whole_file()
}
