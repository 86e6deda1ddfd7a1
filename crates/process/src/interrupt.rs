//! Whether the user has asked to stop.
//!
//! The terminal sends Ctrl-C to every program of the foreground group, so children hear it themselves and end in their
//! own way; what is kept here only tells our loops to stop waiting and start nothing more.

use std::sync::atomic::{AtomicBool, Ordering};

static RAISED: AtomicBool = AtomicBool::new(false);

/// Notes that the user has asked to stop. Called by the program's signal handler.
pub fn raise() {
    RAISED.store(true, Ordering::SeqCst);
}

/// Whether the user has asked to stop.
pub fn raised() -> bool {
    RAISED.load(Ordering::SeqCst)
}
