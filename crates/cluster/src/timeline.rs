//! What a run of a verb did and when: recorded as it happens, kept as JSON, read back by whoever asks.
//!
//! A [`Timeline`] is data, and each of its methods a pure function of the spans recorded so far; a
//! [`Recorder`](recorder::Recorder) supplies the clock.

pub mod critical;
pub mod recorder;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::phase::{Phase, PhaseEvent, PhaseLine};

/// The subject of what is done once for the whole run and on no machine; no machine can have this name.
pub const RUN: &str = "(run)";

/// One run of a verb on a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Such as `up`.
    pub verb: String,
    /// The lab's name.
    pub lab: String,
    /// When the run began, milliseconds since 1970.
    pub began_unix_ms: i64,
    /// How it ended, or that it has not.
    pub outcome: PhaseOutcome,
    /// What happened, in the order of beginning.
    pub spans: Vec<Span>,
}

/// One phase of the run, or of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// [`RUN`], or the machine's name.
    pub subject: String,
    /// What it is.
    pub phase: Phase,
    /// Milliseconds since the run began.
    pub from_ms: i64,
    /// Milliseconds since the run began; none while it goes on.
    pub to_ms: Option<i64>,
    /// Whether it only waits for something else.
    pub waits: bool,
    /// How it ended, or that it has not.
    pub outcome: PhaseOutcome,
    /// What was last said about it.
    pub note: String,
}

/// How a run or a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseOutcome {
    /// It has not ended; in a file, its runner was killed.
    Running,
    /// As it should.
    Done,
    /// Not as it should.
    Failed,
    /// The user stopped it.
    Interrupted,
}

impl Timeline {
    /// A run that begins now.
    pub fn begin(verb: &str, lab: &str, began_unix_ms: i64) -> Self {
        Self {
            verb: verb.to_owned(),
            lab: lab.to_owned(),
            began_unix_ms,
            outcome: PhaseOutcome::Running,
            spans: Vec::new(),
        }
    }

    /// Begins `phase` of `subject` at `at_ms`, or goes on with it where it runs already.
    ///
    /// `waits` says that it does nothing itself; it counts as work once anything else was said of it.
    pub fn start(
        &mut self,
        subject: &str,
        phase: impl Into<Phase>,
        at_ms: i64,
        waits: bool,
        note: &str,
    ) {
        let phase = phase.into();
        match self.open(subject, &phase) {
            Some(span) => {
                span.waits &= waits;
                note.clone_into(&mut span.note);
            }
            None => self.spans.push(Span {
                subject: subject.to_owned(),
                phase,
                from_ms: at_ms,
                to_ms: None,
                waits,
                outcome: PhaseOutcome::Running,
                note: note.to_owned(),
            }),
        }
    }

    /// Ends `phase` of `subject` at `at_ms`; a phase that was never seen to begin, began where the one before it ended.
    pub fn end(
        &mut self,
        subject: &str,
        phase: impl Into<Phase>,
        at_ms: i64,
        outcome: PhaseOutcome,
        note: &str,
    ) {
        let phase = phase.into();
        if self.open(subject, &phase).is_none() {
            let from_ms = self.last_end(subject).map_or(at_ms, |end| end.min(at_ms));
            self.start(subject, phase.clone(), from_ms, false, note);
        }
        if let Some(span) = self.open(subject, &phase) {
            span.to_ms = Some(at_ms.max(span.from_ms));
            span.outcome = outcome;
            if !note.is_empty() {
                note.clone_into(&mut span.note);
            }
        }
    }

    /// Takes in what `machine` has printed of itself, which was at `at_ms`.
    pub fn hear(&mut self, machine: &str, line: &PhaseLine, at_ms: i64) {
        let (phase, text) = (line.phase.clone(), line.text.as_str());
        match line.event {
            PhaseEvent::Start | PhaseEvent::Wait => {
                let waits = phase.waits();
                self.start(machine, phase, at_ms, waits, text);
            }
            PhaseEvent::Done => self.end(machine, phase, at_ms, PhaseOutcome::Done, text),
            PhaseEvent::Fail => self.end(machine, phase, at_ms, PhaseOutcome::Failed, text),
        }
    }

    /// How often `phase` of `subject` has failed in this run; each try is a span, whatever lies between.
    pub fn failures(&self, subject: &str, phase: &Phase) -> usize {
        let spans = self.spans.iter();
        spans
            .filter(|span| span.subject == subject && span.phase == *phase)
            .filter(|span| span.outcome == PhaseOutcome::Failed)
            .count()
    }

    /// Ends the run, and with it whatever still goes on.
    ///
    /// A machine begins to make itself while Vagrant still finishes with it: what overlaps counts as its own work.
    pub fn close(&mut self, at_ms: i64, outcome: PhaseOutcome) {
        for place in 0..self.spans.len() {
            if self.spans[place].phase == Phase::Create {
                let (from, subject) =
                    (self.spans[place].from_ms, self.spans[place].subject.clone());
                let own = self
                    .spans
                    .iter()
                    .filter(|span| {
                        span.subject == subject
                            && span.phase != Phase::Create
                            && span.from_ms >= from
                    })
                    .map(|span| span.from_ms)
                    .min();
                if let (Some(own), Some(to)) = (own, self.spans[place].to_ms) {
                    self.spans[place].to_ms = Some(to.min(own));
                }
            }
        }
        for span in &mut self.spans {
            if span.to_ms.is_none() {
                span.to_ms = Some(at_ms.max(span.from_ms));
                span.outcome = outcome;
            }
        }
        self.outcome = outcome;
    }

    /// Whether `phase` of `subject` has begun and not ended.
    pub fn is_open(&self, subject: &str, phase: &Phase) -> bool {
        self.spans
            .iter()
            .any(|span| span.subject == subject && span.phase == *phase && span.to_ms.is_none())
    }

    /// How long the run took so far, in milliseconds.
    pub fn length_ms(&self) -> i64 {
        self.spans
            .iter()
            .map(|span| span.to_ms.unwrap_or(span.from_ms))
            .max()
            .unwrap_or(0)
    }

    fn open(&mut self, subject: &str, phase: &Phase) -> Option<&mut Span> {
        self.spans
            .iter_mut()
            .rev()
            .find(|span| span.subject == subject && span.phase == *phase && span.to_ms.is_none())
    }

    fn last_end(&self, subject: &str) -> Option<i64> {
        self.spans
            .iter()
            .filter(|span| span.subject == subject)
            .filter_map(|span| span.to_ms)
            .max()
    }
}

/// The file of the newest run of those in `folder`, which are called by the time at which each began.
///
/// # Errors
///
/// That of reading the folder; [`ErrorKind::NotFound`] too where no run is in it.
pub fn newest_file(folder: &Path) -> io::Result<PathBuf> {
    let files = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .max()
        .ok_or_else(|| io::Error::from(ErrorKind::NotFound))
}

/// `ms` as seconds with one decimal, such as `12.3 s`.
pub fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests;
