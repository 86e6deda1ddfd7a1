//! What a client that never stops trying sees while a part fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use caravan_lab::Lab;
use serde::{Deserialize, Serialize};

use crate::attempt::{Client, End};
use crate::{Access, Error};

/// How often a client begins a try, whether or not those before have been answered.
const PERIOD: Duration = Duration::from_millis(20);

/// How many tries may wait for an answer at once.
const UNDER_WAY: usize = 50;

/// How long a client goes on at most, so that it ends even if nobody tells it to.
const LIMIT: Duration = Duration::from_secs(30);

/// How often something is asked that is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a client of the API waits for an answer.
pub const PATIENCE: Duration = Duration::from_millis(400);

/// What a client has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// How many requests it made.
    pub asked: usize,
    /// How many of them were not answered well.
    pub failed: usize,
    /// The longest time without a good answer, in milliseconds: from one to the next, at most.
    pub away_ms: u64,
}

/// A client of the lab's API that shows no certificate, with a connection of its own for each request.
#[derive(Debug, Clone)]
pub struct ApiProbe {
    client: Client,
    endpoint: std::net::SocketAddrV4,
}

impl ApiProbe {
    /// A client of the lab's endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`].
    pub fn new(lab: &Lab, access: &Access) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(&access.kubernetes_ca, None)?
                .with_limit(access.pace().of(PATIENCE))
                .by(&access.way),
            endpoint: lab.api_endpoint(),
        })
    }

    /// Whether the API says, now, that it is ready.
    pub fn answers(&self) -> bool {
        let answer = self.client.get(self.endpoint, "/readyz");
        matches!(answer.end, End::Answered { status: 200, .. })
    }
}

/// Runs `during` while a client tries `works` over and over; returns both what `during` did and what the client saw.
pub fn measured<T>(works: impl Fn() -> bool + Sync, during: impl FnOnce() -> T) -> (T, Outage) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| watch(&stop, &works));
        let done = during();
        stop.store(true, Ordering::SeqCst);
        (done, client.join().unwrap_or_default())
    })
}

/// Each try has a thread of its own: one that hangs must not keep the next from finding out that all is well again.
fn watch(stop: &AtomicBool, works: &(impl Fn() -> bool + Sync)) -> Outage {
    let began = Instant::now();
    let answers = Mutex::new(Vec::new());
    let under_way = AtomicUsize::new(0);
    let ended = std::thread::scope(|scope| {
        loop {
            if under_way.fetch_add(1, Ordering::SeqCst) < UNDER_WAY {
                scope.spawn(|| {
                    let good = works();
                    let answer = (began.elapsed(), good);
                    answers
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(answer);
                    under_way.fetch_sub(1, Ordering::SeqCst);
                });
            } else {
                under_way.fetch_sub(1, Ordering::SeqCst);
            }
            if stop.load(Ordering::SeqCst) || began.elapsed() > LIMIT {
                return began.elapsed();
            }
            sleep(PERIOD);
        }
    });
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen(answers, ended)
}

/// What answers amount to: when each came and whether it was good. The client began at zero.
fn seen(mut answers: Vec<(Duration, bool)>, ended: Duration) -> Outage {
    answers.sort_unstable();
    let mut longest = Duration::ZERO;
    let mut last = Duration::ZERO;
    for (at, _) in answers.iter().filter(|(_, good)| *good) {
        longest = longest.max(*at - last);
        last = *at;
    }
    let longest = longest.max(ended.saturating_sub(last));
    Outage {
        asked: answers.len(),
        failed: answers.iter().filter(|(_, good)| !good).count(),
        away_ms: u64::try_from(longest.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Asks `done` until it says yes, and returns how long that took.
///
/// # Errors
///
/// [`Error::NotInTime`] after `limit`, with the last words of `done`.
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
        assert_eq!(outage.failed, 2);
        assert!(outage.asked > 4 && u128::from(outage.away_ms) >= PERIOD.as_millis());
    }

    #[test]
    fn who_hangs_keeps_nobody_waiting() {
        let tries = AtomicU32::new(0);
        let hung = AtomicBool::new(true);
        let works = || {
            if tries.fetch_add(1, Ordering::SeqCst) == 0 {
                while hung.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(1));
                }
                return false;
            }
            true
        };
        let (done, outage) = measured(works, || {
            let done = until(Duration::from_secs(20), "further tries", || {
                Ok(tries.load(Ordering::SeqCst) > 3)
            });
            hung.store(false, Ordering::SeqCst);
            done
        });
        assert!(done.is_ok());
        assert_eq!(outage.failed, 1);
    }

    #[test]
    fn the_longest_time_between_good_answers_counts() {
        let at = Duration::from_millis;
        let answers = vec![
            (at(30), true),
            // Asked later than those that failed, answered sooner.
            (at(220), true),
            (at(450), false),
            (at(430), false),
            (at(240), true),
        ];
        let outage = |away_ms| Outage {
            asked: 5,
            failed: 2,
            away_ms,
        };
        assert_eq!(seen(answers.clone(), at(250)), outage(190));
        assert_eq!(seen(answers, at(500)), outage(260));
    }

    #[test]
    fn who_is_never_answered_is_out_until_the_end() {
        let stop = AtomicBool::new(true);
        let outage = watch(&stop, &|| {
            sleep(Duration::from_millis(2));
            false
        });
        assert_eq!((outage.asked, outage.failed), (1, 1));
        assert_eq!(seen(vec![(PAUSE, false)], PERIOD).away_ms, 20);
    }

    #[test]
    fn a_wait_ends_with_its_reason() {
        let limit = Duration::from_millis(1);
        let ended = until(limit, "the moon", || Err("it is day".into()));
        let said = ended.expect_err("it never comes").to_string();
        assert_eq!(said, "the moon: not within 0 s: it is day");
        assert!(until(limit, "", || Ok(true)).is_ok());
    }
}
