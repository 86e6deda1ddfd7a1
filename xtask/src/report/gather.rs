//! Gathers what verbs have left of a lab, and asks its machines, as far as there are any.
//!
//! Whatever is absent, broken or cannot be asked is told in the report: half of the lab may be dead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use caravan_cluster::drill::judge::{DrillResult, judge};
use caravan_cluster::drill::record::DrillRecords;
use caravan_cluster::status::{self, LabStatus};
use caravan_host::{NeedState, Purpose, needs};
use caravan_lab::{Lab, Server};
use caravan_lifecycle::{
    LabTarget, MachineRecord, OperationRecord, Workspace, drill, lab_secrets, machines,
};
use caravan_pki::{Certificate, inspect::Inspection};
use caravan_report::LabRecords;
use caravan_report::records::{CertificateFacts, KeptDrill, MachineFacts, MadeFrom};
use caravan_vagrant::MachineState;
use serde::de::DeserializeOwned;

use crate::error::{Error, TOOL};
use crate::version::VERSION;
use crate::way_in;

/// How many runs are read, the newest first.
const RUNS: usize = 200;

/// How many drills are drawn: the newest of as many names.
const DRAWN: usize = 10;

/// Everything that is known of the lab.
///
/// # Errors
///
/// That the user asked to stop, and where the lab's secrets cannot be read: what is not known cannot be struck out.
pub(super) fn records<'a>(
    workspace: &Workspace,
    target: &LabTarget,
    lab: &'a Lab,
) -> Result<LabRecords<'a>, Error> {
    let dir = &target.dir;
    let mut unreadable = Vec::new();
    let (machines, running, mut unasked) = found_machines(target, lab)?;
    let status = match running.is_empty() {
        true => None,
        false => match ask(target, lab, &running) {
            Ok(status) => Some(status),
            Err(error) if caravan_lifecycle::Interruptible::is_interrupt(&error) => {
                return Err(error);
            }
            Err(error) => {
                unasked.push(error.to_string());
                None
            }
        },
    };
    let edits = edits(workspace, target, &mut unreadable);
    let operation = match OperationRecord::read(dir) {
        Ok(open) => open.map(|open| open.told(TOOL, &target.name)),
        Err(error) => {
            unreadable.push(error.to_string());
            None
        }
    };
    Ok(LabRecords {
        lab,
        now: jiff::Timestamp::now(),
        tool: TOOL,
        version: VERSION,
        host: drill::host(),
        machines,
        status,
        unasked,
        verification: json(&dir.verify_report(), &mut unreadable),
        runs: runs(&dir.timelines(), &mut unreadable),
        drills: drills(&dir.drills(), dir.root(), &mut unreadable),
        certificates: certificates(&dir.pki(), &mut unreadable),
        floor: json(&dir.bench(), &mut unreadable),
        edits,
        operation,
        unreadable,
        lacks: lacks(target),
        before: None,
        secrets: lab_secrets(dir)?,
    })
}

/// What is known of each machine, the states of those that are there, and who could not be asked.
type Found = (
    BTreeMap<String, MachineFacts>,
    BTreeMap<String, MachineState>,
    Vec<String>,
);

/// A lab of which nothing was ever made has no machines, and nobody is asked for them.
fn found_machines(target: &LabTarget, lab: &Lab) -> Result<Found, Error> {
    let mut unasked = Vec::new();
    let mut states: BTreeMap<String, (String, MachineState)> = BTreeMap::new();
    if target.dir.exists() {
        match target.machines_reached() {
            Ok((there, silent)) => {
                let there = there.into_iter();
                states = there
                    .map(|it| (it.name, (it.provider.to_owned(), it.state)))
                    .collect();
                unasked.extend(
                    silent.into_iter().map(|silent| {
                        caravan_lifecycle::Error::Silent(Box::new(silent)).to_string()
                    }),
                );
            }
            Err(error) if error.is_interrupt() => return Err(error.into()),
            Err(error) => unasked.push(error.to_string()),
        }
    }
    let planned = planned(target, lab);
    let facts = lab.machines().iter().map(|machine| {
        let found = states.get(&machine.name);
        let made = MachineRecord::read(&target.dir, &machine.name);
        let facts = MachineFacts {
            provider: match found {
                Some((provider, _)) => provider.clone(),
                None => planned.get(&machine.server).cloned().unwrap_or_default(),
            },
            state: found.map(|(_, state)| state.word().to_owned()),
            made_from: made.ok().flatten().map(|made| MadeFrom {
                image: made.image,
                kubernetes: made.kubernetes,
                etcd: made.etcd,
                containerd: made.containerd,
                given: made.given,
            }),
        };
        (machine.name.clone(), facts)
    });
    let facts = facts.collect();
    let states: BTreeMap<String, MachineState> = states
        .into_iter()
        .map(|(name, (_, state))| (name, state))
        .collect();
    let runs = states.values().any(|state| *state == MachineState::Running);
    let states = if runs { states } else { BTreeMap::new() };
    Ok((facts, states, unasked))
}

/// What is to run the machines of each server.
fn planned(target: &LabTarget, lab: &Lab) -> BTreeMap<String, String> {
    let of = |server: &Server| match &target.choices {
        Some(choices) => choices.provider(&server.name),
        None => lab.provider_of(server).unwrap_or_default(),
    };
    let servers = lab.servers().iter();
    servers
        .map(|server| (server.name.clone(), of(server).to_string()))
        .collect()
}

/// What the lab is at the moment.
fn ask(
    target: &LabTarget,
    lab: &Lab,
    states: &BTreeMap<String, MachineState>,
) -> Result<LabStatus, Error> {
    let access = way_in::access(target, lab)?;
    Ok(status::ask(lab, &access, TOOL, states)?)
}

/// What was changed in the lab file since the machines were made.
fn edits(workspace: &Workspace, target: &LabTarget, unreadable: &mut Vec<String>) -> Vec<String> {
    let Some(then) = machines::deployed_lab(&target.name, &target.dir) else {
        return Vec::new();
    };
    match workspace.lab(&target.name) {
        Ok((now, _)) => {
            let changes = now.changes_since(&then);
            changes.iter().map(ToString::to_string).collect()
        }
        Err(error) => {
            unreadable.push(error.to_string());
            Vec::new()
        }
    }
}

/// The file as what it was written from; none where it is absent.
fn json<T: DeserializeOwned>(path: &Path, unreadable: &mut Vec<String>) -> Option<T> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            unreadable.push(format!("`{}`: {error}", path.display()));
            return None;
        }
    };
    match serde_json::from_slice(&text) {
        Ok(read) => Some(read),
        Err(error) => {
            unreadable.push(format!("`{}`: {error}", path.display()));
            None
        }
    }
}

/// All files below a folder, in the order of their names. Links are not followed.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The files of a folder whose names end so, the newest first: names begin with times.
fn newest(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = below(folder);
    files.retain(|path| path.to_string_lossy().ends_with(end));
    files.reverse();
    files
}

fn runs(folder: &Path, unreadable: &mut Vec<String>) -> Vec<caravan_cluster::timeline::Timeline> {
    let files = newest(folder, ".json").into_iter().take(RUNS);
    files.filter_map(|path| json(&path, unreadable)).collect()
}

/// The drills, the newest first; with all that they saw where they are the newest of their name.
fn drills(folder: &Path, root: &Path, unreadable: &mut Vec<String>) -> Vec<KeptDrill> {
    let mut drawn = BTreeSet::new();
    let mut drills = Vec::new();
    for path in newest(folder, ".jsonl") {
        let kept: Option<DrillResult> = json(&path.with_extension("result.json"), unreadable);
        let is_new = kept.as_ref().is_none_or(|it| !drawn.contains(&it.drill));
        let wanted = kept.is_none() || (is_new && drawn.len() < DRAWN);
        let records = match wanted {
            false => None,
            true => {
                let read = File::open(&path).map(BufReader::new);
                match read.and_then(DrillRecords::read) {
                    Ok(records) => Some(records),
                    Err(error) => {
                        unreadable.push(format!("`{}`: {error}", path.display()));
                        None
                    }
                }
            }
        };
        let result = kept.or_else(|| records.as_ref().map(judge));
        let Some(result) = result else {
            continue;
        };
        drawn.insert(result.drill.clone());
        let file = path.strip_prefix(root).unwrap_or(&path);
        drills.push(KeptDrill {
            file: file.display().to_string(),
            result,
            records,
        });
    }
    drills
}

/// The certificates of the lab's store.
fn certificates(store: &Path, unreadable: &mut Vec<String>) -> Vec<CertificateFacts> {
    let mut found = Vec::new();
    for path in below(store) {
        if path.extension().is_none_or(|end| end != "crt") {
            continue;
        }
        let name = path.strip_prefix(store).unwrap_or(&path);
        let name = name.with_extension("").display().to_string();
        let text = std::fs::read(&path).unwrap_or_default();
        match Certificate::all_from_pem(&text) {
            Ok(all) => found.extend(all.iter().map(|one| facts(&name, one))),
            Err(error) => unreadable.push(format!("`{}`: {error}", path.display())),
        }
    }
    found
}

fn facts(name: &str, certificate: &Certificate) -> CertificateFacts {
    let seen = Inspection::of(certificate, SystemTime::now());
    let validity = certificate.validity();
    let seconds = |at: SystemTime| {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    };
    CertificateFacts {
        name: name.to_owned(),
        subject: certificate.subject_shown(),
        issuer: certificate.issuer_shown(),
        authority: seen.is_authority,
        not_before: seconds(validity.not_before()),
        not_after: seconds(validity.not_after()),
        names: [seen.dns_names, seen.ip_addresses, seen.uris].concat(),
        usages: seen.purposes,
    }
}

/// What this computer lacks of what runs the lab's machines here.
fn lacks(target: &LabTarget) -> Vec<String> {
    if !target.dir.exists() {
        return Vec::new();
    }
    let purpose = Purpose::running(target.providers().kinds_here());
    let lacking = needs::judge(purpose).into_iter();
    let lacking = lacking.filter_map(|(need, state)| match state {
        NeedState::Lacking { found, .. } => Some(format!("{} ({}): {found}", need.name, need.why)),
        NeedState::Met(_) | NeedState::Asleep(_) => None,
    });
    lacking.collect()
}
