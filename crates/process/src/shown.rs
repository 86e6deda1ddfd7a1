//! Showing what is started, for users who want to see it.

use std::sync::OnceLock;

use crate::Call;

static SHOW: OnceLock<fn(&str)> = OnceLock::new();

/// Has `show` hear the command line of each program that is started from now on, pasteable; the first call holds.
pub fn show_calls(show: fn(&str)) {
    // Who asks twice has heard of it already.
    SHOW.get_or_init(|| show);
}

impl Call {
    /// Tells that it is started.
    pub(crate) fn tell(&self) {
        if let Some(show) = SHOW.get() {
            show(&self.to_string());
        }
    }
}
