//! An archive that was written for nodes before.

use std::fs::File;
use std::io::{Cursor, Read, Seek as _};
use std::path::{Path, PathBuf};

use oci_spec::image::ImageIndex;

use super::contents::{ArchiveContents as _, ArchiveFile, not_an_image};
use super::writing::LastPart;
use crate::Error;
use crate::pins::Arch;

/// The unit of a tar, in bytes.
const BLOCK: u64 = 512;

/// An archive that nodes are given, whole.
pub struct NodeArchive {
    path: PathBuf,
    /// As many bytes are blobs.
    blobs: u64,
    last: LastPart,
}

/// What a node is given.
pub type NodeArchiveReader = std::io::Chain<std::io::Take<File>, Cursor<Vec<u8>>>;

impl NodeArchive {
    /// Looks at the archive at `path`, which [`super::write_from_file`] or [`super::write_from_stream`] wrote for a processor.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnImage`] where it is not whole any more, [`Error::File`].
    pub fn open(path: &Path, arch: Arch) -> Result<Self, Error> {
        let scratch = path.with_extension("scratch");
        let archive = ArchiveFile::open(path, &scratch)?;
        let damaged = |reason: &str| not_an_image(archive.what(), reason);
        let (content, _) =
            (archive.place("index.json")).ok_or_else(|| damaged("it has no index"))?;
        let text = archive.text("index.json")?.unwrap_or_default();
        let index: ImageIndex =
            serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
        let manifest = (index.manifests().first()).ok_or_else(|| damaged("its index is empty"))?;
        Ok(Self {
            path: path.to_owned(),
            blobs: content - BLOCK,
            last: LastPart {
                media_type: manifest.media_type().to_string(),
                sum: manifest.digest().digest().to_owned(),
                size: manifest.size(),
                arch,
            },
        })
    }

    /// The digest of its image's manifest, `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        format!("sha256:{}", self.last.sum)
    }

    /// A reader of it, where the image has these names.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn reader(&self, names: &[String]) -> Result<NodeArchiveReader, Error> {
        let unreadable = Error::file("read", &self.path);
        let open = || {
            let mut file = File::open(&self.path)?;
            file.rewind()?;
            Ok(file
                .take(self.blobs)
                .chain(Cursor::new(self.last.under(names)?)))
        };
        open().map_err(unreadable)
    }
}
