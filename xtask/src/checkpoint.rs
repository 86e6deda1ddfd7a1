//! `cargo xtask checkpoint`: all of a halted lab is kept as it is, listed, put back, and removed.

mod restore;

use std::collections::BTreeMap;

use caravan_cluster::timeline::PhaseOutcome;
use caravan_lab::Lab;
use caravan_lifecycle::checkpoints::{
    self, Checkpoint, CheckpointRecord, CheckpointRequest, HaltedLab,
};
use caravan_lifecycle::{
    Error as LabError, LabLock, LabRun, LabTarget, OperationRecord, Workspace, listed, outcome_of,
    vagrant_at_work,
};
use caravan_process::interrupt;
use serde::Serialize;

use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::checkpoint::{
    Checkpoint as Flags, CheckpointAction, CheckpointList, CheckpointRemove, CheckpointSave,
};
use crate::kill_after::KillAfter;
use crate::show::screen::{self, Screen};
use crate::show::table;

/// What these are called where they hold the lab's lock.
const SAVE: &str = "checkpoint save";
const REMOVE: &str = "checkpoint remove";

/// Runs the verb.
pub(crate) fn run(flags: &Flags, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    match &flags.action {
        CheckpointAction::Save(flags) => save(flags, workspace, screen),
        CheckpointAction::Restore(flags) => restore::run(flags, workspace, screen),
        CheckpointAction::List(flags) => list(flags, workspace, screen),
        CheckpointAction::Remove(flags) => remove(flags, workspace, screen),
    }
}

/// A checkpoint, for programs.
#[derive(Serialize)]
struct CheckpointLine<'a> {
    name: String,
    folder: String,
    bytes: u64,
    #[serde(flatten)]
    record: &'a CheckpointRecord,
}

impl<'a> CheckpointLine<'a> {
    fn of(checkpoint: &'a Checkpoint) -> Self {
        Self {
            name: checkpoint.name(),
            folder: checkpoint.folder.display().to_string(),
            bytes: checkpoint.bytes(),
            record: &checkpoint.record,
        }
    }
}

/// Does `act` to a lab that can be kept and put back; the machines are asked by whoever acts.
fn with_halted<T>(
    target: &LabTarget,
    lab: &Lab,
    act: impl FnOnce(HaltedLab<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let store = checkpoints::hold_possible(target, lab)?;
    let versions: BTreeMap<String, String> = checkpoints::versions(target, lab);
    let missing = || checkpoints::missing(target, lab);
    act(HaltedLab {
        lab,
        dir: &target.dir,
        store: &*store,
        versions: &versions,
        missing: &missing,
    })
}

fn save(flags: &CheckpointSave, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    let lab = target.lab(workspace)?;
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = flags.name.clone().unwrap_or_else(|| now.to_string());
    checkpoints::hold_name(&name)?;
    if target.choices.is_none() {
        return Err(Error::not_made(&target.name));
    }
    let _lock = LabLock::take(&target.dir, &target.name, SAVE)?;
    vagrant_at_work::wait(&target.name, &target.dir, &target.computers(), screen)?;
    let request = CheckpointRequest {
        name: &name,
        reason: "asked for",
        automatic: false,
    };
    let observer = KillAfter::new(screen);
    let (saved, took) = with_halted(&target, lab, |halted| {
        let run = LabRun::begin(SAVE, &target.name, &target.dir, &observer);
        let ended = run.step("save", || halted.save(&run, &request));
        screen.clear();
        run.finish(ended.as_ref().err().map_or(PhaseOutcome::Done, outcome_of));
        Ok((ended?, run.so_far()))
    })?;
    if flags.json {
        print_json(&CheckpointLine::of(&saved));
    } else {
        println!("{}", saved.folder.display());
        screen.say(&format!(
            "checkpoint `{name}` has all {} machines of lab `{}`, {}, after {took}",
            saved.record.machines.len(),
            target.name,
            table::mib(saved.bytes())
        ));
    }
    screen.say(&format!(
        "next: `{TOOL} up {0}`; `{TOOL} checkpoint restore {0} {name}`, with all machines halted, brings this back",
        target.name
    ));
    Ok(Exit::Done)
}

fn list(flags: &CheckpointList, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let dirs = match &flags.lab {
        Some(lab) => {
            let target = LabTarget::of(workspace, Some(lab))?;
            if !target.dir.exists() {
                target.lab(workspace)?;
            }
            vec![target.dir]
        }
        None => {
            let labs = workspace.labs_with_state().into_iter();
            labs.map(|lab| workspace.state(&lab)).collect()
        }
    };
    let found: Vec<(String, Checkpoint)> = dirs
        .iter()
        .flat_map(|dir| {
            let all = checkpoints::list(dir).into_iter();
            all.map(|checkpoint| (dir.lab(), checkpoint))
        })
        .collect();
    if flags.json {
        let lines: Vec<CheckpointLine<'_>> =
            found.iter().map(|(_, it)| CheckpointLine::of(it)).collect();
        print_json(&lines);
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        screen.say(&format!(
            "no checkpoints; `{TOOL} checkpoint save LAB` makes one of a lab that is halted"
        ));
        return Ok(Exit::Done);
    }
    let mut rows = table::plain(&["lab", "checkpoint", "taken", "machines", "size", "why"]);
    for (lab, checkpoint) in &found {
        let record = &checkpoint.record;
        rows.add_row([
            lab.clone(),
            checkpoint.name(),
            record.taken.clone(),
            record.machines.len().to_string(),
            table::mib(checkpoint.bytes()),
            record.reason.clone(),
        ]);
    }
    println!("{}", table::text(&rows));
    Ok(Exit::Done)
}

fn remove(flags: &CheckpointRemove, workspace: &Workspace, screen: &Screen) -> Result<Exit, Error> {
    let target = LabTarget::of(workspace, Some(&flags.lab))?;
    // All of them, before the first is removed.
    for name in &flags.names {
        checkpoints::find(&target.dir, name)?;
    }
    let what = format!("removing {} of lab `{}`", listed(&flags.names), target.name);
    let question = format!(
        "remove {} of lab `{}`? Nothing else has what is in it",
        listed(&flags.names),
        target.name
    );
    if !flags.yes && !screen::ask(&question) {
        return Err(match interrupt::raised() {
            true => Error::interrupted(),
            false => Error::Declined { what },
        });
    }
    let _lock = LabLock::take(&target.dir, &target.name, REMOVE)?;
    // One that is being restored is needed for going on with that.
    if let Some(open) = OperationRecord::read(&target.dir)?
        && open.verb == checkpoints::VERB
    {
        return Err(LabError::open(&target.name, &open).into());
    }
    for name in &flags.names {
        let name = checkpoints::find(&target.dir, name)?.name();
        checkpoints::remove(&target.dir, &name)?;
        screen.say(&format!("removed checkpoint `{name}`"));
    }
    Ok(Exit::Done)
}

fn print_json(report: &impl Serialize) {
    println!(
        "{}",
        serde_json::to_string_pretty(report).expect("plain data")
    );
}
