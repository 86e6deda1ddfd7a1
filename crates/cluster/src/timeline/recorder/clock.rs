//! When a machine printed a line, by the clock of this computer.

use std::time::{SystemTime, UNIX_EPOCH};

/// What the clock of this computer says about a line that a machine stamped by its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineClock {
    /// When the line was heard, in milliseconds since 1970 by the clock of this computer; it was printed before.
    pub heard_ms: u64,
    /// How far the machine's clock is ahead of this computer's, in milliseconds; negative where it is behind.
    pub ahead_ms: i64,
}

impl LineClock {
    /// How far a machine's clock is ahead that said `said_ms`, between `asked_ms` and `heard_ms` of this computer's; zero
    /// where both clocks may well agree. All in milliseconds since 1970.
    pub fn ahead_ms(asked_ms: u64, said_ms: u64, heard_ms: u64) -> i64 {
        if (asked_ms..=heard_ms).contains(&said_ms) {
            return 0;
        }
        // Getting in takes nearly all of the time between, so the answer is as good as heard when it is given.
        signed(said_ms).saturating_sub(signed(heard_ms))
    }

    /// When in a run a line was printed that is stamped `stamp_ms`, in milliseconds since the run's begin, which was at
    /// `began_unix_ms`; `None` where it is older than the run.
    ///
    /// `before_ms` is when the machine printed the line before this one, if that is known to be of this run: then this
    /// one is too, even where the machine's clock was set back meanwhile. Nothing was printed after it was heard.
    pub(super) fn moment(
        self,
        stamp_ms: u64,
        began_unix_ms: i64,
        before_ms: Option<i64>,
    ) -> Option<i64> {
        let at_ms = signed(stamp_ms)
            .saturating_sub(self.ahead_ms)
            .saturating_sub(began_unix_ms);
        if before_ms.is_none() && at_ms < 0 {
            return None;
        }
        let heard_ms = signed(self.heard_ms).saturating_sub(began_unix_ms);
        Some(at_ms.min(heard_ms).max(before_ms.unwrap_or(0)))
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: i64 = 1_000_000_000;
    const HOUR: i64 = 3_600_000;

    /// When a line was printed that is stamped so many milliseconds after the run's begin, heard a minute after it.
    fn moment(stamp_ms: i64, ahead_ms: i64, before_ms: Option<i64>) -> Option<i64> {
        let clock = LineClock {
            heard_ms: (BEGAN + 60_000) as u64,
            ahead_ms,
        };
        clock.moment((BEGAN + stamp_ms) as u64, BEGAN, before_ms)
    }

    #[test]
    fn history_is_told_from_a_clock_that_is_off() {
        // The clocks agree.
        assert_eq!(moment(5000, 0, None), Some(5000));
        assert_eq!(moment(0, 0, None), Some(0));
        assert_eq!(moment(-1, 0, None), None);
        // An hour behind, and an hour ahead: the same line is of this run, and the same one is not.
        for off in [-HOUR, HOUR] {
            assert_eq!(moment(5000 + off, off, None), Some(5000), "{off}");
            assert_eq!(moment(-5000 + off, off, None), None, "{off}");
        }
        // Without the comparison one would be dropped, and the other taken for news.
        assert_eq!(moment(5000 - HOUR, 0, None), None);
        assert_eq!(moment(-5000 + HOUR, 0, None), Some(60_000));
    }

    #[test]
    fn a_clock_that_is_set_meanwhile_loses_nothing() {
        // Set back by an hour after a line of this run.
        assert_eq!(moment(6000 - HOUR, 0, Some(5000)), Some(5000));
        // Set right after it was found to be behind: no line is of the future.
        assert_eq!(moment(6000, -HOUR, Some(5000)), Some(60_000));
        // A machine made in this run, whose clock was set right before it was first reached.
        assert_eq!(moment(-HOUR, 0, Some(0)), Some(0));
        assert_eq!(moment(4000, 0, Some(0)), Some(4000));
    }

    #[test]
    fn clocks_that_may_agree_do() {
        assert_eq!(LineClock::ahead_ms(1000, 1000, 1400), 0);
        assert_eq!(LineClock::ahead_ms(1000, 1400, 1400), 0);
        assert_eq!(LineClock::ahead_ms(1000, 900, 1400), -500);
        assert_eq!(LineClock::ahead_ms(1000, 1500, 1400), 100);
        assert_eq!(LineClock::ahead_ms(1000, u64::MAX, 1400), i64::MAX - 1400);
    }
}
