//! Waiting, until something is so or for a time; both end when the user wants to stop.

use std::thread::sleep;
use std::time::{Duration, Instant};

use caravan_process::interrupt;

use crate::Error;

/// How soon a wait ends when the user wants to stop.
const LOOK: Duration = Duration::from_millis(20);

/// How often something is asked that is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks `done` until it says yes, and returns how long that took.
///
/// # Errors
///
/// [`Error::NotInTime`] after `limit`, with the last words of `done`, and [`Error::Interrupted`] when the user wants to stop.
pub fn until(
    limit: Duration,
    what: &str,
    mut done: impl FnMut() -> Result<bool, String>,
) -> Result<Duration, Error> {
    let began = Instant::now();
    loop {
        let last = done();
        if last == Ok(true) {
            return Ok(began.elapsed());
        }
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        if began.elapsed() > limit {
            return Err(Error::NotInTime {
                what: what.to_owned(),
                seconds: limit.as_secs(),
                why: last.err(),
            });
        }
        sleep(PAUSE);
    }
}

/// Waits for as long as that.
///
/// # Errors
///
/// [`Error::Interrupted`] as soon as the user wants to stop.
pub fn pause(duration: Duration) -> Result<(), Error> {
    let began = Instant::now();
    while began.elapsed() < duration {
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        sleep(LOOK.min(duration.saturating_sub(began.elapsed())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_its_reason() {
        let limit = Duration::from_millis(1);
        let ended = until(limit, "the moon", || Err("it is day".into()));
        let said = ended.expect_err("it never comes").to_string();
        assert_eq!(said, "the moon: not within 0 s: it is day");
        assert!(until(limit, "", || Ok(true)).is_ok());
    }
}
