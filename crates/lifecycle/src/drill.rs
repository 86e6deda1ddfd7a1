//! Drills on a lab's machines: what is broken is found, broken, mended whatever happens, and what was seen is kept.

mod fault;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_cluster::drill::catalogue;
use caravan_cluster::drill::judge::{DrillResult, judge};
use caravan_cluster::drill::record::{DrillHeader, DrillRecords};
use caravan_cluster::drill::watched::{WatchTarget, WatchedService};
use caravan_cluster::drill::{self as clients, ClientSet, DrillFailure, DrillPlan, DrillTimes};
use caravan_cluster::{Access, Error as ClusterError, etcd, vip};
use caravan_lab::{DrillName, Lab, Machine};
use caravan_vagrant::provider::FoundMachine;

use crate::{Error, LabDir, LabRun, LabTarget, OperationRecord};

/// This verb.
pub const VERB: &str = "drill";

/// The step after which something is broken.
pub const INFLICTED: &str = "inflicted";

/// How much longer than the fault lasts a machine waits before it undoes it itself.
const MARGIN: Duration = Duration::from_secs(30);

/// A drill on a lab.
pub struct LabDrill<'a> {
    /// The lab, and what is there of it.
    pub target: &'a LabTarget,
    /// The lab, as its machines were made from it.
    pub lab: &'a Lab,
    /// The lab as its file is now, which says what a drill is allowed.
    pub file: &'a Lab,
    /// The keys to the lab.
    pub access: &'a Access,
    /// What is drilled.
    pub name: DrillName,
    /// Services of the user's own that are asked too.
    pub watch: &'a [WatchTarget],
    /// How the program that calls this is started.
    pub tool: &'a str,
}

/// What a drill came to, and where its records are.
#[derive(Debug)]
pub struct DrillRun {
    /// What it came to.
    pub result: DrillResult,
    /// The file with its records; none where it was refused.
    pub records: Option<PathBuf>,
}

impl LabDrill<'_> {
    /// Runs it, and keeps its records and what they amount to. One that cannot be done on these machines is refused, which is
    /// what it comes to.
    ///
    /// # Errors
    ///
    /// [`Error::Cluster`] where the lab is not well to begin with, or what is to be watched is not, [`Error::NoTarget`] where it has nothing to break,
    /// [`Error::Interrupted`], [`Error::Write`].
    pub fn run(&self, run: &LabRun<'_>, tell: &(dyn Fn(&str) + Sync)) -> Result<DrillRun, Error> {
        let Self {
            target,
            lab,
            access,
            name,
            tool,
            ..
        } = *self;
        let machines = self.machines()?;
        let moment = Moment::now();
        let scale = u64::from(access.pace().times());
        let watched = self.watch.iter().map(|it| it.find(lab, access));
        let watched: Vec<WatchedService> = watched.collect::<Result<_, _>>()?;
        let limits = catalogue::limits(self.file, name, scale);
        let limits = limits.watching(self.file, name, self.watch.iter().map(WatchTarget::client));
        let header = clients::header(
            lab,
            access.pace(),
            &name.to_string(),
            &moment.rfc3339,
            limits,
        );
        let plan = DrillPlan {
            header: DrillHeader {
                watched: watched.iter().map(WatchedService::header).collect(),
                ..measured_on(header, target, lab)
            },
            space: moment.space(),
            clients: ClientSet::All,
            watched,
            times: DrillTimes::of(catalogue::lasts(name)),
        };
        let (fault, noted) = self.fault(run, machines);
        let record = OperationRecord {
            verb: VERB.to_owned(),
            machine: name.to_string(),
            host_keys: Vec::new(),
            machines: noted,
            since: moment.rfc3339.clone(),
            restore: None,
        };
        let ended = noted_while(&target.dir, &record, || {
            clients::run(lab, access, &plan, &*fault, tool, tell)
        })?;
        let path = moment.path(target, &name.to_string());
        let records = match ended {
            Ok(records) => records,
            Err(failure) if failure.is_refused => {
                let why = match failure.error {
                    ClusterError::FaultRefused { why, .. } => why,
                    other => other.to_string(),
                };
                return Ok(DrillRun {
                    result: DrillResult::refused(&plan.header, why),
                    records: None,
                });
            }
            Err(failure) => {
                if let Some(records) = failure.records {
                    keep(&path, &records, &judge(&records))?;
                    run.note(&format!("what was seen until then: {}", path.display()));
                }
                return Err(failure.error.into());
            }
        };
        let result = judge(&records);
        keep(&path, &records, &result)?;
        Ok(DrillRun {
            result,
            records: Some(path),
        })
    }

    /// The machines that it is done to.
    fn machines(&self) -> Result<Vec<&Machine>, Error> {
        let leader = leader(self.lab, self.access);
        let owner = vip::owner(self.lab, self.access).ok();
        let owner = owner.map(|owner| owner.name.as_str());
        let kind = self.name.kind;
        let found = catalogue::machines(self.lab, kind, leader.as_deref(), owner);
        match found.is_empty() || !catalogue::applies(self.lab, kind) {
            true => Err(Error::NoTarget {
                lab: self.lab.name().to_owned(),
                drill: self.name.to_string(),
                what: catalogue::row_of(kind).what,
            }),
            false => Ok(found),
        }
    }

    /// For how long it is broken.
    fn lasts(&self) -> Duration {
        self.access.pace().of(catalogue::lasts(self.name))
    }

    /// After how long machines undo it themselves.
    fn safety(&self) -> Duration {
        self.lasts() + MARGIN
    }
}

/// Runs a drill that is noted meanwhile as under way, so that whoever comes next mends what this one leaves broken: it stays
/// noted where the runner is killed, or its own repair has failed, and not otherwise.
fn noted_while<T>(
    dir: &LabDir,
    record: &OperationRecord,
    work: impl FnOnce() -> Result<T, DrillFailure>,
) -> Result<Result<T, DrillFailure>, Error> {
    record.write(dir)?;
    let ended = work();
    if ended.as_ref().err().is_none_or(|it| it.is_repaired) {
        OperationRecord::forget(dir)?;
    }
    Ok(ended)
}

/// When something that is measured begins, and what is called after that.
pub(crate) struct Moment {
    stamp: String,
    pub(crate) rfc3339: String,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let now = jiff::Timestamp::now();
        Self {
            stamp: now.strftime("%Y%m%dT%H%M%SZ").to_string(),
            rfc3339: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    /// The namespace that is written to.
    pub(crate) fn space(&self) -> String {
        format!("caravan-drill-{}", self.stamp.to_lowercase())
    }

    /// The file that keeps the records of `what`.
    pub(crate) fn path(&self, target: &LabTarget, what: &str) -> PathBuf {
        let name = format!("{}-{}", self.stamp, what.replace(':', "-"));
        target.dir.drill(&name)
    }
}

/// The same header, which also says what was measured, and on what.
pub(crate) fn measured_on(header: DrillHeader, target: &LabTarget, lab: &Lab) -> DrillHeader {
    DrillHeader {
        versions: versions(target, lab),
        host: host(),
        ..header
    }
}

/// The versions of what the lab was made with, by name.
pub(crate) fn versions(target: &LabTarget, lab: &Lab) -> Vec<(String, String)> {
    let record = lab.machines().iter().find_map(|machine| {
        crate::MachineRecord::read(&target.dir, &machine.name)
            .ok()
            .flatten()
    });
    let mut versions = vec![("caravan".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    if let Some(record) = record {
        versions.push(("kubernetes".to_owned(), record.kubernetes));
        versions.push(("etcd".to_owned(), record.etcd));
        versions.push(("image".to_owned(), record.image));
    }
    versions
}

/// This computer: its kernel, how many processors, and how many programs wanted one in the minute before.
pub fn host() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let load = read("/proc/loadavg");
    let load = load.split_ascii_whitespace().next().unwrap_or("unknown");
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Linux {}, {processors} processors, load {load}",
        read("/proc/sys/kernel/osrelease").trim()
    )
}

fn leader(lab: &Lab, access: &Access) -> Option<String> {
    let members = etcd::members(lab, access).ok()?;
    let leader = etcd::leader(&members).ok()??;
    Some(leader.name.clone())
}

/// Keeps the records, and beside them what they amount to.
pub(crate) fn keep(path: &Path, records: &DrillRecords, result: &DrillResult) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        caravan_files::make_private_folder(folder)?;
    }
    let mut text = Vec::new();
    records.write(&mut text).expect("a vector takes all");
    caravan_files::write_if_changed(path, 0o600, &text)?;
    let result = serde_json::to_vec_pretty(result).expect("plain fields are JSON");
    caravan_files::write_if_changed(&path.with_extension("result.json"), 0o600, &result)?;
    Ok(())
}

/// Reads records again, and computes what they amount to.
///
/// # Errors
///
/// [`Error::Read`], also where the file makes no sense.
pub fn judge_again(path: &Path) -> Result<DrillResult, Error> {
    let read = File::open(path).and_then(|file| DrillRecords::read(BufReader::new(file)));
    let records = read.map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(judge(&records))
}

/// Mends what a drill has left broken whose runner was killed: of the machines that it was to break, those that stand still go
/// on, and those that are off start. Others are left as they are: somebody may have halted them. Units and packet filters that
/// were broken mend themselves. Returns the drill, and the machines that it was done to; none where no drill is under way. The
/// lab's lock must be held.
///
/// # Errors
///
/// [`Error::Vagrant`], [`Error::Read`], [`Error::Write`].
pub fn mend(target: &LabTarget) -> Result<Option<(String, Vec<String>)>, Error> {
    let Some(open) = OperationRecord::read(&target.dir)?.filter(|open| open.verb == VERB) else {
        return Ok(None);
    };
    let found = target.machines()?;
    let broken: Vec<&FoundMachine> = found
        .iter()
        .filter(|machine| !machine.runs() && open.machines.contains(&machine.name))
        .collect();
    target.providers().revive(&target.dir.projects(), &broken)?;
    OperationRecord::forget(&target.dir)?;
    let mended = broken.into_iter().map(|machine| machine.name.clone());
    Ok(Some((open.machine, mended.collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_noted_only_where_something_may_be_broken() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        let record = OperationRecord {
            verb: VERB.to_owned(),
            machine: "power:crash".to_owned(),
            host_keys: Vec::new(),
            machines: vec!["etcdone".to_owned()],
            since: "2026-11-30T12:00:00Z".to_owned(),
            restore: None,
        };
        let stays_noted = |ended: Result<(), DrillFailure>| {
            let done = noted_while(&dir, &record, || {
                let noted = OperationRecord::read(&dir).expect("read");
                assert_eq!(noted.as_ref(), Some(&record), "while it is under way");
                ended
            });
            drop(done.expect("written"));
            let noted = OperationRecord::read(&dir).expect("read").is_some();
            OperationRecord::forget(&dir).expect("forgotten");
            noted
        };
        let failure = || DrillFailure::from(ClusterError::Interrupted);
        assert!(!stays_noted(Ok(())));
        assert!(!stays_noted(Err(DrillFailure {
            is_refused: true,
            ..failure()
        })));
        assert!(!stays_noted(Err(failure())));
        assert!(stays_noted(Err(DrillFailure {
            is_repaired: false,
            ..failure()
        })));
    }
}
