//! Records a run while it goes on: the clock, and a timeline that every thread may add to.

mod clock;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{PhaseOutcome, RUN, Timeline};
use crate::phase::{Phase, PhaseLine};

pub use clock::LineClock;
pub(crate) use clock::unix_ms;

/// Hears of each change of the timeline, such as to write its file; it is called under the timeline's lock, so that the
/// last call has the last state.
type Keep = dyn Fn(&Timeline) + Send + Sync;

/// Records one run of a verb on a lab; every thread of it may report. Knows neither a screen nor a file.
pub struct Recorder {
    began: Instant,
    began_unix_ms: i64,
    record: Mutex<Record>,
    keep: Box<Keep>,
}

struct Record {
    timeline: Timeline,
    /// The machines that are known to have done something in this run, and when they were heard of last, in milliseconds
    /// since it began.
    heard: BTreeMap<String, i64>,
}

impl Recorder {
    /// Begins a run of `verb` on `lab`, now; `keep` is given the whole timeline after each change.
    pub fn begin(verb: &str, lab: &str, keep: impl Fn(&Timeline) + Send + Sync + 'static) -> Self {
        let began_unix_ms = i64::try_from(unix_ms()).unwrap_or(i64::MAX);
        Self {
            began: Instant::now(),
            began_unix_ms,
            record: Mutex::new(Record {
                timeline: Timeline::begin(verb, lab, began_unix_ms),
                heard: BTreeMap::new(),
            }),
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
    pub fn start(&self, subject: &str, phase: impl Into<Phase>, waits: bool, note: &str) {
        let at_ms = self.now_ms();
        self.change(|timeline| timeline.start(subject, phase, at_ms, waits, note));
    }

    /// `subject` ends `phase`, now.
    pub fn end(&self, subject: &str, phase: impl Into<Phase>, outcome: PhaseOutcome, note: &str) {
        let at_ms = self.now_ms();
        self.change(|timeline| timeline.end(subject, phase, at_ms, outcome, note));
    }

    /// `subject` ends `phase`, now, unless it has ended already.
    pub fn end_if_open(&self, subject: &str, phase: impl Into<Phase>, outcome: PhaseOutcome) {
        let (phase, at_ms) = (phase.into(), self.now_ms());
        self.change(|timeline| {
            if timeline.is_open(subject, &phase) {
                timeline.end(subject, phase, at_ms, outcome, "");
            }
        });
    }

    /// `machine` is made anew in this run, so whatever its journal holds is of this run, whatever its clock says.
    pub fn made(&self, machine: &str) {
        let mut record = self.record();
        record.heard.entry(machine.to_owned()).or_insert(0);
    }

    /// `machine` has printed `line`; what it did before this run is no part of it.
    ///
    /// Lines must come in the order of the machine's journal. Returns whether this one is of this run.
    ///
    /// A journal is read from its beginning, so some of it may be history, and a machine's clock may be off. A line is of
    /// this run if it comes after one that is, if the machine was [made](Self::made) in it, or if it was printed after the
    /// run began by the clock of this computer, which [`LineClock`] compares with the machine's.
    pub fn hear(&self, machine: &str, line: &PhaseLine, clock: LineClock) -> bool {
        let mut record = self.record();
        let before = record.heard.get(machine).copied();
        let Some(at_ms) = clock.moment(line.at_ms, self.began_unix_ms, before) else {
            return false;
        };
        record.heard.insert(machine.to_owned(), at_ms);
        record.timeline.hear(machine, line, at_ms);
        (self.keep)(&record.timeline);
        true
    }

    /// How often `phase` of `subject` has failed in this run.
    pub fn failures(&self, subject: &str, phase: &Phase) -> usize {
        self.record().timeline.failures(subject, phase)
    }

    /// Ends the run, and with it whatever still goes on; returns what happened in it.
    pub fn finish(&self, outcome: PhaseOutcome) -> Timeline {
        let at_ms = self.now_ms();
        self.change(|timeline| timeline.close(at_ms, outcome));
        self.record().timeline.clone()
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
        let mut record = self.record();
        change(&mut record.timeline);
        (self.keep)(&record.timeline);
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
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
            .map(|span| (span.phase.name(), span.waits, span.outcome))
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

    /// How many lines of a journal are of a run that begins now, and of which phases.
    fn of_this_run(made: bool, ahead_ms: i64, lines: &[(i64, &str)]) -> Vec<String> {
        let recorder = Recorder::begin("up", "ha", |_| {});
        if made {
            recorder.made("one");
        }
        let now_ms = unix_ms();
        let clock = LineClock {
            heard_ms: now_ms + 60_000,
            ahead_ms,
        };
        let heard: Vec<bool> = lines
            .iter()
            .map(|(after_ms, said)| {
                let at_ms = now_ms.saturating_add_signed(ahead_ms + after_ms);
                let line = PhaseLine::parse(&format!("CARAVAN {at_ms} {said}"));
                recorder.hear("one", &line.expect("a line of a phase"), clock)
            })
            .collect();
        let spans = recorder.finish(PhaseOutcome::Done).spans;
        assert!(spans.is_sorted_by_key(|span| span.from_ms), "{spans:?}");
        assert!(spans.iter().all(|span| span.to_ms >= Some(span.from_ms)));
        let news = heard.iter().filter(|is_new| **is_new).count();
        let mut told = vec![news.to_string()];
        told.extend(spans.iter().map(|span| span.phase.to_string()));
        told
    }

    #[test]
    fn no_line_of_this_run_is_lost_to_a_clock_and_no_older_one_is_taken_for_it() {
        const HOUR: i64 = 3_600_000;
        let lines = [
            (-9000, "prepare start"),
            (-8000, "ready done"),
            (5000, "prepare start"),
            (6000, "prepare done"),
            (7000, "join start"),
            (8000, "join done"),
        ];
        for ahead_ms in [0, -HOUR, HOUR] {
            let told = of_this_run(false, ahead_ms, &lines);
            assert_eq!(told, ["4", "prepare", "join"], "{ahead_ms}");
        }
        // Set back while it joined.
        let set_back = [lines[2], lines[3], lines[4], (8000 - HOUR, "join done")];
        assert_eq!(of_this_run(false, 0, &set_back), ["4", "prepare", "join"]);
        // Set right before anybody reached it: only who knows that it was made in this run can tell.
        let set_right = [
            (5000 - HOUR, "prepare start"),
            (6000 - HOUR, "prepare done"),
            lines[4],
            lines[5],
        ];
        assert_eq!(of_this_run(true, 0, &set_right), ["4", "prepare", "join"]);
        assert_eq!(of_this_run(false, 0, &set_right), ["2", "join"]);
    }
}
