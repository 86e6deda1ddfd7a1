//! What the user sees, and what is kept of it.

pub(crate) mod pipe;
pub(crate) mod report;
pub(crate) mod screen;
pub(crate) mod table;
pub(crate) mod terminal;
