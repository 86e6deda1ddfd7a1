//! Labels and taints: whose they may be, and which of them are not the file's to give.

use crate::draft::{Draft, DraftMachine};
use crate::fault::FaultSink;
use crate::rule::Rule;

/// Labels that the kubelet writes again whenever it starts, and what they follow from.
const LABELS: [(&str, &str); 3] = [
    ("kubernetes.io/hostname", "it is the machine's `name`"),
    ("kubernetes.io/os", "the kubelet says it"),
    ("kubernetes.io/arch", "the kubelet says it"),
];

/// The label and the taint of masters.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// Before the taints that Kubernetes gives and takes by a node's health.
const BY_HEALTH: &str = "node.kubernetes.io/";

pub(crate) fn check(draft: &Draft, sink: &mut FaultSink) {
    for machine in draft.machines() {
        if let Some(role) = &machine.role
            && !role.value.is_node()
        {
            not_a_node(machine, role.value.word(), sink);
            continue;
        }
        for (key, _) in &machine.labels {
            let known = LABELS.iter().find(|(label, _)| *label == key.value);
            let why = match known {
                Some((_, why)) => why,
                None if key.value == CONTROL_PLANE => "it follows from the role `control-plane`",
                None => continue,
            };
            let message = format!("the label `{}` is not the file's to give", key.value);
            sink.refuse(Rule::SetByLab, &key.span, message).label(why);
        }
        for taint in &machine.taints {
            let key = &taint.value.key;
            let why = if key == CONTROL_PLANE {
                "it follows from the role `control-plane`"
            } else if key.starts_with(BY_HEALTH) {
                "Kubernetes gives and takes it by the node's health"
            } else {
                continue;
            };
            let message = format!("the taint `{key}` is not the file's to give");
            sink.refuse(Rule::SetByLab, &taint.span, message).label(why);
        }
    }
}

fn not_a_node(machine: &DraftMachine, role: &str, sink: &mut FaultSink) {
    let labels = machine.labels.first().map(|(key, _)| ("labels", &key.span));
    let taints = machine.taints.first().map(|it| ("taints", &it.span));
    for (key, span) in labels.into_iter().chain(taints) {
        let message = format!("a machine with the role `{role}` has no {key}");
        sink.refuse(Rule::NotANode, span, message)
            .help("masters and workers are nodes, which have labels and taints");
    }
}
