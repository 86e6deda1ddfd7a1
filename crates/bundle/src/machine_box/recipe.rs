//! The recipe: files of `image/vm`, `image/disk` and `image/box`, and what names their results.

use super::{About, DISK_GIB, Firmware, packages};
use crate::base::{Base, BaseSystem};
use crate::digest::Recipe;
use crate::image::context::{self, MASKED_IN_CONTAINERS, RecipeFile};

/// Goes into every box's name: a change of how boxes are put together gives other boxes.
const FORMAT: &str = "box 1";

/// Read by both scripts that install packages.
pub(super) const APT: RecipeFile = ("apt", 0o644, include_str!("../../image/apt"));

/// What runs in a container of the machine image.
pub(super) const MACHINE_SETUP: [RecipeFile; 4] = [
    APT,
    ("setup", 0o755, include_str!("../../image/vm/setup")),
    ("masked-in-containers.txt", 0o644, MASKED_IN_CONTAINERS),
    (
        "masked-units.txt",
        0o644,
        include_str!("../../image/vm/masked-units.txt"),
    ),
];

/// What is laid over the machine image's file system before that, by their paths in the machine.
pub(super) const MACHINE_FILES: [RecipeFile; 4] = [
    (
        "etc/initramfs-tools/conf.d/caravan",
        0o644,
        include_str!("../../image/vm/files/etc/initramfs-tools/conf.d/caravan"),
    ),
    (
        "etc/initramfs-tools/modules",
        0o644,
        include_str!("../../image/vm/files/etc/initramfs-tools/modules"),
    ),
    (
        "etc/systemd/journald.conf.d/caravan.conf",
        0o644,
        include_str!("../../image/vm/files/etc/systemd/journald.conf.d/caravan.conf"),
    ),
    (
        "etc/systemd/network/10-management.network",
        0o644,
        include_str!("../../image/vm/files/etc/systemd/network/10-management.network"),
    ),
];

/// What makes the image that disks are written in.
pub(super) const TOOLS_SETUP: [RecipeFile; 2] = [
    APT,
    ("setup", 0o755, include_str!("../../image/disk/setup")),
];

/// What writes a disk.
pub(super) const DISK: [RecipeFile; 9] = [
    ("write", 0o755, include_str!("../../image/disk/write")),
    (
        "files/syslinux.cfg",
        0o644,
        include_str!("../../image/disk/files/syslinux.cfg"),
    ),
    (
        "files/loader.conf",
        0o644,
        include_str!("../../image/disk/files/loader.conf"),
    ),
    (
        "files/caravan.conf",
        0o644,
        include_str!("../../image/disk/files/caravan.conf"),
    ),
    (
        "files/etc/fstab",
        0o644,
        include_str!("../../image/disk/files/etc/fstab"),
    ),
    (
        "files/etc/hostname",
        0o644,
        include_str!("../../image/disk/files/etc/hostname"),
    ),
    (
        "files/etc/hosts",
        0o644,
        include_str!("../../image/disk/files/etc/hosts"),
    ),
    // Until the lab says whom a machine asks, it asks nobody; and each machine finds an identity of its own.
    ("files/etc/resolv.conf", 0o644, ""),
    ("files/etc/machine-id", 0o644, ""),
];

/// What a box brings beside the disk.
pub(super) const VAGRANTFILE: &str = include_str!("../../image/box/Vagrantfile");
pub(super) const OVF: &str = include_str!("../../image/box/box.ovf");

/// The name of a box in the cache, whose own name does not count.
pub(super) fn id(about: &About, base: Base) -> String {
    let mut recipe = Recipe::new(FORMAT);
    recipe.add(&about.image);
    recipe.add(about.hypervisor.provider());
    recipe.add(about.arch.as_str());
    recipe.add(DISK_GIB.to_be_bytes());
    for files in [&MACHINE_SETUP[..], &MACHINE_FILES, &TOOLS_SETUP, &DISK] {
        context::add_files(&mut recipe, files);
    }
    for package in packages::of_machine(base, about.arch) {
        recipe.add(package);
    }
    recipe.add(VAGRANTFILE);
    recipe.add(OVF);
    recipe.name()
}

/// The tag of the image that disks are written in.
pub(super) fn tools_tag(base: &BaseSystem, firmware: Firmware) -> String {
    let mut recipe = Recipe::new("tools 1");
    recipe.add(&base.content);
    context::add_files(&mut recipe, &TOOLS_SETUP);
    for package in packages::of_tools(base.base, firmware) {
        recipe.add(package);
    }
    let mut tag = recipe.name();
    tag.truncate(16);
    tag
}
