//! The operating system under the software: its file system as one tar file, kept by content.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_docker::DockerCli;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
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
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// Ubuntu if the registry can be reached, else Debian.
    Auto,
    /// Ubuntu 22.04, from the registry's image.
    Ubuntu,
    /// Debian 12, from its packages.
    Debian,
}

/// A base system that is whole.
#[derive(Debug, Clone)]
pub(crate) struct BaseSystem {
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
    match base {
        Base::Ubuntu => {
            recipe.add("ubuntu");
            recipe.add(UBUNTU);
        }
        Base::Debian | Base::Auto => {
            recipe.add("debian");
            debian::ingredients()
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
        |arch| vec![id(Base::Ubuntu, arch), id(Base::Debian, arch)],
    )
}

/// The base systems that will do for `base`, in the order in which they are tried.
fn choices(base: Base) -> &'static [Base] {
    match base {
        Base::Auto => &[Base::Ubuntu, Base::Debian],
        Base::Ubuntu => &[Base::Ubuntu],
        Base::Debian => &[Base::Debian],
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
                root: place.join(ROOT),
                content: manifest.content(),
            }));
        }
    }
    Ok(None)
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
        Base::Ubuntu | Base::Debian => make(cache, base, docker, progress),
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
            make(cache, Base::Debian, docker, progress).map_err(|packages| match packages {
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
    let text = match base {
        Base::Ubuntu => "make the base system from Ubuntu's image",
        Base::Debian | Base::Auto => "make the base system from Debian packages",
    };
    step(progress, text, || match base {
        Base::Ubuntu => ubuntu(&id, &root, &scratch, &log, docker, progress),
        Base::Debian | Base::Auto => debian::make(&packages(), &root, &scratch, &log, progress),
    })?;
    let place = cache.bases()?.join(&id);
    let manifest = entry::finish(&workshop, &place, About { base, arch })?;
    Ok(BaseSystem {
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
        assert_ne!(id(Base::Ubuntu, Arch::Amd64), id(Base::Debian, Arch::Amd64));
        assert_ne!(id(Base::Debian, Arch::Arm64), id(Base::Debian, Arch::Amd64));
    }
}
