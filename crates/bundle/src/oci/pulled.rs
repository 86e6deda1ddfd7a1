//! An image of a registry as an OCI archive: its own manifest and blobs, under the name that machines use.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::image::MediaType;

use super::{add_bytes, begin, blob_path, header};
use crate::digest;
use crate::pins::Arch;

/// What a registry gave.
pub(crate) struct Pulled<'a> {
    /// Full reference: `ghcr.io/flannel-io/flannel:v0.28.4`.
    pub(crate) name: &'a str,
    pub(crate) arch: Arch,
    /// As it came: its digest is its name.
    pub(crate) manifest: &'a [u8],
    pub(crate) media_type: &'a str,
    /// Configuration and layers, each in a file that is named by its sum.
    pub(crate) blobs: &'a [PathBuf],
}

/// Writes `image` as an OCI archive to `to`.
///
/// # Errors
///
/// Whatever reading the blobs or writing the archive meets.
pub(crate) fn write_pulled(image: &Pulled<'_>, to: &Path) -> io::Result<()> {
    let kind = MediaType::from(image.media_type);
    let mut archive = begin(to, image.name, image.arch, kind, image.manifest)?;
    let manifest = blob_path(&digest::of_bytes(image.manifest));
    add_bytes(&mut archive, &manifest, image.manifest, 0o644)?;
    // An image may have one layer twice.
    let mut blobs: Vec<&PathBuf> = image.blobs.iter().collect();
    blobs.sort();
    blobs.dedup();
    for blob in blobs {
        let sum = blob.file_name().unwrap_or_default().to_string_lossy();
        let file = File::open(blob)?;
        let mut header = header(file.metadata()?.len(), 0o644, tar::EntryType::Regular);
        archive.append_data(&mut header, blob_path(&sum), file)?;
    }
    archive.into_inner()?.into_inner()?.sync_all()
}
