//! Whether the user has asked to stop, and how children hear of it.
//!
//! The terminal sends Ctrl-C to every program of the foreground group, so children hear it themselves and end in their
//! own way; what is kept here only tells our loops to stop waiting and start nothing more. A signal that was sent to this
//! program alone (`kill`, or a terminal that was closed) is handed on to the long-running ones.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::{Pid, Signal};

static TIMES: AtomicUsize = AtomicUsize::new(0);

/// Whether it was the clock.
static EXPIRED: AtomicBool = AtomicBool::new(false);

/// Notes that the user has asked to stop. Called by the program's signal handler.
pub fn raise() {
    TIMES.fetch_add(1, Ordering::SeqCst);
}

/// Notes that the time is up which the user has given: as if they had asked to stop now.
pub fn expire() {
    EXPIRED.store(true, Ordering::SeqCst);
    raise();
}

/// Whether the time was up that the user has given.
pub fn expired() -> bool {
    EXPIRED.load(Ordering::SeqCst)
}

/// Whether the user has asked to stop.
pub fn raised() -> bool {
    TIMES.load(Ordering::SeqCst) > 0
}

/// Whether the user has asked more than once, and wants to wait no longer.
pub fn urgent() -> bool {
    TIMES.load(Ordering::SeqCst) > 1
}

/// Hands the interrupt on to `pids`, unless a terminal has done so already.
pub(crate) fn hand_on(pids: &[u32]) {
    // No terminal tells them what the clock says.
    if has_terminal() && !expired() {
        return;
    }
    for pid in pids
        .iter()
        .filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?))
    {
        // One that has ended just now needs no signal.
        rustix::process::kill_process(pid, Signal::INT).ok();
    }
}

/// Whether a terminal has this program, and so its children, in the foreground.
fn has_terminal() -> bool {
    [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ]
    .into_iter()
    .any(in_foreground)
}

/// Whether `terminal` is one, and has this program in the foreground: it sends Ctrl-C here, and lets its modes be set.
pub fn in_foreground(terminal: impl AsFd) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|front| front == rustix::process::getpgrp())
}
