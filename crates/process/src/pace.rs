//! How fast the computers are that something is asked of.

use std::time::Duration;

/// How many times as long as usual computers may take for what they are asked.
///
/// All limits of this project are written for computers as fast as this one. Whoever asks slower ones hands each of those
/// limits through here. A limit that is too short does more than end a wait: a login that is given up and begun again costs
/// a slow machine more than one that is waited for, until it does nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    times: u8,
}

impl Pace {
    /// Containers, and virtual machines with the processor's help.
    pub const USUAL: Self = Self { times: 1 };

    /// Virtual machines that are emulated. While five of them booted on two processors a login took 11 s, and those that were
    /// given up after the usual 4 s made it longer for all others; with 32 s nine machines came up.
    pub const EMULATED: Self = Self { times: 8 };

    /// How long they may take for what may usually take `usual`.
    pub fn of(self, usual: Duration) -> Duration {
        usual * u32::from(self.times)
    }

    /// How many times as long as usual, for scripts that have limits of their own.
    pub fn times(self) -> u8 {
        self.times
    }

    /// The same in whole seconds, at most 255 s: what ssh takes.
    pub(crate) fn seconds(self, usual: u8) -> u8 {
        usual.saturating_mul(self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_pace() {
        assert_eq!(
            Pace::USUAL.of(Duration::from_millis(1300)).as_millis(),
            1300
        );
        assert_eq!(
            Pace::EMULATED.of(Duration::from_millis(1300)).as_millis(),
            10_400
        );
        assert_eq!(Pace::EMULATED.seconds(4), 32);
        assert_eq!(Pace::EMULATED.seconds(40), 255);
    }
}
