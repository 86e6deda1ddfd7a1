//! The topology in Mermaid's language, for pages that draw it themselves.

use std::fmt::Write as _;

use caravan_lab::Role;

use crate::flows::Party;
use crate::topology::Topology;

/// From how many machines of a role on a server on they are one box.
const MANY: usize = 12;

/// Draws servers, machines, and who may and may not talk to whom.
pub fn mermaid(topology: &Topology) -> String {
    let mut text = String::from("flowchart TB\n");
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line("  operator([\"operator\"])".to_owned());
    line("  stranger([\"anybody else\"])".to_owned());
    line(format!(
        "  endpoint([\"API endpoint<br/>{}\"])",
        quoted(&topology.endpoint)
    ));
    for (place, server) in topology.servers.iter().enumerate() {
        line(format!("  subgraph s{place}[\"{}\"]", quoted(&server.name)));
        for role in Role::ALL {
            let machines: Vec<_> = topology.group(&server.name, role).collect();
            if machines.is_empty() {
                continue;
            }
            let word = id(role);
            if machines.len() > MANY {
                let count = machines.len();
                line(format!(
                    "    {word}_{place}[\"{count} {}\"]:::{word}",
                    Party::of_role(role, count)
                ));
                continue;
            }
            let title = Party::of_role(role, machines.len());
            line(format!("    subgraph {word}_{place}[\"{title}\"]"));
            for machine in machines {
                let duty = machine.duty().map(|it| it.words().to_owned());
                let told = [machine.trouble().map(quoted), duty];
                let told: String = (told.into_iter().flatten())
                    .map(|words| format!("<br/>{words}"))
                    .collect();
                line(format!(
                    "      m_{}[\"{}<br/>{}{told}\"]:::{word}",
                    machine.name.replace('-', "_"),
                    quoted(&machine.name),
                    machine.ip
                ));
            }
            line("    end".to_owned());
        }
        line("  end".to_owned());
    }
    for flow in &topology.flows {
        let arrow = match flow.allowed {
            true => format!("-- \"{}\" -->", flow.label()),
            false => format!("-. \"{}\" .-x", flow.label()),
        };
        // Ways among machines of one role, or of all, would hide the rest; so would what anybody may ask.
        let is_among = flow.from == flow.to || flow.to == Party::Machines;
        let is_open = flow.from == Party::Stranger && flow.allowed;
        if is_among || is_open || flow.to == Party::Outside {
            continue;
        }
        for from in ends(topology, flow.from) {
            // A box that leads to itself is a circle to Mermaid.
            for to in ends(topology, flow.to).iter().filter(|to| **to != from) {
                line(format!("  {from} {arrow} {to}"));
            }
        }
    }
    for (role, fill) in [
        (Role::LoadBalancer, "fill:#e6f1fb,stroke:#1f6fb2"),
        (Role::ControlPlane, "fill:#e4f4f4,stroke:#0d7377"),
        (Role::Etcd, "fill:#e9f5e6,stroke:#3a7d2c"),
        (Role::Worker, "fill:#f2ebfa,stroke:#6b46a8"),
    ] {
        line(format!("  classDef {} {fill},color:#1b2733", id(role)));
    }
    text
}

/// The boxes of an end: of a role, one on each server that has any.
fn ends(topology: &Topology, party: Party) -> Vec<String> {
    match party {
        Party::Operator => vec!["operator".to_owned()],
        Party::Stranger => vec!["stranger".to_owned()],
        Party::Endpoint => vec!["endpoint".to_owned()],
        party => {
            let servers = topology.servers.iter().enumerate();
            let pairs = servers.flat_map(|(place, server)| {
                let roles = party.roles().iter();
                let there =
                    roles.filter(|role| topology.group(&server.name, **role).next().is_some());
                there.map(move |role| format!("{}_{place}", id(*role)))
            });
            pairs.collect()
        }
    }
}

/// A role as part of a name: a hyphen would be taken for the beginning of an arrow.
fn id(role: Role) -> String {
    role.word().replace('-', "_")
}

/// Text between quotation marks: Mermaid writes characters that mean something to it by their names.
fn quoted(text: &str) -> String {
    text.replace('#', "#35;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}
