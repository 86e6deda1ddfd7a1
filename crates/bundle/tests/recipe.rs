//! The scripts of the machine image's recipe, read by the tool that knows shell.
#![allow(missing_docs, reason = "tests")]

use std::fs;
use std::path::Path;

use caravan_process::{Output, Program};

#[test]
fn scripts_pass_shellcheck() {
    let required = std::env::var_os("CARAVAN_REQUIRE_CHECKERS").is_some();
    let shellcheck = match Program::find("shellcheck") {
        Ok(program) => program,
        Err(error) if required => panic!("{error}"),
        Err(_) => return,
    };
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("image");
    let scripts = [
        "setup",
        "apt",
        "vm/setup",
        "disk/setup",
        "disk/write",
        "files/usr/lib/caravan-image/preload",
        "files/usr/lib/caravan-image/link-store",
    ];
    shellcheck
        .call(["--severity=style"])
        .args(scripts.map(|script| recipe.join(script)))
        .run()
        .unwrap();
}

const MASKED: &str = include_str!("../image/masked-units.txt");
const MASKED_IN_CONTAINERS: &str = include_str!("../image/masked-in-containers.txt");

fn units(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Units are listed once, in one of the lists, so that a second reason for one is seen.
#[test]
fn masked_units_are_listed_once() {
    let mut all: Vec<&str> = units(MASKED).chain(units(MASKED_IN_CONTAINERS)).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    assert!(
        all.iter().all(|unit| unit.contains('.')),
        "each names its kind"
    );
}

/// What a virtual machine cannot do without: devices, modules, kernel settings, a network, the power button, a console,
/// and a journal and random numbers that outlive a boot.
#[test]
fn what_a_virtual_machine_needs_is_masked_in_containers_alone() {
    for unit in [
        "dev-mqueue.mount",
        "getty.target",
        "kmod-static-nodes.service",
        "modprobe@.service",
        "serial-getty@.service",
        "systemd-journal-flush.service",
        "systemd-logind.service",
        "systemd-modules-load.service",
        "systemd-network-generator.service",
        "systemd-networkd.service",
        "systemd-networkd.socket",
        "systemd-random-seed.service",
        "systemd-remount-fs.service",
        "systemd-sysctl.service",
        "systemd-timesyncd.service",
        "systemd-tmpfiles-setup-dev.service",
        "systemd-udev-settle.service",
        "systemd-udev-trigger.service",
        "systemd-udevd-control.socket",
        "systemd-udevd-kernel.socket",
        "systemd-udevd.service",
    ] {
        assert!(units(MASKED).all(|masked| masked != unit), "{unit}");
        assert!(
            units(MASKED_IN_CONTAINERS).any(|masked| masked == unit),
            "{unit}"
        );
    }
    // Nothing looks after a machine behind its back, whatever runs it.
    for unit in [
        "apt-daily.timer",
        "unattended-upgrades.service",
        "tmp.mount",
    ] {
        assert!(units(MASKED).any(|masked| masked == unit), "{unit}");
    }
}

const STORE: [(&str, &str); 6] = [
    ("id", "store-1"),
    ("io.containerd.content.v1.content/blobs/sha256/0a", "blob"),
    ("io.containerd.metadata.v1.bolt/meta.db", "meta"),
    (
        "io.containerd.snapshotter.v1.overlayfs/metadata.db",
        "snapshots",
    ),
    (
        "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/bin/tool",
        "one",
    ),
    (
        "io.containerd.snapshotter.v1.overlayfs/snapshots/2/fs/bin/tool",
        "two",
    ),
];

/// A baked store, and the folder that a machine's containerd will use.
fn machine() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in STORE {
        let path = folder.path().join("store").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::create_dir(folder.path().join("root")).unwrap();
    folder
}

fn link_store(folder: &Path) -> Output {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("image/files/usr/lib/caravan-image/link-store");
    let shell = Program::find("sh").unwrap();
    let call = shell.call([&script, &folder.join("root")]);
    call.env("CARAVAN_STORE", folder.join("store"))
        .run()
        .unwrap()
}

#[test]
fn a_machine_sees_the_store_without_a_copy() {
    let folder = machine();
    link_store(folder.path());
    let root = folder.path().join("root");
    for (path, text) in &STORE[1..] {
        assert_eq!(
            fs::read_to_string(root.join(path)).unwrap(),
            *text,
            "{path}"
        );
    }
    let is_link = |path: &str| fs::symlink_metadata(root.join(path)).unwrap().is_symlink();
    assert!(is_link("io.containerd.content.v1.content/blobs/sha256/0a"));
    assert!(is_link(
        "io.containerd.snapshotter.v1.overlayfs/snapshots/2/fs"
    ));
    assert!(
        !is_link("io.containerd.metadata.v1.bolt/meta.db"),
        "containerd writes to it"
    );

    // From now on the databases are the machine's.
    let meta = root.join("io.containerd.metadata.v1.bolt/meta.db");
    fs::write(&meta, "with what was pulled later").unwrap();
    link_store(folder.path());
    assert_eq!(
        fs::read_to_string(&meta).unwrap(),
        "with what was pulled later"
    );
}

#[test]
fn linking_goes_on_after_a_cut() {
    let folder = machine();
    let root = folder.path().join("root");
    // As if the power went before the last but one step, and before the last.
    fs::create_dir_all(root.join("io.containerd.snapshotter.v1.overlayfs/snapshots/1")).unwrap();
    link_store(folder.path());
    fs::remove_file(root.join(".caravan-store")).unwrap();
    link_store(folder.path());
    assert!(root.join(".caravan-store").exists());
    assert!(
        root.join("io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/bin/tool")
            .exists()
    );
}

#[test]
fn another_containerd_keeps_its_images() {
    let folder = machine();
    let meta = folder
        .path()
        .join("root/io.containerd.metadata.v1.bolt/meta.db");
    fs::create_dir_all(meta.parent().unwrap()).unwrap();
    fs::write(&meta, "of another").unwrap();
    let output = link_store(folder.path());
    assert!(output.stderr.contains("they are kept"), "{}", output.stderr);
    assert_eq!(fs::read_to_string(&meta).unwrap(), "of another");
    assert!(
        !folder
            .path()
            .join("root/io.containerd.content.v1.content")
            .exists()
    );
}
