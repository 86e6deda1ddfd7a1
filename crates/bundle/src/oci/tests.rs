use std::fmt::Write as _;
use std::io::Read as _;

use expect_test::expect_file;

use super::*;

fn archive(folder: &Path, below: &[PathBuf]) -> PathBuf {
    let program = folder.join("program");
    fs::write(&program, "\x7fELF, say").unwrap();
    let to = folder.join("pause.tar");
    write(
        &Image {
            name: "registry.k8s.io/pause:3.10.2",
            arch: Arch::Amd64,
            below,
            program: ("pause", &program),
            entrypoint: &["/usr/local/bin/pause"],
        },
        &to,
    )
    .unwrap();
    to
}

/// Every entry of a tar file: mode, owner, time, path, and the text of those that are JSON.
fn describe(bytes: &[u8]) -> String {
    let mut text = String::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let (mode, owner, time) = (
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.mtime().unwrap(),
        );
        let path = entry.path().unwrap().display().to_string();
        writeln!(text, "{mode:04o} {owner} {time} {path}").unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if bytes.starts_with(b"{") {
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            writeln!(text, "{}", serde_json::to_string_pretty(&value).unwrap()).unwrap();
        } else if bytes.len() > 1024 {
            text.push_str(
                &describe(&bytes)
                    .lines()
                    .map(|line| format!("    {line}\n"))
                    .collect::<String>(),
            );
        }
    }
    text
}

#[test]
fn an_image_is_written_as_expected() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(archive(folder.path(), &[])).unwrap();
    expect_file!["../../tests/golden/pause-image.txt"].assert_eq(&describe(&bytes));
    assert!(!folder.path().join("pause.layer").exists());
}

#[test]
fn the_same_contents_give_the_same_bytes() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = fs::read(archive(one.path(), &[])).unwrap();
    // Annotations are a hash map: a few more tries would show an order that changes.
    for _ in 0..5 {
        assert!(fs::read(archive(other.path(), &[])).unwrap() == first);
    }
}

#[test]
fn blobs_are_named_by_their_sums_and_layers_lie_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("root.tar");
    let mut root = tar::Builder::new(File::create(&below).unwrap());
    add_bytes(&mut root, "etc/passwd", b"root", 0o644).unwrap();
    root.into_inner().unwrap();
    let bytes = fs::read(archive(folder.path(), std::slice::from_ref(&below))).unwrap();
    let mut blobs = HashMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if let Some(sum) = path.strip_prefix("blobs/sha256/") {
            assert_eq!(digest::of_bytes(&bytes), sum);
        }
        blobs.insert(path, bytes);
    }
    let index: oci_spec::image::ImageIndex = serde_json::from_slice(&blobs["index.json"]).unwrap();
    let manifest: oci_spec::image::ImageManifest =
        serde_json::from_slice(&blobs[&blob_path(index.manifests()[0].digest().digest())]).unwrap();
    let first = manifest.layers()[0].digest().digest();
    assert_eq!(blobs[&blob_path(first)], fs::read(&below).unwrap());
    assert_eq!(manifest.layers().len(), 2);
}
