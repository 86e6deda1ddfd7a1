use std::path::PathBuf;

use caravan_process::Program;

use super::*;
use crate::progress::Silent;
use crate::{entry, shelf};

pub(crate) struct Computer {
    folder: tempfile::TempDir,
    pub(crate) cache: Cache,
    pub(crate) bundle: Bundle,
    add_ons: Vec<AddOn>,
    pub(crate) docker: DockerCli,
}

impl Computer {
    /// With a small bundle, a small Debian base system and an engine without images.
    pub(crate) fn new() -> Self {
        let (folder, cache) = shelf::tests::cache();
        let dir = shelf::tests::put_bundle(&cache, shelf::tests::ID);
        for (path, text) in [
            ("cni/bridge", "b"),
            ("image/kube-proxy", "p"),
            ("images/pause.tar", "i"),
        ] {
            download_like(&dir.join(path), text);
        }
        let manifest = entry::read(&dir).unwrap().unwrap();
        let bundle = Bundle::of(dir, &manifest).unwrap();

        let workshop = cache.workshop("base").unwrap();
        fs::rename(
            crate::proxy_root::tests::base(&workshop),
            workshop.join("root.tar"),
        )
        .unwrap();
        let id = base::current_ids().pop().unwrap();
        entry::finish(&workshop, &cache.bases().unwrap().join(id), "test").unwrap();

        let program = folder.path().join("docker");
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fakes/docker");
        std::os::unix::fs::symlink(fake, &program).unwrap();
        fs::create_dir(folder.path().join("images")).unwrap();
        Self {
            docker: DockerCli::with(Program::at(program)),
            folder,
            cache,
            bundle,
            add_ons: Vec::new(),
        }
    }

    fn bake(&self) -> Result<String, Error> {
        bake(
            &self.cache,
            &self.bundle,
            &self.add_ons,
            Base::Debian12,
            &self.docker,
            &Silent,
        )
    }

    pub(crate) fn told(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The engine's calls since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = self
            .told("docker-calls")
            .lines()
            .map(str::to_owned)
            .collect();
        fs::write(self.path("docker-calls"), "").unwrap();
        calls
    }
}

fn download_like(path: &Path, text: &str) {
    crate::download::install(text.as_bytes(), path, path).unwrap();
}

#[test]
fn an_image_is_made_once() {
    let computer = Computer::new();
    let image = computer.bake().unwrap();
    assert!(
        image.starts_with("caravan-machine:") && image.len() == "caravan-machine:".len() + 16,
        "{image}"
    );
    let tag = tag(&image);
    let calls = computer.calls();
    let create = calls
        .iter()
        .find(|call| call.starts_with("create"))
        .unwrap();
    assert_eq!(
        *create,
        format!(
            "create --name caravan-bake-{tag} --network none --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
             --security-opt apparmor=unconfined --volume caravan-bake-{tag}-store:/var/lib/containerd \
             --volume caravan-bake-{tag}-archives:/tmp/caravan-archives caravan-stage:{tag} \
             /usr/lib/caravan-image/preload /tmp/caravan-archives"
        )
    );
    let order: Vec<&str> = calls
        .iter()
        .filter_map(|call| call.split(' ').next())
        .filter(|verb| ["import", "build", "create", "start", "commit"].contains(verb))
        .collect();
    assert_eq!(order, ["import", "build", "create", "start", "commit"]);
    assert_eq!(computer.told("archives"), "pause.tar\nkube-proxy.tar\n");
    // Nothing of the work is left in the engine.
    let last = calls
        .iter()
        .rposition(|call| call.starts_with("commit"))
        .unwrap();
    assert!(
        calls[last..]
            .iter()
            .any(|call| call.starts_with("rm --force --volumes caravan-bake-"))
    );
    assert_eq!(
        calls[last..]
            .iter()
            .filter(|call| call.starts_with("volume rm"))
            .count(),
        2
    );

    assert_eq!(computer.bake().unwrap(), image);
    assert_eq!(
        computer.calls(),
        [format!("image ls --quiet --filter reference={image}")],
        "one question"
    );
}

#[test]
fn the_build_sees_software_and_settings_with_their_modes() {
    let computer = Computer::new();
    computer.bake().unwrap();
    let context = computer.told("context-files");
    for line in [
        "755 ./files/usr/local/bin/kubeadm",
        "755 ./files/opt/cni/bin/bridge",
        "755 ./files/usr/lib/caravan-image/link-store",
        "440 ./files/etc/sudoers.d/vagrant",
        "644 ./Dockerfile",
    ] {
        assert!(
            context.lines().any(|found| found == line),
            "{line} is not in {context}"
        );
    }
    // All that is in the folder of the recipe is in the image.
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("image/files");
    let mut open = vec![own.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let line = format!("./files/{}", path.strip_prefix(&own).unwrap().display());
                assert!(
                    context.contains(&line),
                    "{line} is in the folder, and not in the image"
                );
            }
        }
    }
}

#[test]
fn other_software_gives_another_image() {
    let mut computer = Computer::new();
    let image = computer.bake().unwrap();
    computer.bundle.content = "0".repeat(32);
    assert_ne!(computer.bake().unwrap(), image);
    assert_eq!(list(&computer.docker).unwrap().len(), 2);
    let calls = computer.calls();
    assert_eq!(
        calls
            .iter()
            .filter(|call| call.starts_with("import"))
            .count(),
        1,
        "the base is the same"
    );
}

#[test]
fn a_bake_that_fails_leaves_nothing_and_the_next_one_works() {
    let computer = Computer::new();
    for verb in ["build", "create", "start", "commit"] {
        fs::write(computer.path("broken-docker"), verb).unwrap();
        let error = computer.bake().unwrap_err();
        assert!(matches!(error, Error::Program { .. }), "{verb}: {error}");
        let calls = computer.calls();
        let cleaned = calls
            .iter()
            .rposition(|call| call.starts_with("rm --force"))
            .unwrap();
        let worked = calls
            .iter()
            .rposition(|call| call.starts_with(verb))
            .unwrap();
        assert!(cleaned > worked, "{verb}: what it left is removed");
        assert!(list(&computer.docker).unwrap().is_empty(), "{verb}");
        assert_eq!(
            fs::read_dir(computer.cache.root().join("tmp"))
                .unwrap()
                .count(),
            0,
            "{verb}"
        );
    }
    fs::write(computer.path("broken-docker"), "").unwrap();
    computer.bake().unwrap();
}

#[test]
fn pruning_keeps_what_is_wanted() {
    let mut computer = Computer::new();
    let old = computer.bake().unwrap();
    computer.bundle.content = "0".repeat(32);
    let wanted = computer.bake().unwrap();
    let removed = prune(&computer.docker, std::slice::from_ref(&wanted)).unwrap();
    assert!(
        removed.contains(&old) && !removed.contains(&wanted),
        "{removed:?}"
    );
    assert_eq!(list(&computer.docker).unwrap(), [wanted]);
}

#[test]
fn add_ons_change_the_image_of_their_labs_alone() {
    let mut computer = Computer::new();
    let without = computer.bake().unwrap();
    let workshop = computer.cache.workshop("add-on").unwrap();
    download_like(&workshop.join("image/flanneld"), "flannel");
    download_like(&workshop.join("images/more.tar"), "more");
    let about = serde_json::json!({
        "network": "flannel", "version": "1", "source": "go", "arch": "amd64",
        "images": [{"name": "ghcr.io/flannel-io/flannel:v1"}],
    });
    let place = computer.cache.add_ons().unwrap().join("0123");
    let manifest = entry::finish(&workshop, &place, about).unwrap();
    computer.add_ons = vec![AddOn::of(place, &manifest).unwrap()];
    fs::write(computer.path("archives"), "").unwrap();
    let with = computer.bake().unwrap();
    assert_ne!(with, without);
    let mut archives: Vec<String> = computer
        .told("archives")
        .lines()
        .map(str::to_owned)
        .collect();
    archives.sort();
    assert_eq!(
        archives,
        ["flanneld.tar", "kube-proxy.tar", "more.tar", "pause.tar"]
    );

    // One of our own beside it, from downloads: its helper alone is a program.
    let workshop = computer.cache.workshop("add-on").unwrap();
    download_like(&workshop.join("image/volume"), "volume");
    let about = serde_json::json!({
        "kind": "local-path", "version": "1", "source": "download", "arch": "amd64",
        "images": [{"name": "docker.io/rancher/local-path-provisioner:v1"}, {"name": "caravan.local/volume:1"}],
    });
    let place = computer.cache.add_ons().unwrap().join("4567");
    let manifest = entry::finish(&workshop, &place, about).unwrap();
    computer.add_ons.push(AddOn::of(place, &manifest).unwrap());
    fs::write(computer.path("archives"), "").unwrap();
    let both = computer.bake().unwrap();
    assert!(both != with && both != without);
    assert!(computer.told("archives").contains("volume.tar"));
    computer.add_ons.reverse();
    assert_eq!(computer.bake().unwrap(), both, "whatever their order");

    computer.add_ons.clear();
    assert_eq!(computer.bake().unwrap(), without);
}
