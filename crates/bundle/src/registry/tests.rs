use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::download::server::{Server, Way};
use crate::oci::Image;
use crate::progress::Silent;

mod real;

pub(crate) const NAME: &str = "ghcr.io/flannel-io/flannel:v0.28.4";

/// An image as a registry has it: an index of two processors, of which only one is there.
pub(crate) struct Served {
    pub(crate) index: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    /// Configuration and layer, by their sums.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
}

/// Every file of a tar archive, by path.
fn members(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(File::open(archive).unwrap());
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    entries.collect()
}

fn blob(sum: &str) -> String {
    format!("blobs/sha256/{sum}")
}

impl Served {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "flannel ".repeat(2000)).unwrap();
        let archive = folder.path().join("image.tar");
        let image = Image {
            name: NAME,
            arch: Arch::Amd64,
            below: &[],
            program: ("flanneld", &program),
            entrypoint: &["/usr/local/bin/flanneld"],
        };
        oci::write(&image, &archive).unwrap();
        let members = members(&archive);
        let index: serde_json::Value = serde_json::from_slice(&members["index.json"]).unwrap();
        let sum =
            |digest: &serde_json::Value| digest.as_str().unwrap()["sha256:".len()..].to_owned();
        let manifest = members[&blob(&sum(&index["manifests"][0]["digest"]))].clone();
        let parts: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let blobs = [&parts["config"], &parts["layers"][0]].map(|part| {
            let sum = sum(&part["digest"]);
            let bytes = members[&blob(&sum)].clone();
            (sum, bytes)
        });
        let child = |digest: String, arch: &str, size: usize| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
                "platform": {"architecture": arch, "os": "linux"},
            })
        };
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                child(format!("sha256:{}", "a".repeat(64)), "s390x", 7),
                child(digest_of(&manifest), "amd64", manifest.len()),
            ],
        });
        Self {
            index: serde_json::to_vec(&index).unwrap(),
            manifest,
            blobs: BTreeMap::from(blobs),
        }
    }

    fn layer(&self) -> (&String, &Vec<u8>) {
        let longest = self.blobs.iter().max_by_key(|(_, bytes)| bytes.len());
        longest.unwrap()
    }

    /// What a registry serves of it, all the same `way`.
    pub(crate) fn files(&self, way: Way) -> Vec<(String, Way, Vec<u8>)> {
        let path = |rest: String| format!("/v2/flannel-io/flannel/{rest}");
        let mut files = vec![
            (
                "/token".to_owned(),
                Way::Well,
                br#"{"token": "pass"}"#.to_vec(),
            ),
            (
                path("manifests/v0.28.4".to_owned()),
                way,
                self.index.clone(),
            ),
        ];
        for manifest in [&self.index, &self.manifest] {
            let path = path(format!("manifests/{}", digest_of(manifest)));
            files.push((path, way, manifest.clone()));
        }
        for (sum, bytes) in &self.blobs {
            files.push((path(format!("blobs/sha256:{sum}")), way, bytes.clone()));
        }
        files
    }

    /// Compares with an archive of it.
    pub(crate) fn assert_is(&self, archive: &Path) {
        let found = members(archive);
        let mut expected: Vec<String> = self.blobs.keys().map(|sum| blob(sum)).collect();
        expected.push(blob(&digest::of_bytes(&self.manifest)));
        expected.extend(["index.json", "oci-layout"].map(str::to_owned));
        expected.sort();
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), expected);
        for (sum, bytes) in &self.blobs {
            assert_eq!(&found[&blob(sum)], bytes);
        }
        let index: serde_json::Value = serde_json::from_slice(&found["index.json"]).unwrap();
        let named = &index["manifests"][0];
        assert_eq!(named["digest"], digest_of(&self.manifest));
        assert_eq!(named["annotations"]["io.containerd.image.name"], NAME);
    }
}

pub(crate) fn digest_of(manifest: &[u8]) -> String {
    format!("sha256:{}", digest::of_bytes(manifest))
}

/// A registry, and a folder to download into.
struct Place {
    folder: tempfile::TempDir,
    downloader: Downloader,
    server: Server,
}

impl Place {
    fn new(files: &[(String, Way, Vec<u8>)]) -> Self {
        let files: Vec<_> = files
            .iter()
            .map(|(path, way, bytes)| (path.as_str(), *way, bytes.as_slice()))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let downloads = folder.path().join("downloads");
        fs::create_dir(&downloads).unwrap();
        Self {
            downloader: Downloader::new(downloads, None, Duration::from_secs(20)),
            folder,
            server: Server::start(&files),
        }
    }

    fn archive(&self) -> PathBuf {
        self.folder.path().join("flannel.tar")
    }

    fn pull(&self, digest: &str, arch: Arch) -> Result<Vec<String>, Error> {
        let registry = Registry::new(
            &self.downloader,
            Some(format!("http://{}/", self.server.address)),
        );
        let image = Reference::parse(NAME).unwrap();
        registry.pull(&image, digest, arch, &self.archive(), &Silent)
    }
}

#[test]
fn an_image_comes_with_a_token_and_without() {
    let served = Served::new();
    for way in [Way::Guarded, Way::Well] {
        let place = Place::new(&served.files(way));
        let digest = digest_of(&served.index);
        let sums = place.pull(&digest, Arch::Amd64).unwrap();
        assert_eq!(sums.len(), 2);
        served.assert_is(&place.archive());
        let tokens = place.server.requests();
        let tokens = tokens.iter().filter(|path| *path == "/token").count();
        assert_eq!(tokens, usize::from(matches!(way, Way::Guarded)));
        // A digest may also be that of one processor's manifest.
        place
            .pull(&digest_of(&served.manifest), Arch::Amd64)
            .unwrap();
        served.assert_is(&place.archive());
    }
}

#[test]
fn a_layer_goes_on_where_it_stopped() {
    let served = Served::new();
    let place = Place::new(&served.files(Way::Well));
    let (sum, bytes) = served.layer();
    let part = place.downloader.path(sum).with_extension("part");
    fs::write(part, &bytes[..1000]).unwrap();
    place.pull(&digest_of(&served.index), Arch::Amd64).unwrap();
    served.assert_is(&place.archive());
    let resumed = format!("/v2/flannel-io/flannel/blobs/sha256:{sum} from 1000");
    assert!(place.server.requests().contains(&resumed));
}

#[test]
fn what_is_not_the_image_is_refused() {
    let served = Served::new();
    let digest = digest_of(&served.index);
    let with = |change: &dyn Fn(&str, &mut Vec<u8>)| {
        let mut files = served.files(Way::Well);
        for (path, _, bytes) in &mut files {
            change(path, bytes);
        }
        Place::new(&files)
    };
    let (layer, _) = served.layer();
    for of in [digest.as_str(), layer.as_str()] {
        let place = with(&|path, bytes| {
            if path.contains(of) {
                bytes.push(b' ');
            }
        });
        let error = place.pull(&digest, Arch::Amd64).unwrap_err();
        assert!(matches!(error, Error::WrongSum { .. }), "{error}");
        assert!(!place.archive().exists());
    }
    let error = with(&|_, _| {}).pull(&digest, Arch::Arm64).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot get the image `{NAME}`: it is not there for arm64")
    );
    // A token that does not help is no reason to ask for ever.
    let place = Place::new(&{
        let mut files = served.files(Way::Guarded);
        files[0].2 = br#"{"access_token": "of-no-use"}"#.to_vec();
        files
    });
    let error = place.pull(&digest, Arch::Amd64).unwrap_err();
    assert!(
        matches!(error, Error::Denied { status: 401, .. }),
        "{error}"
    );
    let error = with(&|_, _| {}).pull("latest", Arch::Amd64).unwrap_err();
    assert!(matches!(error, Error::Image { .. }), "{error}");
}

#[test]
fn an_unsafe_realm_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let downloader = Downloader::new(folder.path().to_owned(), None, Duration::from_secs(1));
    let registry = Registry::new(&downloader, None);
    let image = Reference::parse(NAME).unwrap();
    for challenge in [
        "Bearer realm=\"http://127.0.0.1:1/token\"",
        "Basic realm=\"https://127.0.0.1:1/\"",
        "",
    ] {
        let error = registry.token(&image, challenge).unwrap_err();
        assert!(matches!(error, Error::Image { .. }), "{error}");
    }
}
