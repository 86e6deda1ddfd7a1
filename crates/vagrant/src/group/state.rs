//! Whether machines are there and run.

use serde::{Deserialize, Serialize};

use crate::output::{self, VagrantEvent};

/// What Vagrant knows of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// Its name in the Vagrantfile.
    pub name: String,
    /// The provider that made it, or would.
    pub provider: String,
    /// Whether it is there and runs.
    pub state: MachineState,
}

/// Whether a machine is there and runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// There is none.
    Absent,
    /// It runs.
    Running,
    /// It is there and does not run.
    Stopped,
    /// Something between, in the provider's word.
    #[serde(untagged)]
    Other(String),
}

impl MachineState {
    /// Reads the word of `vagrant status --machine-readable`.
    pub fn of_vagrant(word: &str) -> Self {
        match word {
            "not_created" => Self::Absent,
            "running" => Self::Running,
            // docker; virtualbox; libvirt.
            "stopped" | "poweroff" | "aborted" | "shutoff" => Self::Stopped,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether it stands still: docker's, libvirt's and VirtualBox's word for it is the same.
    pub fn is_frozen(&self) -> bool {
        matches!(self, Self::Other(word) if word == "paused")
    }

    /// Returns the word shown to people.
    pub fn word(&self) -> &str {
        match self {
            Self::Absent => "absent",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Other(word) => word,
        }
    }
}

/// The states in the output of `vagrant status --machine-readable`, in its order.
pub(super) fn statuses(said: &str) -> Vec<MachineStatus> {
    let mut found: Vec<MachineStatus> = Vec::new();
    for line in said.lines().filter_map(output::parse) {
        let (Some(name), VagrantEvent::Tells { key, value }) = (line.machine, line.what) else {
            continue;
        };
        let place = match found.iter().position(|machine| machine.name == name) {
            Some(place) => place,
            None => {
                found.push(MachineStatus {
                    name,
                    provider: String::new(),
                    state: MachineState::Absent,
                });
                found.len() - 1
            }
        };
        match key.as_str() {
            "provider-name" => found[place].provider = value,
            "state" => found[place].state = MachineState::of_vagrant(&value),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_a_half_stopped_group() {
        let said = include_str!("../../tests/samples/status-half.txt");
        let machine = |name: &str, state| MachineStatus {
            name: name.to_owned(),
            provider: "docker".to_owned(),
            state,
        };
        assert_eq!(
            statuses(said),
            [
                machine("one", MachineState::Stopped),
                machine("two", MachineState::Running)
            ]
        );
        assert_eq!(statuses("a warning\n1,,ui,info,nothing"), []);
    }

    #[test]
    fn a_state_is_one_word_in_json() {
        let word = |state: MachineState| serde_json::to_string(&state).expect("a word");
        assert_eq!(word(MachineState::Running), "\"running\"");
        assert_eq!(
            word(MachineState::Other("preparing".into())),
            "\"preparing\""
        );
    }
}
