//! The operating system under the software: its file system as one tar file, kept by content.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_docker::DockerCli;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::debian::Suite;
use crate::digest::Recipe;
use crate::entry;
use crate::pins::Arch;
use crate::progress::{BundleEvent, Progress, Silent, step};
use crate::{Error, debian};

const PACKAGES: &str = include_str!("../image/packages.txt");
const UBUNTU: &str = include_str!("../image/Dockerfile.ubuntu");
const ROOT: &str = "root.tar";

/// Which operating system a machine image stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Base {
    /// Ubuntu if the registry can be reached, else Debian 12.
    #[serde(rename = "auto")]
    Auto,
    /// Ubuntu 22.04, from the registry's image.
    #[serde(rename = "ubuntu")]
    Ubuntu,
    /// Debian 12, from its packages.
    #[serde(rename = "debian-12", alias = "debian")]
    Debian12,
    /// Debian 13, from its packages.
    #[serde(rename = "debian-13")]
    Debian13,
}

impl Base {
    /// The Debian release that it is made of, or may come to be; `None` where it is none.
    pub(crate) fn suite(self) -> Option<Suite> {
        match self {
            Self::Ubuntu => None,
            Self::Debian12 | Self::Auto => Some(Suite::Bookworm),
            Self::Debian13 => Some(Suite::Trixie),
        }
    }
}

/// A base system that is whole.
#[derive(Debug, Clone)]
pub(crate) struct BaseSystem {
    /// Which it is; never [`Base::Auto`].
    pub(crate) base: Base,
    /// Its file system.
    pub(crate) root: PathBuf,
    /// The sum over its content.
    pub(crate) content: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    base: Base,
    arch: Arch,
}

/// The packages, by name.
pub(crate) fn packages() -> Vec<&'static str> {
    PACKAGES
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

fn id(base: Base, arch: Arch) -> String {
    let mut recipe = Recipe::new("base 1");
    recipe.add(arch.as_str());
    packages().iter().for_each(|package| recipe.add(package));
    match base.suite() {
        None => {
            recipe.add("ubuntu");
            recipe.add(UBUNTU);
        }
        Some(suite) => {
            recipe.add("debian");
            debian::ingredients(suite)
                .iter()
                .for_each(|part| recipe.add(part));
        }
    }
    recipe.name()
}

/// The names of the base systems that this version of the program makes here.
pub(crate) fn current_ids() -> Vec<String> {
    Arch::host().map_or_else(
        |_| Vec::new(),
        |arch| {
            [Base::Ubuntu, Base::Debian13, Base::Debian12]
                .map(|base| id(base, arch))
                .to_vec()
        },
    )
}

/// The base systems that will do for `base`, in the order in which they are tried.
fn choices(base: Base) -> &'static [Base] {
    match base {
        Base::Auto => &[Base::Ubuntu, Base::Debian12],
        Base::Ubuntu => &[Base::Ubuntu],
        Base::Debian12 => &[Base::Debian12],
        Base::Debian13 => &[Base::Debian13],
    }
}

/// A base system that is in the cache.
pub(crate) fn find(
    cache: &Cache,
    base: Base,
    progress: &dyn Progress,
) -> Result<Option<BaseSystem>, Error> {
    let arch = Arch::host()?;
    for &base in choices(base) {
        let place = cache.bases()?.join(id(base, arch));
        if let Some(manifest) = entry::usable(&place, "the base system", progress)? {
            return Ok(Some(BaseSystem {
                base,
                root: place.join(ROOT),
                content: manifest.content(),
            }));
        }
    }
    Ok(None)
}

/// The base systems that are in the cache and that this version of the program makes; their files are not looked at.
pub(crate) fn present(cache: &Cache) -> Result<Vec<BaseSystem>, Error> {
    let arch = Arch::host()?;
    let mut found = Vec::new();
    for base in [Base::Ubuntu, Base::Debian12, Base::Debian13] {
        let place = cache.bases()?.join(id(base, arch));
        if let Some(manifest) = entry::read(&place)? {
            found.push(BaseSystem {
                base,
                root: place.join(ROOT),
                content: manifest.content(),
            });
        }
    }
    Ok(found)
}

/// Whether the cache has a base system that will do for `base`, whole.
///
/// # Errors
///
/// [`Error`] when the cache cannot be read.
pub fn is_made(cache: &Cache, base: Base) -> Result<bool, Error> {
    Ok(find(cache, base, &Silent)?.is_some())
}

/// Makes sure that there is a base system.
pub(crate) fn ensure(
    cache: &Cache,
    base: Base,
    docker: &DockerCli,
    progress: &dyn Progress,
) -> Result<BaseSystem, Error> {
    if let Some(found) = find(cache, base, progress)? {
        return Ok(found);
    }
    match base {
        Base::Ubuntu | Base::Debian12 | Base::Debian13 => make(cache, base, docker, progress),
        Base::Auto => {
            let error = match make(cache, Base::Ubuntu, docker, progress) {
                Err(error @ Error::Program { .. }) => error,
                made => return made,
            };
            let registry = error.in_one_line();
            let text = format!(
                "the registry's base image cannot be had ({registry}); making one from Debian packages"
            );
            progress.event(&BundleEvent::Note { text: &text });
            make(cache, Base::Debian12, docker, progress).map_err(|packages| match packages {
                Error::Interrupted => Error::Interrupted,
                packages => Error::Base {
                    registry,
                    packages: Box::new(packages),
                },
            })
        }
    }
}

fn make(
    cache: &Cache,
    base: Base,
    docker: &DockerCli,
    progress: &dyn Progress,
) -> Result<BaseSystem, Error> {
    let arch = Arch::host()?;
    let id = id(base, arch);
    let name = format!("base-{id}");
    let _lock = cache.lock(&name, progress)?;
    if let Some(found) = find(cache, base, progress)? {
        return Ok(found);
    }
    let workshop = cache.workshop(&name)?;
    let scratch = cache.workshop(&format!("{name}-scratch"))?;
    let log = cache.log(&name)?;
    let root = workshop.join(ROOT);
    match base.suite() {
        None => step(progress, "make the base system from Ubuntu's image", || {
            ubuntu(&id, &root, &scratch, &log, docker, progress)
        })?,
        Some(suite) => {
            let text = format!("make the base system from packages of {}", suite.words());
            step(progress, &text, || {
                debian::make(suite, &packages(), &root, &scratch, &log, progress)
            })?;
        }
    }
    let place = cache.bases()?.join(&id);
    let manifest = entry::finish(&workshop, &place, About { base, arch })?;
    Ok(BaseSystem {
        base,
        root: place.join(ROOT),
        content: manifest.content(),
    })
}

fn ubuntu(
    id: &str,
    root: &Path,
    scratch: &Path,
    log: &Path,
    docker: &DockerCli,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let context = scratch.join("context");
    fs::create_dir_all(&context).map_err(Error::file("make the folder", &context))?;
    for (name, text) in [
        ("Dockerfile", UBUNTU),
        ("packages", &*packages().join("\n")),
    ] {
        let path = context.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    let image = format!("caravan-ubuntu:{}", &id[..12]);
    crate::docker::build(docker, &image, &context, &[], log, progress)?;
    let container = format!("caravan-ubuntu-{}", &id[..12]);
    docker.discard(["rm", "--force", &container]);
    let exported = docker
        .call(["create", "--name", &container, &image, "true"])
        .run()
        .and_then(|_| {
            docker
                .call(["export", "--output"])
                .arg(root)
                .arg(&container)
                .run()
        });
    docker.discard(["rm", "--force", &container]);
    docker.discard(["image", "rm", &image]);
    exported
        .map(drop)
        .map_err(Error::program("read the base image"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_names_only() {
        let packages = packages();
        assert!(packages.contains(&"haproxy") && packages.contains(&"keepalived"));
        for package in packages {
            assert!(
                package.chars().all(|letter| letter.is_ascii_lowercase()
                    || letter.is_ascii_digit()
                    || "+-.".contains(letter)),
                "{package}"
            );
        }
    }

    #[test]
    fn bases_have_names_of_their_own() {
        let ids = [
            id(Base::Ubuntu, Arch::Amd64),
            id(Base::Debian12, Arch::Amd64),
            id(Base::Debian13, Arch::Amd64),
            id(Base::Debian12, Arch::Arm64),
        ];
        for (place, one) in ids.iter().enumerate() {
            assert!(!ids[..place].contains(one), "{place}");
        }
    }
}
