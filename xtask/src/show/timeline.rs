//! What a run did and when: recorded as it happens, kept as JSON, shown as a table.
//!
//! Everything here is a pure function of the spans recorded so far; `run.rs` supplies the clock and the file.

pub(crate) mod critical;
pub(crate) mod table;

use serde::Serialize;

/// The subject of what is done once for the whole run and on no machine; no machine can have this name.
pub(crate) const RUN: &str = "(run)";

/// The phase of a machine from the beginning of `vagrant up` to its own first phase.
pub(crate) const CREATE: &str = "create";

/// One run of a verb on a lab.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Timeline {
    /// Such as `up`.
    pub(crate) verb: String,
    /// The lab's name.
    pub(crate) lab: String,
    /// When the run began, milliseconds since 1970.
    pub(crate) began_unix_ms: i64,
    /// How it ended, or that it has not.
    pub(crate) outcome: Outcome,
    /// What happened, in the order of beginning.
    pub(crate) spans: Vec<Span>,
}

/// One phase of the run, or of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    /// [`RUN`], or the machine's name.
    pub(crate) subject: String,
    /// What it is, such as `create` or `init`.
    pub(crate) phase: String,
    /// Milliseconds since the run began.
    pub(crate) from_ms: i64,
    /// Milliseconds since the run began; none while it goes on.
    pub(crate) to_ms: Option<i64>,
    /// Whether it only waits for something else.
    pub(crate) waits: bool,
    /// How it ended, or that it has not.
    pub(crate) outcome: Outcome,
    /// What was last said about it.
    pub(crate) note: String,
}

/// How a run or a phase ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
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
    pub(crate) fn begin(verb: &str, lab: &str, began_unix_ms: i64) -> Self {
        Self {
            verb: verb.to_owned(),
            lab: lab.to_owned(),
            began_unix_ms,
            outcome: Outcome::Running,
            spans: Vec::new(),
        }
    }

    /// Begins `phase` of `subject` at `at_ms`, or goes on with it where it runs already.
    ///
    /// `waits` says that it does nothing itself; it counts as work once anything else was said of it.
    pub(crate) fn start(
        &mut self,
        subject: &str,
        phase: &str,
        at_ms: i64,
        waits: bool,
        note: &str,
    ) {
        match self.open(subject, phase) {
            Some(span) => {
                span.waits &= waits;
                note.clone_into(&mut span.note);
            }
            None => self.spans.push(Span {
                subject: subject.to_owned(),
                phase: phase.to_owned(),
                from_ms: at_ms,
                to_ms: None,
                waits,
                outcome: Outcome::Running,
                note: note.to_owned(),
            }),
        }
    }

    /// Ends `phase` of `subject` at `at_ms`; a phase that was never seen to begin, began where the one before it ended.
    pub(crate) fn end(
        &mut self,
        subject: &str,
        phase: &str,
        at_ms: i64,
        outcome: Outcome,
        note: &str,
    ) {
        if self.open(subject, phase).is_none() {
            let from_ms = self.last_end(subject).map_or(at_ms, |end| end.min(at_ms));
            self.start(subject, phase, from_ms, false, note);
        }
        if let Some(span) = self.open(subject, phase) {
            span.to_ms = Some(at_ms.max(span.from_ms));
            span.outcome = outcome;
            if !note.is_empty() {
                note.clone_into(&mut span.note);
            }
        }
    }

    /// Ends the run, and with it whatever still goes on.
    ///
    /// A machine begins to make itself while Vagrant still finishes with it: what overlaps counts as its own work.
    pub(crate) fn close(&mut self, at_ms: i64, outcome: Outcome) {
        for place in 0..self.spans.len() {
            if self.spans[place].phase == CREATE {
                let (from, subject) =
                    (self.spans[place].from_ms, self.spans[place].subject.clone());
                let own = self
                    .spans
                    .iter()
                    .filter(|span| {
                        span.subject == subject && span.phase != CREATE && span.from_ms >= from
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
    pub(crate) fn is_open(&self, subject: &str, phase: &str) -> bool {
        self.spans
            .iter()
            .any(|span| span.subject == subject && span.phase == phase && span.to_ms.is_none())
    }

    /// How long the run took so far, in milliseconds.
    pub(crate) fn length_ms(&self) -> i64 {
        self.spans
            .iter()
            .map(|span| span.to_ms.unwrap_or(span.from_ms))
            .max()
            .unwrap_or(0)
    }

    fn open(&mut self, subject: &str, phase: &str) -> Option<&mut Span> {
        self.spans
            .iter_mut()
            .rev()
            .find(|span| span.subject == subject && span.phase == phase && span.to_ms.is_none())
    }

    fn last_end(&self, subject: &str) -> Option<i64> {
        self.spans
            .iter()
            .filter(|span| span.subject == subject)
            .filter_map(|span| span.to_ms)
            .max()
    }
}

/// `ms` as seconds with one decimal, such as `12.3 s`.
pub(crate) fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests;
