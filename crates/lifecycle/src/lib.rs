//! What is there of a lab, and in which order does it come and go?
//!
//! | module | question |
//! |---|---|
//! | [`Workspace`], [`LabTarget`] | which labs are there, and which one is meant? |
//! | [`LabDir`] | where is what of a lab's state? |
//! | [`LabComputers`], [`deliver`], [`export`] | which computers are its servers on, and what is sent to them? |
//! | [`LabChoices`], [`ClusterRecord`], [`MachineRecord`], [`MergeRecord`], [`LabLock`] | what was asked for, what was made, who works on it now? |
//! | [`Keys`], [`files`] | which keys and files do its machines get, and which were they given? |
//! | [`machines`], [`data`] | which machines are there, whose are they, and where is their data? |
//! | [`settings`] | does anybody know what it sets of the cluster? |
//! | [`plan`] | what would it be made from? |
//! | [`up`], [`halt`], [`destroy`] | how does a lab come, stop and go? |
//! | [`load`], [`ImageRecord`] | how do nodes get images of the user's own, and which are they to have? |
//! | [`drill`] | what do users see while something of it is broken? |
//! | [`replace`], [`OperationRecord`] | how does one machine go, and another take its place; what is under way? |
//! | [`lab_secrets`] | what may not be shown? |
//! | [`support`] | what does somebody need who is to find out what is wrong? |
//! | [`certificates`], [`renew`] | which are there, when do they end, who uses them, and how are they made anew? |
//! | [`rotate`] | how does another certificate authority take the place of one, while the lab goes on? |
//! | [`checkpoints`] | how is all of it kept as it is, and put back? |
//! | [`snapshots`], [`restore`] | which copies of its data are on this computer, and how does it get back what one has? |
//! | [`events`], [`LabRun`] | who is told meanwhile, and what is kept of it? |
//!
//! Nothing here prints, asks or reads the environment: whoever calls hands in what was asked for, and is told what happens by
//! [`LifecycleEvent`](events::LifecycleEvent)s. Nothing here knows what kind of machine a lab has: that is behind
//! [`MachineProvider`](caravan_vagrant::provider::MachineProvider).

mod choices;
mod cluster_record;
mod computers;
mod error;
mod image_record;
mod keys;
mod lab_dir;
mod lab_secrets;
mod levels;
mod lock;
mod machine_record;
mod merges;
mod operation;
mod providers;
mod run;
mod state_file;
mod target;
mod workspace;

pub mod certificates;
pub mod checkpoints;
pub mod data;
pub mod deliver;
pub mod destroy;
pub mod drill;
pub mod events;
pub mod export;
pub mod files;
pub mod halt;
pub mod load;
pub mod machines;
pub mod plan;
pub mod reach;
pub mod renew;
pub mod replace;
pub mod restore;
pub mod rotate;
pub mod settings;
pub mod snapshots;
pub mod software;
pub mod support;
pub mod up;
pub mod vagrant_at_work;

pub use choices::{ChoiceRequest, ImageRequest, LabChoices, ProviderChoice};
pub use cluster_record::ClusterRecord;
pub use computers::LabComputers;
pub use error::{
    CertificatesError, CheckpointError, CheckpointFault, Error, RefusedLabFile, SnapshotError,
    StuckMachine, hint_of_file, listed, nearest,
};
pub use image_record::{ImageRecord, KeptImage};
pub use keys::{Keys, context};
pub use lab_dir::{LabDir, names as labs_with_state};
pub use lab_secrets::lab_secrets;
pub use lock::{LabLock, LockHolder};
pub use machine_record::MachineRecord;
pub use merges::MergeRecord;
pub use operation::{MachineStanding, OperationRecord, RestoreIntent};
pub use providers::{LabProviders, SilentComputer};
pub use run::{Interruptible, LabRun, outcome_of};
pub use target::{LabTarget, machine, no_such_machine, remote, ssh};
pub use workspace::{Workspace, read_lab, read_text};
