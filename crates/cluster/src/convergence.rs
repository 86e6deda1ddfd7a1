//! How far each machine has come, told by what its journal says. Pure: it takes news and changes state.
//!
//! Only where machines stand now. What they did, and when, is the [timeline](crate::timeline)'s.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::phase::{Phase, PhaseEvent, PhaseLine};
use crate::watch::{JournalEvent, JournalNews};

/// How far the machines of a lab have come.
#[derive(Debug, Clone, Default)]
pub struct Convergence {
    machines: BTreeMap<String, MachineProgress>,
}

/// How far one machine has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineProgress {
    /// What it is about.
    pub stage: Stage,
    /// The phase that it is in, or was in when it stopped; none before it was heard.
    pub phase: Option<Phase>,
    /// Since when it is in this phase, in milliseconds since 1970, by its own clock.
    pub since_ms: u64,
    /// What it said last: what it waits for, or why it failed; while it is out of reach, why.
    pub text: String,
    /// What it was about, and what it had said, when it was lost: its journal says nothing twice.
    #[serde(skip)]
    lost: Option<(Stage, String)>,
}

/// What a machine is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Its journal has not been reached.
    Unreached,
    /// It works.
    Working,
    /// It waits for something outside of itself.
    Waiting,
    /// Its phase failed, and it has not tried again yet.
    Failed,
    /// It is what the lab says.
    Ready,
}

impl Convergence {
    /// Nothing heard yet from `machines`, at `now_ms`, milliseconds since 1970.
    pub fn new<'a>(machines: impl IntoIterator<Item = &'a str>, now_ms: u64) -> Self {
        let unheard = |name: &str| {
            let machine = MachineProgress {
                stage: Stage::Unreached,
                phase: None,
                since_ms: now_ms,
                text: String::new(),
                lost: None,
            };
            (name.to_owned(), machine)
        };
        Self {
            machines: machines.into_iter().map(unheard).collect(),
        }
    }

    /// Takes news in; returns whether they changed anything.
    ///
    /// Lines that were heard before, as after a journal was opened again, change nothing.
    pub fn hear(&mut self, news: &JournalNews) -> bool {
        let Some(machine) = self.machines.get_mut(&news.machine) else {
            return false;
        };
        let before = machine.clone();
        match &news.event {
            JournalEvent::Reached => {
                if machine.stage == Stage::Unreached {
                    machine.stage = Stage::Working;
                    if let Some((stage, text)) = machine.lost.take() {
                        (machine.stage, machine.text) = (stage, text);
                    }
                }
            }
            JournalEvent::Said(line) => machine.hear(line),
            JournalEvent::Lost(why) | JournalEvent::GaveUp(why) => {
                if machine.stage == Stage::Unreached {
                    machine.text.clone_from(why);
                } else if machine.stage != Stage::Ready {
                    let text = std::mem::replace(&mut machine.text, why.clone());
                    machine.lost = Some((machine.stage, text));
                    machine.stage = Stage::Unreached;
                }
            }
        }
        *machine != before
    }

    /// The machines by name.
    pub fn machines(&self) -> impl Iterator<Item = (&str, &MachineProgress)> {
        self.machines
            .iter()
            .map(|(name, machine)| (name.as_str(), machine))
    }

    /// The machine called `name`.
    pub fn machine(&self, name: &str) -> Option<&MachineProgress> {
        self.machines.get(name)
    }

    /// Whether every machine is ready.
    pub fn all_ready(&self) -> bool {
        self.machines
            .values()
            .all(|machine| machine.stage == Stage::Ready)
    }

    /// The machines whose phase failed, by name.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &MachineProgress)> {
        self.machines()
            .filter(|(_, machine)| machine.stage == Stage::Failed)
    }

    /// The machines that are not ready, by name.
    pub fn unfinished(&self) -> impl Iterator<Item = (&str, &MachineProgress)> {
        self.machines()
            .filter(|(_, machine)| machine.stage != Stage::Ready)
    }
}

impl MachineProgress {
    fn hear(&mut self, line: &PhaseLine) {
        self.lost = None;
        if line.event == PhaseEvent::Start || self.phase.as_ref() != Some(&line.phase) {
            // A machine that begins again, after a failure or a reboot, walks through its phases once more.
            self.since_ms = line.at_ms;
            self.phase = Some(line.phase.clone());
        }
        self.text.clone_from(&line.text);
        self.stage = match line.event {
            PhaseEvent::Start => Stage::Working,
            PhaseEvent::Wait => Stage::Waiting,
            PhaseEvent::Fail => Stage::Failed,
            PhaseEvent::Done if line.is_ready() => Stage::Ready,
            PhaseEvent::Done => Stage::Working,
        };
    }
}

#[cfg(test)]
mod tests;
