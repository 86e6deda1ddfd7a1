//! Breaks one thing of a lab on purpose while clients use it, repairs it, and judges what they saw.
//!
//! | module | question |
//! |---|---|
//! | [`record`] | what was seen? |
//! | [`judge`] | what does that amount to? |
//! | [`catalogue`] | which drills are there, what do they break, and what is allowed meanwhile? |
//! | `pacer`, `clients` | who asks what, and when? |
//! | `run` | in which order? |
//!
//! Clients are an open loop: the next request never waits for the last. All figures are computed from the records alone, so
//! that whoever has those can compute them again.

pub mod catalogue;
mod clients;
pub mod judge;
mod pacer;
pub mod record;
mod run;

pub use clients::{DEADLINE, READ_EVERY, WRITE_EVERY};
pub use pacer::micros;
pub use run::{DrillFault, DrillPlan, WARM_UP, run};
