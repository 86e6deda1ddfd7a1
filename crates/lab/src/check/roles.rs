//! How many machines of each role there are, how large they are, and what goes together.

use std::ops::Range;

use crate::draft::Draft;
use crate::fault::Sink;
use crate::machine::Role;
use crate::problem::Problem;

/// The most load balancers that Keepalived's priorities can order.
///
/// Priorities go down by one from 101; the lowest, 82, stays well above 0, which says goodbye.
pub(crate) const MOST_LOAD_BALANCERS: usize = 20;

pub(crate) fn check(draft: &Draft, sink: &mut Sink) {
    sizes(draft, sink);
    versions(draft, sink);
    // An unreadable role could be any: what does not add up then is no fault of its own.
    let all_known = draft.machines.is_some() && draft.machines().all(|it| it.role.is_some());
    if all_known {
        counts(draft, sink);
    }
}

fn sizes(draft: &Draft, sink: &mut Sink) {
    for machine in draft.machines() {
        let Some(role) = machine.role.as_ref().map(|role| role.value) else {
            continue;
        };
        if let Some(cpus) = &machine.cpus
            && cpus.value < role.minimum_cpus().into()
        {
            // The number was read as one from 1 to 255.
            let found = u8::try_from(cpus.value).unwrap_or(u8::MAX);
            let problem = Problem::CpusBelowRole { cpus: found, role };
            sink.push(&cpus.span, problem);
        }
        if let Some(memory) = &machine.memory_mib
            && memory.value < role.minimum_memory_mib()
        {
            let problem = Problem::MemoryBelowRole {
                memory_mib: memory.value,
                role,
            };
            sink.push(&memory.span, problem);
        }
    }
}

fn versions(draft: &Draft, sink: &mut Sink) {
    if let (Some(etcd), Some(kubernetes)) = (&draft.etcd, &draft.kubernetes) {
        let oldest = kubernetes.value.oldest_etcd();
        if etcd.value < oldest {
            let problem = Problem::EtcdTooOld {
                etcd: etcd.value,
                kubernetes: kubernetes.value,
                oldest,
            };
            let related = vec![(kubernetes.span.clone(), "the lab's Kubernetes".to_owned())];
            sink.push_related(&etcd.span, problem, related);
        }
    }
}

fn counts(draft: &Draft, sink: &mut Sink) {
    let of = |role: Role| -> Vec<Range<usize>> {
        draft
            .machines()
            .filter_map(|machine| machine.role.as_ref())
            .filter(|it| it.value == role)
            .map(|it| it.span.clone())
            .collect()
    };
    let related = |spans: &[Range<usize>], message: &str| -> Vec<_> {
        spans
            .iter()
            .map(|span| (span.clone(), message.to_owned()))
            .collect()
    };
    let etcd = of(Role::Etcd);
    let masters = of(Role::ControlPlane);
    let balancers = of(Role::LoadBalancer);
    for (role, spans) in [(Role::Etcd, &etcd), (Role::ControlPlane, &masters)] {
        if spans.is_empty() {
            sink.push(&(0..0), Problem::MissingRole { role });
        }
    }
    if let [others @ .., last] = etcd.as_slice()
        && etcd.len().is_multiple_of(2)
    {
        let problem = Problem::EvenEtcd { count: etcd.len() };
        sink.push_related(last, problem, related(others, "another member"));
    }
    if let [first, second, ..] = masters.as_slice()
        && balancers.is_empty()
    {
        let problem = Problem::MastersWithoutLoadBalancers {
            count: masters.len(),
        };
        let first = related(std::slice::from_ref(first), "the first master");
        sink.push_related(second, problem, first);
    }
    match (balancers.first(), &draft.vip) {
        (Some(balancer), None) if !draft.has_vip => {
            sink.push(balancer, Problem::LoadBalancersWithoutVip);
        }
        (None, Some(vip)) => {
            let problem = Problem::VipWithoutLoadBalancers { vip: vip.value };
            sink.push(&vip.span, problem);
        }
        _ => {}
    }
    if let Some(first_too_many) = balancers.get(MOST_LOAD_BALANCERS) {
        let problem = Problem::TooManyLoadBalancers {
            count: balancers.len(),
        };
        sink.push(first_too_many, problem);
    }
}
