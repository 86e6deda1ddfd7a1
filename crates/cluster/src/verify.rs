//! Does each promise of the lab hold? Each is tested live, and every refusal is a real attempt.
//!
//! A check is a row of `table::ROWS`: an id, the promise in a sentence, when it applies, and a function that collects
//! what is there and lets a pure function judge it. A refusal counts only where the server is proved to be alive at the
//! same time: a server that cannot be reached has refused nothing.
//! `docs/verify.md` tells for each check what is attempted and what must happen.

use serde::Serialize;

mod balancers;
mod context;
mod endpoint;
mod etcd_client;
mod etcd_cluster;
mod etcd_pairs;
mod findings;
mod forged;
mod images;
mod impostor;
mod isolation;
mod judge;
mod keys;
mod limits;
mod names;
mod nodes;
mod pods;
mod quorum;
mod refusals;
mod run;
mod strangers;
mod table;
mod tokens;
mod units;

pub use run::run;

/// How thorough a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// What takes a second or two: at the end of every `up`.
    Quick,
    /// Every promise that can be tested without breaking anything.
    Full,
    /// Those about failures too: parts are stopped for a moment, and started again.
    Disrupt,
}

/// What the caller knows about the lab beyond its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How thorough to be; each depth includes those before.
    pub depth: Depth,
    /// Whether the machines were made without a way out, by the lab file or by `--airgap`.
    pub airgap: bool,
    /// The image that machines hold for test pods, such as `caravan.local/probe:0123456789ab`; it is never pulled.
    pub probe_image: Option<String>,
}

/// What came out of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// It does not, or it could not be tested; the evidence says which.
    Failed,
    /// The lab does not make this promise, or the run was interrupted; the evidence says which.
    Skipped,
}

/// One promise, tested.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Its name, for programs: words joined by hyphens.
    pub id: &'static str,
    /// The promise, in a sentence.
    pub promise: &'static str,
    /// What came out.
    pub outcome: Outcome,
    /// What was really seen.
    pub evidence: String,
    /// How long it took, waiting for what it shares with other checks included.
    pub seconds: f64,
}

/// All promises, tested.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The lab's name.
    pub lab: String,
    /// The checks, in the order of the table.
    pub checks: Vec<Check>,
    /// How long all of it took, cleaning up included.
    pub seconds: f64,
    /// Why something that the checks made in the cluster is still there; the next run removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_behind: Option<String>,
}

/// Something to show while a run goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
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
        self.of(Outcome::Failed).next().is_none()
    }

    /// The checks with this outcome.
    pub fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(move |check| check.outcome == outcome)
    }
}

/// The checks of a run at `depth`: id and promise, in the order of the report.
pub fn list(depth: Depth) -> impl Iterator<Item = (&'static str, &'static str)> {
    table::rows(depth).map(|row| (row.id, row.promise))
}

#[cfg(test)]
pub(crate) mod tests;
