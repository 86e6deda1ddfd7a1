//! What kind of error it is, for whoever decides what to do next.

use super::{CheckpointError, Error, SnapshotError};
use crate::OperationRecord;

impl Error {
    /// Whether what was asked for, or a lab file, is wrong, rather than the world.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Bundle(
                caravan_bundle::Error::ImageName { .. } | caravan_bundle::Error::NoSuchImage { .. }
            ) | Self::ChosenOtherwise { .. }
                | Self::ImageFolder { .. }
                | Self::InputIsTerminal
                | Self::NamelessImage { .. }
                | Self::NoNode { .. }
                | Self::NotRemembered { .. }
                | Self::SeveralImages { .. }
                | Self::ImageOfWhich { .. }
                | Self::ProvidersApart { .. }
                | Self::Faults(_)
                | Self::LabFileGone { .. }
                | Self::NoLabFile { .. }
                | Self::NoLabNamed { .. }
                | Self::NotText { .. }
                | Self::NoSuchLab { .. }
                | Self::NoSuchMachine { .. }
                | Self::NoSuchServer { .. }
                | Self::Snapshot(
                    SnapshotError::NoSuch { .. } | SnapshotError::NoRestoration { .. }
                )
                | Self::Checkpoint(
                    CheckpointError::Exists { .. }
                        | CheckpointError::Name { .. }
                        | CheckpointError::NoSuch { .. }
                        | CheckpointError::NotUnderWay { .. }
                )
                | Self::NoneOnServer { .. }
        )
    }

    /// The error for what would work against an operation that is under way.
    pub fn open(lab: &str, operation: &OperationRecord) -> Self {
        Self::OperationOpen {
            lab: lab.to_owned(),
            verb: operation.verb.clone(),
            machine: operation.machine.clone(),
            since: operation.since.clone(),
        }
    }

    /// Whether the lab file itself is wrong, and not what it says of.
    pub fn is_of_lab_file(&self) -> bool {
        matches!(
            self,
            Self::Faults(_) | Self::NoLabFile { .. } | Self::NotText { .. }
        )
    }

    /// Whether the user stopped it.
    pub fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Interrupted
                | Self::Bundle(caravan_bundle::Error::Interrupted)
                | Self::Cluster(caravan_cluster::Error::Interrupted)
                | Self::Process(caravan_process::Error::Interrupted { .. })
                | Self::Vagrant(caravan_vagrant::Error::Process(
                    caravan_process::Error::Interrupted { .. }
                ))
        )
    }
}
