//! Names of the lab, its domain, servers and machines.

use std::collections::HashMap;
use std::ops::Range;

use crate::derived::{API_LABEL, CLUSTER_DOMAIN};
use crate::draft::Draft;
use crate::fault::FaultSink;
use crate::name::{
    LONGEST_NAME, LONGEST_NODE_NAME, RESERVED_MACHINES, domain_fault, label_fault, mend_label,
};
use crate::place::At;
use crate::rule::Rule;
use crate::state;

/// What a lab is called in messages about its name.
const LAB: &str = "lab";

pub(crate) fn check(lab: &str, draft: &Draft, sink: &mut FaultSink) {
    let lab = At {
        value: lab.to_owned(),
        span: 0..0,
    };
    label(LAB, &lab, sink);
    for server in draft.servers() {
        if label("server", &server.name, sink) && state::NAMES.contains(&server.name.value.as_str())
        {
            let reason = "a server has a folder of its name in the lab's state, where this name is already in use";
            reserved("server", &server.name, reason, sink);
        }
    }
    domain(draft, sink);
    machines(draft, sink);
    full_names(draft, sink);
}

/// Refuses a name that is no label; returns true if it is one.
fn label(kind: &str, name: &At<String>, sink: &mut FaultSink) -> bool {
    let Some(reason) = label_fault(&name.value) else {
        return true;
    };
    let found = &name.value;
    let message = format!("`{found}` cannot be the name of a {kind}: {reason}");
    let fault = sink
        .refuse(Rule::InvalidName, &name.span, message)
        .label("expected a DNS label in lower case");
    match mend_label(found) {
        Some(mended) => fault.suggest(Some(&mended)),
        None if kind == LAB => fault.help("the lab is named after its file: rename the file"),
        None => fault,
    };
    false
}

/// Refuses a name that already means something else.
fn reserved(kind: &str, name: &At<String>, reason: &str, sink: &mut FaultSink) {
    let message = format!("`{}` cannot be the name of a {kind}", name.value);
    sink.refuse(Rule::ReservedName, &name.span, message)
        .label("expected another name")
        .help(reason);
}

fn domain(draft: &Draft, sink: &mut FaultSink) {
    let Some(domain) = &draft.domain else { return };
    if let Some(reason) = domain_fault(&domain.value, CLUSTER_DOMAIN) {
        let found = &domain.value;
        let message = format!("`{found}` cannot be the domain of a lab: {reason}");
        sink.refuse(Rule::InvalidDomain, &domain.span, message)
            .label("expected a domain like `example.com`");
    }
}

/// Notes a domain that the longest name does not fit before.
fn full_names(draft: &Draft, sink: &mut FaultSink) {
    let names = draft.machines().filter_map(|machine| machine.name.as_ref());
    let longest = names.max_by_key(|name| name.value.len());
    let (Some(domain), Some(name)) = (&draft.domain, longest) else {
        return;
    };
    let length = name.value.len() + 1 + domain.value.len();
    if domain.value.len() <= LONGEST_NAME && length > LONGEST_NAME {
        let message = format!(
            "domain is too long for `{}`: together they have {length} characters",
            name.value
        );
        sink.refuse(Rule::FullNameTooLong, &domain.span, message)
            .label(format!(
                "expected at most {LONGEST_NAME} characters for both"
            ))
            .related(&name.span, "the longest name");
        return;
    }
    // The endpoint's name is one more, where there is a virtual address.
    let length = API_LABEL.len() + 1 + domain.value.len();
    if draft.has_vip && domain.value.len() <= LONGEST_NAME && length > LONGEST_NAME {
        let message =
            format!("domain is too long for `{API_LABEL}`: together they have {length} characters");
        sink.refuse(Rule::FullNameTooLong, &domain.span, message)
            .label(format!(
                "expected at most {LONGEST_NAME} characters for both"
            ))
            .help(format!("`{API_LABEL}` is the name of the virtual address"));
    }
}

fn machines(draft: &Draft, sink: &mut FaultSink) {
    let mut first: HashMap<&str, &Range<usize>> = HashMap::new();
    for machine in draft.machines() {
        let Some(name) = &machine.name else { continue };
        if let Some(earlier) = first.get(name.value.as_str()) {
            let message = format!("two machines are called `{}`", name.value);
            sink.refuse(Rule::DuplicateName, &name.span, message)
                .label("expected a name of its own")
                .related(earlier, "first used here");
            continue;
        }
        first.insert(name.value.as_str(), &name.span);
        if !label("machine", name, sink) {
            continue;
        }
        let taken = |(known, _): &&(&str, _)| *known == name.value;
        if let Some((_, reason)) = RESERVED_MACHINES.iter().find(taken) {
            reserved("machine", name, reason, sink);
            continue;
        }
        let is_node = machine
            .role
            .as_ref()
            .is_some_and(|role| role.value.is_node());
        if is_node && name.value.len() > LONGEST_NODE_NAME {
            let length = name.value.len();
            let message = format!("node name `{}` has {length} characters", name.value);
            sink.refuse(Rule::NodeNameTooLong, &name.span, message)
                .label(format!("expected at most {LONGEST_NODE_NAME} characters"))
                .help(
                    "the kubelet's certificate is named `system:node:<name>`, and X.509 ends a common name at 64 characters",
                );
        }
    }
}
