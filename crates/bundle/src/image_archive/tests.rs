use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::samples::{Entry, docker, file, gzip, layer, manifest, oci, tar};
use super::*;
use crate::Error;
use crate::pins::Arch;

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self, bytes: &[u8]) -> Result<ArchiveFile, Error> {
        let path = self.path("given.tar");
        fs::write(&path, bytes).expect("written");
        let opened = ArchiveFile::open(&path, &self.path("scratch"));
        assert!(!self.path("scratch").exists(), "it leaves nothing behind");
        opened
    }

    fn images(&self, bytes: &[u8]) -> Result<Vec<ArchivedImage>, Error> {
        self.open(bytes)?.images(Arch::Amd64)
    }

    /// What is wrong with it, without where it was.
    fn refused(&self, bytes: &[u8]) -> String {
        let said = self.images(bytes).expect_err("it is refused").to_string();
        said.replace(&self.path("given.tar").display().to_string(), "given.tar")
    }

    /// What is written for nodes of the one image that is given.
    fn written(&self, bytes: &[u8], names: &[String]) -> (ArchivedImage, PathBuf, Vec<u8>) {
        let archive = self.open(bytes).expect("an archive");
        let image = archive.images(Arch::Amd64).expect("images").remove(0);
        let to = self.path("kept.tar");
        File::create(&to).expect("made");
        let growth = ArchiveGrowth::new();
        let reader = follow(&growth, &to);
        write_from_file(&archive, &image, names, &to, &growth).expect("written");
        (image, to, reader.join().expect("no panic"))
    }
}

fn follow(growth: &Arc<ArchiveGrowth>, path: &Path) -> std::thread::JoinHandle<Vec<u8>> {
    let mut reader = growth.follow(File::open(path).expect("opened"));
    std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect("whole");
        all
    })
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The names of an archive's files, in order.
fn files(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("a tar");
    entries
        .map(|it| {
            it.expect("whole")
                .path()
                .expect("a path")
                .display()
                .to_string()
        })
        .collect()
}

#[test]
fn an_archive_of_dockers_is_read() {
    let world = World::new();
    let found = world.images(&tar(&docker("amd64", &["app:1", "me/app:2"])));
    let found = found.expect("images");
    let [image] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        image.names,
        ["docker.io/library/app:1", "docker.io/me/app:2"]
    );
    assert_eq!(image.layers.len(), 3);
    assert_eq!(image.layers[0].sum, image.layers[2].sum);
    assert_eq!(image.layers[0].name, "one/layer.tar");
}

#[test]
fn each_way_to_the_same_image_gives_the_same_digest() {
    let world = World::new();
    let given = tar(&docker("amd64", &["app:1"]));
    let full = names(&["docker.io/library/app:1"]);
    let (image, kept, followed) = world.written(&given, &full);
    // Compressed as a whole, and out of a pipe.
    let squeezed = world.images(&gzip(&given)).expect("images").remove(0);
    assert_eq!(squeezed.digest, image.digest);
    let piped = ArchiveFile::of(given.as_slice(), "standard input", &world.path("scratch"));
    let piped = piped.expect("read").images(Arch::Amd64).expect("images");
    assert_eq!(piped[0].digest, image.digest);
    // While the engine writes it.
    let to = world.path("streamed.tar");
    File::create(&to).expect("made");
    let growth = ArchiveGrowth::new();
    let reader = follow(&growth, &to);
    let streamed = write_from_stream(
        given.as_slice(),
        "`app:1`",
        Arch::Amd64,
        &full,
        &to,
        &growth,
    )
    .expect("written");
    assert_eq!(streamed.digest, image.digest);
    let streamed = reader.join().expect("no panic");
    // As it is kept.
    let kept = NodeArchive::open(&kept, Arch::Amd64).expect("whole");
    assert_eq!(kept.digest(), image.digest);
    let mut again = Vec::new();
    let mut reader = kept.reader(&full).expect("opened");
    reader.read_to_end(&mut again).expect("read");
    for bytes in [&followed, &streamed, &again] {
        let read = world.images(bytes).expect("images");
        assert_eq!(read[0].digest, image.digest);
        assert_eq!(read[0].id, image.id);
        assert_eq!(read[0].names, full);
        let names = files(bytes);
        // A layer that is there twice is sent once, and what makes it an image comes last.
        assert_eq!(names.len(), 6, "{names:?}");
        assert_eq!(names[4..], ["index.json", "oci-layout"]);
    }
}

#[test]
fn names_are_those_of_now() {
    let world = World::new();
    let given = tar(&docker("amd64", &["app:1"]));
    let (_, kept, _) = world.written(&given, &names(&["docker.io/library/app:1"]));
    let kept = NodeArchive::open(&kept, Arch::Amd64).expect("whole");
    let later = names(&["docker.io/library/app:2", "example.com/app:3"]);
    let mut bytes = Vec::new();
    let mut reader = kept.reader(&later).expect("opened");
    reader.read_to_end(&mut bytes).expect("read");
    assert_eq!(world.images(&bytes).expect("images")[0].names, later);
}

#[test]
fn only_this_platforms_part_is_taken() {
    let world = World::new();
    let both = tar(&oci(&["arm64", "amd64"], Some("docker.io/library/app:1")));
    let (image, _, followed) = world.written(&both, &names(&["docker.io/library/app:1"]));
    let (_, ours) = manifest("amd64", "amd64");
    assert_eq!(image.digest, ours["digest"].as_str().expect("text"));
    assert_eq!(image.names, ["docker.io/library/app:1"]);
    assert_eq!(files(&followed).len(), 5);
    let found = world.images(&tar(&oci(&["amd64"], None))).expect("images");
    assert_eq!(found[0].names, [""; 0]);
}

#[test]
fn other_platforms_are_told() {
    let world = World::new();
    for (given, theirs) in [
        (docker("arm64", &["app:1"]), "linux/arm64"),
        (
            oci(&["arm64", "s390x"], None),
            "linux/arm64 and linux/s390x",
        ),
    ] {
        assert_eq!(
            world.refused(&tar(&given)),
            format!("`given.tar` is for {theirs}, and the nodes are linux/amd64")
        );
    }
}

#[test]
fn what_is_no_image_is_told_by_what_it_is() {
    let world = World::new();
    let without = |given: Vec<Entry>, name: &str| {
        let kept: Vec<Entry> = (given.into_iter())
            .filter(|entry| !matches!(entry, Entry::File(it, _) if it == name))
            .collect();
        tar(&kept)
    };
    let mut changed = docker("amd64", &["app:1"]);
    changed[1] = file("one/layer.tar", layer("another", true));
    for (given, reason) in [
        (b"".to_vec(), "it is empty"),
        (b"hello\n".repeat(300), "it is no tar archive"),
        (b"hello\n".to_vec(), "it is no tar archive"),
        (b"\x28\xb5\x2f\xfd____".to_vec(), "it is compressed by zstd"),
        (gzip(b"hello"), "it is no tar archive"),
        (
            tar(&[file("hello", "hello")]),
            "it has neither `index.json` with `oci-layout` nor `manifest.json`",
        ),
        (
            without(docker("amd64", &[]), "two/layer.tar"),
            "`two/layer.tar` is missing",
        ),
        (tar(&[file("manifest.json", "[]")]), "it has no image in it"),
    ] {
        assert_eq!(
            world.refused(&given),
            format!("`given.tar` is no image: {reason}")
        );
    }
    // What is in a layer shows when it is read.
    let archive = world.open(&tar(&changed)).expect("an archive");
    let image = archive.images(Arch::Amd64).expect("images").remove(0);
    let to = world.path("kept.tar");
    File::create(&to).expect("made");
    let growth = ArchiveGrowth::new();
    let mut reader = growth.follow(File::open(&to).expect("opened"));
    let written = write_from_file(&archive, &image, &[], &to, &growth);
    let said = written.expect_err("it is damaged").to_string();
    assert!(
        said.ends_with("`one/layer.tar` is not what its digest says"),
        "{said}"
    );
    reader
        .read_to_end(&mut Vec::new())
        .expect_err("it has no end");
    assert!(!to.exists(), "nothing half is kept");
}

#[test]
fn wherever_it_is_cut_off_it_is_refused() {
    let world = World::new();
    for whole in [
        tar(&docker("amd64", &["app:1"])),
        tar(&oci(&["amd64"], Some("docker.io/library/app:1"))),
    ] {
        // Where the content of the last file begins: its padding and the two empty blocks behind it say nothing.
        let last = whole.len() - 1024 - 512;
        let places = (1..24).map(|part| last * part / 24 / 512 * 512);
        for place in places.chain([1000, last + 1, last - 700]) {
            let said = world.refused(&whole[..place]);
            assert!(
                said.starts_with("`given.tar` is no image: "),
                "{place}: {said}"
            );
            let to = world.path("streamed.tar");
            File::create(&to).expect("made");
            let growth = ArchiveGrowth::new();
            let streamed =
                write_from_stream(&whole[..place], "`app:1`", Arch::Amd64, &[], &to, &growth);
            streamed.expect_err("it is refused");
            assert!(!to.exists(), "{place}: nothing half is kept");
        }
    }
    let squeezed = gzip(&tar(&docker("amd64", &["app:1"])));
    let said = world.refused(&squeezed[..squeezed.len() - 9]);
    assert!(
        said.starts_with("`given.tar` is no image: it breaks off ("),
        "{said}"
    );
}
