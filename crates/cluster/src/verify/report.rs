//! What came of testing a lab's promises: data, written and read.

use serde::{Deserialize, Serialize};

use super::Depth;

/// What came out of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyOutcome {
    /// The promise holds.
    Passed,
    /// It does not, or it could not be tested; the evidence says which.
    Failed,
    /// The lab does not make this promise, or the run was interrupted; the evidence says which.
    Skipped,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is about: a machine, wherever it is about one; else an address, a pod, an object, or the lab.
    pub subject: String,
    /// Whether it speaks for the promise.
    pub holds: bool,
    /// What was seen, for people; it names its subject.
    pub text: String,
    /// Figures, where something was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// Figures of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Measured {
    /// What clients of the API saw while something was broken.
    Outage(Outage),
    /// How etcd went on without one of its members.
    MemberLoss(MemberLoss),
    /// How a machine's clock compares with that of the computer that asked.
    Clock(ClockRange),
}

/// How far a machine's clock was ahead of that of the computer that asked, in milliseconds: somewhere in this range, which is
/// as wide as the answer took. Negative is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRange {
    /// At least.
    pub least_ahead_ms: i64,
    /// At most.
    pub most_ahead_ms: i64,
}

/// What a client has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// How many requests it made.
    pub asked: usize,
    /// How many of them were not answered well.
    pub failed: usize,
    /// The longest time without a good answer, in milliseconds: between the starts of two of them, at most.
    pub away_ms: u64,
}

/// How etcd went on without one of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberLoss {
    /// How long it took to kill the member, in milliseconds.
    pub killed_ms: u64,
    /// The longest time without a write that was acknowledged, in milliseconds, at most.
    pub writes_away_ms: u64,
    /// How long after its repair everything was well again, in milliseconds.
    pub back_ms: u64,
}

/// One promise, tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, for programs: words joined by hyphens.
    pub id: String,
    /// The promise, in a sentence.
    pub promise: String,
    /// What came out.
    pub outcome: VerifyOutcome,
    /// What decided it, in a line for people; a long one names the first dozen things and counts the others.
    pub evidence: String,
    /// All that was seen; nothing where the check was skipped.
    pub findings: Vec<Evidence>,
    /// How long it took, in seconds, waiting for what it shares with other checks included.
    pub seconds: f64,
}

/// All promises, tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The lab's name.
    pub lab: String,
    /// When it was begun, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// How thorough it was.
    pub depth: Depth,
    /// The checks, in the order of the table.
    pub checks: Vec<Check>,
    /// How long all of it took, in seconds, cleaning up included.
    pub seconds: f64,
    /// Why something that the checks made in the cluster is still there; the next run removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<String>,
}

/// Something to show while a run goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VerifyEvent<'a> {
    /// A check begins; those of one depth begin together.
    Begins {
        /// Its name.
        id: &'static str,
        /// The promise, in a sentence.
        promise: &'static str,
    },
    /// A check has ended.
    Ends(&'a Check),
    /// What the checks made in the cluster is taken away.
    CleansUp,
}

impl Report {
    /// Whether no promise is broken; those that the lab does not make do not count.
    pub fn passed(&self) -> bool {
        self.of(VerifyOutcome::Failed).next().is_none()
    }

    /// The checks with this outcome.
    pub fn of(&self, outcome: VerifyOutcome) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(move |check| check.outcome == outcome)
    }

    /// The check with this name, if the run was thorough enough to make it.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_as_json() {
        let evidence = |holds, text: &str, measured| Evidence {
            subject: "lbone".to_owned(),
            holds,
            text: text.to_owned(),
            measured,
        };
        let outage = Outage {
            asked: 482,
            failed: 46,
            away_ms: 128,
        };
        let loss = MemberLoss {
            killed_ms: 900,
            writes_away_ms: 350,
            back_ms: 2000,
        };
        let check = |id: &str, findings| Check {
            id: id.to_owned(),
            promise: "exactly one".to_owned(),
            outcome: VerifyOutcome::Passed,
            evidence: "a".to_owned(),
            findings,
            seconds: 0.25,
        };
        let report = Report {
            lab: "ha".to_owned(),
            began_unix_ms: 1_795_265_050_123,
            depth: Depth::Disrupt,
            checks: vec![
                check("vip-owner", vec![evidence(true, "a", None)]),
                check(
                    "etcd-survives-one",
                    vec![
                        evidence(true, "b", Some(Measured::Outage(outage))),
                        evidence(false, "c", Some(Measured::MemberLoss(loss))),
                    ],
                ),
            ],
            seconds: 0.5,
            left_behind: Some("a namespace".to_owned()),
        };
        let text = serde_json::to_string_pretty(&report).expect("JSON");
        expect_test::expect_file!["report/report.json"].assert_eq(&(text.clone() + "\n"));
        let read: Report = serde_json::from_str(&text).expect("what was written");
        assert_eq!(read, report);
        // What is not there is not written, and not needed.
        let clean = Report {
            left_behind: None,
            ..report
        };
        let text = serde_json::to_string(&clean).expect("JSON");
        assert!(!text.contains("left_behind"));
        assert_eq!(serde_json::from_str::<Report>(&text).expect("read"), clean);
    }
}
