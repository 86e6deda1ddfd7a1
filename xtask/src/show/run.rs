//! One run of a verb on a lab: its timeline, written as it happens, and what of it the screen shows.

use std::path::{Path, PathBuf};

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::recorder::Recorder;
use caravan_cluster::timeline::{PhaseOutcome, Timeline, seconds};
use jiff::Timestamp;

use crate::error::Error;
use crate::lab_dir::LabDir;
use crate::show::screen::Screen;

/// One run of a verb on a lab; every thread of it may report.
pub(crate) struct Run<'a> {
    /// Where progress is shown.
    pub(crate) screen: &'a Screen,
    recorder: Recorder,
    path: PathBuf,
}

impl<'a> Run<'a> {
    /// Begins a run; the lab's folder must exist.
    pub(crate) fn begin(verb: &str, lab: &str, dir: &LabDir, screen: &'a Screen) -> Self {
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ");
        let path = dir.timeline(&now.to_string());
        let file = path.clone();
        Self {
            screen,
            recorder: Recorder::begin(verb, lab, move |timeline| save(&file, timeline)),
            path,
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
        self.recorder.span(phase, false, outcome_of, work)
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
        self.recorder.span(phase, true, outcome_of, work)
    }

    /// `subject` begins `phase`, now.
    pub(crate) fn start(&self, subject: &str, phase: impl Into<Phase>, waits: bool, note: &str) {
        self.recorder.start(subject, phase, waits, note);
    }

    /// `subject` ends `phase`, now.
    pub(crate) fn end(
        &self,
        subject: &str,
        phase: impl Into<Phase>,
        outcome: PhaseOutcome,
        note: &str,
    ) {
        self.recorder.end(subject, phase, outcome, note);
    }

    /// `subject` ends `phase`, now, unless it has ended already.
    pub(crate) fn end_if_open(
        &self,
        subject: &str,
        phase: impl Into<Phase>,
        outcome: PhaseOutcome,
    ) {
        self.recorder.end_if_open(subject, phase, outcome);
    }

    /// What is heard of machines goes there.
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Ends the run and returns what happened in it.
    pub(crate) fn finish(&self, outcome: PhaseOutcome) -> Timeline {
        self.recorder.finish(outcome)
    }

    /// How long the run has taken so far, in words.
    pub(crate) fn so_far(&self) -> String {
        seconds(self.recorder.now_ms())
    }

    /// The file that keeps the timeline.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes the file after each change, so that a killed run leaves what it knew.
fn save(path: &Path, timeline: &Timeline) {
    let text = serde_json::to_vec_pretty(timeline).expect("a timeline is plain data");
    // A timeline that cannot be kept (full disk) must not stop the work that it tells of; the next file that matters
    // will say so.
    drop(caravan_files::write_if_changed(path, 0o600, &text));
}

/// How a phase that returned `error` ended.
pub(crate) fn outcome_of(error: &Error) -> PhaseOutcome {
    if error.is_interrupt() {
        PhaseOutcome::Interrupted
    } else {
        PhaseOutcome::Failed
    }
}
