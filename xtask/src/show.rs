//! What the user sees, and what is kept of it.

pub(crate) mod drill;
pub(crate) mod etcd;
pub(crate) mod report;
pub(crate) mod table;

pub(crate) use caravan_screen::{self as screen, pipe};
