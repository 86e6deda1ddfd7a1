//! This computer: what it must have, what it has, and how it gets the rest.

pub(crate) mod engine;
pub(crate) mod go;
pub(crate) mod needs;
pub(crate) mod packages;
pub(crate) mod probe;
pub(crate) mod ranges;
