//! A disk, or a network, that is slow. Whether that can be had depends on the kernel that the machine runs on, so it is tried
//! first, and its effect is looked at: a limit that is accepted and does nothing is as common as one that is refused.

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

/// What is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowPart {
    /// The disk of an etcd member: few writes a second.
    Disk,
    /// What a machine sends: late, or through a narrow line.
    Net,
}

/// What etcd says of its writes to its log: seconds in all, and how many.
pub type LogWrites = (f64, f64);

impl SlowPart {
    /// In words: `its disk takes 40 writes a second`.
    pub fn text(self) -> String {
        match self {
            Self::Disk => format!("its disk takes {DISK_IOPS} writes a second"),
            Self::Net => "its network is slow".to_owned(),
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
            Self::Net => include_str!("scripts/slow-net.sh"),
        };
        let script = format!(
            "VERB={verb} SAFETY={} IOPS={DISK_IOPS} ADDRESS={} PORT={}\n{script}",
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
            Self::Net => said.get("refused").map(|why| why.join("; ")),
        })
    }

    /// Has it slow for `safety` at most, even if nobody is left to end it; returns what shows that, and for a disk what etcd says
    /// of its writes until now.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn begin(
        self,
        access: &Access,
        machine: &Machine,
        safety: Duration,
    ) -> Result<(String, Option<LogWrites>), Error> {
        let said = self.ask(access, machine, "begin", safety)?;
        Ok(match self {
            Self::Disk => (self.text(), log_writes(&said.text("log"))),
            Self::Net => (said.text("way"), None),
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
        before: Option<LogWrites>,
    ) -> Result<(String, bool), Error> {
        let said = self.ask(access, machine, "end", Duration::ZERO)?;
        Ok(match self {
            Self::Disk => slower(before, log_writes(&said.text("log"))),
            Self::Net => queued(&said.text("seen")),
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

fn log_writes(text: &str) -> Option<LogWrites> {
    let (sum, count) = text.trim().split_once(' ')?;
    Some((sum.parse().ok()?, count.parse().ok()?))
}

/// How long writes to etcd's log took before and meanwhile.
fn slower(before: Option<LogWrites>, after: Option<LogWrites>) -> (String, bool) {
    let (Some(before), Some(after)) = (before, after) else {
        return (
            "etcd did not tell how long its writes took".to_owned(),
            false,
        );
    };
    let milliseconds = |(seconds, count): LogWrites| 1000.0 * seconds / count.max(1.0);
    let meanwhile = (after.0 - before.0, after.1 - before.1);
    let (usual, slow) = (milliseconds(before), milliseconds(meanwhile));
    (
        format!("a write to etcd's log took {slow:.1} ms, and {usual:.1} ms before"),
        meanwhile.1 > 0.0 && slow > 2.0 * usual,
    )
}

/// What waited in the queue.
fn queued(seen: &str) -> (String, bool) {
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
        true => (
            format!("{sent} packets were late, {dropped} dropped"),
            sent > 0,
        ),
        false => (
            format!("{waited} of {sent} packets waited for the line, {dropped} were dropped"),
            waited > 0,
        ),
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
        let (said, shown) = slower(Some((2.0, 1000.0)), Some((12.0, 1200.0)));
        assert_eq!(
            said,
            "a write to etcd's log took 50.0 ms, and 2.0 ms before"
        );
        assert!(shown);
        assert!(!slower(Some((2.0, 1000.0)), Some((2.1, 1050.0))).1);
        assert!(!slower(Some((2.0, 1000.0)), Some((2.0, 1000.0))).1);
        assert!(!slower(None, Some((2.0, 1000.0))).1);
        assert_eq!(log_writes("0.25 17\n"), Some((0.25, 17.0)));
        assert_eq!(log_writes(""), None);
    }

    #[test]
    fn what_waited_is_counted() {
        let tbf = "qdisc tbf 8001: dev eth0 root refcnt 2 rate 2Mbit burst 16Kb lat 400ms\n Sent 123456 bytes 789 pkt (dropped 3, overlimits 45 requeues 0)\n backlog 0b 0p requeues 0";
        assert_eq!(
            queued(tbf),
            (
                "45 of 789 packets waited for the line, 3 were dropped".to_owned(),
                true
            )
        );
        let netem = "qdisc netem 8002: dev eth0 root refcnt 2 limit 1000 delay 40ms\n Sent 900 bytes 12 pkt (dropped 0, overlimits 0 requeues 0)";
        assert_eq!(
            queued(netem),
            ("12 packets were late, 0 dropped".to_owned(), true)
        );
        assert!(!queued("").1);
    }
}
