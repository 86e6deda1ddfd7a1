//! What a report is made from: what verbs have left, and what machines say at the moment. Gathered by whoever calls.

use std::collections::BTreeMap;

use caravan_cluster::drill::judge::DrillResult;
use caravan_cluster::drill::record::DrillRecords;
use caravan_cluster::status::LabStatus;
use caravan_cluster::timeline::Timeline;
use caravan_cluster::verify;
use caravan_lab::Lab;
use caravan_secrets::KnownSecrets;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::LabReport;

/// Everything that is known of a lab.
#[derive(Debug)]
pub struct LabRecords<'a> {
    /// The lab as its machines were made from it, else as its file says.
    pub lab: &'a Lab,
    /// When the report is made.
    pub now: Timestamp,
    /// How the program that makes it is started, such as `cargo xtask`.
    pub tool: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The computer it is made on, in a line.
    pub host: String,
    /// What is known of each machine, by its name.
    pub machines: BTreeMap<String, MachineFacts>,
    /// What the lab is at the moment; none where nothing of it runs or nobody could be asked.
    pub status: Option<LabStatus>,
    /// Why somebody could not be asked, one reason each.
    pub unasked: Vec<String>,
    /// What came of the last verification.
    pub verification: Option<verify::Report>,
    /// The runs of verbs, the newest first.
    pub runs: Vec<Timeline>,
    /// The drills, the newest first.
    pub drills: Vec<KeptDrill>,
    /// The certificates of the lab's store, in the order of their names.
    pub certificates: Vec<CertificateFacts>,
    /// How long bare machines took, where that was measured.
    pub floor: Option<BenchFloor>,
    /// What was changed in the lab file since the machines were made, one change each.
    pub edits: Vec<String>,
    /// An operation that is under way, and the command that goes on with it.
    pub operation: Option<String>,
    /// Records that are there and cannot be read, each with the reason.
    pub unreadable: Vec<String>,
    /// What this computer lacks, one thing each.
    pub lacks: Vec<String>,
    /// The report before.
    pub before: Option<Box<LabReport>>,
    /// What may be in no report.
    pub secrets: KnownSecrets,
}

/// What is known of a machine without asking it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineFacts {
    /// What runs it, or is to run it: `docker`.
    pub provider: String,
    /// What its provider says of it: `running`; none where it is not there.
    pub state: Option<String>,
    /// What it was made from; none where it never was, or by a version that kept no record.
    pub made_from: Option<MadeFrom>,
}

/// What a machine was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// The machine image or box.
    pub image: String,
    /// The version of Kubernetes.
    pub kubernetes: String,
    /// The version of etcd.
    pub etcd: String,
    /// The version of containerd.
    pub containerd: String,
    /// When, RFC 3339, UTC.
    pub given: String,
}

/// A drill as it was kept.
#[derive(Debug, Clone)]
pub struct KeptDrill {
    /// The file with its records, as whoever reads the page can find it.
    pub file: String,
    /// What it came to.
    pub result: DrillResult,
    /// Everything that it saw; none where only what it came to is shown.
    pub records: Option<DrillRecords>,
}

/// One certificate of the lab's store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Its name in the store: `etcd/etcdone/server`.
    pub name: String,
    /// Its subject's common name.
    pub subject: String,
    /// Its issuer's common name.
    pub issuer: String,
    /// Whether it is an authority's.
    pub authority: bool,
    /// Its first valid second, in seconds since 1970.
    pub not_before: i64,
    /// Its last valid second, in seconds since 1970.
    pub not_after: i64,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// What it is for: `serverAuth`.
    pub usages: Vec<String>,
}

/// How long bare machines took, of what `bench up --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchFloor {
    /// The lab.
    pub lab: String,
    /// How many machines it had.
    pub machines: usize,
    /// How many CPUs the computer had.
    pub cpus: usize,
    /// Machines with nothing to do.
    pub floor: BenchLeg,
    /// All of `up`.
    pub full: BenchLeg,
}

/// One of the two runs of `bench up`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchLeg {
    /// How long it took.
    pub seconds: f64,
}
