//! Making a checkpoint.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use caravan_cluster::timeline::RUN;
use caravan_process::interrupt;
use caravan_vagrant::parts::{MachinePart, PartSpace, ROOT, TransferError};

use super::keep::{self, Summing, sync_folder};
use super::{
    Checkpoint, CheckpointMachine, CheckpointPart, CheckpointRecord, HaltedLab, RECORD, hold_room,
    state,
};
use crate::{CheckpointError, ClusterRecord, Error, LabRun, OperationRecord};

/// What the name of a checkpoint begins with that is being made.
const PART: &str = ".saving-";

/// What is to be kept, and why.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointRequest<'a> {
    /// What it is to be called, as [`hold_name`](super::hold_name) allows it.
    pub name: &'a str,
    /// What for, as [`CheckpointRecord::reason`].
    pub reason: &'a str,
    /// Whether nobody asked for it.
    pub automatic: bool,
}

impl HaltedLab<'_> {
    /// Keeps the whole lab as it is. It has its name only when all of it is on the disk.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Name`], [`CheckpointError::Exists`], [`CheckpointError::Runs`], [`CheckpointError::Missing`],
    /// [`CheckpointError::NoRoom`], [`Error::OperationOpen`]: nothing was copied. [`Error::Vagrant`], [`Error::Write`],
    /// [`Error::Interrupted`]: what was copied until then is gone.
    pub fn save(
        &self,
        run: &LabRun<'_>,
        request: &CheckpointRequest<'_>,
    ) -> Result<Checkpoint, Error> {
        keep::hold_name(request.name)?;
        if let Some(open) = OperationRecord::read(self.dir)? {
            return Err(Error::open(self.lab.name(), &open));
        }
        self.hold_halted(false)?;
        let all = self.dir.checkpoints();
        caravan_files::make_private_folder(&all)?;
        let folder = all.join(request.name);
        if folder.exists() {
            return Err(Error::from(CheckpointError::Exists {
                lab: self.lab.name().to_owned(),
                name: request.name.to_owned(),
            }));
        }
        keep::sweep(self.dir)?;
        let spaces = self.spaces()?;
        hold_room(&all, spaces.iter().map(|it| it.used).sum())?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Write { path, source }
        };
        let part = tempfile::Builder::new()
            .prefix(PART)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&all)
            .map_err(failed(&all))?;
        let record = self.copy(run, request, part.path(), &spaces)?;
        // What was copied of a machine that somebody started meanwhile fits to nothing.
        self.hold_halted(false)?;
        let text = serde_json::to_vec_pretty(&record).expect("plain fields are JSON");
        let told = part.path().join(RECORD);
        caravan_files::replace(&told, &text, caravan_files::Access::Mode(0o600))?;
        sync_folder(part.path())?;
        std::fs::rename(part.path(), &folder).map_err(failed(&folder))?;
        // There is no such folder any more.
        drop(part.keep());
        sync_folder(&all)?;
        Ok(Checkpoint { folder, record })
    }

    /// How much room each part takes and has, in the order of the store.
    pub(super) fn spaces(&self) -> Result<Vec<PartSpace>, Error> {
        Ok(self.store.spaces()?)
    }

    fn copy(
        &self,
        run: &LabRun<'_>,
        request: &CheckpointRequest<'_>,
        folder: &Path,
        spaces: &[PartSpace],
    ) -> Result<CheckpointRecord, Error> {
        let mut machines = Vec::new();
        let all = self.lab.machines();
        for (number, machine) in all.iter().enumerate() {
            let with_space = self.store.parts().iter().zip(spaces);
            let own = with_space.filter(|(part, _)| part.machine == machine.name);
            let (mut parts, mut image) = (Vec::new(), String::new());
            for (part, space) in own {
                if interrupt::raised() {
                    return Err(Error::Interrupted);
                }
                run.tell_begin(&machine.name, &format!("copies {}", words(part)));
                image.clone_from(&part.image);
                parts.push(CheckpointPart {
                    name: part.name.clone(),
                    used: space.used,
                    archive: self.copy_part(part, folder)?,
                });
            }
            run.tell_end(&machine.name, "copied");
            run.reached(&format!("copied {}/{}", number + 1, all.len()));
            machines.push(CheckpointMachine {
                name: machine.name.clone(),
                server: machine.server.clone(),
                role: machine.role.word().to_owned(),
                ip: machine.ip.to_string(),
                image,
                parts,
            });
        }
        run.tell_begin(RUN, "copies the lab's state");
        let cluster = ClusterRecord::read(self.dir)?;
        Ok(CheckpointRecord {
            lab: self.lab.name().to_owned(),
            // Several may be made within a second, and the newest is another one than the rest.
            taken: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
                .to_string(),
            reason: request.reason.to_owned(),
            automatic: request.automatic,
            cluster: cluster.map(|it| it.kube_system),
            versions: self.versions.clone(),
            machines,
            state: state::pack(self.lab, self.dir, folder)?,
        })
    }

    fn copy_part(&self, part: &MachinePart, folder: &Path) -> Result<super::CheckpointFile, Error> {
        let name = format!("{}.tar", part.id());
        let mut to = Summing::create(folder, &name)?;
        let copied = self.store.copy(part, &mut |piece| to.write_all(piece));
        copied.map_err(|error| written(error, folder.join(&name)))?;
        if !to.is_whole_archive() {
            return Err(Error::from(CheckpointError::CutOff { part: part.id() }));
        }
        to.finish(name, folder)
    }
}

/// The error for a copy that was written to `path`.
fn written(error: TransferError, path: PathBuf) -> Error {
    match error {
        TransferError::File(source) => Error::Write { path, source },
        TransferError::Part(error) => error.into(),
    }
}

/// What a part is, for people.
pub(super) fn words(part: &MachinePart) -> String {
    match part.name.as_str() {
        ROOT => "what it has written".to_owned(),
        volume => format!("its volume `{volume}`"),
    }
}
