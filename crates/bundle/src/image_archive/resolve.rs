//! Which images an archive holds, for one platform.

use std::collections::BTreeSet;
use std::path::Path;

use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, ImageIndex, ImageManifest, MediaType};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::contents::{ArchiveContents, clean, not_an_image};
use super::name::full_name;
use crate::Error;
use crate::digest;
use crate::oci::{ANNOTATION_NAME, blob_path, compose_manifest};
use crate::pins::Arch;

/// How deep an index may lie in an index.
const NESTED: usize = 4;

/// An image for one platform, found in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedImage {
    /// Its names, in full, sorted; there may be none.
    pub names: Vec<String>,
    /// The digest of its manifest, `sha256:` and 64 hexadecimal digits: what nodes know it by.
    pub digest: String,
    /// The digest of its configuration, likewise: what engines and kubelets call the image's id.
    pub id: String,
    /// The size of its blobs, in bytes.
    pub bytes: u64,
    pub(super) arch: Arch,
    pub(super) media_type: String,
    pub(super) manifest: Vec<u8>,
    pub(super) config: Vec<u8>,
    pub(super) layers: Vec<LayerPlace>,
}

/// A layer, and where the archive has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LayerPlace {
    /// The name of its file.
    pub(super) name: String,
    /// SHA-256, hexadecimal.
    pub(super) sum: String,
    /// In bytes.
    pub(super) size: u64,
}

/// An image in Docker's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// What is read of an image's configuration.
#[derive(Debug, Deserialize)]
struct ConfigFacts {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    rootfs: RootFsFacts,
}

#[derive(Debug, Deserialize)]
struct RootFsFacts {
    #[serde(default)]
    diff_ids: Option<Vec<String>>,
}

impl super::ArchiveFile {
    /// The images that the archive holds for a processor, each with all its names.
    ///
    /// # Errors
    ///
    /// [`Error::NotAnImage`], [`Error::OtherPlatform`], [`Error::ImageName`].
    pub fn images(&self, arch: Arch) -> Result<Vec<ArchivedImage>, Error> {
        images(self, arch)
    }
}

/// The images of an archive for a processor.
pub(super) fn images(
    contents: &impl ArchiveContents,
    arch: Arch,
) -> Result<Vec<ArchivedImage>, Error> {
    let docker: Option<Vec<DockerEntry>> = parsed(contents, "manifest.json")?;
    let index: Option<ImageIndex> = match contents.text("oci-layout")? {
        Some(_) => parsed(contents, "index.json")?,
        None => None,
    };
    let found = match (index, docker) {
        (Some(index), docker) => of_index(contents, &index, docker.as_deref(), arch)?,
        (None, Some(docker)) => of_docker(contents, &docker, arch)?,
        (None, None) => {
            return Err(not_an_image(
                contents.what(),
                "it has neither `index.json` with `oci-layout` nor `manifest.json`",
            ));
        }
    };
    match found.is_empty() {
        true => Err(not_an_image(contents.what(), "it has no image in it")),
        false => Ok(found),
    }
}

fn of_docker(
    contents: &impl ArchiveContents,
    entries: &[DockerEntry],
    arch: Arch,
) -> Result<Vec<ArchivedImage>, Error> {
    let mut found = Vec::new();
    for entry in entries {
        let config = needed(contents, &clean(Path::new(&entry.config)))?;
        let facts: ConfigFacts = parse(contents, &entry.config, &config)?;
        if !is_platform(&facts.os, &facts.architecture, arch) {
            return Err(other_platform(
                contents,
                vec![(facts.os, facts.architecture)],
                arch,
            ));
        }
        let diff_ids = facts.rootfs.diff_ids.unwrap_or_default();
        if diff_ids.len() != entry.layers.len() {
            let reason = format!(
                "`{}` speaks of {} layers and `manifest.json` of {}",
                entry.config,
                diff_ids.len(),
                entry.layers.len()
            );
            return Err(not_an_image(contents.what(), reason));
        }
        let mut layers = Vec::new();
        let mut kinds = Vec::new();
        for (name, diff_id) in entry.layers.iter().zip(&diff_ids) {
            let name = clean(Path::new(name));
            let expected = diff_id.strip_prefix("sha256:").unwrap_or(diff_id);
            let facts = (contents.blob(&name, expected)?)
                .ok_or_else(|| not_an_image(contents.what(), format!("`{name}` is missing")))?;
            if !facts.is_gzip && facts.sum != expected {
                let reason = format!("`{name}` is not what `{}` says", entry.config);
                return Err(not_an_image(contents.what(), reason));
            }
            kinds.push(match facts.is_gzip {
                true => MediaType::ImageLayerGzip,
                false => MediaType::ImageLayer,
            });
            layers.push(LayerPlace {
                name,
                sum: facts.sum,
                size: facts.size,
            });
        }
        let parts: Vec<_> = (layers.iter().zip(kinds))
            .map(|(layer, kind)| (kind, layer.sum.as_str(), layer.size))
            .collect();
        let manifest = compose_manifest(&config, &parts)
            .map_err(|error| not_an_image(contents.what(), error.to_string()))?;
        let names = entry.repo_tags.iter().flatten().map(String::as_str);
        let names = names.map(full_name).collect::<Result<_, _>>()?;
        let media_type = MediaType::ImageManifest.to_string();
        add(
            &mut found, arch, names, media_type, manifest, config, layers,
        );
    }
    Ok(found)
}

fn of_index(
    contents: &impl ArchiveContents,
    index: &ImageIndex,
    docker: Option<&[DockerEntry]>,
    arch: Arch,
) -> Result<Vec<ArchivedImage>, Error> {
    let mut found = Vec::new();
    for descriptor in index.manifests() {
        if is_attestation(descriptor) {
            continue;
        }
        let mut names = BTreeSet::new();
        let mut others = Vec::new();
        names.extend(name_of(descriptor)?);
        let Some(chosen) = choose(contents, descriptor, arch, NESTED, &mut others)? else {
            return Err(other_platform(contents, others, arch));
        };
        let Chosen { media_type, text } = chosen;
        let manifest: ImageManifest = parse(contents, "a manifest", &text)?;
        let config_name = blob_path(hex_of(manifest.config()));
        let config = needed(contents, &config_name)?;
        for entry in docker.into_iter().flatten() {
            if clean(Path::new(&entry.config)) == config_name {
                for name in entry.repo_tags.iter().flatten() {
                    names.insert(full_name(name)?);
                }
            }
        }
        let mut layers = Vec::new();
        for layer in manifest.layers() {
            let sum = hex_of(layer).to_owned();
            let name = blob_path(&sum);
            match contents.size(&name) {
                Some(size) if size == layer.size() => layers.push(LayerPlace { name, sum, size }),
                Some(size) => {
                    let reason = format!("`{name}` has {size} of {} bytes", layer.size());
                    return Err(not_an_image(contents.what(), reason));
                }
                None => {
                    return Err(not_an_image(
                        contents.what(),
                        format!(
                            "`{name}` is missing: a part of it, or a list of what a registry has"
                        ),
                    ));
                }
            }
        }
        add(&mut found, arch, names, media_type, text, config, layers);
    }
    Ok(found)
}

/// A manifest for the platform.
struct Chosen {
    media_type: String,
    text: Vec<u8>,
}

/// The manifest that `descriptor` leads to for the platform; `others` are those that it leads to besides.
fn choose(
    contents: &impl ArchiveContents,
    descriptor: &Descriptor,
    arch: Arch,
    depth: usize,
    others: &mut Vec<(String, String)>,
) -> Result<Option<Chosen>, Error> {
    let name = blob_path(hex_of(descriptor));
    // An index of a part of an image names what is not there.
    let Some(text) = contents.text(&name)? else {
        others.extend(platform_of(descriptor));
        return Ok(None);
    };
    if digest::of_bytes(&text) != hex_of(descriptor) {
        return Err(not_an_image(
            contents.what(),
            format!("`{name}` is damaged"),
        ));
    }
    let is_index = matches!(descriptor.media_type(), MediaType::ImageIndex)
        || descriptor
            .media_type()
            .to_string()
            .contains("manifest.list");
    if is_index {
        let index: ImageIndex = parse(contents, &name, &text)?;
        if depth == 0 {
            return Ok(None);
        }
        for inner in index.manifests() {
            if is_attestation(inner) {
                continue;
            }
            let found = choose(contents, inner, arch, depth - 1, others)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        return Ok(None);
    }
    let manifest: ImageManifest = parse(contents, &name, &text)?;
    let config = needed(contents, &blob_path(hex_of(manifest.config())))?;
    let facts: ConfigFacts = parse(contents, &name, &config)?;
    if is_platform(&facts.os, &facts.architecture, arch) {
        let media_type = descriptor.media_type().to_string();
        return Ok(Some(Chosen { media_type, text }));
    }
    others.push((facts.os, facts.architecture));
    Ok(None)
}

fn add(
    found: &mut Vec<ArchivedImage>,
    arch: Arch,
    names: BTreeSet<String>,
    media_type: String,
    manifest: Vec<u8>,
    config: Vec<u8>,
    layers: Vec<LayerPlace>,
) {
    let digest = format!("sha256:{}", digest::of_bytes(&manifest));
    if let Some(same) = found.iter_mut().find(|it| it.digest == digest) {
        let all: BTreeSet<String> = same.names.drain(..).chain(names).collect();
        same.names = all.into_iter().collect();
        return;
    }
    let mut sums = BTreeSet::new();
    let once = layers.iter().filter(|layer| sums.insert(layer.sum.clone()));
    let bytes = once.map(|layer| layer.size).sum::<u64>();
    found.push(ArchivedImage {
        names: names.into_iter().collect(),
        id: format!("sha256:{}", digest::of_bytes(&config)),
        bytes: bytes + (manifest.len() + config.len()) as u64,
        digest,
        arch,
        media_type,
        manifest,
        config,
        layers,
    });
}

/// The name that an entry of an index gives its image. One that says a tag alone leaves open of what.
fn name_of(descriptor: &Descriptor) -> Result<Option<String>, Error> {
    let annotations = descriptor.annotations().as_ref();
    let says = |key: &str| annotations.and_then(|it| it.get(key));
    match (says(ANNOTATION_NAME), says(ANNOTATION_REF_NAME)) {
        (Some(name), _) => full_name(name).map(Some),
        (None, Some(name)) if name.contains([':', '/']) => full_name(name).map(Some),
        _ => Ok(None),
    }
}

/// Whether an entry of an index tells of how an image was made, and is none.
fn is_attestation(descriptor: &Descriptor) -> bool {
    let annotations = descriptor.annotations().as_ref();
    annotations.is_some_and(|it| it.contains_key("vnd.docker.reference.type"))
}

fn platform_of(descriptor: &Descriptor) -> Option<(String, String)> {
    let platform = descriptor.platform().as_ref()?;
    Some((
        platform.os().to_string(),
        platform.architecture().to_string(),
    ))
}

fn is_platform(os: &str, architecture: &str, arch: Arch) -> bool {
    os == "linux" && architecture == arch.as_str()
}

/// The error for an image of which these platforms were found, and not the one that is wanted.
fn other_platform(
    contents: &impl ArchiveContents,
    found: Vec<(String, String)>,
    arch: Arch,
) -> Error {
    // Named by an index, and not there.
    if found
        .iter()
        .any(|(os, architecture)| is_platform(os, architecture, arch))
    {
        let reason = format!("its part for linux/{arch} is missing");
        return not_an_image(contents.what(), reason);
    }
    let found = found.into_iter().map(|(os, arch)| format!("{os}/{arch}"));
    Error::OtherPlatform {
        what: contents.what().to_owned(),
        found: found.collect(),
        wanted: format!("linux/{arch}"),
    }
}

fn hex_of(descriptor: &Descriptor) -> &str {
    descriptor.digest().digest()
}

fn needed(contents: &impl ArchiveContents, name: &str) -> Result<Vec<u8>, Error> {
    (contents.text(name)?)
        .ok_or_else(|| not_an_image(contents.what(), format!("`{name}` is missing")))
}

fn parsed<T: DeserializeOwned>(
    contents: &impl ArchiveContents,
    name: &str,
) -> Result<Option<T>, Error> {
    let text = contents.text(name)?;
    text.map(|text| parse(contents, name, &text)).transpose()
}

fn parse<T: DeserializeOwned>(
    contents: &impl ArchiveContents,
    name: &str,
    text: &[u8],
) -> Result<T, Error> {
    serde_json::from_slice(text)
        .map_err(|error| not_an_image(contents.what(), format!("`{name}` makes no sense: {error}")))
}
