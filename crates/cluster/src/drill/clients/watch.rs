//! The watch of a drill: one connection, on which everything that is created is told.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DrillSpace, number_of};
use crate::attempt::Client;
use crate::drill::pacer::DrillClock;
use crate::drill::record::{WatchEvent, WatchRecord};
use crate::{Access, Error};

/// How long a watch may be silent before it is made anew. Something is created every 50 ms, so it is away then; Kubernetes' own
/// clients find out by a question of their connection's, after 30 to 45 s.
const SILENCE: Duration = Duration::from_secs(3);

/// How long is waited before it is made anew.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may take, and each wait on it before it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(200);

/// What is watched, and from where on.
pub(in crate::drill) struct Watch<'a> {
    pub(in crate::drill) access: &'a Access,
    pub(in crate::drill) endpoint: SocketAddrV4,
    pub(in crate::drill) space: &'a DrillSpace,
    /// The revision after which is watched.
    pub(in crate::drill) from: u64,
    pub(in crate::drill) clock: DrillClock,
    pub(in crate::drill) stop: &'a AtomicBool,
}

impl Watch<'_> {
    /// Watches until it is told to stop; one that breaks goes on from what it was told last.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`], before anything is watched.
    pub(in crate::drill) fn run(&self) -> Result<Vec<WatchRecord>, Error> {
        let client = Client::new(&self.access.kubernetes_ca, Some(&self.access.operator))?
            .with_limit(Duration::from_secs(1))
            .by(&self.access.way);
        let mut records = Vec::new();
        let mut from = self.from;
        while !self.stop.load(Ordering::Relaxed) {
            let path = format!(
                "{}?watch=1&allowWatchBookmarks=true&resourceVersion={from}",
                self.space.maps()
            );
            let mut last = Instant::now();
            let mut begun = false;
            let ended = client.lines(self.endpoint, &path, LOOK, &mut |line| {
                let Some(line) = line else {
                    return !self.stop.load(Ordering::Relaxed) && last.elapsed() < SILENCE;
                };
                if !begun {
                    begun = true;
                    let event = WatchEvent::Begins { from };
                    records.push(self.at_now(event));
                }
                last = Instant::now();
                match read(line) {
                    Line::Event(event) => {
                        from = from.max(revision(&event));
                        records.push(self.at_now(event));
                        true
                    }
                    Line::Other => true,
                    Line::Refused => false,
                }
            });
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let was_watching = matches!(
                records.last().map(|record| &record.event),
                Some(event) if !matches!(event, WatchEvent::Broke { .. })
            );
            if was_watching {
                let why = match ended {
                    Ok(()) if last.elapsed() >= SILENCE => {
                        format!("silent for {} s", SILENCE.as_secs())
                    }
                    Ok(()) => "ended by the server".to_owned(),
                    Err(why) => why,
                };
                records.push(self.at_now(WatchEvent::Broke { why }));
            }
            sleep(PAUSE);
        }
        Ok(records)
    }

    fn at_now(&self, event: WatchEvent) -> WatchRecord {
        WatchRecord {
            at: self.clock.now(),
            event,
        }
    }
}

fn revision(event: &WatchEvent) -> u64 {
    match event {
        WatchEvent::Created { revision, .. } | WatchEvent::Bookmark { revision } => *revision,
        WatchEvent::Begins { .. } | WatchEvent::Broke { .. } => 0,
    }
}

enum Line {
    Event(WatchEvent),
    /// Nothing that is counted.
    Other,
    /// The server does not watch from there.
    Refused,
}

fn read(line: &str) -> Line {
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return Line::Other;
    };
    let metadata = &event["object"]["metadata"];
    let revision = metadata["resourceVersion"].as_str();
    let revision = revision.and_then(|text| text.parse().ok());
    let wrote = metadata["name"].as_str().and_then(number_of);
    match (event["type"].as_str(), revision, wrote) {
        (Some("ERROR"), ..) => Line::Refused,
        (Some("ADDED"), Some(revision), Some(wrote)) => {
            Line::Event(WatchEvent::Created { wrote, revision })
        }
        (Some("BOOKMARK"), Some(revision), _) => Line::Event(WatchEvent::Bookmark { revision }),
        _ => Line::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_the_api_tells_them() {
        let event = |kind: &str, name: &str| {
            let line = serde_json::json!({ "type": kind, "object": { "metadata": {
                "name": name, "resourceVersion": "812",
            } } });
            match read(&line.to_string()) {
                Line::Event(event) => Some(event),
                Line::Other | Line::Refused => None,
            }
        };
        assert_eq!(
            event("ADDED", "w-000007"),
            Some(WatchEvent::Created {
                wrote: 7,
                revision: 812
            })
        );
        assert_eq!(event("ADDED", "kube-root-ca.crt"), None);
        assert_eq!(event("MODIFIED", "chain"), None);
        assert_eq!(
            event("BOOKMARK", ""),
            Some(WatchEvent::Bookmark { revision: 812 })
        );
        assert_eq!(event("ERROR", ""), None);
        assert!(matches!(read("HTTP/1.0 200 OK"), Line::Other));
        assert!(matches!(
            read(r#"{"type":"ERROR","object":{"code":410}}"#),
            Line::Refused
        ));
    }
}
