//! How does work look while it is done? Progress, tables and errors, for all programs whose work is watched on a terminal.
//!
//! Progress, warnings and errors go to stderr; stdout is for data, which each program prints itself.

mod failure;
pub mod pipe;
mod screen;
mod setup;
pub mod table;
mod terminal;

pub use failure::failure_text;
pub use screen::{Screen, ask, to_stderr};
pub use setup::SetupOnScreen;
