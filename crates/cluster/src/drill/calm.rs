//! Whether this computer has the time to measure, found out while clients ask: a figure of a busy computer says nothing, so
//! nothing is broken before it is calm, if it becomes so.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::record::Micros;

/// How late a request may be sent: 99 of 100, and all, in microseconds. A runner that is later has not seen what it was to see.
pub(super) const LATENESS: (Micros, Micros) = (10_000, 40_000);

/// How much of its deadline an answer takes at most: of half of all answers while nothing is broken. What is under way when
/// something breaks is lost with it, so where answers take long, what a client sees is that and not what the fault costs.
pub(super) const ANSWERS: Micros = 20;

/// What was seen of requests since it was last looked at. Without a lock: who measures must not wait for who looks.
#[derive(Debug, Default)]
pub(super) struct Calm {
    requests: AtomicUsize,
    late: AtomicUsize,
    latest: AtomicU64,
    reads: AtomicUsize,
    slow: AtomicUsize,
    failed: AtomicUsize,
}

impl Calm {
    /// A request that was sent that much late, and whether it was answered well. Of a read over a connection of its own, which
    /// part of its deadline it took at most (one in so many): by those it is judged whether answers take long.
    pub(super) fn note(&self, late: Micros, part: Option<Micros>, is_ok: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.late
            .fetch_add(usize::from(late > LATENESS.0), Ordering::Relaxed);
        self.latest.fetch_max(late, Ordering::Relaxed);
        if let Some(part) = part {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.slow
                .fetch_add(usize::from(part < ANSWERS), Ordering::Relaxed);
        }
        self.failed
            .fetch_add(usize::from(!is_ok), Ordering::Relaxed);
    }

    /// Whether all since the last look was as it must be for a measurement; begins anew.
    pub(super) fn look(&self) -> bool {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        let late = self.late.swap(0, Ordering::Relaxed);
        let latest = self.latest.swap(0, Ordering::Relaxed);
        let reads = self.reads.swap(0, Ordering::Relaxed);
        let slow = self.slow.swap(0, Ordering::Relaxed);
        let failed = self.failed.swap(0, Ordering::Relaxed);
        let is_prompt = slow * 2 <= reads && latest <= LATENESS.1 && late * 100 <= requests;
        requests > 0 && failed == 0 && is_prompt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calm_is_nothing_late_and_nothing_failed() {
        let calm = Calm::default();
        assert!(!calm.look(), "who asks nothing does not know");
        for _ in 0..200 {
            calm.note(300, Some(200), true);
        }
        calm.note(11_000, Some(200), true);
        assert!(calm.look(), "one of two hundred");
        calm.note(300, Some(200), true);
        calm.note(11_000, Some(200), true);
        assert!(!calm.look());
        for (late, is_ok) in [(41_000, true), (300, false)] {
            for _ in 0..200 {
                calm.note(300, Some(200), true);
            }
            calm.note(late, Some(200), is_ok);
            assert!(!calm.look());
        }
        calm.note(300, Some(200), true);
        assert!(calm.look(), "what was is forgotten");
        // Two of three answers took a tenth of the deadline.
        for part in [200, 10, 10] {
            calm.note(300, Some(part), true);
        }
        assert!(!calm.look());
        // Others that are quick do not make up for them.
        for part in [Some(10), Some(10), Some(200), None, None, None, None] {
            calm.note(300, part, true);
        }
        assert!(!calm.look());
    }
}
