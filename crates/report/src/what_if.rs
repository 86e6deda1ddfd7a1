//! What fails with what, as `plan` has it.

use caravan_lab::failure::{Capability, Loss, Subject, analyse, grouped, verdict};
use caravan_lab::{Lab, Role};
use serde::{Deserialize, Serialize};

/// What each loss costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIf {
    /// What users need, in the order of each loss's effects: `reads`.
    pub capabilities: Vec<String>,
    /// The losses; those that cost the same are one.
    pub losses: Vec<LossView>,
    /// What they amount to, and what placement would do better, line by line as `plan` prints them.
    pub verdict: Vec<String>,
}

/// The loss of a machine, of one of several, or of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossView {
    /// What is lost: `any of etcdone, etcdtwo, etcdthree`.
    pub title: String,
    /// The machines or the server that are meant.
    pub subjects: Vec<SubjectView>,
    /// Whether each capability is still there.
    pub works: Vec<bool>,
    /// Which role has too few machines left, in words; empty where none has.
    pub because: String,
    /// How many machines of each role are left.
    pub left: Vec<LeftView>,
    /// All of it in a sentence.
    pub sentence: String,
}

/// A machine or server, and what is lost with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectView {
    /// Its name.
    pub name: String,
    /// Whether it is a server.
    pub server: bool,
}

/// How many machines of a role are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftView {
    /// The role.
    pub role: Role,
    /// How many are left.
    pub alive: usize,
    /// How many there are.
    pub of: usize,
    /// How many are needed.
    pub needed: usize,
}

impl WhatIf {
    pub(crate) fn of(lab: &Lab) -> Self {
        let analysis = analyse(lab);
        let machines = grouped(lab, &analysis.machines)
            .into_iter()
            .map(|group| view(group.title, &group.names, group.loss));
        let servers = analysis.servers.iter().filter_map(|loss| {
            let Subject::Server(name) = &loss.subject else {
                return None;
            };
            Some(view(loss.title(), &[name.as_str()], loss))
        });
        Self {
            capabilities: Capability::ALL.map(|it| it.word().to_owned()).to_vec(),
            losses: machines.chain(servers).collect(),
            verdict: verdict(lab, &analysis),
        }
    }
}

fn view(title: String, names: &[&str], loss: &Loss) -> LossView {
    let server = matches!(loss.subject, Subject::Server(_));
    LossView {
        subjects: (names.iter())
            .map(|name| SubjectView {
                name: (*name).to_owned(),
                server,
            })
            .collect(),
        works: Capability::ALL.map(|it| loss.works(it)).to_vec(),
        because: loss.because(),
        left: (loss.left.iter())
            .map(|left| LeftView {
                role: left.role,
                alive: left.alive,
                of: left.of,
                needed: left.needed,
            })
            .collect(),
        sentence: sentence(&title, loss),
        title,
    }
}

fn sentence(title: &str, loss: &Loss) -> String {
    let stops: Vec<&str> = Capability::ALL
        .into_iter()
        .filter(|it| !loss.works(*it))
        .map(Capability::word)
        .collect();
    if stops.is_empty() {
        return format!("Without {title} everything goes on.");
    }
    let because = loss.because();
    let works: Vec<&str> = Capability::ALL
        .into_iter()
        .filter(|it| loss.works(*it))
        .map(Capability::word)
        .collect();
    let rest = match works.as_slice() {
        [] => String::new(),
        works => format!(" What goes on: {}.", works.join(", ")),
    };
    format!(
        "Without {title} these stop: {} ({because}).{rest}",
        stops.join(", ")
    )
}
