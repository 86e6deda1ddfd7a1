//! How often clients ask: at the usual pace, or less often where the computer cannot carry them.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many times less often clients ask at most. Beyond that, what they see is too coarse to say anything.
const SLOWEST: u64 = 4;

/// By how much longer than usual the periods of a drill's clients are, the same for all of them.
///
/// Clients, the lab and the runner share a computer. One that is too small for all of them answers late, the open loop asks on,
/// and soon the clients are the outage that they see. So they ask less often until the lab keeps up, before anything is
/// broken and never after that.
#[derive(Debug)]
pub(super) struct Haste {
    stretch: AtomicU64,
}

impl Default for Haste {
    fn default() -> Self {
        Self {
            stretch: AtomicU64::new(1),
        }
    }
}

impl Haste {
    /// How many times less often than usual clients ask.
    pub(super) fn stretch(&self) -> u64 {
        self.stretch.load(Ordering::Relaxed)
    }

    /// Has them ask half as often; says whether they do.
    pub(super) fn less(&self) -> bool {
        let less = self.stretch() * 2;
        if less <= SLOWEST {
            self.stretch.store(less, Ordering::Relaxed);
        }
        less <= SLOWEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_often_and_not_for_ever() {
        let haste = Haste::default();
        assert_eq!(haste.stretch(), 1);
        assert!(haste.less() && haste.less());
        assert_eq!(haste.stretch(), 4);
        assert!(!haste.less());
        assert_eq!(haste.stretch(), 4);
    }
}
