//! What happens to a lab while something is done to it, for whoever shows it.

use std::fmt;
use std::net::Ipv4Addr;

/// Something that happens while a lab comes, goes or is looked at.
///
/// A subject is a machine's name, or [`RUN`](caravan_cluster::timeline::RUN) for what is done once and on no machine.
#[derive(Debug)]
#[non_exhaustive]
pub enum LifecycleEvent<'a> {
    /// A subject begins something.
    Began {
        /// Who.
        subject: &'a str,
        /// What.
        text: &'a str,
    },
    /// More about what a subject does, which is soon followed by more.
    Detail {
        /// Who.
        subject: &'a str,
        /// What.
        text: &'a str,
    },
    /// A subject is done with what it did.
    Ended {
        /// Who.
        subject: &'a str,
        /// What was done.
        text: &'a str,
    },
    /// A step of an operation is done: its word, such as `removed`.
    Reached(&'a str),
    /// Something worth to be read later, too.
    Noted(&'a str),
    /// Something that the user should do something about, or know.
    Warned(&'a LifecycleWarning),
    /// The user has asked to stop, and a step that cannot be cut short is still at work. Told again and again.
    Stopping,
}

/// Who is told what happens. Several threads tell at the same time.
pub trait LifecycleObserver: Sync {
    /// Something happens, now.
    fn event(&self, event: &LifecycleEvent<'_>);
}

/// What is not as it should be, and stops nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum LifecycleWarning {
    /// This computer's resolvers are not those that running machines were given.
    OtherResolvers {
        /// The lab.
        lab: String,
        /// Those that the lab was made with.
        before: Vec<Ipv4Addr>,
        /// Those of now.
        now: Vec<Ipv4Addr>,
    },
    /// Running machines were given other files than they would be given now.
    StaleMachines {
        /// The lab.
        lab: String,
        /// The machines, at least one.
        machines: Vec<String>,
    },
    /// The cluster that was made is lost, and a new one takes its place as asked.
    ClusterLost(crate::Error),
    /// What Vagrant believes of machines could not be put right.
    VagrantNotes(crate::Error),
    /// A node that is gone is still in the cluster.
    NodeStays {
        /// The node.
        node: String,
        /// Why it could not be removed.
        why: String,
    },
    /// Settings of this computer's kernel could not be put back.
    HostSettings(caravan_vagrant::Error),
    /// A computer of the lab's servers does not answer, and the others are worked on.
    Silent(crate::Error),
}

impl LifecycleWarning {
    /// What is wrong and what to do about it; `tool` is how the program that calls this is started.
    pub fn text(&self, tool: &str) -> String {
        match self {
            Self::OtherResolvers { lab, before, now } => format!(
                "this computer's resolvers are not those that the lab was made with ({}, now {}): running machines keep them \
                 until `{tool} halt {lab}` and `{tool} up {lab}`",
                Addresses(before),
                Addresses(now)
            ),
            Self::StaleMachines { lab, machines } => {
                let first = machines.first().map(String::as_str).unwrap_or_default();
                let whose = match machines.len() {
                    1 => format!("machine `{first}` runs"),
                    count => format!("{count} machines, `{first}` the first of them, run"),
                };
                format!(
                    "{whose} with other files than would be made now: `{tool} plan {lab}` shows them, `{tool} halt {lab}` \
                     and `{tool} up {lab}` deliver them"
                )
            }
            Self::ClusterLost(error) | Self::Silent(error) => error.to_string(),
            Self::VagrantNotes(error) => format!(
                "Vagrant's own notes are older than the machines ({error}): `vagrant global-status --prune` mends them"
            ),
            Self::NodeStays { node, why } => format!(
                "node `{node}` stays in the cluster: {why}; `kubectl delete node {node}` removes it"
            ),
            Self::HostSettings(error) => format!(
                "settings of this computer's kernel that machines raised stay raised until the next boot: {error}"
            ),
        }
    }
}

/// Addresses, for people.
struct Addresses<'a>(&'a [Ipv4Addr]);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_name_the_tool_that_they_are_told_by() {
        let stale = LifecycleWarning::StaleMachines {
            lab: "ha".to_owned(),
            machines: vec!["lbone".to_owned(), "lbtwo".to_owned()],
        };
        assert_eq!(
            stale.text("caravan"),
            "2 machines, `lbone` the first of them, run with other files than would be made now: `caravan plan ha` shows \
             them, `caravan halt ha` and `caravan up ha` deliver them"
        );
        let other = LifecycleWarning::OtherResolvers {
            lab: "ha".to_owned(),
            before: Vec::new(),
            now: vec![Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)],
        };
        assert!(
            other
                .text("caravan")
                .contains("(none, now 192.0.2.1, 192.0.2.2)"),
            "{}",
            other.text("caravan")
        );
    }
}
