//! What a loss costs, in words: the same in a table of `plan` and on the page of `report`.

use super::{Advice, Analysis, Capability, Loss, Subject};
use crate::lab::Lab;
use crate::machine::Role;
use crate::suggest::listed;

/// Losses that cost the same, as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossGroup<'a> {
    /// What is lost, such as `any of etcdone, etcdtwo, etcdthree`.
    pub title: String,
    /// The machines or the server that are meant, each of which alone is this loss.
    pub names: Vec<&'a str>,
    /// What that costs.
    pub loss: &'a Loss,
}

impl Capability {
    /// Returns the word for it at the head of a column.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::ApiReads => "reads",
            Self::ApiWrites => "writes",
            Self::Scheduling => "scheduling",
            Self::Workloads => "pods",
        }
    }
}

impl Loss {
    /// Returns what is lost, such as `server2 with its 6 machines`.
    pub fn title(&self) -> String {
        match &self.subject {
            Subject::Machine(name) => name.clone(),
            Subject::Server(name) => match self.lost.len() {
                1 => format!("{name} with its one machine"),
                count => format!("{name} with its {count} machines"),
            },
            Subject::Half { role, lost, of } => format!("{lost} of {of} {role}"),
        }
    }

    /// Returns every role of which too few machines are left, in words; empty where none is.
    pub fn because(&self) -> String {
        let short = self.left.iter().filter(|left| left.alive < left.needed);
        let words: Vec<String> = short
            .map(|left| match left.role {
                Role::Etcd => format!("{} etcd members left, {} needed", left.alive, left.needed),
                Role::LoadBalancer => "no load balancer left".to_owned(),
                Role::ControlPlane => "no master left".to_owned(),
                Role::Worker => "no worker left".to_owned(),
            })
            .collect();
        words.join("; ")
    }
}

/// Returns losses of machines of one role that cost the same as one, in the order of the first of each.
pub fn grouped<'a>(lab: &Lab, losses: &'a [Loss]) -> Vec<LossGroup<'a>> {
    let mut groups: Vec<LossGroup<'a>> = Vec::new();
    let role = |loss: &Loss| {
        let first = loss.lost.first().and_then(|name| lab.machine(name));
        first.map(|it| it.role)
    };
    for loss in losses {
        let Some(name) = loss.lost.first() else {
            continue;
        };
        let like = groups
            .iter_mut()
            .find(|group| role(group.loss) == role(loss) && group.loss.effects == loss.effects);
        match like {
            Some(group) => group.names.push(name),
            None => groups.push(LossGroup {
                title: String::new(),
                names: vec![name],
                loss,
            }),
        }
    }
    for group in &mut groups {
        group.title = match group.names.as_slice() {
            [one] => (*one).to_owned(),
            names => format!("any of {}", few(names)),
        };
    }
    groups
}

/// Returns what the losses amount to, and what placement would do better, line by line.
pub fn verdict(lab: &Lab, analysis: &Analysis) -> Vec<String> {
    let mut lines = vec![if analysis.survives_any_machine() {
        "The cluster survives the loss of any one machine.".to_owned()
    } else {
        let fatal: Vec<&String> = analysis
            .machines
            .iter()
            .filter(|loss| !loss.cluster_survives())
            .flat_map(|loss| &loss.lost)
            .collect();
        format!(
            "The cluster does not survive the loss of {}.",
            listed(&fatal)
        )
    }];
    let placement = &analysis.placement;
    if placement.fatal.is_empty() {
        lines.push("It survives the loss of any one server.".to_owned());
    } else {
        lines.push(format!(
            "It does not survive the loss of {}.",
            placement
                .fatal
                .iter()
                .map(|server| format!("server `{server}`"))
                .collect::<Vec<_>>()
                .join(", nor of ")
        ));
    }
    lines.extend(one_computer(lab));
    for role in &placement.needs_more {
        lines.push(format!(
            "Wherever they are, {} of role `{}` are too few to lose one server: {} are needed.",
            role.have, role.role, role.need
        ));
    }
    if let Some(advice) = &placement.all_but_one {
        lines.extend(moves(
            lab,
            "With the servers there are, the best is",
            advice,
        ));
    }
    if let Some(advice) = &placement.any_server {
        lines.extend(moves(lab, "To survive the loss of any server", advice));
    }
    lines
}

/// Returns what of the lab's servers is one computer as the lab file has it, and so lost together.
fn one_computer(lab: &Lab) -> Vec<String> {
    let mut computers: Vec<(Option<&str>, Vec<String>)> = Vec::new();
    for server in lab.servers() {
        let host = server.host.as_deref();
        let name = format!("`{}`", server.name);
        match computers.iter_mut().find(|(other, _)| *other == host) {
            Some((_, names)) => names.push(name),
            None => computers.push((host, vec![name])),
        }
    }
    let shared = computers.into_iter().filter(|(_, names)| names.len() > 1);
    shared
        .map(|(host, names)| {
            let last = names.len() - 1;
            let names = format!("{} and {}", names[..last].join(", "), names[last]);
            match host {
                Some(host) => format!("{names} are one computer, `{host}`, which is lost as a whole."),
                None => format!(
                    "{names} are one computer, this one, which is lost as a whole; a `host` makes another of a server."
                ),
            }
        })
        .collect()
}

fn moves(lab: &Lab, what: &str, advice: &Advice) -> Vec<String> {
    let mut head = what.to_owned();
    if !advice.new_servers.is_empty() {
        head += &format!(", add {}", listed(&advice.new_servers));
    }
    if let Some(server) = &advice.still_fatal {
        head += &format!(" to depend on `{server}` alone");
    }
    if advice.moves.is_empty() {
        return vec![head + "."];
    }
    let mut lines = vec![head + ", and move:"];
    lines.extend(
        advice
            .moves
            .iter()
            .map(|it| format!("  {} from {} to {}", it.machine, it.from, it.to)),
    );
    lines.push("so that each server has:".to_owned());
    lines.extend(advice.groups.iter().map(|group| {
        let roles = Role::ALL.into_iter().filter_map(|role| {
            let is_of = |name: &&String| lab.machine(name).is_some_and(|it| it.role == role);
            let names: Vec<&str> = group
                .machines
                .iter()
                .filter(is_of)
                .map(String::as_str)
                .collect();
            (!names.is_empty()).then(|| few(&names))
        });
        let roles: Vec<String> = roles.collect();
        format!("  {}: {}", group.server, roles.join(", "))
    }));
    lines
}

/// Returns names, of which more than five are only counted.
pub fn few(names: &[&str]) -> String {
    match names {
        [first, .., last] if names.len() > 5 => format!("{first} ... {last} ({})", names.len()),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_one_computer_are_lost_together() {
        let servers = |hosts: [&str; 3]| {
            let source = include_str!("../../../../labs/three-servers.toml");
            let mut source = source.to_owned();
            for (place, host) in hosts.iter().enumerate() {
                let header = format!("[servers.server{}]\n", place + 1);
                let lines = format!("{host}\nbridge = \"br0\"\nprovider = \"libvirt\"\n");
                source = source.replace(&header, &(header.clone() + &lines));
            }
            let operators = "operators = [\"192.168.29.5\"]\n";
            let lab = Lab::parse("lab", &(operators.to_owned() + &source));
            one_computer(&lab.unwrap_or_else(|faults| panic!("{faults}")))
        };
        let [a, b] = ["host = \"ssh://a\"", "host = \"ssh://b\""];
        assert_eq!(servers(["", a, b]), [""; 0]);
        assert_eq!(
            servers(["", "", ""]),
            [
                "`server1`, `server2` and `server3` are one computer, this one, which is lost as a whole; a `host` makes another of a server."
            ]
        );
        assert_eq!(
            servers(["", a, a]),
            ["`server2` and `server3` are one computer, `ssh://a`, which is lost as a whole."]
        );
    }
}
