//! The terminal's own echo, which would get between live lines.

use caravan_process::interrupt;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// While this is held, the terminal does not print `^C` for Ctrl-C: at the end of the last live line it would begin a
/// new one, and every line would then be drawn one too low.
///
/// Nothing else is changed, so that a run which is killed leaves a terminal that can be worked with.
#[derive(Debug)]
pub(crate) struct Unechoed {
    before: Option<Termios>,
}

impl Unechoed {
    /// Begins; does nothing where there is no terminal, or another program has it.
    pub(crate) fn begin() -> Self {
        let terminal = rustix::stdio::stderr();
        // Who is in the background and sets a terminal's modes is stopped.
        let ours = interrupt::in_foreground(terminal);
        let before = ours.then(|| tcgetattr(terminal).ok()).flatten();
        if let Some(before) = &before {
            let mut modes = before.clone();
            modes.local_modes.remove(LocalModes::ECHOCTL);
            tcsetattr(terminal, OptionalActions::Now, &modes).ok();
        }
        Self { before }
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            tcsetattr(rustix::stdio::stderr(), OptionalActions::Now, before).ok();
        }
    }
}
