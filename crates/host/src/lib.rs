//! What must this computer have, what has it, and how does it get the rest?
//!
//! One table of needs ([`NEEDS`]) is read by [`findings`](mod@findings), which tells people what lacks and what is weak, and
//! by [`setup::ensure`], which installs it and starts the container engine and libvirt. A need counts as met when what will be used of it
//! works, not when something of its name lies somewhere ([`Probe`]).
//!
//! Nothing here prints or asks: [`SetupObserver`] is told and asked. Nothing here names the command that calls it either,
//! so remedies that begin with it are the caller's: see [`Cure`] and [`Error::hint`].

pub mod bridges;
pub mod computers;
pub mod engine;
mod error;
pub mod findings;
pub mod free_subnet;
mod go;
pub mod hypervisor;
pub mod libvirt;
pub mod needs;
mod observer;
mod packages;
mod probe;
pub mod ranges;
pub mod resolvers;
pub mod room;
pub mod setup;
pub mod virtualbox;

pub use error::{Error, UnfitNeed};
pub use needs::{NEEDS, Need, Purpose, When};
pub use observer::SetupObserver;
pub use probe::{Cure, NeedState, Probe};
