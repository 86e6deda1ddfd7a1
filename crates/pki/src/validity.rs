//! When a certificate is valid, and when it is due for renewal.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::der::DateTime;
use x509_cert::time::{Time, Validity as X509Validity};

use crate::Error;

/// How far before `now` a certificate starts, so that machines with a slightly late clock accept it; of a life shorter
/// than ten times that, a tenth.
pub const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// How long a certificate is valid.
///
/// ```
/// use caravan_pki::Lifetime;
/// assert_eq!(Lifetime::days(365).as_secs(), 365 * 86_400);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime {
    seconds: u64,
}

impl Lifetime {
    /// The default of authorities: 3,650 days, as kubeadm.
    pub const AUTHORITY: Self = Self::days(3650);
    /// The default of everything else: 365 days, as kubeadm.
    pub const LEAF: Self = Self::days(365);

    /// A number of days of 86,400 seconds.
    pub const fn days(days: u32) -> Self {
        Self {
            seconds: days as u64 * 86_400,
        }
    }

    /// A number of minutes.
    pub const fn minutes(minutes: u32) -> Self {
        Self {
            seconds: minutes as u64 * 60,
        }
    }

    /// A number of hours.
    pub const fn hours(hours: u32) -> Self {
        Self {
            seconds: hours as u64 * 3_600,
        }
    }

    /// A number of seconds, up to about 8,000 years.
    #[cfg(feature = "json")]
    pub(crate) fn seconds(seconds: u64) -> Option<Self> {
        (seconds < 1 << 38).then_some(Self { seconds })
    }

    /// The length in seconds.
    pub const fn as_secs(self) -> u64 {
        self.seconds
    }
}

/// The first and the last second in which a certificate is valid; both belong to it (RFC 5280 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Validity {
    /// The period of a certificate made at `now`: it starts [`BACKDATE`] earlier, but never more than a tenth of its life,
    /// and lasts `lifetime`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a lifetime of zero, and for an end after the year 9999.
    pub(crate) fn starting(now: SystemTime, lifetime: Lifetime) -> Result<Self, Error> {
        let invalid = |problem: &str| {
            Error::invalid(
                "lifetime",
                format!("{} seconds", lifetime.as_secs()),
                problem,
            )
        };
        if lifetime.as_secs() == 0 {
            return Err(invalid("must be longer than nothing"));
        }
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_err(|_| invalid("the clock is before 1970"))?;
        // Certificates know whole seconds only.
        let backdate = BACKDATE.min(Duration::from_secs(lifetime.as_secs() / 10));
        let start = Duration::from_secs(now.as_secs()).saturating_sub(backdate);
        let end = start.as_secs() + lifetime.as_secs() - 1;
        DateTime::from_unix_duration(Duration::from_secs(end))
            .map_err(|_| invalid("would end after the year 9999"))?;
        Ok(Self {
            not_before: UNIX_EPOCH + start,
            not_after: UNIX_EPOCH + Duration::from_secs(end),
        })
    }

    pub(crate) fn of(validity: &X509Validity) -> Self {
        Self {
            not_before: validity.not_before.to_system_time(),
            not_after: validity.not_after.to_system_time(),
        }
    }

    /// The same period, but not starting before `start`.
    pub(crate) fn clamped_to_start(self, start: SystemTime) -> Self {
        Self {
            not_before: self.not_before.max(start),
            ..self
        }
    }

    pub(crate) fn to_x509(self) -> Result<X509Validity, Error> {
        let (start, end) = self.times()?;
        Ok(X509Validity::new(start, end))
    }

    /// Both ends as X.509 writes them.
    pub(crate) fn times(self) -> Result<(Time, Time), Error> {
        Ok((x509_time(self.not_before)?, x509_time(self.not_after)?))
    }

    /// The first second.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The last second.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The whole length, both ends included.
    pub fn lifetime(&self) -> Lifetime {
        let between = self.not_after.duration_since(self.not_before);
        Lifetime {
            seconds: between.unwrap_or_default().as_secs() + 1,
        }
    }

    /// Whether `now` lies inside.
    pub fn contains(&self, now: SystemTime) -> bool {
        // The last second counts whole.
        self.not_before <= now && now < self.not_after + Duration::from_secs(1)
    }

    /// The time from `now` to the end; zero when it is past.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }

    /// Whether less than a third of the life remains at `now`.
    ///
    /// A fixed number of days is wrong for some lifetime or other; a third leaves time for two tries.
    pub fn is_due(&self, now: SystemTime) -> bool {
        let life = self
            .not_after
            .duration_since(self.not_before)
            .unwrap_or_default();
        // One second, or less than none: there is no third of it left to wait for.
        life.is_zero() || self.remaining(now) * 3 < life
    }
}

fn x509_time(time: SystemTime) -> Result<Time, Error> {
    Time::try_from(time)
        .map_err(|_| Error::invalid("time", rfc3339(time), "certificates end with the year 9999"))
}

/// The time in UTC, as `2026-11-21T12:00:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    match time
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| DateTime::from_unix_duration(Duration::from_secs(since.as_secs())).ok())
    {
        Some(date) => date.to_string(),
        None => "a time outside 1970-9999".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_day_is_a_day_with_both_ends_inside() {
        let validity = Validity::starting(at(1_000_000), Lifetime::days(1)).unwrap();
        assert_eq!(validity.not_before(), at(1_000_000 - 300));
        assert_eq!(validity.not_after(), at(1_000_000 - 300 + 86_400 - 1));
        assert!(validity.contains(at(1_000_000 - 300)));
        assert!(!validity.contains(at(1_000_000 - 301)));
        assert!(validity.contains(validity.not_after() + Duration::from_millis(999)));
        assert!(!validity.contains(validity.not_after() + Duration::from_secs(1)));
    }

    #[test]
    fn fractions_of_seconds_are_cut() {
        let now = at(2_000_000) + Duration::from_millis(700);
        let validity = Validity::starting(now, Lifetime::hours(1)).unwrap();
        assert_eq!(validity.not_before(), at(2_000_000 - 300));
    }

    #[test]
    fn due_when_a_third_is_left() {
        let validity = Validity {
            not_before: at(0),
            not_after: at(300),
        };
        assert!(!validity.is_due(at(200)));
        assert!(validity.is_due(at(201)));
        assert!(validity.is_due(at(1000)));
    }

    #[test]
    fn what_ends_in_the_second_it_starts_is_due() {
        for (not_before, not_after) in [(at(100), at(100)), (at(100), at(99))] {
            let validity = Validity {
                not_before,
                not_after,
            };
            assert!(validity.is_due(at(100)), "{validity:?}");
        }
        let two_seconds = Validity {
            not_before: at(100),
            not_after: at(101),
        };
        assert!(!two_seconds.is_due(at(100)));
        assert!(two_seconds.is_due(at(101)));
    }

    /// Whatever the lifetime: it is valid when it is made, for most of the time that was asked for, and not due.
    #[test]
    fn lifetimes_shorter_than_the_backdating_work() {
        for (seconds, before) in [(1, 0), (9, 0), (60, 6), (299, 29), (300, 30), (2999, 299)] {
            let validity = Validity::starting(at(1_000_000), Lifetime { seconds }).unwrap();
            assert_eq!(validity.not_before(), at(1_000_000 - before), "{seconds}");
            assert_eq!(validity.lifetime().as_secs(), seconds);
            assert!(validity.contains(at(1_000_000)), "{seconds}");
            assert_eq!(validity.is_due(at(1_000_000)), seconds == 1, "{seconds}");
        }
        let minutes = Validity::starting(at(1_000_000), Lifetime::minutes(50)).unwrap();
        assert_eq!(minutes.not_before(), at(1_000_000 - 300));
    }

    #[test]
    fn impossible_lifetimes_are_refused() {
        for (lifetime, problem) in [
            (Lifetime::days(0), "must be longer than nothing"),
            (Lifetime::days(u32::MAX), "would end after the year 9999"),
        ] {
            let error = Validity::starting(at(1_000_000), lifetime).unwrap_err();
            assert!(error.to_string().contains(problem), "{error}");
        }
    }

    #[test]
    fn times_are_printed_in_utc() {
        assert_eq!(rfc3339(at(1_795_262_400)), "2026-11-21T12:00:00Z");
    }
}
