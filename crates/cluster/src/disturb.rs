//! Breaks parts of a lab on purpose, measures what that costs its users, and puts them right whatever happens.
//!
//! | what | type |
//! |---|---|
//! | a fault, as data | [`UnitFault`]: what is done to which unit of which machine, and for how long at most |
//! | how it is done and undone | [`FaultMeans`]; [`OverSsh`] does it to units |
//! | a fault under way | [`Disturbance`]: undone when it ends or is dropped |
//! | what users saw meanwhile | [`outage::Outage`], by [`outage::measured`] |
//! | a machine that nothing comes from | [`silence`] |
//!
//! A further kind of fault is a type of data and an implementation of [`FaultMeans`] for whoever can do it.

use std::fmt;
use std::time::Duration;

use caravan_lab::Lab;
use serde::{Deserialize, Serialize};

use crate::{Access, Error, facts};

pub mod outage;
pub mod silence;

/// For how many seconds a part stays broken at most, unless told otherwise.
pub const SAFETY_SECONDS: u32 = 45;

/// How long stopping and starting may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What is done to something that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// It is told to end, and is not started again. Undone by starting it.
    Stop,
    /// All its processes are killed at once; the machine starts it again by itself. Undone by starting it if nothing has.
    Kill,
    /// All its processes stand still: who connects gets a connection and no answer. Undone by letting them go on.
    Freeze,
}

impl Harm {
    /// What systemctl is told.
    fn command(self) -> &'static str {
        match self {
            Harm::Stop => "stop",
            Harm::Kill => "kill --signal=KILL",
            Harm::Freeze => "kill --signal=STOP",
        }
    }
}

/// In the past tense: `stopped`.
impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Harm::Stop => "stopped",
            Harm::Kill => "killed",
            Harm::Freeze => "frozen",
        })
    }
}

/// A fault of one unit of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitFault {
    /// The machine.
    pub machine: String,
    /// The systemd unit, such as `haproxy`.
    pub unit: String,
    /// What is done to it.
    pub harm: Harm,
    /// After how many seconds the machine itself undoes it, even if nobody is left to tell it so.
    pub safety_seconds: u32,
}

impl UnitFault {
    /// `harm` to `unit` of `machine`, for [`SAFETY_SECONDS`] at most.
    pub fn new(machine: &str, unit: &str, harm: Harm) -> Self {
        Self {
            machine: machine.to_owned(),
            unit: unit.to_owned(),
            harm,
            safety_seconds: SAFETY_SECONDS,
        }
    }
}

impl fmt::Display for UnitFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.unit, self.harm, self.machine)
    }
}

/// Does faults of the kind `F`, and undoes them.
pub trait FaultMeans<F> {
    /// Does the fault.
    ///
    /// # Errors
    ///
    /// Why it could not be done, or not wholly; it is undone in both cases.
    fn inflict(&self, fault: &F) -> Result<(), Error>;

    /// Undoes the fault. Does nothing, and succeeds, where it was not done.
    ///
    /// # Errors
    ///
    /// Why it could not be undone.
    fn undo(&self, fault: &F) -> Result<(), Error>;
}

/// A fault that is under way until this ends or is dropped.
pub struct Disturbance<'a, F, M: FaultMeans<F>> {
    fault: F,
    means: &'a M,
    undone: bool,
}

impl<'a, F, M: FaultMeans<F>> Disturbance<'a, F, M> {
    /// Does `fault`.
    ///
    /// # Errors
    ///
    /// That of [`FaultMeans::inflict`]; what was done of it is undone.
    pub fn begin(means: &'a M, fault: F) -> Result<Self, Error> {
        // Made first: from the moment that anything may have been done there is something to put right.
        let disturbance = Self {
            fault,
            means,
            undone: false,
        };
        means.inflict(&disturbance.fault)?;
        Ok(disturbance)
    }

    /// The fault.
    pub fn fault(&self) -> &F {
        &self.fault
    }

    /// Undoes the fault, and says when that fails; dropping this does the same in silence.
    ///
    /// # Errors
    ///
    /// That of [`FaultMeans::undo`], which is tried once more then.
    pub fn end(mut self) -> Result<(), Error> {
        self.means.undo(&self.fault)?;
        self.undone = true;
        Ok(())
    }
}

impl<F, M: FaultMeans<F>> Drop for Disturbance<'_, F, M> {
    fn drop(&mut self) {
        if !self.undone {
            // If this fails too, what the fault itself provides for must do it, such as a machine's own timer.
            drop(self.means.undo(&self.fault));
        }
    }
}

/// Does faults to units of a lab's machines, over ssh.
///
/// The machine itself is told first to undo the fault after [`UnitFault::safety_seconds`]: not even the end of this
/// process, or of the way to the machine, leaves the lab with a part missing.
#[derive(Debug, Clone, Copy)]
pub struct OverSsh<'a> {
    lab: &'a Lab,
    access: &'a Access,
}

impl<'a> OverSsh<'a> {
    /// For machines of `lab`.
    pub fn new(lab: &'a Lab, access: &'a Access) -> Self {
        Self { lab, access }
    }

    fn ask(&self, fault: &UnitFault, script: &str) -> Result<(), Error> {
        let refused = |why| Error::FaultRefused {
            fault: fault.to_string(),
            why,
        };
        let machine = self.lab.machine(&fault.machine);
        let machine = machine.ok_or_else(|| refused("the lab has no such machine"))?;
        // It becomes a part of a shell script.
        let is_word = |one: char| one.is_ascii_alphanumeric() || "@._-".contains(one);
        if fault.unit.is_empty() || fault.unit.starts_with('-') || !fault.unit.chars().all(is_word)
        {
            return Err(refused("that is no name of a unit"));
        }
        let UnitFault {
            unit,
            harm,
            safety_seconds,
            ..
        } = fault;
        let harm = harm.command();
        let script = format!("UNIT={unit}\nSAFETY={safety_seconds}\nHARM='{harm}'\n{script}");
        facts::ask(self.access, machine, &script, LIMIT).map(drop)
    }
}

impl FaultMeans<UnitFault> for OverSsh<'_> {
    fn inflict(&self, fault: &UnitFault) -> Result<(), Error> {
        self.ask(fault, include_str!("disturb/scripts/stop.sh"))
    }

    fn undo(&self, fault: &UnitFault) -> Result<(), Error> {
        self.ask(fault, include_str!("disturb/scripts/start.sh"))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::verify::tests::{access, lab};

    /// Notes what it is told; what is in `fails` fails.
    #[derive(Default)]
    struct Notes {
        told: RefCell<Vec<String>>,
        fails: &'static [&'static str],
    }

    impl Notes {
        fn note(&self, what: &str, fault: &UnitFault) -> Result<(), Error> {
            self.told.borrow_mut().push(format!("{what} {fault}"));
            if self.fails.contains(&what) {
                return Err(Error::Interrupted);
            }
            Ok(())
        }
    }

    impl FaultMeans<UnitFault> for Notes {
        fn inflict(&self, fault: &UnitFault) -> Result<(), Error> {
            self.note("do", fault)
        }

        fn undo(&self, fault: &UnitFault) -> Result<(), Error> {
            self.note("undo", fault)
        }
    }

    const DONE: [&str; 2] = ["do haproxy frozen on lbone", "undo haproxy frozen on lbone"];

    fn fault() -> UnitFault {
        UnitFault::new("lbone", "haproxy", Harm::Freeze)
    }

    #[test]
    fn what_is_done_is_undone_once() {
        let ended = Notes::default();
        Disturbance::begin(&ended, fault())
            .and_then(Disturbance::end)
            .expect("done and undone");
        assert_eq!(*ended.told.borrow(), DONE);
        let dropped = Notes::default();
        drop(Disturbance::begin(&dropped, fault()));
        assert_eq!(*dropped.told.borrow(), DONE);
    }

    #[test]
    fn what_may_have_been_done_is_undone_too() {
        let half = Notes {
            fails: &["do"],
            ..Notes::default()
        };
        assert!(Disturbance::begin(&half, fault()).is_err());
        assert_eq!(*half.told.borrow(), DONE);
        let stuck = Notes {
            fails: &["undo"],
            ..Notes::default()
        };
        let ended = Disturbance::begin(&stuck, fault()).and_then(Disturbance::end);
        assert!(ended.is_err());
        // Tried once more.
        assert_eq!(stuck.told.borrow().len(), 3);
    }

    #[test]
    fn only_units_of_machines_of_the_lab() {
        let (lab, access) = (lab("ha"), access());
        let means = OverSsh::new(&lab, &access);
        for (machine, unit) in [
            ("nobody", "haproxy"),
            ("lbone", ""),
            ("lbone", "x; reboot"),
            ("lbone", "$(id)"),
            ("lbone", "--all"),
        ] {
            let tried = means.inflict(&UnitFault::new(machine, unit, Harm::Stop));
            assert!(
                matches!(tried, Err(Error::FaultRefused { .. })),
                "{unit} on {machine}"
            );
        }
        // Asked, and not reached.
        let tried = means.inflict(&UnitFault::new("lbone", "getty@tty1.service", Harm::Stop));
        assert!(tried.is_err_and(|error| !matches!(error, Error::FaultRefused { .. })));
    }

    #[test]
    fn a_fault_is_data() {
        let text = serde_json::to_string(&fault()).expect("plain data");
        assert_eq!(
            text,
            r#"{"machine":"lbone","unit":"haproxy","harm":"freeze","safety_seconds":45}"#
        );
        let read: UnitFault = serde_json::from_str(&text).expect("what was written");
        assert_eq!(read, fault());
    }
}
