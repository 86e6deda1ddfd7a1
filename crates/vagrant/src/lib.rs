//! How do machines start? The Vagrant command line, its output, the container engine and ssh.
//!
//! | module | question |
//! |---|---|
//! | [`Vagrant`], [`Group`] | what does Vagrant do, and what does it say meanwhile? |
//! | [`output`] | what does a line of `--machine-readable` output mean? |
//! | [`engine`] | which containers, networks and volumes are labelled as a lab's, without the seconds that Vagrant takes? |
//! | [`libvirt`] | which domains, networks and disks are labelled as a lab's, likewise? |
//! | [`notes`] | what does Vagrant believe of machines that the engine was asked to stop or remove? |
//! | [`parts`] | what do halted machines consist of, and how is that copied and put back? |
//! | [`provider`] | which machines exist, and how do they start, stop and go, whatever runs them? |
//! | [`routes`] | where does this computer send packets, by all its routing tables? |
//! | [`ssh`] | how is a machine reached? |
//! | [`virtualbox`] | which machines of VirtualBox's are labelled as a lab's, and why does it start none? |
//!
//! Nothing here knows what a machine is for.

mod at_work;
mod boxes;
mod error;
mod group;
mod installed;

pub mod engine;
pub mod libvirt;
pub mod notes;
pub mod output;
pub mod parts;
pub mod provider;
pub mod routes;
pub mod ssh;
pub mod virtualbox;

pub use at_work::{AtWork, at_work, at_work_on};
pub use boxes::AddedBox;
pub use error::Error;
pub use group::{Group, MachineState, MachineStatus, Up};
pub use installed::{FLOOR, UnfitVirtualBox, Vagrant, Version, users_home};
