//! Bundles: all software of a lab, made once per content.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::compile::{PAUSE, PROBE, RUSTC_FLAGS};
use crate::components::COMPONENTS;
use crate::digest::{self, Recipe};
use crate::download::Downloader;
use crate::entry::{self, Manifest};
use crate::oci::{self, Image};
use crate::pins::{Arch, Pins};
use crate::progress::{Event, Progress, step};
use crate::{Error, compile, download};

/// Goes into every bundle's name: a change of how bundles are laid out or images are written gives other bundles.
const FORMAT: &str = "bundle 1";

/// Held while files come: two runners would write the same parts.
pub(crate) const DOWNLOADS: &str = "downloads";

/// How long a download waits for the next bytes.
const STALL: Duration = Duration::from_secs(30);

/// Where software comes from. The versions are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Published files if their servers can be reached, else Go modules.
    Auto,
    /// Published files, by pin and sha256.
    Download,
    /// Go modules, by version and go.sum.
    Go,
}

/// The versions in a bundle and the names of its images, as other software has to be told them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    /// The Kubernetes minor: `1.36`.
    pub minor: String,
    /// `v1.36.3`, as kubeadm wants it.
    pub kubernetes: String,
    /// `3.6.14`.
    pub etcd: String,
    /// `2.3.4`.
    pub containerd: String,
    /// `1.4.3`.
    pub runc: String,
    /// The network plugins: `1.9.1`.
    pub cni: String,
    /// For kubeadm's `dns.imageRepository`: `registry.k8s.io/coredns`.
    pub coredns_repository: String,
    /// For kubeadm's `dns.imageTag`: `v1.14.4`.
    pub coredns_tag: String,
    /// For containerd's `sandbox`: `registry.k8s.io/pause:3.10.2`.
    pub pause_image: String,
    /// What `verify` runs in pods: `caravan.local/probe:0123456789ab`.
    pub probe_image: String,
    /// All images that a machine has from the start, kube-proxy's included, sorted.
    pub images: Vec<String>,
}

/// A bundle that is whole.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its name in the cache: the sum of the recipe it was made by.
    pub id: String,
    /// Where it lies.
    pub dir: PathBuf,
    /// What is in it.
    pub software: Software,
    /// Which of the two sources it was made from.
    pub source: Source,
    /// For which processors.
    pub arch: Arch,
    /// The sum over all of its files.
    pub content: String,
    /// How much it takes, in bytes.
    pub size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    source: Source,
    arch: Arch,
    software: Software,
    /// What compiled it, where something was compiled from Go modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    toolchain: Option<String>,
}

/// Makes sure that there is a bundle for Kubernetes `minor` (`1.36`) and this computer's processor.
///
/// A bundle that is in the cache, from the asked source or for [`Source::Auto`] from either, is checked and returned.
/// A damaged one is made again. `$CARAVAN_MIRROR` is asked instead of the published servers, if it is set: the file
/// `https://HOST/PATH` is looked for at `$CARAVAN_MIRROR/HOST/PATH`.
///
/// # Errors
///
/// [`Error`], with a hint for what is missing or cannot be reached.
pub fn ensure(
    cache: &Cache,
    minor: &str,
    source: Source,
    progress: &dyn Progress,
) -> Result<Bundle, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    let mirror = std::env::var("CARAVAN_MIRROR")
        .ok()
        .filter(|mirror| !mirror.is_empty());
    let downloader = Downloader::new(cache.downloads()?, mirror, STALL);
    let sources: &[Source] = match source {
        Source::Auto => &[Source::Download, Source::Go],
        Source::Download => &[Source::Download],
        Source::Go => &[Source::Go],
    };
    for &source in sources {
        if let Some(bundle) = find(cache, &id(&pins, source), progress)? {
            return Ok(bundle);
        }
    }
    match source {
        Source::Download | Source::Go => make(cache, &pins, source, &downloader, progress),
        Source::Auto => match reachable(cache, &pins, &downloader, progress) {
            Ok(()) => make(cache, &pins, Source::Download, &downloader, progress),
            Err(error) if error.is_unreachable() => {
                let why = reason(&error);
                let text = format!(
                    "the published files cannot be had ({why}); building the same versions from Go modules"
                );
                progress.event(&Event::Note { text: &text });
                make(cache, &pins, Source::Go, &downloader, progress)
            }
            Err(error) => Err(error),
        },
    }
}

/// Downloads one artifact: if that works, the others will.
fn reachable(
    cache: &Cache,
    pins: &Pins,
    downloader: &Downloader,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let _lock = cache.lock(DOWNLOADS, progress)?;
    // runc is the smallest.
    let first = pins
        .artifacts
        .iter()
        .find(|artifact| artifact.name == "runc");
    first.map_or(Ok(()), |artifact| downloader.fetch(artifact, progress))
}

/// An error and its causes, in one line.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

/// The bundle `id` if it is there and whole. A damaged one is told of and treated as absent.
fn find(cache: &Cache, id: &str, progress: &dyn Progress) -> Result<Option<Bundle>, Error> {
    let dir = cache.bundles()?.join(id);
    match entry::open(&dir) {
        Ok(None) => Ok(None),
        Ok(Some(manifest)) => Bundle::of(dir, &manifest).map(Some),
        Err(error @ (Error::Damaged { .. } | Error::Malformed { .. })) => {
            let text = format!("{error}; the bundle is made again");
            progress.event(&Event::Note { text: &text });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn make(
    cache: &Cache,
    pins: &Pins,
    source: Source,
    downloader: &Downloader,
    progress: &dyn Progress,
) -> Result<Bundle, Error> {
    let id = id(pins, source);
    let name = format!("bundle-{id}");
    let _lock = cache.lock(&name, progress)?;
    // Another runner may have made it while this one waited.
    if let Some(bundle) = find(cache, &id, progress)? {
        return Ok(bundle);
    }
    let workshop = cache.workshop(&name)?;
    let scratch = cache.workshop(&format!("{name}-scratch"))?;
    let log = cache.log(&name)?;
    let toolchain = match source {
        Source::Go => Some(compile::go(pins, &workshop, &scratch, &log, progress)?),
        Source::Download | Source::Auto => {
            let _lock = cache.lock(DOWNLOADS, progress)?;
            step(progress, "download the published files", || {
                downloader.fetch_all(&pins.artifacts, progress)?;
                pins.artifacts.iter().try_for_each(|artifact| {
                    download::place(artifact, &downloader.path(artifact), &workshop)
                })
            })?;
            None
        }
    };
    for program in [&PAUSE, &PROBE] {
        compile::own(
            program,
            &workshop.join("image").join(program.name),
            &scratch,
            &log,
            progress,
        )?;
    }
    let software = software(pins);
    step(progress, "write the container images", || {
        write_images(pins, &software, &workshop)
    })?;
    crate::cache::remove_tree(&scratch)?;
    let place = cache.bundles()?.join(&id);
    let about = About {
        source,
        arch: pins.arch,
        software,
        toolchain,
    };
    let manifest = entry::finish(&workshop, &place, about)?;
    if source == Source::Download {
        downloader.clear(&pins.artifacts)?;
    }
    Bundle::of(place, &manifest)
}

/// Turns `image/NAME` into `images/NAME.tar`. kube-proxy's stays a program: its image also needs the packet filter tools
/// of the base system, which the bake knows.
fn write_images(pins: &Pins, software: &Software, bundle: &Path) -> Result<(), Error> {
    let folder = bundle.join("images");
    fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    for (program, name) in images(pins) {
        if program == KUBE_PROXY {
            continue;
        }
        let file = bundle.join("image").join(program);
        let to = folder.join(format!("{program}.tar"));
        let path = format!("/usr/local/bin/{program}");
        let image = Image {
            name: &name,
            arch: pins.arch,
            below: &[],
            program: (program, &file),
            entrypoint: &[&path],
        };
        oci::write(&image, &to).map_err(Error::file("write", &to))?;
        fs::remove_file(&file).map_err(Error::file("remove", &file))?;
    }
    debug_assert_eq!(software.images.len(), images(pins).len());
    Ok(())
}

pub(crate) const KUBE_PROXY: &str = "kube-proxy";

/// Program -> image, for every image of a machine.
fn images(pins: &Pins) -> Vec<(&'static str, String)> {
    let kubernetes = &pins.versions.kubernetes;
    let mut images: Vec<(&'static str, String)> = [
        "kube-apiserver",
        "kube-controller-manager",
        KUBE_PROXY,
        "kube-scheduler",
    ]
    .into_iter()
    .map(|program| (program, format!("registry.k8s.io/{program}:v{kubernetes}")))
    .collect();
    images.push((
        "coredns",
        format!("registry.k8s.io/coredns/coredns:v{}", pins.versions.coredns),
    ));
    images.push((
        "pause",
        format!("registry.k8s.io/pause:{}", pins.versions.pause),
    ));
    images.push((
        "probe",
        format!(
            "caravan.local/probe:{}",
            &digest::of_bytes(PROBE.source.as_bytes())[..12]
        ),
    ));
    images
}

fn software(pins: &Pins) -> Software {
    let versions = &pins.versions;
    let images = images(pins);
    let named = |program: &str| {
        images
            .iter()
            .find(|(known, _)| *known == program)
            .map_or_else(String::new, |(_, name)| name.clone())
    };
    let mut names: Vec<String> = images.iter().map(|(_, name)| name.clone()).collect();
    names.sort();
    Software {
        minor: pins.minor.clone(),
        kubernetes: format!("v{}", versions.kubernetes),
        etcd: versions.etcd.clone(),
        containerd: versions.containerd.clone(),
        runc: versions.runc.clone(),
        cni: versions.cni.clone(),
        coredns_repository: "registry.k8s.io/coredns".to_owned(),
        coredns_tag: format!("v{}", versions.coredns),
        pause_image: named("pause"),
        probe_image: named("probe"),
        images: names,
    }
}

/// The software that a bundle for Kubernetes `minor` has, without making one.
///
/// # Errors
///
/// [`Error::UnknownMinor`] and [`Error::UnknownProcessor`].
pub fn software_of(minor: &str) -> Result<Software, Error> {
    Ok(software(&Pins::of(minor, Arch::host()?)?))
}

/// The name of the bundle that `source` gives for `pins`.
fn id(pins: &Pins, source: Source) -> String {
    let mut recipe = Recipe::new(FORMAT);
    recipe.add(&pins.minor);
    recipe.add(pins.arch.as_str());
    match source {
        Source::Go => {
            recipe.add("go");
            for component in &COMPONENTS {
                component
                    .ingredients(&pins.versions)
                    .iter()
                    .for_each(|part| recipe.add(part));
            }
        }
        Source::Download | Source::Auto => {
            recipe.add("download");
            for artifact in &pins.artifacts {
                recipe.add(&artifact.sha256);
                for (member, place) in &artifact.take {
                    recipe.add(member);
                    recipe.add(place);
                }
            }
        }
    }
    for (program, name) in images(pins) {
        recipe.add(program);
        recipe.add(name);
    }
    for program in [&PAUSE, &PROBE] {
        recipe.add(program.source);
    }
    RUSTC_FLAGS.iter().for_each(|flag| recipe.add(flag));
    recipe.name()
}

impl Bundle {
    pub(crate) fn of(dir: PathBuf, manifest: &Manifest) -> Result<Self, Error> {
        let about: About = manifest.about(&dir)?;
        Ok(Self {
            id: manifest.id.clone(),
            software: about.software,
            source: about.source,
            arch: about.arch,
            content: manifest.content(),
            size: manifest.size(),
            dir,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_pins_and_processors_have_bundles_of_their_own() {
        let pins = Pins::of("1.36", Arch::Amd64).unwrap();
        let mut newer = pins.clone();
        newer.artifacts[0].sha256 = "0".repeat(64);
        let ids = [
            id(&pins, Source::Download),
            id(&pins, Source::Go),
            id(&newer, Source::Download),
            id(&Pins::of("1.36", Arch::Arm64).unwrap(), Source::Download),
        ];
        for (place, one) in ids.iter().enumerate() {
            assert!(!ids[..place].contains(one), "{place}");
        }
        assert_eq!(
            id(&pins, Source::Go),
            id(&newer, Source::Go),
            "sums of downloads do not touch Go builds"
        );
    }

    #[test]
    fn images_are_named_as_kubeadm_expects() {
        let software = software_of("1.36").unwrap();
        let expected = [
            "registry.k8s.io/coredns/coredns:v1.14.4",
            "registry.k8s.io/kube-apiserver:v1.36.3",
            "registry.k8s.io/kube-controller-manager:v1.36.3",
            "registry.k8s.io/kube-proxy:v1.36.3",
            "registry.k8s.io/kube-scheduler:v1.36.3",
            "registry.k8s.io/pause:3.10.2",
        ];
        assert_eq!(software.images[1..], expected);
        assert_eq!(software.images[0], software.probe_image);
        assert!(software.probe_image.starts_with("caravan.local/probe:"));
        assert_eq!(
            format!(
                "{}/coredns:{}",
                software.coredns_repository, software.coredns_tag
            ),
            expected[0]
        );
        assert_eq!(software.pause_image, expected[5]);
    }
}
