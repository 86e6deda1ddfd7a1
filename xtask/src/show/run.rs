//! One run of a verb on a lab: its timeline, written as it happens, and what of it the screen shows.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use crate::error::Error;
use crate::lab_dir::LabDir;
use crate::show::screen::Screen;
use crate::show::timeline::{Outcome, RUN, Timeline, seconds};
use crate::state::write;

/// One run of a verb on a lab; every thread of it may report.
pub(crate) struct Run<'a> {
    /// Where progress is shown.
    pub(crate) screen: &'a Screen,
    began: Instant,
    began_unix_ms: i64,
    timeline: Mutex<Timeline>,
    path: PathBuf,
}

impl<'a> Run<'a> {
    /// Begins a run; the lab's folder must exist.
    pub(crate) fn begin(verb: &str, lab: &str, dir: &LabDir, screen: &'a Screen) -> Self {
        let now = Timestamp::now();
        let began_unix_ms = now.as_millisecond();
        Self {
            screen,
            began: Instant::now(),
            began_unix_ms,
            timeline: Mutex::new(Timeline::begin(verb, lab, began_unix_ms)),
            path: dir.timeline(&now.strftime("%Y%m%dT%H%M%S.%3fZ").to_string()),
        }
    }

    /// Does one step of the run under the name `phase`.
    ///
    /// # Errors
    ///
    /// What `work` returns.
    pub(crate) fn step<T>(
        &self,
        phase: &str,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.span(phase, false, work)
    }

    /// Waits, under the name `phase`, for what others report phase by phase.
    ///
    /// # Errors
    ///
    /// What `work` returns.
    pub(crate) fn wait<T>(
        &self,
        phase: &str,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.span(phase, true, work)
    }

    fn span<T>(
        &self,
        phase: &str,
        waits: bool,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.start(RUN, phase, waits, "");
        let result = work();
        let outcome = match &result {
            Ok(_) => Outcome::Done,
            Err(error) => outcome_of(error),
        };
        self.end(RUN, phase, outcome, "");
        result
    }

    /// `subject` begins `phase`, now.
    pub(crate) fn start(&self, subject: &str, phase: &str, waits: bool, note: &str) {
        self.timeline()
            .start(subject, phase, self.now_ms(), waits, note);
        self.save();
    }

    /// `subject` ends `phase`, now.
    pub(crate) fn end(&self, subject: &str, phase: &str, outcome: Outcome, note: &str) {
        self.timeline()
            .end(subject, phase, self.now_ms(), outcome, note);
        self.save();
    }

    /// `subject` ends `phase`, now, unless it has ended already.
    pub(crate) fn end_if_open(&self, subject: &str, phase: &str, outcome: Outcome) {
        let open = self.timeline().is_open(subject, phase);
        if open {
            self.end(subject, phase, outcome, "");
        }
    }

    /// Now, in milliseconds since 1970.
    pub(crate) fn unix_ms(&self) -> u64 {
        u64::try_from(self.began_unix_ms + self.now_ms()).unwrap_or_default()
    }

    /// A machine reports, by its own clock, in milliseconds since 1970; what it did before this run is no part of it.
    ///
    /// Returns whether it is.
    pub(crate) fn report(&self, unix_ms: i64, change: impl FnOnce(&mut Timeline, i64)) -> bool {
        let at_ms = unix_ms - self.began_unix_ms;
        if at_ms >= 0 {
            change(&mut self.timeline(), at_ms);
            self.save();
        }
        at_ms >= 0
    }

    /// Ends the run and returns what happened in it.
    pub(crate) fn finish(&self, outcome: Outcome) -> Timeline {
        self.timeline().close(self.now_ms(), outcome);
        self.save();
        self.timeline().clone()
    }

    /// How long the run has taken so far, in words.
    pub(crate) fn so_far(&self) -> String {
        seconds(self.now_ms())
    }

    /// The file that keeps the timeline.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Writes the file after each change, so that a killed run leaves what it knew.
    fn save(&self) {
        let text = serde_json::to_vec_pretty(&*self.timeline()).expect("a timeline is plain data");
        // A timeline that cannot be kept (full disk) must not stop the work that it tells of; the next file that
        // matters will say so.
        drop(write::if_changed(&self.path, 0o600, &text));
    }

    fn timeline(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a phase that returned `error` ended.
pub(crate) fn outcome_of(error: &Error) -> Outcome {
    if error.is_interrupt() {
        Outcome::Interrupted
    } else {
        Outcome::Failed
    }
}
