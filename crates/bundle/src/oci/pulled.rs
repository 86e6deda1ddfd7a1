//! An image of a registry as an OCI archive: its own manifest and blobs, under the name that machines use.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use oci_spec::image::{ANNOTATION_REF_NAME, ImageIndexBuilder, MediaType, Os, PlatformBuilder};

use super::{add_bytes, blob_path, descriptor, header, json, oci_arch, tag};
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
    let mut named = descriptor(
        MediaType::from(image.media_type),
        &digest::of_bytes(image.manifest),
        image.manifest.len() as u64,
    )?;
    named.set_annotations(Some(HashMap::from([
        ("io.containerd.image.name".to_owned(), image.name.to_owned()),
        (ANNOTATION_REF_NAME.to_owned(), tag(image.name).to_owned()),
    ])));
    named.set_platform(Some(
        PlatformBuilder::default()
            .architecture(oci_arch(image.arch))
            .os(Os::Linux)
            .build()
            .map_err(io::Error::other)?,
    ));
    let index = json(
        &ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![named])
            .build()
            .map_err(io::Error::other)?,
    )?;
    let mut archive = tar::Builder::new(BufWriter::with_capacity(digest::CHUNK, File::create(to)?));
    let layout = br#"{"imageLayoutVersion":"1.0.0"}"#;
    add_bytes(&mut archive, "oci-layout", layout, 0o644)?;
    add_bytes(&mut archive, "index.json", &index, 0o644)?;
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
