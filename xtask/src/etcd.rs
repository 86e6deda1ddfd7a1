//! `cargo xtask etcd`: a lab's data: how its members are, copies of it, and the way back to one.

mod restore;

use caravan_cluster::Access;
use caravan_cluster::etcd::{maintenance, report};
use caravan_cluster::timeline::{PhaseOutcome, RUN};
use caravan_lab::Lab;
use caravan_lifecycle::snapshots::{self, Snapshot, SnapshotRequest, SnapshotRetention};
use caravan_lifecycle::{
    Error as LabError, Keys, LabLock, LabRun, LabTarget, OperationRecord, Workspace, outcome_of,
    reach,
};
use serde::Serialize;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::etcd::{Etcd, EtcdAction, EtcdDefrag, EtcdSnapshot, EtcdStatus};
use crate::kill_after::KillAfter;
use crate::show::etcd as shown;
use crate::show::screen::Screen;

/// What this verb is called where it holds the lab's lock.
const SNAPSHOT: &str = "etcd snapshot";
const DEFRAG: &str = "etcd defrag";

/// Runs the verb.
pub(crate) fn run(flags: &Etcd, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    match &flags.action {
        EtcdAction::Status(flags) => status(flags, workspace),
        EtcdAction::Snapshot(flags) => snapshot(flags, workspace, screen),
        EtcdAction::Restore(flags) => restore::run(flags, workspace, screen),
        EtcdAction::Defrag(flags) => defrag(flags, workspace, screen),
    }
}

/// The way into a lab that was made.
fn access(target: &LabTarget, lab: &Lab) -> Result<(Keys, Access), Error> {
    let keys = Keys::load(lab, &target.dir).ok_or_else(|| Error::not_made(&target.name))?;
    let access = keys.access(lab, &target.dir, target.pace())?;
    Ok((keys, access))
}

/// Everything that is known, for programs.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    members: &'a report::MembersReport,
    snapshots: Vec<SnapshotLine<'a>>,
}

/// A snapshot, for programs.
#[derive(Serialize)]
struct SnapshotLine<'a> {
    name: String,
    file: String,
    #[serde(flatten)]
    record: &'a snapshots::SnapshotRecord,
}

impl<'a> SnapshotLine<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            name: snapshot.name(),
            file: snapshot.file.display().to_string(),
            record: &snapshot.record,
        }
    }
}

/// A lab whose etcd is not well is [`Exit::Degraded`].
fn status(flags: &EtcdStatus, workspace: &Workspace) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, flags.lab.as_deref())?;
    let lab = target.lab(workspace)?;
    let (_, access) = access(&target, lab)?;
    reach::check(lab)?;
    let found = report::ask(lab, &access, TOOL)?;
    let kept = snapshots::list(&target.dir.snapshots(), &target.name)?;
    if flags.json {
        let report = Report {
            members: &found,
            snapshots: kept.iter().map(SnapshotLine::of).collect(),
        };
        print_json(&report);
    } else {
        println!("{}", shown::status(&found, &kept, &target.name));
    }
    Ok(match found.problems.is_empty() {
        true => Exit::Done,
        false => Exit::Degraded,
    })
}

fn snapshot(flags: &EtcdSnapshot, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let (_, access) = access(&target, lab)?;
    reach::check(lab)?;
    let _lock = LabLock::take(&target.dir, &target.name, SNAPSHOT)?;
    hold_no_restoration(&target)?;
    let request = SnapshotRequest {
        reason: "asked for",
        folder: flags.out.as_deref(),
        from: None,
    };
    screen.now(RUN, "copies etcd's data");
    let taken = snapshots::take(&target, lab, &access, &request);
    screen.clear();
    let taken = taken?;
    let removed = match retention(flags) {
        None => Vec::new(),
        Some(retention) => {
            let folder = taken.file.parent().unwrap_or(&taken.file);
            retention.prune(folder, &target.name, jiff::Timestamp::now())?
        }
    };
    for name in removed {
        screen.say(&format!(
            "removed snapshot `{name}`, as there are newer ones"
        ));
    }
    if flags.json {
        print_json(&SnapshotLine::of(&taken));
    } else {
        println!("{}", taken.file.display());
        screen.say(&shown::taken(&taken));
    }
    Ok(Exit::Done)
}

/// What is kept; in a folder of the user's own, all where nothing is said.
fn retention(flags: &EtcdSnapshot) -> Option<SnapshotRetention> {
    let usual = SnapshotRetention::default();
    let is_asked = flags.keep.is_some() || flags.keep_days.is_some();
    let all = SnapshotRetention {
        count: usize::MAX,
        days: u16::MAX,
        ..usual
    };
    let base = match (&flags.out, is_asked) {
        (None, _) => usual,
        (Some(_), true) => all,
        (Some(_), false) => return None,
    };
    let count = flags.keep.map_or(base.count, usize::from);
    Some(SnapshotRetention {
        count,
        days: flags.keep_days.unwrap_or(base.days),
        // Who asks for less gets less.
        least: base.least.min(count),
    })
}

/// Where data is being restored there is none to copy, and none to look after.
fn hold_no_restoration(target: &LabTarget) -> Result<(), Error> {
    match OperationRecord::read(&target.dir)? {
        Some(open) if open.verb == caravan_lifecycle::restore::VERB => {
            Err(LabError::open(&target.name, &open).into())
        }
        _ => Ok(()),
    }
}

fn defrag(flags: &EtcdDefrag, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let (_, access) = access(&target, lab)?;
    reach::check(lab)?;
    let _lock = LabLock::take(&target.dir, &target.name, DEFRAG)?;
    hold_no_restoration(&target)?;
    let observer = KillAfter::new(screen);
    let run = LabRun::begin(DEFRAG, &target.name, &target.dir, &observer);
    let ended = run.step("defrag", || {
        let tell = |member: &str, text: &str| run.tell_detail(member, text);
        maintenance::defragment(lab, &access, TOOL, &tell).map_err(LabError::from)
    });
    screen.clear();
    run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
    let outcome = ended?;
    if flags.json {
        print_json(&outcome);
    } else {
        println!("{}", shown::defragmented(&outcome));
    }
    Ok(Exit::Done)
}

fn print_json(report: &impl Serialize) {
    println!(
        "{}",
        serde_json::to_string_pretty(report).expect("plain data")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(out: Option<&str>, keep: Option<u16>, keep_days: Option<u16>) -> EtcdSnapshot {
        EtcdSnapshot {
            lab: "ha".to_owned(),
            out: out.map(Into::into),
            keep,
            keep_days,
            json: false,
        }
    }

    #[test]
    fn what_is_kept_where() {
        let usual = SnapshotRetention::default();
        assert_eq!(retention(&flags(None, None, None)), Some(usual));
        assert_eq!(retention(&flags(Some("/safe"), None, None)), None);
        let asked = retention(&flags(Some("/safe"), Some(2), None)).expect("asked for");
        assert_eq!((asked.count, asked.days, asked.least), (2, u16::MAX, 2));
        let asked = retention(&flags(None, None, Some(7))).expect("asked for");
        assert_eq!((asked.count, asked.days, asked.least), (20, 7, 3));
    }
}
