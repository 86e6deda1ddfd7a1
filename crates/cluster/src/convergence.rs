//! How far each machine has come, told by what its journal says. Pure: it takes news and changes state.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::progress::{Event, Progress, READY};
use crate::watch::{News, What};

/// How far the machines of a lab have come.
#[derive(Debug, Clone, Default)]
pub struct Convergence {
    machines: BTreeMap<String, Machine>,
}

/// How far one machine has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// What it is about.
    pub stage: Stage,
    /// The phase that it is in, or was in when it stopped; empty before it was heard.
    pub phase: String,
    /// Since when it is in this phase, in milliseconds since 1970.
    pub since_ms: u64,
    /// What it said last: what it waits for, or why it failed.
    pub text: String,
    /// The phases that have begun, in order.
    pub spans: Vec<Span>,
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

/// One phase of one machine in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The phase.
    pub phase: String,
    /// When it began, in milliseconds since 1970.
    pub start_ms: u64,
    /// When it was done; `None` while it is not.
    pub end_ms: Option<u64>,
    /// How many times it failed.
    pub failures: u32,
}

impl Convergence {
    /// Nothing heard yet from `machines`, at `now_ms`, milliseconds since 1970.
    pub fn new<'a>(machines: impl IntoIterator<Item = &'a str>, now_ms: u64) -> Self {
        let unheard = |name: &str| {
            let machine = Machine {
                stage: Stage::Unreached,
                phase: String::new(),
                since_ms: now_ms,
                text: String::new(),
                spans: Vec::new(),
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
    pub fn hear(&mut self, news: &News) -> bool {
        let Some(machine) = self.machines.get_mut(&news.machine) else {
            return false;
        };
        let before = machine.clone();
        match &news.what {
            What::Reached => {
                if machine.stage == Stage::Unreached {
                    machine.stage = Stage::Working;
                }
            }
            What::Said(progress) => machine.hear(progress),
            What::Lost(why) | What::GaveUp(why) => {
                if machine.stage != Stage::Ready {
                    machine.stage = Stage::Unreached;
                    machine.text.clone_from(why);
                }
            }
        }
        *machine != before
    }

    /// The machines by name.
    pub fn machines(&self) -> impl Iterator<Item = (&str, &Machine)> {
        self.machines
            .iter()
            .map(|(name, machine)| (name.as_str(), machine))
    }

    /// The machine called `name`.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.get(name)
    }

    /// Whether every machine is ready.
    pub fn all_ready(&self) -> bool {
        self.machines
            .values()
            .all(|machine| machine.stage == Stage::Ready)
    }

    /// The machines whose phase failed, by name.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &Machine)> {
        self.machines()
            .filter(|(_, machine)| machine.stage == Stage::Failed)
    }

    /// The machines that are not ready, by name.
    pub fn unfinished(&self) -> impl Iterator<Item = (&str, &Machine)> {
        self.machines()
            .filter(|(_, machine)| machine.stage != Stage::Ready)
    }
}

impl Machine {
    fn hear(&mut self, progress: &Progress) {
        let Progress {
            at_ms,
            phase,
            event,
            text,
        } = progress;
        if self.stage == Stage::Unreached {
            self.stage = Stage::Working;
        }
        if *event == Event::Start || self.phase != *phase {
            // A machine that begins again, after a failure or a reboot, walks through its phases once more; what it
            // repeats is a new span.
            self.since_ms = *at_ms;
            self.phase.clone_from(phase);
            if *event != Event::Done {
                self.begin(phase, *at_ms);
            }
        }
        self.text.clone_from(text);
        self.stage = match event {
            Event::Start => Stage::Working,
            Event::Wait => Stage::Waiting,
            Event::Fail => Stage::Failed,
            Event::Done if phase == READY => Stage::Ready,
            Event::Done => Stage::Working,
        };
        let open = self
            .spans
            .iter_mut()
            .rev()
            .find(|span| span.phase == *phase && span.end_ms.is_none());
        match (event, open) {
            (Event::Done, Some(span)) => span.end_ms = Some(*at_ms),
            (Event::Done, None) => self.spans.push(Span {
                phase: phase.clone(),
                start_ms: *at_ms,
                end_ms: Some(*at_ms),
                failures: 0,
            }),
            (Event::Fail, Some(span)) => span.failures += 1,
            _ => {}
        }
    }

    fn begin(&mut self, phase: &str, at_ms: u64) {
        let last = self.spans.last();
        if last.is_some_and(|span| span.phase == phase && span.end_ms.is_none()) {
            return;
        }
        self.spans.push(Span {
            phase: phase.to_owned(),
            start_ms: at_ms,
            end_ms: None,
            failures: 0,
        });
    }
}

#[cfg(test)]
mod tests;
