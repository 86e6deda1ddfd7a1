//! Times and lengths, in words.

use jiff::{SignedDuration, Timestamp};

/// `2026-11-29 12:00:00 UTC`.
pub(crate) fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-11-29`.
pub(crate) fn day(at_s: i64) -> String {
    let at = Timestamp::from_second(at_s).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%d").to_string()
}

/// Milliseconds since 1970 as a time.
pub(crate) fn of_ms(unix_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How long ago, or how far ahead: `3 minutes before`, `2 days before`.
pub(crate) fn before(now: Timestamp, then: Timestamp) -> String {
    let since = now.duration_since(then);
    if since < SignedDuration::from_secs(1) {
        return "at the same time".to_owned();
    }
    format!("{} before", length(since))
}

/// The largest unit alone, since the next one changes nothing for who reads it.
fn length(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        ..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Microseconds as milliseconds: `412 ms`.
pub(crate) fn ms(micros: u64) -> String {
    format!("{} ms", micros / 1000)
}

/// Microseconds as seconds: `5.0 s`.
pub(crate) fn s(micros: u64) -> String {
    let tenths = micros / 100_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().expect("a time");
        let ago = |seconds| before(now, now - SignedDuration::from_secs(seconds));
        assert_eq!(ago(1), "1 second before");
        assert_eq!(ago(119), "119 seconds before");
        assert_eq!(ago(120), "2 minutes before");
        assert_eq!(ago(7_200), "2 hours before");
        assert_eq!(ago(200_000), "2 days before");
        assert_eq!(ago(-5), "at the same time");
        assert_eq!(shown(now), "2026-11-29 12:00:00 UTC");
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(
            (ms(412_900), s(5_190_000)),
            ("412 ms".to_owned(), "5.1 s".to_owned())
        );
    }
}
