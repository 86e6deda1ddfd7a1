//! The old member's data, kept on this computer until the new one is what the old one was.

use std::time::Duration;

use caravan_cluster::Error as ClusterError;
use caravan_cluster::etcd::snapshot;
use caravan_cluster::timeline::RUN;

use super::Replacement;
use crate::{Error, LabRun};

/// How long a member may take to write a snapshot and send it.
const LIMIT: Duration = Duration::from_secs(120);

impl Replacement<'_> {
    /// All data of the member on the machine, as one file.
    pub(super) fn snapshot(&self) -> Result<Vec<u8>, ClusterError> {
        snapshot::of_machine(self.access, self.machine, LIMIT)
    }

    /// Keeps it. That there is no room for it here is found out before anything is changed.
    pub(super) fn set_aside(&self, run: &LabRun<'_>, snapshot: &[u8]) -> Result<(), Error> {
        let path = self.target.dir.set_aside(&self.machine.name);
        caravan_files::write_if_changed(&path, 0o600, snapshot)?;
        run.tell_end(
            RUN,
            &format!(
                "the data of {} is set aside, {} KiB",
                self.machine.name,
                snapshot.len() / 1024
            ),
        );
        Ok(())
    }

    /// Removes what was set aside: the lab is whole, and was verified. It need not be there.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn forget_aside(&self) -> Result<(), Error> {
        let path = self.target.dir.set_aside(&self.machine.name);
        Ok(caravan_files::remove_file(&path)?)
    }

    /// The file with the old member's data, where it is still kept.
    pub fn kept_aside(&self) -> Option<std::path::PathBuf> {
        let path = self.target.dir.set_aside(&self.machine.name);
        path.is_file().then_some(path)
    }
}
