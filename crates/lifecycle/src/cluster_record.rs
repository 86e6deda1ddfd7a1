//! Which cluster was made of a lab: what was made, not what is. Without it, a new and empty cluster in the place of one
//! whose data was lost would look like the old one.

use serde::{Deserialize, Serialize};

use crate::{Error, LabDir, state_file};

/// The cluster that `up` has made and seen ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The uid of its namespace `kube-system`, which no other cluster has.
    pub kube_system: String,
    /// When it was first seen, RFC 3339, UTC.
    pub seen: String,
}

impl ClusterRecord {
    /// The cluster with this uid, seen now.
    pub fn seen_now(kube_system: String) -> Self {
        Self {
            kube_system,
            seen: crate::state_file::now(),
        }
    }

    /// Reads which cluster was made, if one was.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], also where the file makes no sense.
    pub fn read(dir: &LabDir) -> Result<Option<Self>, Error> {
        state_file::read(dir.cluster())
    }

    /// Keeps it; the lab's folder must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn write(&self, dir: &LabDir) -> Result<(), Error> {
        let comment = "# The cluster that `up` made. It makes no other one in its place unless it is told to.\n";
        state_file::write(&dir.cluster(), comment, self)
    }

    /// Forgets it, before another one is made; it need not be there.
    ///
    /// # Errors
    ///
    /// [`Error::Write`].
    pub fn forget(dir: &LabDir) -> Result<(), Error> {
        Ok(caravan_files::remove_file(&dir.cluster())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_and_forgotten() {
        let workspace = tempfile::tempdir().expect("a folder");
        let dir = LabDir::new(workspace.path(), "ha");
        dir.make().expect("made");
        assert_eq!(ClusterRecord::read(&dir).expect("absent"), None);
        let cluster = ClusterRecord::seen_now("6b8c".to_owned());
        cluster.write(&dir).expect("written");
        assert_eq!(ClusterRecord::read(&dir).expect("read"), Some(cluster));
        ClusterRecord::forget(&dir).expect("forgotten");
        ClusterRecord::forget(&dir).expect("forgotten already");
        assert_eq!(ClusterRecord::read(&dir).expect("absent"), None);
        std::fs::write(dir.cluster(), "kube_system = 1\n").expect("written");
        assert!(ClusterRecord::read(&dir).is_err());
    }
}
