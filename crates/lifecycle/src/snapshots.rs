//! Copies of a lab's etcd data on this computer: taken, listed, judged, and removed when there are newer ones.
//!
//! A snapshot is two files: `NAME.db`, as etcd gives it, and `NAME.json`, which tells of what it is. The second is written
//! when the first is on the disk, so a snapshot without it is none: it was cut off.

mod check;
mod keep;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use caravan_cluster::{Access, etcd::snapshot};
use caravan_lab::{Lab, Machine};
use serde::{Deserialize, Serialize};

pub use self::check::{SnapshotFault, hold_whole};
pub use self::keep::{SnapshotRetention, list};
use crate::{Error, LabTarget, SnapshotError};

/// What the name of the file ends with that tells of a snapshot.
const EXTENSION: &str = "json";

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// The lab.
    pub lab: String,
    /// When it was taken, RFC 3339, UTC.
    pub taken: String,
    /// What for: `asked for`, ``before replacing `etcdtwo` ``.
    pub reason: String,
    /// The etcd member that it was taken from.
    pub member: String,
    /// The revision that a majority confirmed before it was taken; none where there was no majority.
    pub confirmed: Option<u64>,
    /// The revision that it has.
    pub revision: u64,
    /// How many records it has.
    pub keys: u64,
    /// The size of its file, in bytes.
    pub bytes: u64,
    /// The SHA-256 of its file, lower-case hex.
    pub sha256: String,
    /// The id of etcd's cluster, in hex; empty where the member could not tell it.
    pub cluster_id: String,
    /// The versions of what wrote it: `etcd`, `kubernetes`, `caravan`.
    pub versions: BTreeMap<String, String>,
    /// The SHA-256 of the certificates of the authorities that were trusted then, by what trusts them: `kubernetes`, `etcd`.
    pub authorities: BTreeMap<String, Vec<String>>,
}

/// A snapshot on this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The file with the data.
    pub file: PathBuf,
    /// What it is of.
    pub record: SnapshotRecord,
}

/// What is to be copied, and why.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotRequest<'a> {
    /// What for, as [`SnapshotRecord::reason`].
    pub reason: &'a str,
    /// The folder that it is written to; none for the lab's own.
    pub folder: Option<&'a Path>,
    /// The machine whose member is copied though there is no majority; none for whichever member a majority makes sure of.
    pub from: Option<&'a Machine>,
}

impl Snapshot {
    /// Its name, without the folder and `.db`.
    pub fn name(&self) -> String {
        let stem = self.file.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// Reads what the snapshot in `file` is of.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where it makes no sense.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let path = file.with_extension(EXTENSION);
        let failed = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let text = std::fs::read(&path).map_err(failed)?;
        let record = serde_json::from_slice(&text)
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        Ok(Self {
            file: file.to_owned(),
            record,
        })
    }

    /// Finds the snapshot that `named` names: the file itself, the name of one of the lab's own, or `latest`.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NoSuch`], [`Error::Read`].
    pub fn find(target: &LabTarget, named: &str) -> Result<Self, Error> {
        let own = list(&target.dir.snapshots(), &target.name)?;
        let known = || own.iter().rev().map(Snapshot::name).collect();
        let found = match named {
            "latest" => own.last().cloned(),
            _ => own.iter().find(|it| it.name() == named).cloned(),
        };
        let path = Path::new(named);
        match found {
            Some(found) => Ok(found),
            None if path.is_file() => {
                let path = std::path::absolute(path).map_err(|source| Error::Read {
                    path: path.to_owned(),
                    source,
                })?;
                Self::read(&path.with_extension("db"))
            }
            None => Err(Error::from(SnapshotError::NoSuch {
                lab: target.name.clone(),
                name: named.to_owned(),
                known: known(),
            })),
        }
    }
}

/// Takes a snapshot of the lab's etcd.
///
/// It has its name only when all of it is on the disk, and is what the member's machine has hashed.
///
/// # Errors
///
/// [`Error::Cluster`] where etcd has no majority or does not give it, [`SnapshotError::Refused`] where not all of it arrived,
/// [`Error::Write`].
pub fn take(
    target: &LabTarget,
    lab: &Lab,
    access: &Access,
    request: &SnapshotRequest<'_>,
) -> Result<Snapshot, Error> {
    let own = target.dir.snapshots();
    let folder = match request.folder {
        // Somebody's own, with the permissions that they gave it.
        Some(folder) if folder.is_dir() => folder,
        Some(folder) => {
            caravan_files::make_private_folder(folder)?;
            folder
        }
        None => {
            caravan_files::make_private_folder(&own)?;
            &own
        }
    };
    let failed = |source| Error::Write {
        path: folder.to_owned(),
        source,
    };
    let part = tempfile::Builder::new()
        .prefix(keep::PART)
        .tempfile_in(folder)
        .map_err(failed)?;
    let taken = match request.from {
        None => snapshot::take(lab, access, part.path())?,
        Some(machine) => snapshot::take_alone(access, machine, part.path())?,
    };
    let now = jiff::Timestamp::now();
    let mut versions: BTreeMap<String, String> = crate::drill::versions(target, lab)
        .into_iter()
        .filter(|(name, _)| name != "image")
        .collect();
    versions.insert("etcd".to_owned(), taken.etcd);
    let record = SnapshotRecord {
        lab: target.name.clone(),
        taken: crate::state_file::now(),
        reason: request.reason.to_owned(),
        member: taken.member,
        confirmed: taken.confirmed,
        revision: taken.revision,
        keys: taken.keys,
        bytes: taken.bytes,
        sha256: taken.sha256,
        cluster_id: (taken.cluster_id).map_or_else(String::new, |id| format!("{id:x}")),
        versions,
        authorities: authorities(access)?,
    };
    // What arrived is what was hashed there; etcd's own sum in it is right too.
    hold_whole(part.path(), &record)?;
    let stamp = now.strftime("%Y%m%dT%H%M%SZ");
    let file = folder.join(format!("{}-{stamp}-{}.db", target.name, record.revision));
    part.as_file()
        .sync_all()
        .and_then(|()| part.persist(&file).map_err(|error| error.error))
        .and_then(|_| sync_folder(folder))
        .map_err(failed)?;
    let text = serde_json::to_vec_pretty(&record).expect("plain fields are JSON");
    let told = file.with_extension(EXTENSION);
    caravan_files::replace(&told, &text, caravan_files::Access::Mode(0o600))?;
    sync_folder(folder).map_err(failed)?;
    Ok(Snapshot { file, record })
}

/// Takes a snapshot into the lab's own folder before something else is done, as `reason` says, and removes those that are not
/// kept any more.
///
/// # Errors
///
/// As [`take`], and [`Error::Read`].
pub fn take_for(
    target: &LabTarget,
    lab: &Lab,
    access: &Access,
    reason: &str,
) -> Result<Snapshot, Error> {
    let request = SnapshotRequest {
        reason,
        folder: None,
        from: None,
    };
    let taken = take(target, lab, access, &request)?;
    let now = jiff::Timestamp::now();
    SnapshotRetention::default().prune(&target.dir.snapshots(), &target.name, now)?;
    Ok(taken)
}

/// Has the folder's names on the disk: a file that is synced and has no name there is lost.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The authorities that the lab trusts now, as [`SnapshotRecord::authorities`].
///
/// # Errors
///
/// [`Error::Pki`].
pub(crate) fn authorities(access: &Access) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let now = SystemTime::now();
    let prints = |pem: &str| {
        let all = caravan_pki::Certificate::all_from_pem(pem.as_bytes())?;
        let prints = all
            .iter()
            .map(|it| caravan_pki::inspect::Inspection::of(it, now).fingerprint);
        Ok::<_, Error>(prints.collect::<Vec<String>>())
    };
    Ok(BTreeMap::from([
        ("etcd".to_owned(), prints(&access.etcd_ca)?),
        ("kubernetes".to_owned(), prints(&access.kubernetes_ca)?),
    ]))
}
