//! Parts that are stopped, and started again whatever happens.

use std::time::Duration;

use caravan_lab::Machine;

use super::context::{Context, told};
use crate::facts::{self, Facts};

/// How long a part stays stopped at most, in seconds, even if nobody is left to start it.
const SAFETY_SECONDS: u32 = 45;

/// How long stopping and starting may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A unit of one machine that is stopped until this is dropped.
///
/// The machine itself is told first to start it again after a while: not even the end of this process, or of the way to
/// the machine, leaves the lab with a part missing.
pub(super) struct Stopped<'a> {
    context: &'a Context,
    machine: &'a Machine,
    unit: &'static str,
    restored: bool,
}

impl<'a> Stopped<'a> {
    /// Stops `unit` on `machine`.
    pub(super) fn stop(
        context: &'a Context,
        machine: &'a Machine,
        unit: &'static str,
    ) -> Result<Self, String> {
        // Made first: from the moment the script may have begun there is something to put right.
        let stopped = Self {
            context,
            machine,
            unit,
            restored: false,
        };
        stopped.ask(include_str!("scripts/stop.sh"))?;
        Ok(stopped)
    }

    /// Starts it again, and says when that fails; dropping this does the same in silence.
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

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        if !self.restored {
            // If this fails too the machine's own timer does it.
            drop(self.ask(include_str!("scripts/start.sh")));
        }
    }
}
