//! What a lab may ask for beyond a bundle, made once like bundles, and only for labs that ask: a pod network (flannel,
//! Calico), volumes (local-path-provisioner), metrics (the metrics server), addresses for services (MetalLB).
//!
//! A bundle knows nothing of it, so labs without it keep their bundle and their machine image. From Go modules it is
//! programs, which become images when a machine image is baked (`image/`); from downloads it is the published images
//! (`images/`), and the published manifest where it is used.

mod digests;
mod kind;
mod recipe;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::kind::AddOnKind;
pub(crate) use self::recipe::current_ids;
use self::recipe::id;
use crate::cache::{Cache, DOWNLOADS};
use crate::compile::{Site, Tools};
use crate::download::{Downloader, Wanted};
use crate::entry::{self, Manifest};
use crate::pins::{Arch, Pins};
use crate::progress::{Progress, Silent, step};
use crate::registry::{Reference, Registry};
use crate::source::{DownloadSettings, SoftwareSource, published_or_go};
use crate::{Error, compile};

/// Where the published manifest is in an add-on.
const PUBLISHED: &str = "manifest.yaml";

/// An add-on that is whole.
#[derive(Debug, Clone)]
pub struct AddOn {
    /// Its name in the cache: the sum of the recipe it was made by.
    pub id: String,
    /// Where it lies.
    pub dir: PathBuf,
    /// What it is.
    pub kind: AddOnKind,
    /// Its version, without a `v`.
    pub version: String,
    /// Which of the two sources it was made from.
    pub source: SoftwareSource,
    /// For which processors.
    pub arch: Arch,
    /// Its images, as machines know them; with digests where they came from a registry.
    pub images: Vec<AddOnImage>,
    /// The sum over all of its files.
    pub content: String,
    /// How much it takes, in bytes.
    pub size: u64,
}

/// An image of an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddOnImage {
    /// With its registry and tag.
    pub name: String,
    /// The registry's digest of it, `sha256:...`; none of an image that was written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A program of an add-on that becomes an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddOnProgram {
    /// The image's name.
    pub(crate) image: String,
    /// The program's.
    pub(crate) name: &'static str,
    /// Where it lies.
    pub(crate) file: PathBuf,
    /// Whether its image has the packet filter tools of the base system.
    pub(crate) over_tools: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    /// Was a pod network, always, when the first of them were made.
    #[serde(alias = "network")]
    kind: AddOnKind,
    version: String,
    source: SoftwareSource,
    arch: Arch,
    images: Vec<AddOnImage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    toolchain: Option<String>,
}

/// Makes sure that there is the add-on `kind` for Kubernetes `minor` and this computer's processor.
///
/// One that is in the cache, from the asked source or for [`SoftwareSource::Auto`] from either, is checked and returned.
///
/// # Errors
///
/// [`Error::NotBuilt`] for Calico from Go modules; others with a hint for what is missing or cannot be reached.
pub fn ensure(
    cache: &Cache,
    minor: &str,
    kind: AddOnKind,
    source: SoftwareSource,
    settings: &DownloadSettings,
    progress: &dyn Progress,
) -> Result<AddOn, Error> {
    Maker {
        cache,
        pins: Pins::of(minor, Arch::host()?)?,
        kind,
        downloader: Downloader::of(cache, settings)?,
        registry: settings.registry.clone(),
        tools: Tools::default(),
        progress,
    }
    .ensure(source)
}

/// Whether the cache has a whole add-on that [`ensure`] would return without making one.
///
/// # Errors
///
/// [`Error::NotBuilt`], and whatever reading the pins or the cache meets.
pub fn is_made(
    cache: &Cache,
    minor: &str,
    kind: AddOnKind,
    source: SoftwareSource,
) -> Result<bool, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    for &source in sources(kind, source)? {
        let place = cache.add_ons()?.join(id(&pins, kind, source));
        if entry::usable(&place, kind, &Silent)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The sources whose add-ons will do for `source`.
fn sources(kind: AddOnKind, source: SoftwareSource) -> Result<&'static [SoftwareSource], Error> {
    match (kind.component(), source) {
        (Some(_), _) => Ok(source.choices()),
        (None, SoftwareSource::Auto | SoftwareSource::Download) => Ok(&[SoftwareSource::Download]),
        (None, SoftwareSource::Go) => Err(Error::NotBuilt {
            network: kind.as_str(),
        }),
    }
}

/// The add-on that [`ensure`] would find in the cache; its files are not looked at.
///
/// # Errors
///
/// [`Error::UnknownMinor`], [`Error::UnknownProcessor`], and what reading the cache meets.
pub fn find(cache: &Cache, minor: &str, kind: AddOnKind) -> Result<Option<AddOn>, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    for source in [SoftwareSource::Download, SoftwareSource::Go] {
        let place = cache.add_ons()?.join(id(&pins, kind, source));
        if let Some(manifest) = entry::read(&place)? {
            return AddOn::of(place, &manifest).map(Some);
        }
    }
    Ok(None)
}

/// The names of an add-on's images for Kubernetes `minor`, as machines of labs with it know them: those that its project
/// publishes, in the order of the pins, then ours where it has one.
///
/// # Errors
///
/// [`Error::UnknownMinor`] and [`Error::UnknownProcessor`].
pub fn image_names(minor: &str, kind: AddOnKind) -> Result<Vec<String>, Error> {
    Ok(recipe::images(&Pins::of(minor, Arch::host()?)?, kind))
}

/// What making an add-on takes.
struct Maker<'a> {
    cache: &'a Cache,
    pins: Pins,
    kind: AddOnKind,
    downloader: Downloader,
    /// The registry that is asked instead of those that images are named by.
    registry: Option<String>,
    tools: Tools,
    progress: &'a dyn Progress,
}

impl Maker<'_> {
    fn ensure(&self, source: SoftwareSource) -> Result<AddOn, Error> {
        let sources = sources(self.kind, source)?;
        for &source in sources {
            if let Some(found) = self.cached(source)? {
                return Ok(found);
            }
        }
        let source = match sources {
            [only] => *only,
            _ => published_or_go(self.reach(), self.progress, |why| {
                let kind = self.kind;
                format!(
                    "{kind}'s published image cannot be had ({why}); building it from Go modules"
                )
            })?,
        };
        self.make(source)
    }

    /// The add-on of `source` if it is there and whole. A damaged one is told of and treated as absent.
    fn cached(&self, source: SoftwareSource) -> Result<Option<AddOn>, Error> {
        let place = self.place(source)?;
        entry::usable(&place, self.kind, self.progress)?
            .map(|manifest| AddOn::of(place, &manifest))
            .transpose()
    }

    fn place(&self, source: SoftwareSource) -> Result<PathBuf, Error> {
        let id = id(&self.pins, self.kind, source);
        Ok(self.cache.add_ons()?.join(id))
    }

    fn registry(&self) -> Registry<'_> {
        Registry::new(&self.downloader, self.registry.clone())
    }

    /// Asks for one manifest: if that works, the rest will.
    fn reach(&self) -> Result<(), Error> {
        let mut published = self.pins.images_of(self.kind.as_str());
        let first = published.next().map_or("", |image| image.name.as_str());
        self.registry().resolve(&Reference::parse(first)?).map(drop)
    }

    fn make(&self, source: SoftwareSource) -> Result<AddOn, Error> {
        let place = self.place(source)?;
        let name = format!("add-on-{}", id(&self.pins, self.kind, source));
        let _lock = self.cache.lock(&name, self.progress)?;
        // Another runner may have made it while this one waited.
        if let Some(found) = self.cached(source)? {
            return Ok(found);
        }
        let workshop = self.cache.workshop(&name)?;
        let scratch = self.cache.workshop(&format!("{name}-scratch"))?;
        let site = Site {
            bundle: &workshop,
            scratch: &scratch,
            log: &self.cache.log(&name)?,
            progress: self.progress,
        };
        let (mut images, toolchain) = match (source, self.kind.component()) {
            (SoftwareSource::Go, Some(component)) => {
                let component = std::slice::from_ref(component);
                let toolchain = compile::go(component, &self.pins, &self.tools, &site)?;
                let published = self.pins.images_of(self.kind.as_str());
                let images = published.map(|it| AddOnImage::written(it.name.clone()));
                (images.collect(), Some(toolchain))
            }
            _ => {
                let text = format!("download {}", self.kind);
                let images = step(self.progress, &text, || self.download(&workshop))?;
                (images, None)
            }
        };
        if let Some(own) = self.kind.own() {
            let to = workshop.join("image").join(own.name);
            compile::own(own, &to, &self.tools, &site)?;
            images.push(AddOnImage::written(recipe::own_image(own)));
        }
        let version = self.pins.versions.of(self.kind.as_str());
        let about = About {
            kind: self.kind,
            version: version.cloned().unwrap_or_default(),
            source,
            arch: self.pins.arch,
            images,
            toolchain,
        };
        let manifest = entry::finish(&workshop, &place, about)?;
        AddOn::of(place, &manifest)
    }

    fn download(&self, workshop: &Path) -> Result<Vec<AddOnImage>, Error> {
        let _lock = self.cache.lock(DOWNLOADS, self.progress)?;
        let name = self.kind.as_str();
        let folder = workshop.join("images");
        fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
        let mut sums = Vec::new();
        if let Some(manifest) = self.pins.manifest_of(name) {
            let wanted = Wanted {
                name: PUBLISHED,
                url: &self.downloader.address(&manifest.url),
                sha256: &manifest.sha256,
                token: None,
            };
            self.downloader.fetch_all(&[wanted], self.progress)?;
            let from = self.downloader.path(&manifest.sha256);
            fs::copy(&from, workshop.join(PUBLISHED)).map_err(Error::file("copy", &from))?;
            sums.push(manifest.sha256.clone());
        }
        let registry = self.registry();
        let mut images = Vec::new();
        for published in self.pins.images_of(name) {
            let image = Reference::parse(&published.name)?;
            let digest = match &published.digest {
                Some(pinned) => pinned.clone(),
                None => digests::of(self.cache, &image, &registry, self.progress)?,
            };
            let file = image.repository.rsplit('/').next().unwrap_or(name);
            let to = folder.join(format!("{name}-{file}.tar"));
            let pulled = registry.pull(&image, &digest, self.pins.arch, &to, self.progress)?;
            sums.extend(pulled);
            images.push(AddOnImage {
                name: image.name,
                digest: Some(digest),
            });
        }
        self.downloader.clear(sums.iter().map(String::as_str))?;
        Ok(images)
    }
}

impl AddOnImage {
    /// One that is written here.
    fn written(name: String) -> Self {
        Self { name, digest: None }
    }
}

impl AddOn {
    pub(crate) fn of(dir: PathBuf, manifest: &Manifest) -> Result<Self, Error> {
        let about: About = manifest.about(&dir)?;
        Ok(Self {
            id: manifest.id.clone(),
            kind: about.kind,
            version: about.version,
            source: about.source,
            arch: about.arch,
            images: about.images,
            content: manifest.content(),
            size: manifest.size(),
            dir,
        })
    }

    /// The manifest that its project publishes, where machines use that.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be read.
    pub fn published_manifest(&self) -> Result<Option<String>, Error> {
        let path = self.dir.join(PUBLISHED);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }

    /// The programs that become images: of an add-on from downloads our own alone.
    pub(crate) fn programs(&self) -> impl Iterator<Item = AddOnProgram> + '_ {
        let of_image = self.images.iter().zip(self.kind.programs());
        let all = of_image.map(|(image, program)| AddOnProgram {
            image: image.name.clone(),
            name: program.name,
            file: self.dir.join("image").join(program.name),
            over_tools: program.over_tools,
        });
        all.filter(|program| program.file.exists())
    }

    /// The folder of image archives, where it has one.
    pub(crate) fn archives(&self) -> Option<PathBuf> {
        let folder = self.dir.join("images");
        folder.is_dir().then_some(folder)
    }
}

#[cfg(test)]
mod tests;
