//! Something that is broken on purpose, and is repaired whatever happens.

use crate::Error;

/// Something that is broken on purpose.
pub trait DrillFault {
    /// In words: `etcdtwo crashed`.
    fn text(&self) -> String;

    /// How it is done, for who wants to do it by hand.
    fn how(&self) -> String;

    /// Whether doing it takes as long as it is to last: then nothing is left to be waited for when it is done.
    fn takes_its_time(&self) -> bool {
        false
    }

    /// Holds that it can be done here; changes nothing that stays. Only here it may be refused.
    ///
    /// # Errors
    ///
    /// [`Error::FaultRefused`] with the reason, and what asking for it may return.
    fn hold_possible(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Does it, and returns what shows that it is there.
    ///
    /// # Errors
    ///
    /// Why it could not be done, or not wholly; [`Error::NotInTime`] only where the lab did not do in time what it has to. What
    /// was done of it is repaired by [`DrillFault::repair`].
    fn inflict(&self) -> Result<String, Error>;

    /// Undoes it, and returns what it did meanwhile, where that can be told. Does nothing where it was not done.
    ///
    /// # Errors
    ///
    /// Why it could not be undone.
    fn repair(&self) -> Result<Option<FaultProof>, Error>;
}

/// What a fault did while it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultProof {
    /// In words: `etcdtwo dropped 312 packets`.
    pub text: String,
    /// Whether that shows that it was there at all.
    pub was_real: bool,
}

/// A fault that may have been done: it is repaired when this is dropped, if it was not before.
pub(super) struct InflictedFault<'a> {
    fault: &'a dyn DrillFault,
    is_repaired: bool,
}

impl<'a> InflictedFault<'a> {
    /// From now on there may be something to repair.
    pub(super) fn of(fault: &'a dyn DrillFault) -> Self {
        Self {
            fault,
            is_repaired: false,
        }
    }

    /// Does it.
    pub(super) fn inflict(&self) -> Result<String, Error> {
        self.fault.inflict()
    }

    /// Repairs it; tries once more where that fails.
    pub(super) fn repair(&mut self) -> Result<Option<FaultProof>, Error> {
        let repaired = match self.fault.repair() {
            Ok(proof) => Ok(proof),
            Err(_) => self.fault.repair(),
        };
        self.is_repaired = repaired.is_ok();
        repaired
    }
}

impl Drop for InflictedFault<'_> {
    fn drop(&mut self) {
        if !self.is_repaired {
            // If this fails too, what the fault itself provides for must do it, such as a machine's own timer.
            drop(self.fault.repair());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Notes what it is told; what is in `fails` fails so many times.
    #[derive(Default)]
    struct Notes {
        told: RefCell<Vec<&'static str>>,
        fails: RefCell<Vec<&'static str>>,
    }

    impl Notes {
        fn note(&self, what: &'static str) -> Result<(), Error> {
            self.told.borrow_mut().push(what);
            let mut fails = self.fails.borrow_mut();
            match fails.iter().position(|it| *it == what) {
                Some(place) => {
                    fails.remove(place);
                    Err(Error::Interrupted)
                }
                None => Ok(()),
            }
        }
    }

    impl DrillFault for Notes {
        fn text(&self) -> String {
            "notes".to_owned()
        }

        fn how(&self) -> String {
            "by hand".to_owned()
        }

        fn inflict(&self) -> Result<String, Error> {
            self.note("do").map(|()| "done".to_owned())
        }

        fn repair(&self) -> Result<Option<FaultProof>, Error> {
            self.note("undo").map(|()| None)
        }
    }

    #[test]
    fn what_is_done_is_undone_once() {
        let ended = Notes::default();
        let mut fault = InflictedFault::of(&ended);
        fault.inflict().expect("done");
        fault.repair().expect("undone");
        drop(fault);
        assert_eq!(*ended.told.borrow(), ["do", "undo"]);
        let dropped = Notes::default();
        drop(InflictedFault::of(&dropped).inflict());
        assert_eq!(*dropped.told.borrow(), ["do", "undo"]);
    }

    #[test]
    fn what_may_have_been_done_is_undone_too() {
        let half = Notes {
            fails: RefCell::new(vec!["do"]),
            ..Notes::default()
        };
        assert!(InflictedFault::of(&half).inflict().is_err());
        assert_eq!(*half.told.borrow(), ["do", "undo"]);
    }

    #[test]
    fn an_undoing_that_fails_is_tried_again() {
        let once = Notes {
            fails: RefCell::new(vec!["undo"]),
            ..Notes::default()
        };
        assert!(InflictedFault::of(&once).repair().is_ok());
        assert_eq!(*once.told.borrow(), ["undo", "undo"]);
        let stuck = Notes {
            fails: RefCell::new(vec!["undo"; 3]),
            ..Notes::default()
        };
        assert!(InflictedFault::of(&stuck).repair().is_err());
        assert_eq!(stuck.told.borrow().len(), 3, "once more when it is dropped");
    }
}
