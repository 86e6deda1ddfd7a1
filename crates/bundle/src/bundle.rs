//! Bundles: all software of a lab, made once per content.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::{Cache, DOWNLOADS};
use crate::compile::{PAUSE, PROBE, RUSTC_FLAGS, Site, Tools};
use crate::components::COMPONENTS;
use crate::digest::Recipe;
use crate::download::Downloader;
use crate::entry::{self, MANIFEST, Manifest};
use crate::known::{self, KnownSettings};
use crate::oci::{self, Image};
use crate::pins::{Arch, Pins};
use crate::progress::{BundleEvent, Progress, Silent, step};
use crate::software::{KUBE_PROXY, Software, images, software};
use crate::source::{DownloadSettings, SoftwareSource, published_or_go};
use crate::{Error, compile, download};

/// Goes into every bundle's name: a change of how bundles are laid out or images are written gives other bundles.
const FORMAT: &str = "bundle 1";

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
    pub source: SoftwareSource,
    /// For which processors.
    pub arch: Arch,
    /// The sum over all of its files.
    pub content: String,
    /// How much it takes, in bytes.
    pub size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    source: SoftwareSource,
    arch: Arch,
    software: Software,
    /// What its programs know; `None` in bundles of older versions, and where the programs cannot be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known: Option<KnownSettings>,
    /// What compiled it, where something was compiled from Go modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    toolchain: Option<String>,
}

/// Makes sure that there is a bundle for Kubernetes `minor` (`1.36`) and this computer's processor.
///
/// A bundle that is in the cache, from the asked source or for [`SoftwareSource::Auto`] from either, is checked and returned.
/// A damaged one is made again.
///
/// # Errors
///
/// [`Error`], with a hint for what is missing or cannot be reached.
pub fn ensure(
    cache: &Cache,
    minor: &str,
    source: SoftwareSource,
    settings: &DownloadSettings,
    progress: &dyn Progress,
) -> Result<Bundle, Error> {
    Maker {
        cache,
        pins: Pins::of(minor, Arch::host()?)?,
        downloader: Downloader::of(cache, settings)?,
        tools: Tools::default(),
        progress,
    }
    .ensure(source)
}

/// Whether the cache has a whole bundle that [`ensure`] would return without making one.
///
/// # Errors
///
/// [`Error`] when nothing is pinned for `minor`, or the cache cannot be read.
pub fn is_made(cache: &Cache, minor: &str, source: SoftwareSource) -> Result<bool, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    for &source in source.choices() {
        if find(cache, &id(&pins, source), &Silent)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The whole bundle that [`ensure`] would return without making one, and what its programs know; `None`: there is none.
///
/// What the programs of a bundle of an older version know is asked once, and kept in its manifest from then on. Where they
/// cannot be run, which `progress` is told, nothing is known.
///
/// # Errors
///
/// As [`is_made`].
pub fn find_made(
    cache: &Cache,
    minor: &str,
    source: SoftwareSource,
    progress: &dyn Progress,
) -> Result<Option<(Bundle, Option<KnownSettings>)>, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    for &source in source.choices() {
        let id = id(&pins, source);
        if let Some(bundle) = find(cache, &id, &Silent)? {
            let known = bundle.known(cache, progress)?;
            return Ok(Some((bundle, known)));
        }
    }
    Ok(None)
}

/// What `ask` finds out; where that fails, nothing is known, which is told.
fn or_unknown(
    asked: Result<KnownSettings, Error>,
    progress: &dyn Progress,
) -> Result<Option<KnownSettings>, Error> {
    match asked {
        Ok(known) => Ok(Some(known)),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            let text = format!(
                "which flags and feature gates its programs have is not known ({error}); settings of labs are not held against them"
            );
            progress.event(&BundleEvent::Note { text: &text });
            Ok(None)
        }
    }
}

/// What making a bundle takes.
struct Maker<'a> {
    cache: &'a Cache,
    pins: Pins,
    downloader: Downloader,
    tools: Tools,
    progress: &'a dyn Progress,
}

impl Maker<'_> {
    fn ensure(&self, source: SoftwareSource) -> Result<Bundle, Error> {
        for &source in source.choices() {
            if let Some(bundle) = find(self.cache, &id(&self.pins, source), self.progress)? {
                return Ok(bundle);
            }
        }
        let source = match source {
            SoftwareSource::Download | SoftwareSource::Go => source,
            SoftwareSource::Auto => published_or_go(self.reach(), self.progress, |why| {
                format!(
                    "the published files cannot be had ({why}); building the same versions from Go modules"
                )
            })?,
        };
        self.make(source)
    }

    /// Downloads one artifact: if that works, the others will.
    fn reach(&self) -> Result<(), Error> {
        let _lock = self.cache.lock(DOWNLOADS, self.progress)?;
        // runc is the smallest.
        let first = self
            .pins
            .artifacts
            .iter()
            .find(|artifact| artifact.name == "runc");
        first.map_or(Ok(()), |artifact| {
            self.downloader.fetch(artifact, self.progress)
        })
    }

    fn make(&self, source: SoftwareSource) -> Result<Bundle, Error> {
        let (cache, pins, progress) = (self.cache, &self.pins, self.progress);
        let id = id(pins, source);
        let name = format!("bundle-{id}");
        let _lock = cache.lock(&name, progress)?;
        // Another runner may have made it while this one waited.
        if let Some(bundle) = find(cache, &id, progress)? {
            return Ok(bundle);
        }
        let workshop = cache.workshop(&name)?;
        let scratch = cache.workshop(&format!("{name}-scratch"))?;
        let site = Site {
            bundle: &workshop,
            scratch: &scratch,
            log: &cache.log(&name)?,
            progress,
        };
        let toolchain = match source {
            SoftwareSource::Go => {
                // Measured with every cache empty; nobody should take the first of these steps for one that hangs.
                progress.event(&BundleEvent::Note {
                    text: "software is built from Go modules, once: about ten minutes on two cores",
                });
                Some(compile::go(&COMPONENTS, pins, &self.tools, &site)?)
            }
            SoftwareSource::Download | SoftwareSource::Auto => {
                step(progress, "download the published files", || {
                    self.download(&workshop)
                })?;
                None
            }
        };
        for program in [&PAUSE, &PROBE] {
            compile::own(
                program,
                &workshop.join("image").join(program.name),
                &self.tools,
                &site,
            )?;
        }
        let asked = known::ask(&workshop, &workshop.join("image"), &scratch);
        let known = or_unknown(asked, progress)?;
        step(progress, "write the container images", || {
            write_images(pins, &workshop)
        })?;
        let place = cache.bundles()?.join(&id);
        let about = About {
            source,
            arch: pins.arch,
            software: software(pins),
            known,
            toolchain,
        };
        let manifest = entry::finish(&workshop, &place, about)?;
        if source == SoftwareSource::Download {
            let sums = pins
                .artifacts
                .iter()
                .map(|artifact| artifact.sha256.as_str());
            self.downloader.clear(sums)?;
        }
        Bundle::of(place, &manifest)
    }

    fn download(&self, bundle: &Path) -> Result<(), Error> {
        let _lock = self.cache.lock(DOWNLOADS, self.progress)?;
        let artifacts = &self.pins.artifacts;
        self.downloader.fetch_artifacts(artifacts, self.progress)?;
        artifacts.iter().try_for_each(|artifact| {
            download::place(artifact, &self.downloader.path(&artifact.sha256), bundle)
        })
    }
}

/// The bundle `id` if it is there and whole. A damaged one is told of and treated as absent.
fn find(cache: &Cache, id: &str, progress: &dyn Progress) -> Result<Option<Bundle>, Error> {
    let dir = cache.bundles()?.join(id);
    entry::usable(&dir, "the bundle", progress)?
        .map(|manifest| Bundle::of(dir, &manifest))
        .transpose()
}

/// Turns `image/NAME` into `images/NAME.tar`. kube-proxy's stays a program: its image also needs the packet filter tools
/// of the base system, which the bake knows.
fn write_images(pins: &Pins, bundle: &Path) -> Result<(), Error> {
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
    Ok(())
}

/// The name of the bundle that `source` gives for `pins`.
fn id(pins: &Pins, source: SoftwareSource) -> String {
    let mut recipe = Recipe::new(FORMAT);
    recipe.add(&pins.minor);
    recipe.add(pins.arch.as_str());
    match source {
        SoftwareSource::Go => {
            recipe.add("go");
            for component in &COMPONENTS {
                component
                    .ingredients(&pins.versions)
                    .iter()
                    .for_each(|part| recipe.add(part));
            }
        }
        SoftwareSource::Download | SoftwareSource::Auto => {
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
    /// What its programs know; of a bundle of an older version they are asked, and its manifest says it from then on.
    fn known(
        &self,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Option<KnownSettings>, Error> {
        let _lock = cache.lock(&format!("bundle-{}", self.id), progress)?;
        let Some(mut manifest) = entry::read(&self.dir)? else {
            return Ok(None);
        };
        let mut about: About = manifest.about(&self.dir)?;
        if about.known.is_none()
            && let Some(known) = or_unknown(known::ask_whole(cache, &self.dir), progress)?
        {
            about.known = Some(known);
            let path = self.dir.join(MANIFEST);
            manifest.about = serde_json::to_value(&about).map_err(|source| Error::Malformed {
                path: path.clone(),
                source,
            })?;
            entry::write_json(&path, &manifest)?;
        }
        Ok(about.known)
    }

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
pub(crate) mod tests;
