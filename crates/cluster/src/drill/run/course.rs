//! What is done to the lab in a drill, and when: it is waited until what clients see counts, something is broken, and repaired
//! whatever happens.

use std::time::{Duration, Instant};

use caravan_lab::Lab;

use super::{DrillFailure, DrillTimes, SERVICE_HEALS, Scene};
use crate::drill::fault::{DrillFault, InflictedFault};
use crate::drill::record::{DrillRecords, FaultCut, FaultRecord, Micros};
use crate::drill::watched::WatchedService;
use crate::until::pause;
use crate::{Access, Error, ready};

/// What is done to the lab, and when.
pub(super) struct Course<'a> {
    pub(super) lab: &'a Lab,
    pub(super) access: &'a Access,
    pub(super) times: DrillTimes,
    pub(super) watched: &'a [WatchedService],
    pub(super) scene: &'a Scene<'a>,
    pub(super) tool: &'a str,
    pub(super) tell: &'a (dyn Fn(&str) + Sync),
}

/// How a course ended.
pub(super) struct CourseEnd {
    /// From when on requests count.
    warm: Micros,
    /// The fault; none where nothing was broken.
    fault: Option<FaultRecord>,
    /// Why it came to no end, where that is so, and whether it is repaired.
    failed: Option<(Error, bool)>,
}

impl CourseEnd {
    /// Together with what clients saw.
    pub(super) fn with(
        self,
        records: Result<DrillRecords, Error>,
    ) -> Result<DrillRecords, DrillFailure> {
        let (failed, fault) = (self.failed, self.fault);
        let records = records.map(|mut records| {
            records.header.warm = self.warm;
            records.fault = fault;
            records
        });
        match (failed, records) {
            (None, records) => Ok(records?),
            (Some((error, is_repaired)), records) => Err(DrillFailure {
                error,
                is_refused: false,
                is_repaired,
                records: records.ok().filter(|it| it.fault.is_some()).map(Box::new),
            }),
        }
    }
}

impl Course<'_> {
    /// Breaks and repairs it.
    pub(super) fn run(&self, fault: &dyn DrillFault) -> CourseEnd {
        let warm = match self.prepare() {
            Ok(warm) => warm,
            Err(error) => {
                return CourseEnd {
                    warm: self.scene.clock.now(),
                    fault: None,
                    failed: Some((error, true)),
                };
            }
        };
        let mut record = FaultRecord::new(fault.text(), fault.how(), self.scene.clock.now());
        let done = self.break_it(fault, &mut record);
        let failed = done.and_then(|()| self.heal(&mut record)).err();
        if let Some((error, _)) = &failed {
            let why = error.chain();
            record.cut = Some(FaultCut {
                why,
                is_of_lab: false,
            });
        }
        CourseEnd {
            warm,
            fault: Some(record),
            failed,
        }
    }

    /// Has clients ask until what they see counts; returns from when on it does.
    fn prepare(&self) -> Result<Micros, Error> {
        (self.tell)("makes connections, and waits until this computer is calm");
        self.wait(self.times.warm_up)?;
        self.scene.settle(self.times.settle)?;
        let warm = self.scene.clock.now();
        (self.tell)("asks, before anything is broken");
        self.wait(self.times.baseline)?;
        Ok(warm)
    }

    /// Breaks it, and repairs it whatever happened. The error is with whether it is repaired.
    fn break_it(
        &self,
        fault: &dyn DrillFault,
        record: &mut FaultRecord,
    ) -> Result<(), (Error, bool)> {
        let (clock, times) = (self.scene.clock, self.times);
        (self.tell)(&record.fault);
        let mut inflicted = InflictedFault::of(fault);
        record.sent = clock.now();
        let done = inflicted.inflict();
        record.confirmed = clock.now();
        let waited = match done {
            Ok(evidence) => {
                record.evidence = evidence;
                match fault.takes_its_time() {
                    true => Ok(()),
                    false => self.wait(times.lasts),
                }
            }
            Err(Error::Interrupted) => Err(Error::Interrupted),
            // What was seen until then is kept, and says whose fault that was.
            Err(error) => {
                record.cut = Some(FaultCut {
                    is_of_lab: matches!(error, Error::NotInTime { .. }),
                    why: error.chain(),
                });
                Ok(())
            }
        };
        (self.tell)("repairs it");
        record.repair_sent = Some(clock.now());
        // Also when the user wants to stop: nothing stays broken.
        let proof = inflicted.repair().map_err(|error| (error, false))?;
        record.repaired = Some(clock.now());
        if let Some(proof) = proof {
            let both = [record.evidence.as_str(), &proof.text];
            let both: Vec<&str> = both.into_iter().filter(|it| !it.is_empty()).collect();
            record.evidence = both.join("; ");
            record.is_doubtful = !proof.was_real;
        }
        waited.map_err(|error| (error, true))
    }

    /// Waits until all is well, or no longer, and lets clients go on for a while.
    fn heal(&self, record: &mut FaultRecord) -> Result<(), (Error, bool)> {
        let heals = self.times.heals;
        match ready::wait(self.lab, self.access, self.tool, heals, &mut |_| {}) {
            Ok(()) => record.healed = Some(self.scene.clock.now()),
            Err(Error::NotReady { .. }) => {}
            Err(error) => return Err((error, true)),
        }
        self.services_heal().map_err(|error| (error, true))?;
        self.wait(self.times.after).map_err(|error| (error, true))
    }

    /// Waits until the user's own Services answer well again, or no longer: then the records say so.
    fn services_heal(&self) -> Result<(), Error> {
        let (began, limit) = (Instant::now(), self.access.pace().of(SERVICE_HEALS));
        while began.elapsed() < limit && !self.watched.iter().all(WatchedService::is_well) {
            pause(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Waits as long as machines of this pace need, unless the user wants to stop.
    fn wait(&self, usual: Duration) -> Result<(), Error> {
        pause(self.access.pace().of(usual))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::drill::calm::Calm;
    use crate::drill::fault::FaultProof;
    use crate::drill::haste::Haste;
    use crate::drill::pacer::DrillClock;
    use crate::verify::tests::{access, lab};

    /// Is done with that error, once, and is undone with that one.
    struct Fails(RefCell<Option<Error>>, RefCell<Option<Error>>);

    impl DrillFault for Fails {
        fn text(&self) -> String {
            "x killed".to_owned()
        }

        fn how(&self) -> String {
            "by hand".to_owned()
        }

        fn takes_its_time(&self) -> bool {
            true
        }

        fn inflict(&self) -> Result<String, Error> {
            match self.0.take() {
                Some(error) => Err(error),
                None => Ok("x is gone".to_owned()),
            }
        }

        fn repair(&self) -> Result<Option<FaultProof>, Error> {
            match self.1.take() {
                Some(error) => Err(error),
                None => Ok(None),
            }
        }
    }

    fn broken(done: Option<Error>) -> (FaultRecord, Option<(Error, bool)>) {
        let (lab, access) = (lab("ha"), access());
        let scene = Scene {
            clock: DrillClock::begin(),
            calm: &Calm::default(),
            haste: &Haste::default(),
        };
        let course = Course {
            lab: &lab,
            access: &access,
            // What takes its time is not waited for again.
            times: DrillTimes::of(Duration::from_secs(3600)),
            watched: &[],
            scene: &scene,
            tool: "cargo xtask",
            tell: &|_| {},
        };
        let fault = Fails(RefCell::new(done), RefCell::default());
        let mut record = FaultRecord::new(fault.text(), fault.how(), 0);
        let ended = course.break_it(&fault, &mut record);
        (record, ended.err())
    }

    #[test]
    fn what_goes_wrong_in_the_middle_is_no_refusal_and_is_kept() {
        let (record, failed) = broken(None);
        assert!(failed.is_none() && record.cut.is_none());
        let (record, failed) = broken(Some(Error::FaultRefused {
            fault: "x killed".to_owned(),
            why: "it goes on".to_owned(),
        }));
        assert!(failed.is_none(), "{failed:?}");
        let cut = record.cut.expect("told");
        assert!(cut.why.contains("it goes on") && !cut.is_of_lab, "{cut:?}");
        assert!(record.repaired.is_some());
        let (record, failed) = broken(Some(Error::NotInTime {
            what: "another owner".to_owned(),
            seconds: 15,
            why: None,
        }));
        assert!(failed.is_none(), "{failed:?}");
        assert!(record.cut.expect("told").is_of_lab);
        let (_, failed) = broken(Some(Error::Interrupted));
        assert!(matches!(failed, Some((Error::Interrupted, true))));
    }
}
