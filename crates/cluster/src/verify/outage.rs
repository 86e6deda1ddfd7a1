//! What a client that never stops trying sees while a part fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a client tries.
const PAUSE: Duration = Duration::from_millis(50);

/// What a client has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) tries: u32,
    pub(super) failures: u32,
    /// From the first try that failed to the first that succeeded again, at most.
    pub(super) longest: Duration,
}

/// Runs `during` while a client tries `works` over and over; returns both what `during` did and what the client saw.
pub(super) fn measured<T>(
    works: impl Fn() -> bool + Sync,
    during: impl FnOnce() -> T,
) -> (T, Outage) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| watch(&stop, &works));
        let done = during();
        stop.store(true, Ordering::SeqCst);
        (done, client.join().unwrap_or_default())
    })
}

fn watch(stop: &AtomicBool, works: &impl Fn() -> bool) -> Outage {
    let mut outage = Outage::default();
    let mut down_since = None;
    loop {
        let asked = Instant::now();
        outage.tries += 1;
        if works() {
            if let Some(since) = down_since.take() {
                outage.longest = outage.longest.max(asked.duration_since(since));
            }
        } else {
            outage.failures += 1;
            down_since.get_or_insert(asked);
        }
        if stop.load(Ordering::SeqCst) {
            break;
        }
        sleep(PAUSE.saturating_sub(asked.elapsed()));
    }
    if let Some(since) = down_since {
        outage.longest = outage.longest.max(since.elapsed());
    }
    outage
}

/// Asks `done` until it says yes, and returns how long that took; `Err` after `limit`, with its last words.
pub(super) fn until(
    limit: Duration,
    what: &str,
    mut done: impl FnMut() -> Result<bool, String>,
) -> Result<Duration, String> {
    let began = Instant::now();
    loop {
        let last = done();
        if last == Ok(true) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > limit {
            let why = last.err().map(|why| format!(": {why}")).unwrap_or_default();
            return Err(format!("{what}: not within {} s{why}", limit.as_secs()));
        }
        sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn an_outage_is_seen_while_something_is_done() {
        let tries = AtomicU32::new(0);
        let works = || !(1..=2).contains(&tries.fetch_add(1, Ordering::SeqCst));
        let (done, outage) = measured(works, || {
            until(Duration::from_secs(20), "tries", || {
                Ok(tries.load(Ordering::SeqCst) > 4)
            })
        });
        assert!(done.is_ok());
        assert_eq!(outage.failures, 2);
        assert!(outage.tries > 4 && outage.longest >= PAUSE);
    }

    #[test]
    fn who_never_comes_back_is_out_until_the_end() {
        let stop = AtomicBool::new(true);
        let outage = watch(&stop, &|| false);
        assert_eq!((outage.tries, outage.failures), (1, 1));
        assert!(outage.longest > Duration::ZERO);
    }

    #[test]
    fn a_wait_ends_with_its_reason() {
        let limit = Duration::from_millis(1);
        let ended = until(limit, "the moon", || Err("it is day".into()));
        assert_eq!(ended, Err("the moon: not within 0 s: it is day".to_owned()));
        assert!(until(limit, "", || Ok(true)).is_ok());
    }
}
