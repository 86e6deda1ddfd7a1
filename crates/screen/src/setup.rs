//! What is installed on this computer, as it is shown and asked.

use caravan_cluster::timeline::RUN;
use caravan_host::SetupObserver;

use crate::screen::{Screen, ask};

/// Shows what happens, and asks on the terminal unless the user has said yes to all.
pub struct SetupOnScreen<'a> {
    /// Where it is shown.
    pub screen: &'a Screen,
    /// Whether the user has said yes to all.
    pub yes: bool,
}

impl SetupObserver for SetupOnScreen<'_> {
    fn note(&self, text: &str) {
        self.screen.say(text);
    }

    fn warning(&self, text: &str) {
        self.screen.warn(text);
    }

    fn began(&self, step: &str) {
        self.screen.now(RUN, step);
    }

    fn line(&self, line: &str) {
        self.screen.detail(RUN, line);
    }

    fn done(&self, text: &str) {
        self.screen.done(RUN, text);
    }

    fn confirms(&self, question: &str) -> bool {
        self.yes || ask(question)
    }
}
