//! What the timeline of a run tells: when each thing was reached, and what decided how long it took.

use std::time::SystemTime;

use caravan_cluster::phase::Phase;
use caravan_cluster::timeline::{Timeline, newest_file};
use caravan_lab::Lab;
use caravan_lifecycle::{LabDir, read_text};
use serde::Serialize;

use crate::error::Error;

/// Something that a run comes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    /// What was reached.
    pub(super) what: &'static str,
    /// Milliseconds since the run began; none where the lab has no such phase.
    pub(super) at_ms: Option<i64>,
}

/// Which end of a phase of many machines is meant.
#[derive(Clone, Copy)]
enum End {
    /// The first machine that says so says it for all.
    First,
    /// All must be there.
    Last,
}

/// What a run comes by, in this order: its words, the phase that ends with it, and on which machine.
const MARKS: [(&str, Phase, End); 5] = [
    ("etcd has a quorum", Phase::EtcdQuorum, End::First),
    ("the virtual address is held", Phase::Vip, End::First),
    ("the first master is made", Phase::Init, End::First),
    ("all others have joined", Phase::Join, End::Last),
    ("nodes are ready", Phase::NodeReady, End::Last),
];

/// Steps of the run that come after, likewise.
const STEPS: [(&str, &str, End); 2] = [
    ("pods are ready", "cluster", End::Last),
    ("verified", "verify", End::Last),
];

/// The timeline of the lab's newest run.
///
/// # Errors
///
/// [`Error::Read`].
pub(super) fn newest(dir: &LabDir) -> Result<Timeline, Error> {
    let folder = dir.timelines();
    let failed = |source| Error::Read {
        path: folder.clone(),
        source,
    };
    let path = newest_file(&folder).map_err(failed)?;
    let text = read_text(&path)?;
    serde_json::from_str(&text).map_err(|error| Error::Read {
        path,
        source: error.into(),
    })
}

/// When each thing was reached; `back_unix_ms` is when Vagrant was back.
pub(super) fn marks(timeline: &Timeline, back_unix_ms: Option<i64>) -> Vec<Mark> {
    let back = Mark {
        what: "Vagrant is back",
        at_ms: back_unix_ms.map(|at| at - timeline.began_unix_ms),
    };
    let steps = STEPS.map(|(what, step, end)| (what, Phase::from(step), end));
    let reached = MARKS.into_iter().chain(steps).map(|(what, phase, end)| {
        let ends = timeline
            .spans
            .iter()
            .filter(|span| span.phase == phase)
            .filter_map(|span| span.to_ms);
        let at_ms = match end {
            End::First => ends.min(),
            End::Last => ends.max(),
        };
        Mark { what, at_ms }
    });
    std::iter::once(back).chain(reached).collect()
}

/// When Vagrant last said anything of any group, in milliseconds since 1970: it is back a moment later. The timeline does
/// not tell, because a machine's own work ends its `create` there.
pub(super) fn last_said_unix_ms(lab: &Lab, dir: &LabDir) -> Option<i64> {
    lab.servers()
        .iter()
        .filter_map(|server| {
            std::fs::metadata(dir.log(&server.name))
                .ok()?
                .modified()
                .ok()
        })
        .filter_map(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
        .filter_map(|since| i64::try_from(since.as_millis()).ok())
        .max()
}

#[cfg(test)]
mod tests {
    use caravan_cluster::timeline::{PhaseOutcome, RUN, critical};

    use super::*;

    /// A run with two etcd members, two masters and no load balancer, kept as `up` keeps it.
    fn kept(dir: &LabDir) {
        let mut timeline = Timeline::begin("up", "ha", 1_000_000);
        let phases = [
            ("etcdone", "create", 0, 4000),
            ("etcdtwo", "create", 0, 5000),
            ("etcdone", "etcd-quorum", 4200, 5600),
            ("etcdtwo", "etcd-quorum", 5200, 6100),
            ("masterone", "create", 0, 4500),
            ("masterone", "init", 6100, 12_000),
            ("mastertwo", "create", 0, 4600),
            ("mastertwo", "join", 12_000, 15_000),
            ("mastertwo", "node-ready", 15_000, 16_000),
            (RUN, "verify", 18_000, 19_500),
        ];
        for (subject, phase, from, to) in phases {
            timeline.start(subject, phase, from, false, "");
            timeline.end(subject, phase, to, PhaseOutcome::Done, "");
        }
        timeline.close(19_500, PhaseOutcome::Done);
        dir.make().expect("made");
        let text = serde_json::to_string_pretty(&timeline).expect("plain data");
        std::fs::write(dir.timeline("20261121T120001.000Z"), text).expect("written");
        // An older one, and what is none.
        let older = Timeline::begin("up", "ha", 0);
        let text = serde_json::to_string_pretty(&older).expect("plain data");
        std::fs::write(dir.timeline("20261121T110000.000Z"), text).expect("written");
        std::fs::write(dir.timelines().join("z.txt"), "").expect("written");
    }

    #[test]
    fn the_newest_run_is_read_back() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(root.path(), "ha");
        kept(&dir);
        let recorded = newest(&dir).expect("read");
        let at: Vec<Option<i64>> = marks(&recorded, Some(1_009_500))
            .iter()
            .map(|mark| mark.at_ms)
            .collect();
        assert_eq!(
            at,
            [
                Some(9500),
                Some(5600),
                None,
                Some(12_000),
                Some(15_000),
                Some(16_000),
                None,
                Some(19_500)
            ]
        );
        let path: Vec<String> = critical::path(&recorded.spans)
            .iter()
            .map(|link| format!("{} {}", link.subject, link.phase))
            .collect();
        assert_eq!(
            path.last().map(String::as_str),
            Some("(run) verify"),
            "{path:?}"
        );
        assert!(path.contains(&"masterone init".to_owned()), "{path:?}");
    }

    #[test]
    fn a_run_that_left_no_timeline_is_an_error() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(root.path(), "ha");
        assert!(newest(&dir).is_err());
        dir.make().expect("made");
        assert!(newest(&dir).is_err());
        std::fs::write(dir.timeline("1"), "{").expect("written");
        assert!(newest(&dir).is_err());
    }
}
