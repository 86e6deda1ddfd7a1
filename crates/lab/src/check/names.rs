//! Names of the lab, its domain, servers and machines.

use std::collections::HashMap;

use crate::derived::CLUSTER_DOMAIN;
use crate::draft::Draft;
use crate::fault::{At, Sink};
use crate::name::{
    LONGEST_NAME, LONGEST_NODE_NAME, RESERVED_MACHINES, RESERVED_SERVERS, domain_fault,
    label_fault, mend_label,
};
use crate::problem::Problem;

pub(crate) fn check(lab: &str, draft: &Draft, sink: &mut Sink) {
    let lab = At {
        value: lab.to_owned(),
        span: 0..0,
    };
    label("lab", &lab, &[], sink);
    for server in draft.servers() {
        label("server", &server.name, &RESERVED_SERVERS, sink);
    }
    domain(draft, sink);
    machines(draft, sink);
    full_names(draft, sink);
}

/// Notes a name that is no label or is reserved; returns true if it is good.
fn label(
    what: &'static str,
    name: &At<String>,
    reserved: &[(&str, &'static str)],
    sink: &mut Sink,
) -> bool {
    let problem = if let Some(reason) = label_fault(&name.value) {
        Problem::InvalidName {
            what,
            found: name.value.clone(),
            reason,
            suggestion: mend_label(&name.value),
        }
    } else if let Some((_, reason)) = reserved.iter().find(|(known, _)| *known == name.value) {
        Problem::ReservedName {
            what,
            name: name.value.clone(),
            reason,
        }
    } else {
        return true;
    };
    sink.push(&name.span, problem);
    false
}

fn domain(draft: &Draft, sink: &mut Sink) {
    let Some(domain) = &draft.domain else { return };
    if let Some(reason) = domain_fault(&domain.value, CLUSTER_DOMAIN) {
        let problem = Problem::InvalidDomain {
            found: domain.value.clone(),
            reason,
        };
        sink.push(&domain.span, problem);
    }
}

/// Notes a domain that the longest machine's name does not fit before.
fn full_names(draft: &Draft, sink: &mut Sink) {
    let names = draft.machines().filter_map(|machine| machine.name.as_ref());
    let longest = names.max_by_key(|name| name.value.len());
    let (Some(domain), Some(name)) = (&draft.domain, longest) else {
        return;
    };
    let length = name.value.len() + 1 + domain.value.len();
    if domain.value.len() <= LONGEST_NAME && length > LONGEST_NAME {
        let problem = Problem::FullNameTooLong {
            machine: name.value.clone(),
            length,
        };
        let related = vec![(name.span.clone(), "the longest name".to_owned())];
        sink.push_related(&domain.span, problem, related);
    }
}

fn machines(draft: &Draft, sink: &mut Sink) {
    let mut first = HashMap::new();
    for machine in draft.machines() {
        let Some(name) = &machine.name else { continue };
        if let Some(earlier) = first.get(name.value.as_str()) {
            let problem = Problem::DuplicateName {
                name: name.value.clone(),
            };
            let related = vec![(Clone::clone(*earlier), "first used here".to_owned())];
            sink.push_related(&name.span, problem, related);
            continue;
        }
        first.insert(name.value.as_str(), &name.span);
        if !label("machine", name, &RESERVED_MACHINES, sink) {
            continue;
        }
        let is_node = machine
            .role
            .as_ref()
            .is_some_and(|role| role.value.is_node());
        if is_node && name.value.len() > LONGEST_NODE_NAME {
            let problem = Problem::NodeNameTooLong {
                name: name.value.clone(),
            };
            sink.push(&name.span, problem);
        }
    }
}
