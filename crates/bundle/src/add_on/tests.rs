use std::collections::BTreeMap;
use std::time::Duration;

use caravan_process::Program;

use super::*;
use crate::download::server::{Server, Way};
use crate::progress::tests::Notes;
use crate::registry::tests::{NAME, Served, digest_of};
use crate::{digest, script, shelf};

/// A computer with a cache, a Go that writes a line into each program, and a registry.
struct Computer {
    folder: tempfile::TempDir,
    cache: Cache,
    notes: Notes,
}

impl Computer {
    fn new() -> Self {
        let (folder, cache) = shelf::tests::cache();
        script::write(&folder.path().join("go"), crate::bundle::tests::GO);
        Self {
            folder,
            cache,
            notes: Notes::default(),
        }
    }

    fn ensure(
        &self,
        network: Network,
        source: SoftwareSource,
        server: &Server,
    ) -> Result<AddOn, Error> {
        let address = format!("http://{}", server.address);
        Maker {
            cache: &self.cache,
            pins: Pins::of("1.36", Arch::Amd64).unwrap(),
            network,
            downloader: Downloader::new(
                self.cache.downloads().unwrap(),
                Some(address.clone()),
                Duration::from_secs(20),
            ),
            registry: Some(address),
            tools: Tools {
                go: Some(Program::at(self.folder.path().join("go"))),
                rustc: None,
            },
            progress: &self.notes,
        }
        .ensure(source)
    }

    fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.0.lock().unwrap())
    }
}

fn serve(files: &[(String, Way, Vec<u8>)]) -> Server {
    let files: Vec<_> = files
        .iter()
        .map(|(path, way, bytes)| (path.as_str(), *way, bytes.as_slice()))
        .collect();
    Server::start(&files)
}

fn files(add_on: &AddOn) -> Vec<String> {
    let manifest = entry::read(&add_on.dir).unwrap().unwrap();
    manifest.files.into_iter().map(|file| file.path).collect()
}

#[test]
fn flannel_is_built_where_its_registry_is_silent() {
    let computer = Computer::new();
    let nothing = Server::start(&[]);
    let built = computer
        .ensure(Network::Flannel, SoftwareSource::Auto, &nothing)
        .unwrap();
    assert_eq!(built.source, SoftwareSource::Go);
    assert_eq!(files(&built), ["image/flanneld"]);
    let (name, program, file) = built.program().unwrap();
    assert_eq!((name, program), (NAME, "flanneld"));
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text, "built github.com/flannel-io/flannel\n");
    assert!(built.archives().is_none());
    let notes = computer.notes();
    assert!(
        notes.len() == 1 && notes[0].contains("the server answered 404"),
        "{notes:?}"
    );

    // Found again without asking anybody, by the one who wants it and by the one who only looks.
    let asked = nothing.requests().len();
    let again = computer
        .ensure(Network::Flannel, SoftwareSource::Auto, &nothing)
        .unwrap();
    assert_eq!((again.id, again.content), (built.id.clone(), built.content));
    assert_eq!(nothing.requests().len(), asked);
    let found = find(&computer.cache, "1.36", Network::Flannel).unwrap();
    assert_eq!(found.unwrap().id, built.id);
    assert_eq!(shelf::add_ons(&computer.cache).unwrap().len(), 1);
}

#[test]
fn a_tag_is_asked_for_once() {
    let computer = Computer::new();
    let served = Served::new();
    let server = serve(&served.files(Way::Guarded));
    let first = computer
        .ensure(Network::Flannel, SoftwareSource::Download, &server)
        .unwrap();
    assert_eq!(files(&first), ["images/flannel-flannel.tar"]);
    served.assert_is(&first.dir.join("images/flannel-flannel.tar"));
    let digest = digest_of(&served.index);
    let noted = NetworkImage {
        name: NAME.to_owned(),
        digest: Some(digest.clone()),
    };
    assert_eq!(first.images, [noted]);
    assert!(first.program().is_none() && first.archives().is_some());
    let notes = computer.notes();
    assert!(notes.len() == 1 && notes[0].contains(&digest), "{notes:?}");
    let left = fs::read_dir(computer.cache.downloads().unwrap()).unwrap();
    assert_eq!(left.count(), 0, "it is in the add-on now");

    // Damaged and made again, after somebody has moved the tag: the same image, by its digest.
    fs::remove_file(first.dir.join("images/flannel-flannel.tar")).unwrap();
    let mut moved = served.files(Way::Guarded);
    for (path, _, bytes) in &mut moved {
        if path.ends_with("manifests/v0.28.4") {
            *bytes = b"{}".to_vec();
        }
    }
    let moved = serve(&moved);
    let again = computer
        .ensure(Network::Flannel, SoftwareSource::Download, &moved)
        .unwrap();
    assert_eq!(again.content, first.content);
    let asked = moved.requests();
    assert!(
        !asked.iter().any(|path| path.ends_with("v0.28.4")),
        "{asked:?}"
    );
}

#[test]
fn calico_comes_from_downloads_alone() {
    let computer = Computer::new();
    let nothing = Server::start(&[]);
    let error = computer
        .ensure(Network::Calico, SoftwareSource::Go, &nothing)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pod network `calico` cannot be built from Go modules"
    );
    assert!(error.hint("tool").unwrap().contains("--source download"));
    let error = is_made(&computer.cache, "1.36", Network::Calico, SoftwareSource::Go).unwrap_err();
    assert!(matches!(error, Error::NotBuilt { .. }));
    assert!(nothing.requests().is_empty());
    // And `auto` says what it could not have, rather than turn to Go.
    let error = computer
        .ensure(Network::Calico, SoftwareSource::Auto, &nothing)
        .unwrap_err();
    assert!(error.is_unreachable(), "{error}");
}

#[test]
fn another_manifest_than_the_pinned_one_is_not_used() {
    let computer = Computer::new();
    let manifest = b"kind: DaemonSet\n";
    let path = "/raw.githubusercontent.com/projectcalico/calico/v3.31.7/manifests/calico.yaml";
    let server = Server::start(&[(path, Way::Well, manifest)]);
    let error = computer
        .ensure(Network::Calico, SoftwareSource::Download, &server)
        .unwrap_err();
    assert!(
        matches!(&error, Error::WrongSum { found, .. } if *found == digest::of_bytes(manifest)),
        "{error}"
    );
    assert!(shelf::add_ons(&computer.cache).unwrap().is_empty());
}

#[test]
fn calico_carries_what_its_project_publishes() {
    let computer = Computer::new();
    let workshop = computer.cache.workshop("calico").unwrap();
    fs::write(workshop.join(PUBLISHED), "kind: DaemonSet\n").unwrap();
    let about = About {
        network: Network::Calico,
        version: "3.31.7".to_owned(),
        source: SoftwareSource::Download,
        arch: Arch::Amd64,
        images: Vec::new(),
        toolchain: None,
    };
    let place = computer.cache.add_ons().unwrap().join("0123");
    let manifest = entry::finish(&workshop, &place, about).unwrap();
    let calico = AddOn::of(place, &manifest).unwrap();
    let text = calico.published_manifest().unwrap();
    assert_eq!(text.as_deref(), Some("kind: DaemonSet\n"));
}

#[test]
fn networks_sources_and_processors_have_add_ons_of_their_own() {
    let mut ids = BTreeMap::new();
    for arch in [Arch::Amd64, Arch::Arm64] {
        let pins = Pins::of("1.36", arch).unwrap();
        for network in Network::ALL {
            for source in [SoftwareSource::Download, SoftwareSource::Go] {
                ids.insert(id(&pins, network, source), (arch, network, source));
            }
        }
    }
    assert_eq!(ids.len(), 8);
    let mut current = current_ids();
    current.sort();
    assert_eq!(current, ids.into_keys().collect::<Vec<_>>());
}
