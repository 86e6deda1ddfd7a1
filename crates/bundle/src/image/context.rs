//! The folder that the engine builds a machine image from: the recipe, and the software of a bundle.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::Error;
use crate::bundle::Bundle;
use crate::digest::Recipe;

const DOCKERFILE: &str = include_str!("../../image/Dockerfile");
const SETUP: &str = include_str!("../../image/setup");
const MASKED_UNITS: &str = include_str!("../../image/masked-units.txt");
/// Also read where a machine image becomes a virtual machine, which unmasks them.
pub(crate) const MASKED_IN_CONTAINERS: &str = include_str!("../../image/masked-in-containers.txt");

/// A file of a recipe: path, mode, content.
pub(crate) type RecipeFile = (&'static str, u32, &'static str);

/// By their paths in the machine.
const FILES: [RecipeFile; 8] = [
    (
        "etc/ssh/sshd_config.d/caravan.conf",
        0o644,
        include_str!("../../image/files/etc/ssh/sshd_config.d/caravan.conf"),
    ),
    (
        "etc/sudoers.d/vagrant",
        0o440,
        include_str!("../../image/files/etc/sudoers.d/vagrant"),
    ),
    (
        "etc/systemd/journald.conf.d/caravan.conf",
        0o644,
        include_str!("../../image/files/etc/systemd/journald.conf.d/caravan.conf"),
    ),
    (
        "etc/systemd/system.conf.d/caravan.conf",
        0o644,
        include_str!("../../image/files/etc/systemd/system.conf.d/caravan.conf"),
    ),
    (
        "etc/systemd/system/caravan-ssh-host-key.service",
        0o644,
        include_str!("../../image/files/etc/systemd/system/caravan-ssh-host-key.service"),
    ),
    (
        "usr/lib/caravan-image/link-store",
        0o755,
        include_str!("../../image/files/usr/lib/caravan-image/link-store"),
    ),
    (
        "usr/lib/caravan-image/preload",
        0o755,
        include_str!("../../image/files/usr/lib/caravan-image/preload"),
    ),
    (
        "usr/lib/caravan-image/vagrant.pub",
        0o644,
        include_str!("../../image/files/usr/lib/caravan-image/vagrant.pub"),
    ),
];

/// Adds all of the recipe to what names the image.
pub(super) fn add_to(recipe: &mut Recipe) {
    for text in [DOCKERFILE, SETUP, MASKED_UNITS, MASKED_IN_CONTAINERS] {
        recipe.add(text);
    }
    add_files(recipe, &FILES);
}

/// Adds files of a recipe to what names its result.
pub(crate) fn add_files(recipe: &mut Recipe, files: &[RecipeFile]) {
    for (path, mode, text) in files {
        recipe.add(path);
        recipe.add(mode.to_be_bytes());
        recipe.add(text);
    }
}

/// Writes files of a recipe below `folder`, whose folders can then be read by all.
pub(crate) fn write_files(files: &[RecipeFile], folder: &Path) -> Result<(), Error> {
    for (path, mode, text) in files {
        write_file(&folder.join(path), *mode, text)?;
    }
    open_folders(folder)
}

/// Writes the folder, with links to the software of `bundle`.
pub(super) fn write(bundle: &Bundle, context: &Path) -> Result<(), Error> {
    let recipe = [
        ("Dockerfile", DOCKERFILE),
        ("setup", SETUP),
        ("masked-units.txt", MASKED_UNITS),
        ("masked-in-containers.txt", MASKED_IN_CONTAINERS),
    ];
    for (name, text) in recipe {
        write_file(&context.join(name), 0o644, text)?;
    }
    let files = context.join("files");
    write_files(&FILES, &files)?;
    for (from, to) in [("bin", "usr/local/bin"), ("cni", "opt/cni/bin")] {
        link_all(&bundle.dir.join(from), &files.join(to))?;
    }
    // The builder keeps the folders' modes, whatever this user's umask is.
    open_folders(&files)
}

pub(crate) fn write_file(path: &Path, mode: u32, text: &str) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
    }
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(Error::file("write", path))
}

/// Links the files of `from` into `to`; copies them where links cannot be made.
fn link_all(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::file("make the folder", to))?;
    for found in fs::read_dir(from).map_err(Error::file("read", from))? {
        let found = found.map_err(Error::file("read", from))?;
        let (from, to) = (found.path(), to.join(found.file_name()));
        fs::hard_link(&from, &to)
            .or_else(|_| fs::copy(&from, &to).map(drop))
            .map_err(Error::file("copy", &from))?;
    }
    Ok(())
}

fn open_folders(folder: &Path) -> Result<(), Error> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .map_err(Error::file("write", folder))?;
    for found in fs::read_dir(folder).map_err(Error::file("read", folder))? {
        let path = found.map_err(Error::file("read", folder))?.path();
        if path.is_dir() {
            open_folders(&path)?;
        }
    }
    Ok(())
}
