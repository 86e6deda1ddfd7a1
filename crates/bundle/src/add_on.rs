//! What a lab's pod network needs beyond a bundle: flannel or Calico, made once like bundles, and only for labs that ask.
//!
//! A bundle knows nothing of it, so labs without it keep their bundle and their machine image. From Go modules it is a
//! program, which becomes an image when a machine image is baked (`image/`); from downloads it is the published images
//! (`images/`), and the published manifest where it is used.

mod digests;
mod network;
mod recipe;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::network::Network;
pub(crate) use self::recipe::current_ids;
use self::recipe::{first_image, id};
use crate::cache::{Cache, DOWNLOADS};
use crate::compile::{Site, Tools};
use crate::components::FLANNEL;
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
    pub network: Network,
    /// Its version, without a `v`.
    pub version: String,
    /// Which of the two sources it was made from.
    pub source: SoftwareSource,
    /// For which processors.
    pub arch: Arch,
    /// Its images, as machines know them; with digests where they came from a registry.
    pub images: Vec<NetworkImage>,
    /// The sum over all of its files.
    pub content: String,
    /// How much it takes, in bytes.
    pub size: u64,
}

/// An image of an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkImage {
    /// With its registry and tag.
    pub name: String,
    /// The registry's digest of it, `sha256:...`; none of an image that was written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    network: Network,
    version: String,
    source: SoftwareSource,
    arch: Arch,
    images: Vec<NetworkImage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    toolchain: Option<String>,
}

/// Makes sure that there is `network` for Kubernetes `minor` and this computer's processor.
///
/// One that is in the cache, from the asked source or for [`SoftwareSource::Auto`] from either, is checked and returned.
///
/// # Errors
///
/// [`Error::NotBuilt`] for Calico from Go modules; others with a hint for what is missing or cannot be reached.
pub fn ensure(
    cache: &Cache,
    minor: &str,
    network: Network,
    source: SoftwareSource,
    settings: &DownloadSettings,
    progress: &dyn Progress,
) -> Result<AddOn, Error> {
    Maker {
        cache,
        pins: Pins::of(minor, Arch::host()?)?,
        network,
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
    network: Network,
    source: SoftwareSource,
) -> Result<bool, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    for &source in sources(network, source)? {
        let place = cache.add_ons()?.join(id(&pins, network, source));
        if entry::usable(&place, network, &Silent)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The sources whose add-ons will do for `source`.
fn sources(network: Network, source: SoftwareSource) -> Result<&'static [SoftwareSource], Error> {
    match (network, source) {
        (Network::Flannel, _) => Ok(source.choices()),
        (Network::Calico, SoftwareSource::Auto | SoftwareSource::Download) => {
            Ok(&[SoftwareSource::Download])
        }
        (Network::Calico, SoftwareSource::Go) => Err(Error::NotBuilt {
            network: network.as_str(),
        }),
    }
}

/// The add-on that [`ensure`] would find in the cache; its files are not looked at.
///
/// # Errors
///
/// [`Error::UnknownMinor`], [`Error::UnknownProcessor`], and what reading the cache meets.
pub fn find(cache: &Cache, minor: &str, network: Network) -> Result<Option<AddOn>, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    for source in [SoftwareSource::Download, SoftwareSource::Go] {
        let place = cache.add_ons()?.join(id(&pins, network, source));
        if let Some(manifest) = entry::read(&place)? {
            return AddOn::of(place, &manifest).map(Some);
        }
    }
    Ok(None)
}

/// The name of flannel's image for Kubernetes `minor`, as machines of labs with that pod network know it.
///
/// # Errors
///
/// [`Error::UnknownMinor`] and [`Error::UnknownProcessor`].
pub fn flannel_image(minor: &str) -> Result<String, Error> {
    let pins = Pins::of(minor, Arch::host()?)?;
    Ok(first_image(&pins, Network::Flannel))
}

/// What making an add-on takes.
struct Maker<'a> {
    cache: &'a Cache,
    pins: Pins,
    network: Network,
    downloader: Downloader,
    /// The registry that is asked instead of those that images are named by.
    registry: Option<String>,
    tools: Tools,
    progress: &'a dyn Progress,
}

impl Maker<'_> {
    fn ensure(&self, source: SoftwareSource) -> Result<AddOn, Error> {
        let sources = sources(self.network, source)?;
        for &source in sources {
            if let Some(found) = self.cached(source)? {
                return Ok(found);
            }
        }
        let source = match sources {
            [only] => *only,
            _ => published_or_go(self.reach(), self.progress, |why| {
                let network = self.network;
                format!(
                    "{network}'s published image cannot be had ({why}); building it from Go modules"
                )
            })?,
        };
        self.make(source)
    }

    /// The add-on of `source` if it is there and whole. A damaged one is told of and treated as absent.
    fn cached(&self, source: SoftwareSource) -> Result<Option<AddOn>, Error> {
        let place = self.place(source)?;
        entry::usable(&place, self.network, self.progress)?
            .map(|manifest| AddOn::of(place, &manifest))
            .transpose()
    }

    fn place(&self, source: SoftwareSource) -> Result<PathBuf, Error> {
        let id = id(&self.pins, self.network, source);
        Ok(self.cache.add_ons()?.join(id))
    }

    fn registry(&self) -> Registry<'_> {
        Registry::new(&self.downloader, self.registry.clone())
    }

    /// Asks for one manifest: if that works, the rest will.
    fn reach(&self) -> Result<(), Error> {
        let image = Reference::parse(&first_image(&self.pins, self.network))?;
        self.registry().resolve(&image).map(drop)
    }

    fn make(&self, source: SoftwareSource) -> Result<AddOn, Error> {
        let place = self.place(source)?;
        let name = format!("add-on-{}", id(&self.pins, self.network, source));
        let _lock = self.cache.lock(&name, self.progress)?;
        // Another runner may have made it while this one waited.
        if let Some(found) = self.cached(source)? {
            return Ok(found);
        }
        let workshop = self.cache.workshop(&name)?;
        let (images, toolchain) = match source {
            SoftwareSource::Go => {
                let (images, toolchain) = self.build(&name, &workshop)?;
                (images, Some(toolchain))
            }
            SoftwareSource::Download | SoftwareSource::Auto => {
                let text = format!("download {}", self.network);
                let images = step(self.progress, &text, || self.download(&workshop))?;
                (images, None)
            }
        };
        let version = self.pins.versions.of(self.network.as_str());
        let about = About {
            network: self.network,
            version: version.cloned().unwrap_or_default(),
            source,
            arch: self.pins.arch,
            images,
            toolchain,
        };
        let manifest = entry::finish(&workshop, &place, about)?;
        AddOn::of(place, &manifest)
    }

    fn build(&self, name: &str, workshop: &Path) -> Result<(Vec<NetworkImage>, String), Error> {
        let scratch = self.cache.workshop(&format!("{name}-scratch"))?;
        let site = Site {
            bundle: workshop,
            scratch: &scratch,
            log: &self.cache.log(name)?,
            progress: self.progress,
        };
        let toolchain = compile::go(&[FLANNEL], &self.pins, &self.tools, &site)?;
        let image = NetworkImage {
            name: first_image(&self.pins, self.network),
            digest: None,
        };
        Ok((vec![image], toolchain))
    }

    fn download(&self, workshop: &Path) -> Result<Vec<NetworkImage>, Error> {
        let _lock = self.cache.lock(DOWNLOADS, self.progress)?;
        let network = self.network.as_str();
        let folder = workshop.join("images");
        fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
        let mut sums = Vec::new();
        if let Some(manifest) = self.pins.manifest_of(network) {
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
        for published in self.pins.images_of(network) {
            let image = Reference::parse(&published.name)?;
            let digest = match &published.digest {
                Some(pinned) => pinned.clone(),
                None => digests::of(self.cache, &image, &registry, self.progress)?,
            };
            let file = image.repository.rsplit('/').next().unwrap_or(network);
            let to = folder.join(format!("{network}-{file}.tar"));
            let pulled = registry.pull(&image, &digest, self.pins.arch, &to, self.progress)?;
            sums.extend(pulled);
            images.push(NetworkImage {
                name: image.name,
                digest: Some(digest),
            });
        }
        self.downloader.clear(sums.iter().map(String::as_str))?;
        Ok(images)
    }
}

impl AddOn {
    pub(crate) fn of(dir: PathBuf, manifest: &Manifest) -> Result<Self, Error> {
        let about: About = manifest.about(&dir)?;
        Ok(Self {
            id: manifest.id.clone(),
            network: about.network,
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

    /// The program that becomes an image over the base system's packet filter tools: image, program, file.
    pub(crate) fn program(&self) -> Option<(&str, &'static str, PathBuf)> {
        let file = self.dir.join("image/flanneld");
        let name = self.images.first()?.name.as_str();
        file.exists().then_some((name, "flanneld", file))
    }

    /// The folder of image archives, where it has one.
    pub(crate) fn archives(&self) -> Option<PathBuf> {
        let folder = self.dir.join("images");
        folder.is_dir().then_some(folder)
    }
}

#[cfg(test)]
mod tests;
