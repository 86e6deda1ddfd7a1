//! A runner that is killed after a step, for tests of what comes after that.

use caravan_lifecycle::events::{LifecycleEvent, LifecycleObserver};

use crate::environment;
use crate::show::screen::{self, Screen};

/// Shows what happens, and has this program killed after a step, where a test asks for that: nothing is told to end, and
/// nothing is put right.
pub(crate) struct KillAfter<'a> {
    screen: &'a Screen,
    step: Option<String>,
}

impl<'a> KillAfter<'a> {
    /// Killed after the step that `$CARAVAN_KILL_AFTER` names, if it names one.
    pub(crate) fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            step: environment::kill_after(),
        }
    }
}

impl LifecycleObserver for KillAfter<'_> {
    fn event(&self, event: &LifecycleEvent<'_>) {
        if let LifecycleEvent::Reached(step) = event
            && self.step.as_deref() == Some(*step)
        {
            screen::to_stderr(&format!("killed after `{step}`, as asked\n"));
            let killed = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
            debug_assert_eq!(killed, Ok(()));
        }
        self.screen.event(event);
    }
}
