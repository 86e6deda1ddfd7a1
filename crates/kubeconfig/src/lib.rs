//! How is a user's kubeconfig changed without losing anything?
//!
//! A lab's contexts ([`LabContexts`]) are merged into one of the files that kubectl reads ([`KubeconfigList`]), and taken
//! out again, as text: comments, order and what this program does not know stay to the byte, and a file that cannot be
//! changed so is left alone ([`Refusal`]). Nothing here reads the environment or prints: the caller hands in `KUBECONFIG`
//! and the home folder, and is told what to show.

mod change;
mod contexts;
mod error;
mod list;
mod merge;

pub use contexts::{LabContexts, MergedFile, UnreadableFile};
pub use error::Error;
pub use list::{KubeconfigList, UnfoundPart, same_file};
pub use merge::Refusal;
