//! Breaks one thing of a lab on purpose while clients use it, repairs it, and judges what they saw.
//!
//! | module | question |
//! |---|---|
//! | [`record`] | what was seen? |
//! | [`judge`] | what does that amount to? |
//! | [`catalogue`] | which drills are there, what do they break, and what is allowed meanwhile? |
//! | [`faults`] | how is it done over ssh? |
//! | `pacer`, `clients`, `priority` | who asks what, when, and before whom? |
//! | `calm`, `look` | has this computer the time to measure, and what becomes of the lab meanwhile? |
//! | [`watched`] | what is asked of a Service of the user's own? |
//! | `run` | in which order? |
//!
//! Clients are an open loop: the next request never waits for the last. All figures are computed from the records alone, so
//! that whoever has those can compute them again.

mod calm;
pub mod catalogue;
mod clients;
mod fault;
pub mod faults;
mod haste;
pub mod judge;
mod look;
mod pacer;
pub(crate) mod priority;
pub mod record;
mod run;
pub mod watched;

pub use clients::{ClientSet, DEADLINE, READ_EVERY, WRITE_EVERY};
pub use fault::{DrillFault, FaultProof};
pub use run::{DrillFailure, DrillPlan, DrillTimes, header, observe, run};
