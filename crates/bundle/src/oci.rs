//! Container images written as OCI archives, byte for byte the same for the same contents.
//!
//! An image here is a program or two over an optional root file system, so layers are few and are not compressed: the
//! archive is read once, when a machine image is baked, and is packed when it is exported.
//! Format: <https://github.com/opencontainers/image-spec>; the names containerd reads on import are annotations of the
//! index (<https://github.com/containerd/containerd/blob/main/core/images/annotations.go>).

mod pulled;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch as OciArch, ConfigBuilder, Descriptor, DescriptorBuilder,
    ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType, Os,
    PlatformBuilder, RootFsBuilder, Sha256Digest,
};
use serde::Serialize;

pub(crate) use self::pulled::{Pulled, write_pulled};
use crate::digest::{self, Hashing};
use crate::pins::Arch;

/// The annotation by which containerd gives an image its whole name.
pub(crate) const ANNOTATION_NAME: &str = "io.containerd.image.name";

/// What is in an image.
pub(crate) struct Image<'a> {
    /// Full reference: `registry.k8s.io/pause:3.10.2`.
    pub(crate) name: &'a str,
    pub(crate) arch: Arch,
    /// Layers that lie below the program, as tar files.
    pub(crate) below: &'a [PathBuf],
    /// The program, installed as `/usr/local/bin/NAME`.
    pub(crate) program: (&'a str, &'a Path),
    /// What runs when a pod names no command.
    pub(crate) entrypoint: &'a [&'a str],
}

/// The content of `oci-layout`.
pub(crate) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Accounts of an image without a distribution: root, and the one that owns nothing.
const PASSWD: &str =
    "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// Writes `image` as an OCI archive to `to`.
///
/// # Errors
///
/// Whatever reading the parts or writing the archive meets.
pub(crate) fn write(image: &Image<'_>, to: &Path) -> io::Result<()> {
    let program_layer = to.with_extension("layer");
    let written = write_layers(image, to, &program_layer);
    let removed = fs::remove_file(&program_layer);
    written.and(removed)
}

fn write_layers(image: &Image<'_>, to: &Path, program_layer: &Path) -> io::Result<()> {
    let top = layer_of_program(image, program_layer)?;
    let mut layers = Vec::new();
    for below in image.below {
        let (sum, length) = digest::of_file(below)?;
        layers.push((below.as_path(), sum, length));
    }
    layers.push((program_layer, top.0, top.1));

    let config = json(
        &ImageConfigurationBuilder::default()
            .architecture(oci_arch(image.arch))
            .os(Os::Linux)
            .config(
                ConfigBuilder::default()
                    .env(vec![
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                            .to_owned(),
                    ])
                    .entrypoint(
                        image
                            .entrypoint
                            .iter()
                            .map(|&word| word.to_owned())
                            .collect::<Vec<_>>(),
                    )
                    .working_dir("/")
                    .build()
                    .map_err(io::Error::other)?,
            )
            .rootfs(
                RootFsBuilder::default()
                    .typ("layers")
                    .diff_ids(
                        layers
                            .iter()
                            .map(|(_, sum, _)| format!("sha256:{sum}"))
                            .collect::<Vec<_>>(),
                    )
                    .build()
                    .map_err(io::Error::other)?,
            )
            .history(Vec::new())
            .build()
            .map_err(io::Error::other)?,
    )?;
    let parts: Vec<_> = (layers.iter())
        .map(|(_, sum, length)| (MediaType::ImageLayer, sum.as_str(), *length))
        .collect();
    let manifest = compose_manifest(&config, &parts)?;
    let mut archive = begin(
        to,
        image.name,
        image.arch,
        MediaType::ImageManifest,
        &manifest,
    )?;
    for blob in [&config, &manifest] {
        add_bytes(
            &mut archive,
            &blob_path(&digest::of_bytes(blob)),
            blob,
            0o644,
        )?;
    }
    for (file, sum, length) in layers {
        let mut header = header(length, 0o644, tar::EntryType::Regular);
        archive.append_data(&mut header, blob_path(&sum), File::open(file)?)?;
    }
    archive.into_inner()?.into_inner()?.sync_all()
}

/// Begins an archive: the layout, and the index that gives the image with this manifest its name. The blobs follow, that
/// of the manifest too.
fn begin(
    to: &Path,
    name: &str,
    arch: Arch,
    kind: MediaType,
    manifest: &[u8],
) -> io::Result<tar::Builder<BufWriter<File>>> {
    let sum = digest::of_bytes(manifest);
    let named = named_manifest(kind, &sum, manifest.len() as u64, name, arch)?;
    let index = compose_index(vec![named])?;
    let mut archive = tar::Builder::new(BufWriter::with_capacity(digest::CHUNK, File::create(to)?));
    add_bytes(&mut archive, "oci-layout", LAYOUT, 0o644)?;
    add_bytes(&mut archive, "index.json", &index, 0o644)?;
    Ok(archive)
}

/// The manifest of an image with this configuration and these layers: of what kind, SHA-256 in hexadecimal, length in bytes.
pub(crate) fn compose_manifest(
    config: &[u8],
    layers: &[(MediaType, &str, u64)],
) -> io::Result<Vec<u8>> {
    let sum = digest::of_bytes(config);
    let config = descriptor(MediaType::ImageConfig, &sum, config.len() as u64)?;
    let layers = (layers.iter())
        .map(|(kind, sum, length)| descriptor(kind.clone(), sum, *length))
        .collect::<io::Result<Vec<_>>>()?;
    json(
        &ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers(layers)
            .build()
            .map_err(io::Error::other)?,
    )
}

/// An entry of an index that gives the image with this manifest a name.
pub(crate) fn named_manifest(
    kind: MediaType,
    sum: &str,
    length: u64,
    name: &str,
    arch: Arch,
) -> io::Result<Descriptor> {
    let mut named = descriptor(kind, sum, length)?;
    named.set_annotations(Some(HashMap::from([
        (ANNOTATION_NAME.to_owned(), name.to_owned()),
        (ANNOTATION_REF_NAME.to_owned(), tag(name).to_owned()),
    ])));
    named.set_platform(Some(
        PlatformBuilder::default()
            .architecture(oci_arch(arch))
            .os(Os::Linux)
            .build()
            .map_err(io::Error::other)?,
    ));
    Ok(named)
}

/// The index of an archive with these entries.
pub(crate) fn compose_index(manifests: Vec<Descriptor>) -> io::Result<Vec<u8>> {
    json(
        &ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .build()
            .map_err(io::Error::other)?,
    )
}

/// Writes the top layer to `to`; returns its sum and length.
fn layer_of_program(image: &Image<'_>, to: &Path) -> io::Result<(String, u64)> {
    let (name, file) = image.program;
    let mut layer = tar::Builder::new(Hashing::new(BufWriter::with_capacity(
        digest::CHUNK,
        File::create(to)?,
    )));
    if image.below.is_empty() {
        add_folder(&mut layer, "etc/", 0o755)?;
        add_bytes(&mut layer, "etc/group", GROUP.as_bytes(), 0o644)?;
        add_bytes(&mut layer, "etc/passwd", PASSWD.as_bytes(), 0o644)?;
        add_folder(&mut layer, "tmp/", 0o1777)?;
    }
    for folder in ["usr/", "usr/local/", "usr/local/bin/"] {
        add_folder(&mut layer, folder, 0o755)?;
    }
    let program = File::open(file)?;
    let mut header = header(program.metadata()?.len(), 0o755, tar::EntryType::Regular);
    layer.append_data(&mut header, format!("usr/local/bin/{name}"), program)?;
    let (writer, sum, length) = layer.into_inner()?.finish();
    writer.into_inner()?.sync_all()?;
    Ok((sum, length))
}

pub(crate) fn add_folder(
    archive: &mut tar::Builder<impl Write>,
    path: &str,
    mode: u32,
) -> io::Result<()> {
    let mut header = header(0, mode, tar::EntryType::Directory);
    archive.append_data(&mut header, path, io::empty())
}

pub(crate) fn add_bytes(
    archive: &mut tar::Builder<impl Write>,
    path: &str,
    bytes: &[u8],
    mode: u32,
) -> io::Result<()> {
    let mut header = header(bytes.len() as u64, mode, tar::EntryType::Regular);
    archive.append_data(&mut header, path, bytes)
}

/// A header that says nothing of when, where and by whom it was written.
pub(crate) fn header(length: u64, mode: u32, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(length);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

pub(crate) fn blob_path(sum: &str) -> String {
    format!("blobs/sha256/{sum}")
}

fn oci_arch(arch: Arch) -> OciArch {
    match arch {
        Arch::Amd64 => OciArch::Amd64,
        Arch::Arm64 => OciArch::ARM64,
    }
}

fn descriptor(kind: MediaType, sum: &str, length: u64) -> io::Result<Descriptor> {
    DescriptorBuilder::default()
        .media_type(kind)
        .digest(sum.parse::<Sha256Digest>().map_err(io::Error::other)?)
        .size(length)
        .build()
        .map_err(io::Error::other)
}

/// The tag of an image reference.
fn tag(name: &str) -> &str {
    name.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}

/// JSON with sorted keys: oci-spec keeps annotations in a hash map, whose order changes from run to run.
fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let sorted = serde_json::to_value(value).map_err(io::Error::other)?;
    serde_json::to_vec(&sorted).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
