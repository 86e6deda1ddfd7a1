//! Is it what the lab says? Watches, inspects and verifies live machines.
//!
//! | module | question |
//! |---|---|
//! | [`watch`], [`phase`], [`convergence`] | how far are the machines on their way? |
//! | [`timeline`] | what did a run do, and when? |
//! | [`ready`] | is the cluster there? |
//! | [`verify`] | does each promise of the lab hold? |
//! | [`disturb`] | how is a part broken on purpose, and put right? |
//! | [`drill`] | what do users see meanwhile, and is that as it must be? |
//! | [`handover`], [`drain`] | how does what a machine does get to others before it goes? |
//! | [`marks`] | which labels and taints do nodes get? |
//! | [`images`] | which images do nodes have, and how do they get more? |
//! | [`control_plane`] | how does it stop, start, and say what it is? |
//! | [`status`] | what is, within three seconds, even with half of it dead? |
//! | [`vip`] | who has the virtual address? |
//! | [`certificates`], [`rotation`] | which certificates do machines have, which do servers show, and whom do they let in? |
//! | [`tokens`] | which keys sign and verify service account tokens, and where are those? |
//! | [`kube`], [`etcd`], [`attempt`], [`facts`] | what do servers and machines answer? |
//!
//! What the lab is comes from [`caravan_lab::Lab`]; the keys to it come from the caller, as [`Access`].

mod access;
pub mod attempt;
pub mod certificates;
pub mod control_plane;
pub mod convergence;
pub mod disturb;
pub mod drain;
pub mod drill;
mod error;
pub mod etcd;
pub mod facts;
pub mod handover;
pub mod images;
pub mod kube;
pub mod marks;
pub mod parallel;
pub mod phase;
pub mod ready;
pub mod rotation;
pub mod status;
pub mod timeline;
pub mod tokens;
mod until;
pub mod verify;
pub mod vip;
pub mod watch;
mod way;
mod web;

pub use access::{Access, Certificate, Foreign, Inspect, PATIENCE, Pair, remote};
pub use error::Error;
pub use until::{pause, until};
pub use way::NetworkWay;
