//! What the tests on real machines share: the tool under test, and the host it must leave as it found it.

mod fresh;
mod host;
mod leaks;
mod relay;
mod tool;

pub use fresh::{Bare, Fresh, Site};
pub use host::Host;
pub use leaks::LeakWatch;
pub use tool::{Ended, Tool};
