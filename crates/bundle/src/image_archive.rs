//! Images of the user's own: read from an archive of Docker's or OCI's, or while the engine makes one, and written as the
//! archive that nodes are given.
//!
//! Such an archive holds one image for one platform, each blob checked against its digest, and its index last, so that what
//! is cut off on its way is an image to nobody. It can be read while it is being written: [`ArchiveGrowth`].
//! Formats: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>, and that of `docker save`
//! (<https://github.com/moby/docker-image-spec/blob/main/spec.md>).

mod contents;
mod engine;
mod growth;
mod name;
mod reading;
mod resolve;
mod writing;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use self::contents::ArchiveFile;
pub use self::engine::EngineSource;
pub use self::growth::{ArchiveGrowth, GrowingArchive};
pub use self::name::{full_name, has_moving_tag};
pub use self::reading::{NodeArchive, NodeArchiveReader};
pub use self::resolve::ArchivedImage;
pub use self::writing::{write_from_file, write_from_stream};
