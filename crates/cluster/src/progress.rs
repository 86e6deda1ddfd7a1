//! What a machine says while it makes itself what the lab says: lines of the journal of `caravan-bootstrap`.
//!
//! `CARAVAN <unix-ms> <phase> <start|wait|done|fail> <text...>`; whatever else the journal holds is for people.

use serde::Serialize;

/// The unit that prints the lines.
pub const UNIT: &str = "caravan-bootstrap.service";

/// The phase whose end means that the machine is done.
pub const READY: &str = "ready";

/// One line of progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// When, in milliseconds since 1970, by the machine's clock.
    pub at_ms: u64,
    /// The phase, such as `etcd-quorum`.
    pub phase: String,
    /// What became of it.
    pub event: Event,
    /// Details for people: what is awaited, or why it failed.
    pub text: String,
}

/// What became of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It begins.
    Start,
    /// It waits for something outside of the machine.
    Wait,
    /// It is done.
    Done,
    /// It failed; the unit starts again and tries once more.
    Fail,
}

impl Event {
    /// Returns the word for people, in the past tense.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Wait => "waits",
            Self::Done => "done",
            Self::Fail => "failed",
        }
    }
}

/// Reads one line of the journal; `None` when it is no line of progress.
pub fn parse(line: &str) -> Option<Progress> {
    let mut words = line.trim().splitn(5, ' ');
    if words.next()? != "CARAVAN" {
        return None;
    }
    let at_ms = words.next()?.parse().ok()?;
    let phase = words.next().filter(|phase| !phase.is_empty())?.to_owned();
    let event = match words.next()? {
        "start" => Event::Start,
        "wait" => Event::Wait,
        "done" => Event::Done,
        "fail" => Event::Fail,
        _ => return None,
    };
    let text = words.next().unwrap_or_default().trim().to_owned();
    Some(Progress {
        at_ms,
        phase,
        event,
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |line: &str, wanted: Option<(u64, &str, Event, &str)>| {
            let found = parse(line);
            let found = found.as_ref();
            assert_eq!(
                found.map(|it| (it.at_ms, it.phase.as_str(), it.event, it.text.as_str())),
                wanted,
                "{line}"
            );
        };
        check(
            "CARAVAN 1795265050123 prepare start masterone, control-plane",
            Some((
                1_795_265_050_123,
                "prepare",
                Event::Start,
                "masterone, control-plane",
            )),
        );
        check(
            "CARAVAN 1 vip wait 192.168.29.80:6443 to accept connections (10s)",
            Some((
                1,
                "vip",
                Event::Wait,
                "192.168.29.80:6443 to accept connections (10s)",
            )),
        );
        check("CARAVAN 2 ready done", Some((2, "ready", Event::Done, "")));
        check(
            "CARAVAN 2 ready done\r",
            Some((2, "ready", Event::Done, "")),
        );
        check("[init] Using Kubernetes version: v1.36.3", None);
        check("CARAVAN x ready done", None);
        check("CARAVAN 2 ready", None);
        check("CARAVAN 2 ready begun", None);
        check("CARAVAN 2  done", None);
        check("caravan 2 ready done", None);
        check("", None);
    }
}
