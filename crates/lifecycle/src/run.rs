//! One run of something on a lab: its timeline, written as it happens, and who is told of it.

use std::fmt;
use std::path::{Path, PathBuf};

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::recorder::Recorder;
use caravan_cluster::timeline::{PhaseOutcome, Timeline, seconds};
use jiff::Timestamp;

use crate::events::{LifecycleEvent, LifecycleObserver, LifecycleWarning};
use crate::{Error, LabDir};

/// One run of something, such as `up`, on a lab; every thread of it may report.
pub struct LabRun<'a> {
    observer: &'a dyn LifecycleObserver,
    recorder: Recorder,
    path: PathBuf,
}

/// An error that tells whether it is the user's wish to stop.
pub trait Interruptible {
    /// Whether the user stopped what failed.
    fn is_interrupt(&self) -> bool;
}

impl Interruptible for Error {
    fn is_interrupt(&self) -> bool {
        Self::is_interrupt(self)
    }
}

impl fmt::Debug for LabRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabRun")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<'a> LabRun<'a> {
    /// Begins a run of `verb`, now; the lab's folder must exist.
    pub fn begin(verb: &str, lab: &str, dir: &LabDir, observer: &'a dyn LifecycleObserver) -> Self {
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%S.%3fZ");
        let path = dir.timeline(&now.to_string());
        let file = path.clone();
        Self {
            observer,
            recorder: Recorder::begin(verb, lab, move |timeline| save(&file, timeline)),
            path,
        }
    }

    /// Does one step of the run under the name `phase`.
    ///
    /// # Errors
    ///
    /// What `work` returns.
    pub fn step<T, E: Interruptible>(
        &self,
        phase: &str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.recorder.span(phase, false, outcome_of, work)
    }

    /// Waits, under the name `phase`, for what others report phase by phase.
    ///
    /// # Errors
    ///
    /// What `work` returns.
    pub fn wait<T, E: Interruptible>(
        &self,
        phase: &str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.recorder.span(phase, true, outcome_of, work)
    }

    /// `subject` begins `phase`, now.
    pub fn start(&self, subject: &str, phase: impl Into<Phase>, waits: bool, note: &str) {
        self.recorder.start(subject, phase, waits, note);
    }

    /// `subject` ends `phase`, now.
    pub fn end(&self, subject: &str, phase: impl Into<Phase>, outcome: PhaseOutcome, note: &str) {
        self.recorder.end(subject, phase, outcome, note);
    }

    /// `subject` ends `phase`, now, unless it has ended already.
    pub fn end_if_open(&self, subject: &str, phase: impl Into<Phase>, outcome: PhaseOutcome) {
        self.recorder.end_if_open(subject, phase, outcome);
    }

    /// What is heard of machines goes there.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Ends the run and returns what happened in it.
    pub fn finish(&self, outcome: PhaseOutcome) -> Timeline {
        self.recorder.finish(outcome)
    }

    /// How long the run has taken so far, in words.
    pub fn so_far(&self) -> String {
        seconds(self.recorder.now_ms())
    }

    /// The file that keeps the timeline.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who is told what happens.
    pub fn observer(&self) -> &'a dyn LifecycleObserver {
        self.observer
    }

    /// Tells that `subject` begins something.
    pub fn tell_begin(&self, subject: &str, text: &str) {
        self.observer
            .event(&LifecycleEvent::Began { subject, text });
    }

    /// Tells more about what `subject` does.
    pub fn tell_detail(&self, subject: &str, text: &str) {
        self.observer
            .event(&LifecycleEvent::Detail { subject, text });
    }

    /// Tells that `subject` is done with something.
    pub fn tell_end(&self, subject: &str, text: &str) {
        self.observer
            .event(&LifecycleEvent::Ended { subject, text });
    }

    /// Tells that the step called `word` is done, and what it did is kept by those that it was done to.
    pub fn reached(&self, word: &str) {
        self.observer.event(&LifecycleEvent::Reached(word));
    }

    /// Tells something that stays worth reading.
    pub fn note(&self, text: &str) {
        self.observer.event(&LifecycleEvent::Noted(text));
    }

    /// Tells what is not as it should be.
    pub fn warn(&self, warning: &LifecycleWarning) {
        self.observer.event(&LifecycleEvent::Warned(warning));
    }

    /// Tells that the user was heard.
    pub fn stopping(&self) {
        self.observer.event(&LifecycleEvent::Stopping);
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
pub fn outcome_of(error: &impl Interruptible) -> PhaseOutcome {
    if error.is_interrupt() {
        PhaseOutcome::Interrupted
    } else {
        PhaseOutcome::Failed
    }
}
