use std::time::Duration;

use caravan_process::Program;

use super::*;
use crate::download::server::{Server, Way};
use crate::pins::Packing;
use crate::progress::tests::Notes;
use crate::{digest, script};

#[test]
fn sources_pins_and_processors_have_bundles_of_their_own() {
    let pins = Pins::of("1.36", Arch::Amd64).unwrap();
    let mut newer = pins.clone();
    newer.artifacts[0].sha256 = "0".repeat(64);
    let ids = [
        id(&pins, SoftwareSource::Download),
        id(&pins, SoftwareSource::Go),
        id(&newer, SoftwareSource::Download),
        id(
            &Pins::of("1.36", Arch::Arm64).unwrap(),
            SoftwareSource::Download,
        ),
    ];
    for (place, one) in ids.iter().enumerate() {
        assert!(!ids[..place].contains(one), "{place}");
    }
    assert_eq!(
        id(&pins, SoftwareSource::Go),
        id(&newer, SoftwareSource::Go),
        "sums of downloads do not touch Go builds"
    );
}

/// A computer with a cache, a web server that has all pinned files, and compilers that write what they are called for.
struct Computer {
    folder: tempfile::TempDir,
    cache: Cache,
    server: Server,
    pins: Pins,
    notes: Notes,
}

/// Answers like Go; builds by writing a line into each program. Counts its builds in `builds`.
pub(crate) const GO: &str = r#"#!/bin/sh
set -eu
if [ "$1" = env ]; then printf 'go1.26.8\nlocal\n'; exit; fi
echo "$PWD" >>"$(dirname "$0")/builds"
while [ "$1" != -o ]; do shift; done
out=$2
shift 2
case $out in
    */) mkdir -p "$out"; for package; do echo "built $package" >"$out${package##*/}"; done ;;
    *) mkdir -p "$(dirname "$out")"; echo "built $1" >"$out" ;;
esac
"#;

pub(crate) const RUSTC: &str =
    "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\necho compiled >\"$2\"\n";

impl Computer {
    /// Its server treats all files the same `way`.
    fn new(way: Way) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("go", GO), ("rustc", RUSTC)] {
            script::write(&folder.path().join(name), text);
        }
        let mut pins = Pins::of("1.36", Arch::Amd64).unwrap();
        let mut files = Vec::new();
        for artifact in &mut pins.artifacts {
            let content = match artifact.kind {
                Packing::Binary => artifact.name.clone().into_bytes(),
                Packing::TarGz => {
                    let gzip =
                        flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    let mut tar = tar::Builder::new(gzip);
                    for member in artifact.take.keys() {
                        oci::add_bytes(&mut tar, member, member.as_bytes(), 0o755).unwrap();
                    }
                    tar.into_inner().unwrap().finish().unwrap()
                }
            };
            artifact.sha256 = digest::of_bytes(&content);
            artifact.url = format!("https://host/{}", artifact.name);
            files.push((artifact.name.clone(), content));
        }
        let files: Vec<(&str, Way, &[u8])> = files
            .iter()
            .map(|(name, content)| (name.as_str(), way, content.as_slice()))
            .collect();
        Self {
            cache: Cache::open(&folder.path().join("cache")).unwrap(),
            server: Server::start(&files),
            pins,
            notes: Notes::default(),
            folder,
        }
    }

    fn ensure(&self, source: SoftwareSource) -> Result<Bundle, Error> {
        let program = |name: &str| Some(Program::at(self.folder.path().join(name)));
        let mirror = format!("http://{}", self.server.address);
        Maker {
            cache: &self.cache,
            pins: self.pins.clone(),
            downloader: Downloader::new(
                self.cache.downloads().unwrap(),
                Some(mirror),
                Duration::from_secs(20),
            ),
            tools: Tools {
                go: program("go"),
                rustc: program("rustc"),
            },
            progress: &self.notes,
        }
        .ensure(source)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.0.lock().unwrap().clone()
    }

    /// How often Go was called to build.
    fn builds(&self) -> usize {
        fs::read_to_string(self.folder.path().join("builds"))
            .map_or(0, |builds| builds.lines().count())
    }

    fn left_in(&self, folder: &str) -> Vec<PathBuf> {
        fs::read_dir(self.cache.root().join(folder))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default()
    }
}

/// Calls of `go build` for one bundle: three of etcd's own, one for each other component.
const BUILDS: usize = 8;

fn files(bundle: &Bundle) -> Vec<String> {
    let manifest = entry::read(&bundle.dir).unwrap().unwrap();
    manifest.files.into_iter().map(|file| file.path).collect()
}

#[test]
fn both_sources_give_the_same_bundle_but_for_the_bytes() {
    let computer = Computer::new(Way::Well);
    let downloaded = computer.ensure(SoftwareSource::Download).unwrap();
    let built = computer.ensure(SoftwareSource::Go).unwrap();
    assert_eq!(downloaded.software, built.software);
    assert_eq!(files(&downloaded), files(&built));
    assert_ne!(downloaded.id, built.id);
    assert_eq!(
        files(&built),
        [
            "bin/containerd",
            "bin/containerd-shim-runc-v2",
            "bin/ctr",
            "bin/etcd",
            "bin/etcdctl",
            "bin/etcdutl",
            "bin/kubeadm",
            "bin/kubectl",
            "bin/kubelet",
            "bin/runc",
            "cni/bridge",
            "cni/host-local",
            "cni/loopback",
            "cni/portmap",
            "image/kube-proxy",
            "images/coredns.tar",
            "images/kube-apiserver.tar",
            "images/kube-controller-manager.tar",
            "images/kube-scheduler.tar",
            "images/pause.tar",
            "images/probe.tar",
        ]
    );
    assert!(computer.left_in("tmp").is_empty());
    assert!(computer.left_in("downloads").is_empty());
    assert_eq!(
        fs::read_to_string(built.dir.join("bin/etcd")).unwrap(),
        "built go.etcd.io/etcd/server/v3\n"
    );
}

#[test]
fn a_second_ensure_makes_nothing() {
    let computer = Computer::new(Way::Well);
    let first = computer.ensure(SoftwareSource::Go).unwrap();
    let second = computer.ensure(SoftwareSource::Go).unwrap();
    assert_eq!((first.id, first.content), (second.id, second.content));
    assert_eq!(computer.builds(), BUILDS);
    assert!(computer.server.requests().is_empty());
}

#[test]
fn auto_downloads_where_it_can() {
    let computer = Computer::new(Way::Well);
    assert_eq!(
        computer.ensure(SoftwareSource::Auto).unwrap().source,
        SoftwareSource::Download
    );
    assert_eq!(computer.builds(), 0);
    assert_eq!(
        computer.server.requests()[0],
        "runc",
        "the smallest file shows whether the servers can be reached"
    );
}

#[test]
fn auto_turns_to_go_and_says_why() {
    let computer = Computer::new(Way::Status(403));
    assert_eq!(
        computer.ensure(SoftwareSource::Auto).unwrap().source,
        SoftwareSource::Go
    );
    let notes = computer.notes();
    // The third one is of programs that are none.
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[2].contains("not known"), "{}", notes[2]);
    assert!(
        notes[0].contains("answered 403") && notes[0].contains("Go modules"),
        "{}",
        notes[0]
    );
    assert!(notes[1].contains("minutes"), "{}", notes[1]);
    assert_eq!(computer.server.requests(), ["runc"], "one try tells enough");
}

#[test]
fn auto_takes_what_is_there() {
    let computer = Computer::new(Way::Well);
    computer.ensure(SoftwareSource::Go).unwrap();
    assert_eq!(
        computer.ensure(SoftwareSource::Auto).unwrap().source,
        SoftwareSource::Go
    );
    assert!(computer.server.requests().is_empty());
}

#[test]
fn auto_does_not_go_around_a_wrong_file() {
    let mut computer = Computer::new(Way::Well);
    for artifact in &mut computer.pins.artifacts {
        artifact.sha256 = digest::of_bytes(b"what was published");
    }
    let error = computer.ensure(SoftwareSource::Auto).unwrap_err();
    assert!(matches!(error, Error::WrongSum { .. }), "{error}");
    assert_eq!(computer.builds(), 0);
}

#[test]
fn a_damaged_bundle_is_made_again() {
    let computer = Computer::new(Way::Well);
    let bundle = computer.ensure(SoftwareSource::Go).unwrap();
    fs::write(bundle.dir.join("bin/kubeadm"), "cut").unwrap();
    let again = computer.ensure(SoftwareSource::Go).unwrap();
    assert_eq!(again.content, bundle.content);
    assert_eq!(computer.builds(), 2 * BUILDS);
    let notes = computer.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("kubeadm` is damaged")),
        "{notes:?}"
    );
}

#[test]
fn two_runners_make_one() {
    let computer = Computer::new(Way::Well);
    std::thread::scope(|scope| {
        let runners =
            [0, 1].map(|_| scope.spawn(|| computer.ensure(SoftwareSource::Go).unwrap().content));
        let [one, other] = runners.map(|runner| runner.join().unwrap());
        assert_eq!(one, other);
    });
    assert_eq!(computer.builds(), BUILDS);
}

#[test]
fn a_failed_build_leaves_no_bundle_and_names_its_log() {
    let computer = Computer::new(Way::Well);
    let go = computer.folder.path().join("go");
    let broken = GO.replace(
        "while",
        "case $PWD in */etcd) echo 'undefined: x' >&2; exit 1 ;; esac\nwhile",
    );
    script::write(&go, &broken);
    let error = computer.ensure(SoftwareSource::Go).unwrap_err();
    assert_eq!(error.to_string(), "cannot build etcd from Go modules");
    assert!(
        error.in_one_line().contains("ended with status 1"),
        "{}",
        error.in_one_line()
    );
    assert!(error.hint("tool").unwrap().contains(".log"), "{error:?}");
    assert!(computer.left_in("bundles").is_empty());
    // And the next run starts from a clean table.
    script::write(&go, GO);
    computer.ensure(SoftwareSource::Go).unwrap();
    assert!(computer.left_in("tmp").is_empty());
}

#[test]
fn an_old_go_is_refused_before_anything_is_built() {
    let computer = Computer::new(Way::Well);
    let old = GO.replace("go1.26.8", "go1.19.8");
    script::write(&computer.folder.path().join("go"), &old);
    let error = computer.ensure(SoftwareSource::Go).unwrap_err();
    assert!(
        error.to_string().contains("newer Go than go1.19.8"),
        "{error}"
    );
    assert!(error.hint("tool").is_some());
    assert_eq!(computer.builds(), 0);
}

/// Programs that say what they know, as those of Kubernetes do.
const SAYS: &str = r#"#!/bin/sh
case "$*" in
    --help) printf '      --event-ttl duration   kept\n      kube:AllAlpha=true|false (ALPHA - default=false)\n' ;;
    version*) echo v1.36.3 ;;
    config*)
        # json:"maxPods,omitempty" json:"other"
        grep -q other "$4" || exit 0
        echo 'error: schema{}: strict decoding error: unknown field "other"' >&2
        exit 1 ;;
esac
"#;

#[test]
fn what_programs_know_is_kept_and_asked_of_an_older_bundle() {
    let computer = Computer::new(Way::Well);
    let folder = computer.folder.path();
    script::write(&folder.join("says"), SAYS);
    let speaking = GO.replace(
        "echo \"built $package\" >\"$out${package##*/}\"",
        "cp \"$(dirname \"$0\")/says\" \"$out${package##*/}\"",
    );
    assert_ne!(speaking, GO);
    script::write(&folder.join("go"), &speaking);
    let bundle = computer.ensure(SoftwareSource::Go).unwrap();
    let read = || {
        let manifest = entry::read(&bundle.dir).unwrap().unwrap();
        (manifest.about["known"].clone(), manifest)
    };
    let (known, mut manifest) = read();
    assert_eq!(known["flags"]["kube-scheduler"][0], "event-ttl");
    assert_eq!(known["gates"]["kube-proxy"][0], "AllAlpha");
    assert_eq!(known["kubelet_fields"], serde_json::json!(["maxPods"]));
    // As an older version wrote it.
    manifest.about.as_object_mut().unwrap().remove("known");
    entry::write_json(&bundle.dir.join(MANIFEST), &manifest).unwrap();
    let again = bundle.known(&computer.cache, &Silent).unwrap().unwrap();
    assert_eq!(serde_json::to_value(&again).unwrap(), known);
    assert_eq!(read().0, known);
    let refused = known::judge_kubelet(
        &computer.cache,
        &bundle.dir,
        serde_json::json!({"other": 1}).as_object().unwrap(),
    );
    assert_eq!(refused.unwrap().unwrap().field.as_deref(), Some("other"));
    assert!(computer.left_in("tmp").is_empty());
}
