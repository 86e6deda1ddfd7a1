//! A machine that does not go on, with what tells why.

use std::fmt;

use super::indented;

/// A machine that does not go on.
#[derive(Debug)]
pub struct StuckMachine {
    /// Which.
    pub machine: String,
    /// The phase it is in; empty where it was never reached.
    pub phase: String,
    /// What it waits for, or why it failed.
    pub text: String,
    /// The unit whose log this is.
    pub unit: String,
    /// The last lines of that log.
    pub tail: Vec<String>,
    /// What shows all of it: a verb and its arguments, to be put behind how the program is started.
    pub verb: String,
}

impl fmt::Display for StuckMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            machine,
            phase,
            text,
            unit,
            tail,
            ..
        } = self;
        if phase.is_empty() {
            write!(f, "machine `{machine}` cannot be reached: {text}")?;
        } else {
            write!(
                f,
                "machine `{machine}` makes no progress in phase `{phase}`: {text}"
            )?;
        }
        if !tail.is_empty() {
            write!(f, "\n  the last lines of `{unit}`:{}", indented(tail))?;
        }
        Ok(())
    }
}
