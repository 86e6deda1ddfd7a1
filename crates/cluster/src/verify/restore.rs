//! Parts that are broken, and repaired whatever happens.

use std::fmt;
use std::time::Duration;

use caravan_lab::Machine;

use super::context::{Context, told};
use crate::facts::{self, Facts};

/// How long a part stays broken at most, in seconds, even if nobody is left to repair it.
const SAFETY_SECONDS: u32 = 45;

/// How long stopping and starting may take.
const LIMIT: Duration = Duration::from_secs(60);

/// What is done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// It is told to end, and is not started again.
    Stop,
    /// All its processes are killed at once; the machine starts it again by itself.
    Kill,
    /// All its processes stand still: who connects gets a connection and no answer.
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

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Harm::Stop => "stopped",
            Harm::Kill => "killed",
            Harm::Freeze => "frozen",
        })
    }
}

/// A unit of one machine that is out of order until this is dropped.
///
/// The machine itself is told first to repair it after a while: not even the end of this process, or of the way to the
/// machine, leaves the lab with a part missing.
pub(super) struct Broken<'a> {
    context: &'a Context,
    machine: &'a Machine,
    unit: &'static str,
    restored: bool,
}

impl<'a> Broken<'a> {
    /// Does `harm` to `unit` on `machine`.
    pub(super) fn by(
        harm: Harm,
        context: &'a Context,
        machine: &'a Machine,
        unit: &'static str,
    ) -> Result<Self, String> {
        // Made first: from the moment the script may have begun there is something to put right.
        let broken = Self {
            context,
            machine,
            unit,
            restored: false,
        };
        let harm = harm.command();
        broken.ask(&format!(
            "HARM='{harm}'\n{}",
            include_str!("scripts/stop.sh")
        ))?;
        Ok(broken)
    }

    /// Repairs it, and says when that fails; dropping this does the same in silence.
    pub(super) fn restore(mut self) -> Result<(), String> {
        self.ask(include_str!("scripts/start.sh"))?;
        self.restored = true;
        Ok(())
    }

    fn ask(&self, script: &str) -> Result<Facts, String> {
        let script = format!("UNIT={}\nSAFETY={SAFETY_SECONDS}\n{script}", self.unit);
        let Context { lab, access, .. } = self.context;
        facts::ask(lab, access, self.machine, &script, LIMIT).map_err(told)
    }
}

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        if !self.restored {
            // If this fails too the machine's own timer does it.
            drop(self.ask(include_str!("scripts/start.sh")));
        }
    }
}
