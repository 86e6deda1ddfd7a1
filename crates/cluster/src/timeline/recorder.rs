//! Records a run while it goes on: the clock, and a timeline that every thread may add to.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{PhaseOutcome, RUN, Timeline};

/// Hears of each change of the timeline, such as to write its file; it is called under the timeline's lock, so that the
/// last call has the last state.
type Keep = dyn Fn(&Timeline) + Send + Sync;

/// Records one run of a verb on a lab; every thread of it may report. Knows neither a screen nor a file.
pub struct Recorder {
    began: Instant,
    began_unix_ms: i64,
    timeline: Mutex<Timeline>,
    keep: Box<Keep>,
}

impl Recorder {
    /// Begins a run of `verb` on `lab`, now; `keep` is given the whole timeline after each change.
    pub fn begin(verb: &str, lab: &str, keep: impl Fn(&Timeline) + Send + Sync + 'static) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let began_unix_ms = since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
        Self {
            began: Instant::now(),
            began_unix_ms,
            timeline: Mutex::new(Timeline::begin(verb, lab, began_unix_ms)),
            keep: Box::new(keep),
        }
    }

    /// Does `work` as the phase `phase` of the run itself; `waits` says that it only waits for what others report phase by
    /// phase, and `outcome_of` how a phase ended that returned an error.
    ///
    /// # Errors
    ///
    /// What `work` returns.
    pub fn span<T, E>(
        &self,
        phase: &str,
        waits: bool,
        outcome_of: impl FnOnce(&E) -> PhaseOutcome,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.start(RUN, phase, waits, "");
        let result = work();
        let outcome = result.as_ref().err().map_or(PhaseOutcome::Done, outcome_of);
        self.end(RUN, phase, outcome, "");
        result
    }

    /// `subject` begins `phase`, now.
    pub fn start(&self, subject: &str, phase: &str, waits: bool, note: &str) {
        let at_ms = self.now_ms();
        self.change(|timeline| timeline.start(subject, phase, at_ms, waits, note));
    }

    /// `subject` ends `phase`, now.
    pub fn end(&self, subject: &str, phase: &str, outcome: PhaseOutcome, note: &str) {
        let at_ms = self.now_ms();
        self.change(|timeline| timeline.end(subject, phase, at_ms, outcome, note));
    }

    /// `subject` ends `phase`, now, unless it has ended already.
    pub fn end_if_open(&self, subject: &str, phase: &str, outcome: PhaseOutcome) {
        let at_ms = self.now_ms();
        self.change(|timeline| {
            if timeline.is_open(subject, phase) {
                timeline.end(subject, phase, at_ms, outcome, "");
            }
        });
    }

    /// A machine reports, by its own clock, in milliseconds since 1970; what it did before this run is no part of it.
    ///
    /// Returns whether it is.
    pub fn report(&self, unix_ms: i64, change: impl FnOnce(&mut Timeline, i64)) -> bool {
        let at_ms = unix_ms - self.began_unix_ms;
        if at_ms >= 0 {
            self.change(|timeline| change(timeline, at_ms));
        }
        at_ms >= 0
    }

    /// Ends the run, and with it whatever still goes on; returns what happened in it.
    pub fn finish(&self, outcome: PhaseOutcome) -> Timeline {
        let at_ms = self.now_ms();
        self.change(|timeline| timeline.close(at_ms, outcome));
        self.timeline().clone()
    }

    /// Now, in milliseconds since 1970.
    pub fn unix_ms(&self) -> u64 {
        u64::try_from(self.began_unix_ms + self.now_ms()).unwrap_or_default()
    }

    /// Now, in milliseconds since the run began.
    pub fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn change(&self, change: impl FnOnce(&mut Timeline)) {
        let mut timeline = self.timeline();
        change(&mut timeline);
        (self.keep)(&timeline);
    }

    fn timeline(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_change_is_kept_and_the_last_one_is_the_end() {
        let kept: Arc<Mutex<Vec<Timeline>>> = Arc::default();
        let keep = {
            let kept = Arc::clone(&kept);
            move |timeline: &Timeline| kept.lock().expect("whole").push(timeline.clone())
        };
        let recorder = Recorder::begin("up", "ha", keep);
        let good = recorder.span("files", false, |_: &()| PhaseOutcome::Failed, || Ok(3));
        assert_eq!(good, Ok(3));
        let bad = recorder.span(
            "machines",
            true,
            |()| PhaseOutcome::Interrupted,
            || {
                recorder.start("one", "create", false, "");
                Err::<(), ()>(())
            },
        );
        assert_eq!(bad, Err(()));
        recorder.end_if_open("one", "create", PhaseOutcome::Failed);
        recorder.end_if_open("one", "create", PhaseOutcome::Done);
        let end = recorder.finish(PhaseOutcome::Interrupted);
        let told: Vec<_> = end
            .spans
            .iter()
            .map(|span| (span.phase.as_str(), span.waits, span.outcome))
            .collect();
        assert_eq!(
            told,
            [
                ("files", false, PhaseOutcome::Done),
                ("machines", true, PhaseOutcome::Interrupted),
                ("create", false, PhaseOutcome::Failed),
            ]
        );
        let kept = kept.lock().expect("whole");
        assert_eq!(kept.first().map(|first| first.spans.len()), Some(1));
        assert_eq!(kept.last(), Some(&end));
        assert!(end.began_unix_ms > 1_700_000_000_000);
    }
}
