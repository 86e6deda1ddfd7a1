//! What is kept of a lab on this computer, apart from its keys and its files.

pub(crate) mod alone;
pub(crate) mod choices;
pub(crate) mod cluster;
pub(crate) mod lock;
