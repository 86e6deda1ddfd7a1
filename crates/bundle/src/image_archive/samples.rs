//! Archives as Docker, Buildah and others write them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::digest;
use crate::oci::{LAYOUT, add_bytes, blob_path, header};

/// A file of an archive.
pub(super) enum Entry {
    File(String, Vec<u8>),
    Link(String, String),
}

/// A tar of these.
pub(super) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        match entry {
            Entry::File(name, content) => {
                add_bytes(&mut archive, name, content, 0o644).expect("added");
            }
            Entry::Link(name, to) => {
                let mut header = header(0, 0o777, tar::EntryType::Symlink);
                archive.append_link(&mut header, name, to).expect("added");
            }
        }
    }
    archive.into_inner().expect("whole")
}

pub(super) fn file(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Entry {
    Entry::File(name.into(), content.into())
}

/// A layer: longer than what is kept of a stream until its end, if `long`.
pub(super) fn layer(word: &str, long: bool) -> Vec<u8> {
    let content = word.as_bytes().repeat(if long { 2 << 20 } else { 1 });
    tar(&[file("hello", content)])
}

pub(super) fn config(arch: &str, layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|it| sha256(it)).collect();
    json!({"architecture": arch, "os": "linux", "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": ids}})
    .to_string()
    .into_bytes()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", digest::of_bytes(bytes))
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("whole")
}

/// As `docker save` of the graph drivers writes it: layers by names of their own, one of them a link, and what they are last.
pub(super) fn docker(arch: &str, tags: &[&str]) -> Vec<Entry> {
    let (low, high) = (layer("low", true), layer("high", false));
    let config = config(arch, &[&low, &high, &low]);
    let config_name = format!("{}.json", digest::of_bytes(&config));
    let manifest = json!([{"Config": config_name, "RepoTags": tags,
        "Layers": ["one/layer.tar", "two/layer.tar", "three/layer.tar"]}]);
    vec![
        file("one/VERSION", "1.0"),
        file("one/layer.tar", low),
        file("two/layer.tar", high),
        Entry::Link("three/layer.tar".to_owned(), "../one/layer.tar".to_owned()),
        file(config_name, config),
        file("repositories", "{}"),
        file("manifest.json", manifest.to_string()),
    ]
}

/// A blob of an OCI archive, and the descriptor that names it.
pub(super) fn blob(kind: &str, content: Vec<u8>) -> (Entry, Value) {
    let descriptor = json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
        "digest": sha256(&content), "size": content.len()});
    let name = blob_path(&digest::of_bytes(&content));
    (file(name, content), descriptor)
}

/// The blobs of an image, and the descriptor of its manifest.
pub(super) fn manifest(arch: &str, word: &str) -> (Vec<Entry>, Value) {
    let plain = layer(word, true);
    let config = config(arch, &[&plain]);
    let (layer, layer_descriptor) = blob("layer.v1.tar+gzip", gzip(&plain));
    let (config, config_descriptor) = blob("config.v1+json", config);
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config_descriptor, "layers": [layer_descriptor]});
    let (manifest, mut descriptor) = blob("manifest.v1+json", manifest.to_string().into_bytes());
    descriptor["platform"] = json!({"os": "linux", "architecture": arch});
    (vec![layer, config, manifest], descriptor)
}

/// As BuildKit writes it for several platforms, with a note of how it was made.
pub(super) fn oci(archs: &[&str], name: Option<&str>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut manifests = Vec::new();
    for arch in archs {
        let (blobs, descriptor) = manifest(arch, arch);
        entries.extend(blobs);
        manifests.push(descriptor);
    }
    let (note, mut descriptor) = blob("manifest.v1+json", b"{}".to_vec());
    descriptor["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    descriptor["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    entries.push(note);
    manifests.push(descriptor);
    let inner = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests});
    let (inner, mut descriptor) = blob("index.v1+json", inner.to_string().into_bytes());
    if let Some(name) = name {
        descriptor["annotations"] = json!({"io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": "1"});
    }
    entries.push(inner);
    let index = json!({"schemaVersion": 2, "manifests": [descriptor]});
    entries.push(file("index.json", index.to_string()));
    entries.push(file("oci-layout", LAYOUT));
    entries
}
