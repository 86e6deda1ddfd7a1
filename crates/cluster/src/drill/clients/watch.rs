//! The watch of a drill: one connection, on which everything that is created is told. As Kubernetes' own clients do, it goes on
//! from where it was when it breaks, and lists anew where the server has nothing of that any more.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DrillSpace, number_of};
use crate::attempt::Client;
use crate::drill::pacer::DrillClock;
use crate::drill::record::{WatchEvent, WatchRecord};
use crate::kube::{self, Api};
use crate::{Access, Error};

/// How long a watch may be silent before it is made anew. Something is created every 50 ms, so it is away then; Kubernetes' own
/// clients find out by a question of their connection's, after 30 to 45 s.
const SILENCE: Duration = Duration::from_secs(3);

/// How long is waited before it is made anew.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may take, and each wait on it before it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(200);

/// How long a list may take.
const LIST: Duration = Duration::from_secs(5);

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
    /// Watches until it is told to stop; one that breaks goes on from what it was told last, or from a list where that is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Credentials`], before anything is watched.
    pub(in crate::drill) fn run(&self) -> Result<Vec<WatchRecord>, Error> {
        let pace = self.access.pace();
        let silence = pace.of(SILENCE);
        let client = Client::new(&self.access.kubernetes_ca, Some(&self.access.operator))?
            .with_limit(pace.of(Duration::from_secs(1)))
            .by(&self.access.way);
        let operator = Some(&self.access.operator);
        let lists = Api::at(
            "the API",
            self.endpoint,
            self.access,
            operator,
            pace.of(LIST),
        )?;
        let mut records = Vec::new();
        let mut from = self.from;
        while !self.stop.load(Ordering::Relaxed) {
            let path = format!(
                "{}?watch=1&allowWatchBookmarks=true&resourceVersion={from}",
                self.space.maps()
            );
            let mut last = Instant::now();
            let (mut begun, mut gone) = (false, false);
            let ended = client.lines(self.endpoint, &path, LOOK, &mut |line| {
                let Some(line) = line else {
                    return !self.stop.load(Ordering::Relaxed) && last.elapsed() < silence;
                };
                last = Instant::now();
                let line = read(line);
                if matches!(line, Line::Gone) {
                    gone = true;
                    return false;
                }
                if !begun && !matches!(line, Line::Refused) {
                    begun = true;
                    let event = WatchEvent::Begins { from };
                    records.push(self.at_now(event));
                }
                match line {
                    Line::Event(event) => {
                        from = from.max(revision(&event));
                        records.push(self.at_now(event));
                        true
                    }
                    Line::Other => true,
                    Line::Gone | Line::Refused => false,
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
                    _ if gone => "its revision is gone".to_owned(),
                    Ok(()) if last.elapsed() >= silence => {
                        format!("silent for {} s", silence.as_secs())
                    }
                    Ok(()) => "ended by the server".to_owned(),
                    Err(why) => why,
                };
                records.push(self.at_now(WatchEvent::Broke { why }));
            }
            if gone
                && let Ok(list) = lists.get(&self.space.maps())
                && let Some((revision, wrote)) = listed(&list)
            {
                from = revision;
                records.push(self.at_now(WatchEvent::Listed { revision, wrote }));
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
        WatchEvent::Begins { .. } | WatchEvent::Listed { .. } | WatchEvent::Broke { .. } => 0,
    }
}

enum Line {
    Event(WatchEvent),
    /// Nothing that is counted.
    Other,
    /// The server has nothing of that revision any more.
    Gone,
    /// The server does not watch from there.
    Refused,
}

/// What the API calls a revision that is gone (HTTP 410).
const GONE: u64 = 410;

/// The revision of a list, and the numbers in the names of what is on it.
fn listed(list: &Value) -> Option<(u64, Vec<u64>)> {
    let revision = list["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
    let names = kube::items(list).filter_map(|item| item["metadata"]["name"].as_str());
    Some((revision, names.filter_map(number_of).collect()))
}

fn read(line: &str) -> Line {
    if let Some(answer) = line.strip_prefix("HTTP/") {
        let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok());
        return match status {
            Some(GONE) => Line::Gone,
            Some(400..) => Line::Refused,
            _ => Line::Other,
        };
    }
    let Ok(event) = serde_json::from_str::<Value>(line) else {
        return Line::Other;
    };
    let metadata = &event["object"]["metadata"];
    let revision = metadata["resourceVersion"].as_str();
    let revision = revision.and_then(|text| text.parse().ok());
    let wrote = metadata["name"].as_str().and_then(number_of);
    match (event["type"].as_str(), revision, wrote) {
        (Some("ERROR"), ..) if event["object"]["code"].as_u64() == Some(GONE) => Line::Gone,
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
                Line::Other | Line::Gone | Line::Refused => None,
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
        for gone in [
            r#"{"type":"ERROR","object":{"code":410}}"#,
            "HTTP/1.0 410 Gone",
        ] {
            assert!(matches!(read(gone), Line::Gone), "{gone}");
        }
        for refused in [
            r#"{"type":"ERROR","object":{"code":500}}"#,
            "HTTP/1.0 503 Service Unavailable",
        ] {
            assert!(matches!(read(refused), Line::Refused), "{refused}");
        }
    }

    #[test]
    fn a_list_is_read_as_the_api_tells_it() {
        let item = |name: &str| serde_json::json!({ "metadata": { "name": name } });
        let list = serde_json::json!({
            "metadata": { "resourceVersion": "900" },
            "items": [item("chain"), item("kube-root-ca.crt"), item("w-000004"), item("w-000005")],
        });
        assert_eq!(listed(&list), Some((900, vec![4, 5])));
        assert_eq!(listed(&Value::Null), None);
    }
}
