//! The means to break parts of a lab on purpose, over ssh, and to put them right. What that costs users is measured by
//! [`drill`](crate::drill).
//!
//! | what | where |
//! |---|---|
//! | a unit that ends, is killed or stands still | [`UnitFault`] |
//! | a machine that nothing comes from, or that does not hear some others | [`silence`] |
//! | announcements of the virtual address that nobody must believe | [`adverts`] |
//! | a disk, or a network, that is slow | [`slow`] |
//!
//! Each of them is undone by the machine itself too, after a time: not even the end of this process, or of the way to the
//! machine, leaves the lab with a part missing.

use std::fmt;
use std::time::Duration;

use caravan_lab::{Lab, Machine};
use serde::{Deserialize, Serialize};

use crate::facts::{self, Facts};
use crate::{Access, Error};

pub mod adverts;
pub mod silence;
pub mod slow;

/// How much longer than it is meant to last a part stays broken at most, where nobody is left to undo it.
pub const SAFETY: Duration = Duration::from_secs(45);

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
    /// All its processes are killed at once, and the machine does not start it again. Undone by starting it.
    KillForGood,
    /// All its processes stand still: who connects gets a connection and no answer. Undone by letting them go on.
    Freeze,
}

impl Harm {
    /// What systemctl is told, one after the other.
    fn commands(self) -> &'static str {
        match self {
            Harm::Stop => "stop",
            Harm::Kill => "kill --signal=KILL",
            // Of what is dead already only its return is left to be stopped.
            Harm::KillForGood => "kill --signal=KILL\nstop",
            Harm::Freeze => "kill --signal=STOP",
        }
    }
}

/// In the past tense: `stopped`.
impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Harm::Stop => "stopped",
            Harm::Kill | Harm::KillForGood => "killed",
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
    /// `harm` to `unit` of `machine`, for `safety` at most: longer than it is meant to last, or the machine undoes it before.
    pub fn new(machine: &str, unit: &str, harm: Harm, safety: Duration) -> Self {
        Self {
            machine: machine.to_owned(),
            unit: unit.to_owned(),
            harm,
            safety_seconds: u32::try_from(safety.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// Does it, and returns what became of the unit's process, in words.
    ///
    /// # Errors
    ///
    /// Why it could not be done, or not wholly: [`Error::FaultRefused`], [`Error::Machine`], [`Error::Script`]. It is to be
    /// undone then too.
    pub fn inflict(&self, lab: &Lab, access: &Access) -> Result<String, Error> {
        let said = self.ask(lab, access, include_str!("disturb/scripts/stop.sh"))?;
        let (process, state) = (said.text("process"), said.text("state"));
        became(&process, &state).ok_or_else(|| Error::FaultRefused {
            fault: self.to_string(),
            why: format!("its process {process} goes on: {state}"),
        })
    }

    /// Undoes it. Does nothing, and succeeds, where it was not done.
    ///
    /// # Errors
    ///
    /// Why it could not be undone; as [`UnitFault::inflict`].
    pub fn undo(&self, lab: &Lab, access: &Access) -> Result<(), Error> {
        self.ask(lab, access, include_str!("disturb/scripts/start.sh"))
            .map(drop)
    }

    fn ask(&self, lab: &Lab, access: &Access, script: &str) -> Result<Facts, Error> {
        let machine = self.machine(lab)?;
        let Self {
            unit,
            harm,
            safety_seconds,
            ..
        } = self;
        let harm = harm.commands();
        let script = format!("UNIT={unit}\nSAFETY={safety_seconds}\nHARM='{harm}'\n{script}");
        facts::ask(access, machine, &script, LIMIT)
    }

    /// Its machine, where both make sense: they become a part of a shell script.
    fn machine<'a>(&self, lab: &'a Lab) -> Result<&'a Machine, Error> {
        let refused = |why: &str| Error::FaultRefused {
            fault: self.to_string(),
            why: why.to_owned(),
        };
        let is_word = |one: char| one.is_ascii_alphanumeric() || "@._-".contains(one);
        let unit = &self.unit;
        if unit.is_empty() || unit.starts_with('-') || !unit.chars().all(is_word) {
            return Err(refused("that is no name of a unit"));
        }
        let machine = lab.machine(&self.machine);
        machine.ok_or_else(|| refused("the lab has no such machine"))
    }
}

/// What became of a unit's process that was harmed; none where it goes on, or there was none.
fn became(process: &str, state: &str) -> Option<String> {
    if process.is_empty() || process == "0" {
        return None;
    }
    match state.chars().next()? {
        'g' | 'Z' | 'X' => Some(format!("process {process} is gone")),
        'T' => Some(format!("process {process} stands still")),
        _ => None,
    }
}

impl fmt::Display for UnitFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.unit, self.harm, self.machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::{access, lab};

    #[test]
    fn only_units_of_machines_of_the_lab() {
        let (lab, access) = (lab("ha"), access());
        for (machine, unit) in [
            ("nobody", "haproxy"),
            ("lbone", ""),
            ("lbone", "x; reboot"),
            ("lbone", "$(id)"),
            ("lbone", "--all"),
        ] {
            let tried = UnitFault::new(machine, unit, Harm::Stop, SAFETY).inflict(&lab, &access);
            assert!(
                matches!(tried, Err(Error::FaultRefused { .. })),
                "{unit} on {machine}"
            );
        }
        // Asked, and not reached.
        let fault = UnitFault::new("lbone", "getty@tty1.service", Harm::Stop, SAFETY);
        let tried = fault.inflict(&lab, &access);
        assert!(tried.is_err_and(|error| !matches!(error, Error::FaultRefused { .. })));
    }

    #[test]
    fn a_process_that_goes_on_was_not_harmed() {
        assert_eq!(
            became("812", "gone").as_deref(),
            Some("process 812 is gone")
        );
        assert!(became("812", "Z (zombie)").is_some());
        assert_eq!(
            became("812", "T (stopped)").as_deref(),
            Some("process 812 stands still")
        );
        assert_eq!(became("812", "S (sleeping)"), None);
        // It did not run to begin with.
        assert_eq!(became("0", "gone"), None);
        assert_eq!(became("", ""), None);
    }

    #[test]
    fn a_fault_is_data() {
        let fault = UnitFault::new("lbone", "haproxy", Harm::Freeze, SAFETY);
        let text = serde_json::to_string(&fault).expect("plain data");
        assert_eq!(
            text,
            r#"{"machine":"lbone","unit":"haproxy","harm":"freeze","safety_seconds":45}"#
        );
        let read: UnitFault = serde_json::from_str(&text).expect("what was written");
        assert_eq!(read, fault);
    }
}
