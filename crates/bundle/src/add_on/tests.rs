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
        for (name, text) in [
            ("go", crate::bundle::tests::GO),
            ("rustc", crate::bundle::tests::RUSTC),
        ] {
            script::write(&folder.path().join(name), text);
        }
        Self {
            folder,
            cache,
            notes: Notes::default(),
        }
    }

    fn ensure(
        &self,
        kind: AddOnKind,
        source: SoftwareSource,
        server: &Server,
    ) -> Result<AddOn, Error> {
        let address = format!("http://{}", server.address);
        Maker {
            cache: &self.cache,
            pins: Pins::of("1.36", Arch::Amd64).unwrap(),
            kind,
            downloader: Downloader::new(
                self.cache.downloads().unwrap(),
                Some(address.clone()),
                Duration::from_secs(20),
            ),
            registry: Some(address),
            tools: Tools {
                go: Some(Program::at(self.folder.path().join("go"))),
                rustc: Some(Program::at(self.folder.path().join("rustc"))),
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
        .ensure(AddOnKind::Flannel, SoftwareSource::Auto, &nothing)
        .unwrap();
    assert_eq!(built.source, SoftwareSource::Go);
    assert_eq!(files(&built), ["image/flanneld"]);
    let program = built.programs().next().unwrap();
    assert_eq!((program.image.as_str(), program.name), (NAME, "flanneld"));
    assert!(program.over_tools);
    let text = fs::read_to_string(program.file).unwrap();
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
        .ensure(AddOnKind::Flannel, SoftwareSource::Auto, &nothing)
        .unwrap();
    assert_eq!((again.id, again.content), (built.id.clone(), built.content));
    assert_eq!(nothing.requests().len(), asked);
    let found = find(&computer.cache, "1.36", AddOnKind::Flannel).unwrap();
    assert_eq!(found.unwrap().id, built.id);
    assert_eq!(shelf::add_ons(&computer.cache).unwrap().len(), 1);
}

#[test]
fn what_workloads_need_is_built_with_a_program_of_ours() {
    let computer = Computer::new();
    let nothing = Server::start(&[]);
    for (kind, images) in [
        (
            AddOnKind::LocalPath,
            &[
                (
                    "docker.io/rancher/local-path-provisioner:v0.0.30",
                    "local-path-provisioner",
                ),
                ("caravan.local/volume:", "volume"),
            ][..],
        ),
        (
            AddOnKind::MetricsServer,
            &[(
                "registry.k8s.io/metrics-server/metrics-server:v0.9.0",
                "metrics-server",
            )],
        ),
        (
            AddOnKind::MetalLb,
            &[
                ("quay.io/metallb/controller:v0.15.2", "controller"),
                ("quay.io/metallb/speaker:v0.15.2", "speaker"),
            ],
        ),
    ] {
        let built = computer.ensure(kind, SoftwareSource::Go, &nothing).unwrap();
        let programs: Vec<AddOnProgram> = built.programs().collect();
        assert_eq!(programs.len(), images.len(), "{kind}");
        for (program, (image, name)) in programs.iter().zip(images) {
            assert!(program.image.starts_with(image), "{}", program.image);
            assert_eq!((program.name, program.over_tools), (*name, false));
        }
        // What machines' manifests name is what machines have.
        let named = image_names("1.36", kind).unwrap();
        let there: Vec<String> = built.images.into_iter().map(|image| image.name).collect();
        assert_eq!(named, there);
    }
    assert!(nothing.requests().is_empty(), "nobody was asked");
}

#[test]
fn a_tag_is_asked_for_once() {
    let computer = Computer::new();
    let served = Served::new();
    let server = serve(&served.files(Way::Guarded));
    let first = computer
        .ensure(AddOnKind::Flannel, SoftwareSource::Download, &server)
        .unwrap();
    assert_eq!(files(&first), ["images/flannel-flannel.tar"]);
    served.assert_is(&first.dir.join("images/flannel-flannel.tar"));
    let digest = digest_of(&served.index);
    let noted = AddOnImage {
        name: NAME.to_owned(),
        digest: Some(digest.clone()),
    };
    assert_eq!(first.images, [noted]);
    assert!(first.programs().next().is_none() && first.archives().is_some());
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
        .ensure(AddOnKind::Flannel, SoftwareSource::Download, &moved)
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
        .ensure(AddOnKind::Calico, SoftwareSource::Go, &nothing)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pod network `calico` cannot be built from Go modules"
    );
    assert!(error.hint("tool").unwrap().contains("--source download"));
    let error = is_made(
        &computer.cache,
        "1.36",
        AddOnKind::Calico,
        SoftwareSource::Go,
    )
    .unwrap_err();
    assert!(matches!(error, Error::NotBuilt { .. }));
    assert!(nothing.requests().is_empty());
    // And `auto` says what it could not have, rather than turn to Go.
    let error = computer
        .ensure(AddOnKind::Calico, SoftwareSource::Auto, &nothing)
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
        .ensure(AddOnKind::Calico, SoftwareSource::Download, &server)
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
        kind: AddOnKind::Calico,
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
fn kinds_sources_and_processors_have_add_ons_of_their_own() {
    let mut ids = BTreeMap::new();
    for arch in [Arch::Amd64, Arch::Arm64] {
        let pins = Pins::of("1.36", arch).unwrap();
        for kind in AddOnKind::ALL {
            for source in [SoftwareSource::Download, SoftwareSource::Go] {
                ids.insert(id(&pins, kind, source), (arch, kind, source));
            }
        }
    }
    assert_eq!(ids.len(), 20);
    let mut current = current_ids();
    current.sort();
    assert_eq!(current, ids.into_keys().collect::<Vec<_>>());
}
