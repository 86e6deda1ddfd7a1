//! A disk, or a network, that is slow. Whether that can be had depends on the kernel that the machine runs on, so it is tried
//! first, and its effect is looked at: a limit that is accepted and does nothing is as common as one that is refused.

use std::net::Ipv4Addr;
use std::time::Duration;

use caravan_lab::{Machine, ports};

use crate::facts::{self, Facts};
use crate::{Access, Error};

/// How long the machine may take for one of these.
const LIMIT: Duration = Duration::from_secs(60);

/// How many writes a second a slow disk takes; a disk that turns takes a hundred.
const DISK_IOPS: u32 = 40;

/// How many times as long writes must take under a limit, in the trial of it.
const SLOWER: u64 = 3;

/// How much later packets must be that are slow, in milliseconds: more than a busy computer makes of it.
const NOTICED_MS: f64 = 2.0;

/// What is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowPart {
    /// The disk of an etcd member: few writes a second.
    Disk,
    /// What a machine sends: late, or through a narrow line. The address is that of another one, to which it is timed.
    Net(Ipv4Addr),
}

/// What is looked at before something is slow, and meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SlowFigures {
    /// What etcd says of its writes to its log: seconds in all, and how many.
    LogWrites(f64, f64),
    /// How long a packet and its answer take, in milliseconds.
    RoundTrip(f64),
}

impl SlowPart {
    /// In words: `its disk takes 40 writes a second`.
    pub fn text(self) -> String {
        match self {
            Self::Disk => format!("its disk takes {DISK_IOPS} writes a second"),
            Self::Net(_) => "its network is slow".to_owned(),
        }
    }

    fn ask(
        self,
        access: &Access,
        machine: &Machine,
        verb: &str,
        safety: Duration,
    ) -> Result<Facts, Error> {
        let script = match self {
            Self::Disk => include_str!("scripts/slow-disk.sh"),
            Self::Net(_) => include_str!("scripts/slow-net.sh"),
        };
        let other = match self {
            Self::Disk => machine.ip,
            Self::Net(other) => other,
        };
        let script = format!(
            "VERB={verb} SAFETY={} IOPS={DISK_IOPS} ADDRESS={} OTHER={other} PORT={}\n{script}",
            safety.as_secs().max(1),
            machine.ip,
            ports::ETCD_CLIENT
        );
        facts::ask(access, machine, &script, LIMIT)
    }

    /// Why `machine` cannot have it; nothing where it can.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn obstacle(self, access: &Access, machine: &Machine) -> Result<Option<String>, Error> {
        let said = self.ask(access, machine, "probe", Duration::ZERO)?;
        Ok(match self {
            Self::Disk => disk_obstacle(&said.text("free"), &said.text("slow")),
            Self::Net(_) => said.get("refused").map(|why| why.join("; ")),
        })
    }

    /// Has it slow for `safety` at most, even if nobody is left to end it; returns how, and what was seen before.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn begin(
        self,
        access: &Access,
        machine: &Machine,
        safety: Duration,
    ) -> Result<(String, Option<SlowFigures>), Error> {
        let said = self.ask(access, machine, "begin", safety)?;
        Ok(match self {
            Self::Disk => (self.text(), log_writes(&said.text("log"))),
            Self::Net(_) => (said.text("way"), round_trip(&said.text("round-trip"))),
        })
    }

    /// Ends it; returns what it did, and whether that shows that it was there. `before` is what [`SlowPart::begin`] returned.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn end(
        self,
        access: &Access,
        machine: &Machine,
        before: Option<SlowFigures>,
    ) -> Result<(String, bool), Error> {
        let said = self.ask(access, machine, "end", Duration::ZERO)?;
        Ok(match self {
            Self::Disk => slower(before, log_writes(&said.text("log"))),
            Self::Net(_) => {
                let (late, was_real) = later(before, round_trip(&said.text("round-trip")));
                (format!("{late}; {}", queued(&said.text("seen"))), was_real)
            }
        })
    }
}

fn disk_obstacle(free: &str, slow: &str) -> Option<String> {
    let times: (Result<u64, _>, Result<u64, _>) = (free.trim().parse(), slow.trim().parse());
    match times {
        (Ok(free), Ok(slow)) if slow >= SLOWER * free.max(1) => None,
        (Ok(free), Ok(slow)) => Some(format!(
            "its kernel has no limit for writes that works: twenty take {free} ms without one, and {slow} ms with one of ten a \
             second"
        )),
        (Ok(_), Err(_)) => {
            Some("its kernel, or the container it is, has no limit for writes".to_owned())
        }
        _ => Some("it cannot write to etcd's folder to try it".to_owned()),
    }
}

fn log_writes(text: &str) -> Option<SlowFigures> {
    let (sum, count) = text.trim().split_once(' ')?;
    Some(SlowFigures::LogWrites(
        sum.parse().ok()?,
        count.parse().ok()?,
    ))
}

fn round_trip(text: &str) -> Option<SlowFigures> {
    text.trim().parse().ok().map(SlowFigures::RoundTrip)
}

/// How long writes to etcd's log took before and meanwhile.
fn slower(before: Option<SlowFigures>, after: Option<SlowFigures>) -> (String, bool) {
    let (Some(SlowFigures::LogWrites(sum, count)), Some(SlowFigures::LogWrites(all, total))) =
        (before, after)
    else {
        return (
            "etcd did not tell how long its writes took".to_owned(),
            false,
        );
    };
    let milliseconds = |seconds: f64, count: f64| 1000.0 * seconds / count.max(1.0);
    let (usual, slow) = (
        milliseconds(sum, count),
        milliseconds(all - sum, total - count),
    );
    (
        format!("a write to etcd's log took {slow:.1} ms, and {usual:.1} ms before"),
        total > count && slow > 2.0 * usual,
    )
}

/// How long packets took before and meanwhile.
fn later(before: Option<SlowFigures>, meanwhile: Option<SlowFigures>) -> (String, bool) {
    let (Some(SlowFigures::RoundTrip(usual)), Some(SlowFigures::RoundTrip(slow))) =
        (before, meanwhile)
    else {
        return ("it did not tell how long packets took".to_owned(), false);
    };
    (
        format!("a packet and its answer took {slow:.1} ms, and {usual:.1} ms before"),
        slow > 2.0 * usual && slow - usual > NOTICED_MS,
    )
}

/// What waited in the queue, in words.
fn queued(seen: &str) -> String {
    // Sent 1234 bytes 56 pkt (dropped 0, overlimits 7 requeues 0)
    let number = |after: &str| -> u64 {
        let rest = seen.split(after).nth(1).unwrap_or_default();
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    };
    let sent = seen.split(" bytes ").nth(1).unwrap_or_default();
    let sent: u64 = (sent.split(' ').next())
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let (dropped, waited) = (number("dropped "), number("overlimits "));
    match seen.contains("netem") {
        true => format!("{sent} packets were late, {dropped} dropped"),
        false => {
            format!("{sent} packets waited {waited} times for the line, {dropped} were dropped")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_without_an_effect_is_none() {
        assert_eq!(disk_obstacle("80", "2100\n"), None);
        let none = disk_obstacle("80", "90").expect("an obstacle");
        assert!(
            none.contains("80 ms without one, and 90 ms with one"),
            "{none}"
        );
        assert!(disk_obstacle("80", "failed").is_some());
        assert!(disk_obstacle("failed", "failed").is_some());
        assert!(disk_obstacle("", "").is_some());
    }

    #[test]
    fn what_was_slow_shows() {
        let writes = |sum, count| Some(SlowFigures::LogWrites(sum, count));
        let (said, shown) = slower(writes(2.0, 1000.0), writes(12.0, 1200.0));
        assert_eq!(
            said,
            "a write to etcd's log took 50.0 ms, and 2.0 ms before"
        );
        assert!(shown);
        assert!(!slower(writes(2.0, 1000.0), writes(2.1, 1050.0)).1);
        assert!(!slower(writes(2.0, 1000.0), writes(2.0, 1000.0)).1);
        assert!(!slower(None, writes(2.0, 1000.0)).1);
        assert_eq!(log_writes("0.25 17\n"), writes(0.25, 17.0));
        assert_eq!(log_writes(""), None);
    }

    #[test]
    fn packets_that_were_not_late_are_no_slow_network() {
        let (said, shown) = later(round_trip("0.081\n"), round_trip("40.215"));
        assert_eq!(
            said,
            "a packet and its answer took 40.2 ms, and 0.1 ms before"
        );
        assert!(shown);
        // A queue that is there and has nobody wait.
        assert!(!later(round_trip("0.081"), round_trip("0.090")).1);
        // Twice as long, by a busy computer.
        assert!(!later(round_trip("0.081"), round_trip("0.310")).1);
        assert!(!later(round_trip("0.081"), round_trip("")).1);
        assert!(!later(None, round_trip("40.2")).1);
    }

    #[test]
    fn what_waited_is_counted() {
        let tbf = "qdisc tbf 8001: dev eth0 root refcnt 2 rate 2Mbit burst 16Kb lat 400ms\n Sent 123456 bytes 789 pkt (dropped 3, overlimits 45 requeues 0)\n backlog 0b 0p requeues 0";
        assert_eq!(
            queued(tbf),
            "789 packets waited 45 times for the line, 3 were dropped"
        );
        let netem = "qdisc netem 8002: dev eth0 root refcnt 2 limit 1000 delay 40ms\n Sent 900 bytes 12 pkt (dropped 0, overlimits 0 requeues 0)";
        assert_eq!(queued(netem), "12 packets were late, 0 dropped");
    }
}
