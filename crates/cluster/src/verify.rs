//! Does each promise of the lab hold? Each is tested live, and every refusal is a real attempt.
//!
//! A check is a row of `table::ROWS`: an id, the promise in a sentence, when it applies, and a function that collects
//! what is there and lets a pure function judge it. A refusal counts only where the server is proved to be alive at the
//! same time: a server that cannot be reached has refused nothing.
//! `docs/verify.md` tells for each check what is attempted and what must happen.

use caravan_lab::Lab;
use serde::{Deserialize, Serialize};

mod add_ons;
mod balancers;
mod clocks;
mod context;
mod drills;
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
mod kubelets;
mod limits;
mod names;
mod nodes;
mod pods;
mod quorum;
mod refusals;
mod report;
mod run;
mod settings;
mod strangers;
mod table;
mod tokens;
mod units;

pub use report::{
    Check, ClockRange, Evidence, Measured, MemberLoss, Outage, Report, VerifyEvent, VerifyOutcome,
};
pub use run::run;
pub use strangers::{ETCD_PORTS, may_reach_etcd};

/// How thorough a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// The image that machines of labs with `storage` hold for pods with a volume, such as
    /// `caravan.local/volume:0123456789ab`; it is never pulled.
    pub volume_image: Option<String>,
    /// How the program that calls this is started, such as `cargo xtask`: evidence may say what to do.
    pub tool: String,
}

/// The checks of a run of `lab` at `depth`: id and promise, in the order of the report.
pub fn list_of(lab: &Lab, depth: Depth) -> impl Iterator<Item = (&'static str, &'static str)> {
    table::rows_of(lab, depth).map(|row| (row.id, row.promise))
}

/// The checks of a run at `depth` of a lab that asks for every add-on: id and promise, in the order of the report.
pub fn list(depth: Depth) -> impl Iterator<Item = (&'static str, &'static str)> {
    table::rows(depth).map(|row| (row.id, row.promise))
}

#[cfg(test)]
pub(crate) mod tests;
