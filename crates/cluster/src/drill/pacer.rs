//! An open loop: the next request never waits for the last, as users do not wait for each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::calm::Calm;
use super::haste::Haste;
use super::record::{ClientName, Micros, RequestOutcome, RequestRecord};

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// The clock of a drill.
#[derive(Debug, Clone, Copy)]
pub(super) struct DrillClock {
    began: Instant,
}

impl DrillClock {
    /// The drill begins now.
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// Microseconds since the drill began.
    pub(super) fn now(&self) -> Micros {
        micros(self.began.elapsed())
    }

    /// Sleeps until that time, which may be over.
    fn sleep_until(&self, at: Micros) {
        let now = self.now();
        if let Some(left) = at.checked_sub(now) {
            sleep(Duration::from_micros(left));
        }
    }
}

/// What a client does: makes the request of this number, and tells what it came to and what it wrote.
pub(super) type Ask<'a> = dyn Fn(u64) -> (RequestOutcome, Option<u64>) + Sync + 'a;

/// One client of a drill.
pub(super) struct Pacer<'a> {
    pub(super) clock: DrillClock,
    pub(super) client: ClientName,
    /// How often it asks at the usual pace.
    pub(super) period: Duration,
    /// How many times less often it asks now.
    pub(super) haste: &'a Haste,
    /// How long a request may take; an answer that comes later is none.
    pub(super) deadline: Duration,
    /// Hears how late requests are.
    pub(super) calm: &'a Calm,
    /// Ends the client.
    pub(super) stop: &'a AtomicBool,
}

impl Pacer<'_> {
    /// How many requests may be under way at once: all that fit into the deadline, and as many again for those that end late.
    fn workers(&self) -> usize {
        let within = self.deadline.as_micros() / self.period.as_micros().max(1);
        usize::try_from(2 * within + 4).unwrap_or(usize::MAX)
    }

    /// Makes requests until it is told to stop, and returns all of them. A request that finds nobody to make it is late, and
    /// that shows.
    pub(super) fn run(&self, ask: &Ask<'_>) -> Vec<RequestRecord> {
        let records = Mutex::new(Vec::new());
        let (sender, due) = channel();
        let due = Mutex::new(due);
        std::thread::scope(|scope| {
            for _ in 0..self.workers() {
                scope.spawn(|| self.work(&due, &records, ask));
            }
            let mut scheduled = self.clock.now();
            for number in 0.. {
                self.clock.sleep_until(scheduled);
                if self.stop.load(Ordering::Relaxed) || sender.send((number, scheduled)).is_err() {
                    break;
                }
                scheduled += self.now_every();
            }
            // The workers end when there is nothing due any more.
            drop(sender);
        });
        records.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it asks now.
    fn now_every(&self) -> Micros {
        micros(self.period) * self.haste.stretch()
    }

    fn work(
        &self,
        due: &Mutex<Receiver<(u64, Micros)>>,
        records: &Mutex<Vec<RequestRecord>>,
        ask: &Ask<'_>,
    ) {
        let next = || due.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok((number, scheduled)) = next() {
            let record = self.request(number, scheduled, ask);
            let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
            records.push(record);
        }
    }

    fn request(&self, number: u64, scheduled: Micros, ask: &Ask<'_>) -> RequestRecord {
        let sent = self.clock.now();
        let (mut outcome, wrote) = ask(number);
        let ended = self.clock.now();
        let took = Duration::from_micros(ended.saturating_sub(sent));
        if outcome.is_ok() && took > self.deadline && wrote.is_none() {
            // A write that was acknowledged late was acknowledged all the same: it must be there.
            outcome = RequestOutcome::Unknown("answered too late".to_owned());
        }
        self.note(scheduled, sent, ended, &outcome);
        RequestRecord {
            client: self.client.clone(),
            scheduled,
            sent,
            ended,
            outcome,
            wrote,
        }
    }

    fn note(&self, scheduled: Micros, sent: Micros, ended: Micros, outcome: &RequestOutcome) {
        let took = ended.saturating_sub(sent).max(1);
        let part = (self.client == ClientName::Reads).then(|| micros(self.deadline) / took);
        self.calm
            .note(sent.saturating_sub(scheduled), part, outcome.is_ok());
    }

    /// Makes one request after the other, each of which needs to know what the one before came to; those that are due meanwhile
    /// are left out.
    pub(super) fn one_by_one(
        &self,
        mut ask: impl FnMut() -> (RequestOutcome, Option<u64>),
    ) -> Vec<RequestRecord> {
        let mut records = Vec::new();
        let mut scheduled = self.clock.now();
        while !self.stop.load(Ordering::Relaxed) {
            self.clock.sleep_until(scheduled);
            let sent = self.clock.now();
            let (outcome, wrote) = ask();
            let ended = self.clock.now();
            self.note(scheduled, sent, ended, &outcome);
            records.push(RequestRecord {
                client: self.client.clone(),
                scheduled,
                sent,
                ended,
                outcome,
                wrote,
            });
            let period = self.now_every();
            scheduled += period;
            if scheduled < ended {
                scheduled += period * (ended - scheduled).div_ceil(period);
            }
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn pacer<'a>(stop: &'a AtomicBool, calm: &'a Calm, haste: &'a Haste) -> Pacer<'a> {
        Pacer {
            haste,
            calm,
            clock: DrillClock::begin(),
            client: ClientName::Reads,
            period: Duration::from_millis(5),
            deadline: Duration::from_millis(20),
            stop,
        }
    }

    #[test]
    fn nobody_waits_for_the_one_before() {
        let stop = AtomicBool::new(false);
        let hung = AtomicBool::new(true);
        let asked = AtomicUsize::new(0);
        let (calm, haste) = (Calm::default(), Haste::default());
        let records = pacer(&stop, &calm, &haste).run(&|number| {
            if number == 0 {
                while hung.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(1));
                }
                return (RequestOutcome::Ok, None);
            }
            if asked.fetch_add(1, Ordering::SeqCst) == 20 {
                hung.store(false, Ordering::SeqCst);
                stop.store(true, Ordering::SeqCst);
            }
            (RequestOutcome::Ok, None)
        });
        assert!(records.len() > 20);
        let first = records
            .iter()
            .find(|it| it.scheduled <= records[0].scheduled);
        assert!(first.is_some());
        let late = records.iter().filter(|it| !it.outcome.is_ok());
        let late: Vec<&RequestOutcome> = late.map(|it| &it.outcome).collect();
        // It was answered, too late.
        assert!(late.contains(&&RequestOutcome::Unknown("answered too late".to_owned())));
    }

    #[test]
    fn requests_are_scheduled_by_the_clock_alone() {
        let stop = AtomicBool::new(false);
        let asked = AtomicUsize::new(0);
        let (calm, haste) = (Calm::default(), Haste::default());
        let mut records = pacer(&stop, &calm, &haste).run(&|_| {
            if asked.fetch_add(1, Ordering::SeqCst) == 10 {
                stop.store(true, Ordering::SeqCst);
            }
            (RequestOutcome::Ok, None)
        });
        records.sort_by_key(|record| record.scheduled);
        for pair in records.windows(2) {
            assert_eq!(pair[1].scheduled - pair[0].scheduled, 5000);
            assert!(pair[0].sent >= pair[0].scheduled);
        }
    }

    #[test]
    fn a_chain_leaves_out_what_was_due_meanwhile() {
        let stop = AtomicBool::new(false);
        let mut steps = 0;
        let (calm, haste) = (Calm::default(), Haste::default());
        let records = pacer(&stop, &calm, &haste).one_by_one(|| {
            steps += 1;
            if steps == 2 {
                sleep(Duration::from_millis(12));
            }
            stop.store(steps == 4, Ordering::SeqCst);
            (RequestOutcome::Ok, Some(steps))
        });
        assert_eq!(records.len(), 4);
        assert!(records[2].scheduled - records[1].scheduled >= 15_000);
        assert_eq!((records[2].scheduled - records[1].scheduled) % 5000, 0);
    }

    #[test]
    fn a_late_acknowledgement_is_one() {
        let stop = AtomicBool::new(false);
        let (calm, haste) = (Calm::default(), Haste::default());
        let records = pacer(&stop, &calm, &haste).run(&|number| {
            sleep(Duration::from_millis(30));
            stop.store(true, Ordering::SeqCst);
            (RequestOutcome::Ok, Some(number))
        });
        assert!(records.iter().all(|record| record.outcome.is_ok()));
    }

    #[test]
    fn asked_less_often_from_the_next_request_on() {
        let stop = AtomicBool::new(false);
        let asked = AtomicUsize::new(0);
        let (calm, haste) = (Calm::default(), Haste::default());
        let mut records = pacer(&stop, &calm, &haste).run(&|_| {
            match asked.fetch_add(1, Ordering::SeqCst) {
                3 => assert!(haste.less()),
                10 => stop.store(true, Ordering::SeqCst),
                _ => {}
            }
            (RequestOutcome::Ok, None)
        });
        records.sort_by_key(|record| record.scheduled);
        let periods: Vec<Micros> = (records.windows(2))
            .map(|pair| pair[1].scheduled - pair[0].scheduled)
            .collect();
        assert_eq!((periods[0], periods[periods.len() - 1]), (5000, 10_000));
        assert!(periods.is_sorted(), "{periods:?}");
    }
}
