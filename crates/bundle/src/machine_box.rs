//! Boxes: machine images with a kernel, as disks of virtual machines, made once per content.
//!
//! ```text
//! caravan-machine:CONTENT (a container of it, with the host's network)
//!        + kernel, udev, initramfs, a network of its own (image/vm/)
//!                    |
//!                 export
//!                    |
//! caravan-tools:CONTENT (a container of it, without any network, device or mount)
//!        boot partition, ext4 by `mke2fs -d`, partition table (image/disk/)
//!                    |
//!        qcow2 (libvirt)          VMDK + OVF (VirtualBox)
//!                    |
//!        boxes/ID/machine.box, and box.json, which Vagrant reads
//! ```
//!
//! A box that is in the cache is found without the container engine.

mod baking;
mod catalogue;
mod package;
mod packages;
mod recipe;

use std::fmt;
use std::path::PathBuf;

use caravan_docker::DockerCli;
use serde::{Deserialize, Serialize};

pub(crate) use self::baking::{TOOLS, TOOLS_LABEL};
use self::packages::Firmware;
use crate::add_on::{AddOn, AddOnKind};
use crate::base::Base;
use crate::bundle::Bundle;
use crate::cache::Cache;
use crate::entry::{self, Manifest};
use crate::pins::Arch;
use crate::progress::Progress;
use crate::shelf::entries;
use crate::{Error, base, image};

/// The file that Vagrant unpacks.
pub(crate) const FILE: &str = "machine.box";

/// Beside it, what Vagrant reads first: `box_url` names it. It has absolute paths, so each computer writes its own.
pub(crate) const CATALOGUE: &str = "box.json";

/// How large the disk is for the machine, in GiB; what nobody wrote takes no place.
pub const DISK_GIB: u32 = 16;

/// What runs the virtual machines that a box is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hypervisor {
    /// KVM or QEMU: a qcow2 file.
    Libvirt,
    /// VirtualBox: a VMDK file, and an OVF file that says what machine it belongs to.
    VirtualBox,
}

impl Hypervisor {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Libvirt, Self::VirtualBox];

    /// Its name as Vagrant's provider.
    pub fn provider(self) -> &'static str {
        match self {
            Self::Libvirt => "libvirt",
            Self::VirtualBox => "virtualbox",
        }
    }
}

impl fmt::Display for Hypervisor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.provider())
    }
}

/// A box that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BakedBox {
    /// Its name in the cache: the sum of the recipe it was made by.
    pub id: String,
    /// As Vagrant knows it: `caravan-machine-0123456789abcdef-amd64`.
    pub name: String,
    /// What it is for.
    pub hypervisor: Hypervisor,
    /// For which processor.
    pub arch: Arch,
    /// The machine image that it was made of: `caravan-machine:0123456789abcdef`.
    pub image: String,
    /// Where it lies.
    pub dir: PathBuf,
    /// What Vagrant's `box_url` names.
    pub json: PathBuf,
    /// The sum of the file that Vagrant unpacks, in hexadecimal.
    pub sha256: String,
    /// How much it takes, in bytes.
    pub size: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct About {
    name: String,
    hypervisor: Hypervisor,
    arch: Arch,
    image: String,
}

/// What a box is made of.
#[derive(Debug, Clone, Copy)]
pub struct BoxRecipe<'a> {
    /// The software.
    pub bundle: &'a Bundle,
    /// What the lab asks for besides.
    pub add_ons: &'a [AddOn],
    /// The operating system.
    pub base: Base,
    /// What is to run it.
    pub hypervisor: Hypervisor,
}

/// The box that [`bake`] would find in the cache, whole. The container engine is not asked.
///
/// A damaged one is told of and counts as absent.
///
/// # Errors
///
/// [`Error`] when the cache cannot be read.
pub fn find(
    cache: &Cache,
    wanted: &BoxRecipe<'_>,
    progress: &dyn Progress,
) -> Result<Option<BakedBox>, Error> {
    let BoxRecipe {
        bundle,
        add_ons,
        base,
        hypervisor,
    } = *wanted;
    let Some((image, base)) = image::known_reference(cache, bundle, add_ons, base, progress)?
    else {
        return Ok(None);
    };
    let about = About::of(&image, base.base, hypervisor)?;
    of_recipe(cache, &about, base.base, progress)
}

/// Makes sure that there is a box, and the machine image that it is made of.
///
/// # Errors
///
/// [`Error::NoBox`] where this processor has none for the hypervisor, and others with a hint for what is missing.
pub fn bake(
    cache: &Cache,
    wanted: &BoxRecipe<'_>,
    docker: &DockerCli,
    progress: &dyn Progress,
) -> Result<BakedBox, Error> {
    if let Some(found) = find(cache, wanted, progress)? {
        return Ok(found);
    }
    let BoxRecipe {
        bundle,
        add_ons,
        base,
        hypervisor,
    } = *wanted;
    // Refused before anything is made.
    Firmware::of(bundle.arch, hypervisor)?;
    let image = image::bake(cache, bundle, add_ons, base, docker, progress)?;
    let base = base::ensure(cache, base, docker, progress)?;
    let about = About::of(&image, base.base, hypervisor)?;
    let id = recipe::id(&about, base.base);
    let _lock = cache.lock(&format!("box-{id}"), progress)?;
    // Another runner may have made it while this one waited.
    if let Some(found) = of_recipe(cache, &about, base.base, progress)? {
        return Ok(found);
    }
    let workshop = cache.workshop(&format!("box-{id}"))?;
    let scratch = cache.workshop(&format!("box-{id}-scratch"))?;
    let baking = baking::Baking {
        id: &id,
        about: &about,
        base: &base,
        scratch: &scratch,
        log: &cache.log(&format!("box-{id}"))?,
        cache,
        docker,
        progress,
    };
    baking.discard();
    let disk = baking.run();
    baking.discard();
    let disk = disk?;
    crate::progress::step(progress, "pack the box", || {
        package::write(&about, &id, &disk, &workshop.join(FILE))
    })?;
    let place = cache.boxes()?.join(&id);
    let manifest = entry::finish(&workshop, &place, &about)?;
    let made = BakedBox::of(place, &manifest)?;
    catalogue::write(&made)?;
    Ok(made)
}

/// The box of a recipe, if it is there and whole.
fn of_recipe(
    cache: &Cache,
    about: &About,
    base: Base,
    progress: &dyn Progress,
) -> Result<Option<BakedBox>, Error> {
    let place = cache.boxes()?.join(recipe::id(about, base));
    let Some(manifest) = entry::usable(&place, "the box", progress)? else {
        return Ok(None);
    };
    let found = BakedBox::of(place, &manifest)?;
    catalogue::write(&found)?;
    Ok(Some(found))
}

/// Whether the box that `url` names ([`BakedBox::url`]) is not in its cache any more: it can be made again, where a box of
/// somebody else's cannot.
pub fn is_lost(url: &str) -> bool {
    catalogue::file_of(url).is_some_and(|json| {
        let box_file = json.with_file_name(FILE);
        !json.is_file() || !box_file.is_file()
    })
}

/// All boxes whose manifest can be read, by id. Their files are not looked at.
///
/// # Errors
///
/// [`Error::File`] when the cache cannot be read.
pub fn list(cache: &Cache) -> Result<Vec<BakedBox>, Error> {
    let mut found = Vec::new();
    for place in entries(&cache.boxes()?)? {
        if let Ok(Some(manifest)) = entry::read(&place) {
            found.extend(BakedBox::of(place, &manifest));
        }
    }
    Ok(found)
}

/// The names in the cache of all boxes that could be made of what else is in it.
pub(crate) fn current_ids(cache: &Cache) -> Result<Vec<String>, Error> {
    let bases = base::present(cache)?;
    let choices = choices(&crate::add_ons(cache)?);
    let mut ids = Vec::new();
    for bundle in crate::list(cache)? {
        for base in &bases {
            for add_ons in &choices {
                let image = image::reference(&bundle, add_ons, base);
                for hypervisor in Hypervisor::ALL {
                    let about = About::of(&image, base.base, hypervisor)?;
                    ids.push(recipe::id(&about, base.base));
                }
            }
        }
    }
    Ok(ids)
}

/// Every choice of add-ons that a machine may have: of each kind one or none.
fn choices(add_ons: &[AddOn]) -> Vec<Vec<AddOn>> {
    let mut choices: Vec<Vec<AddOn>> = vec![Vec::new()];
    for kind in AddOnKind::ALL {
        let of_kind: Vec<&AddOn> = add_ons.iter().filter(|it| it.kind == kind).collect();
        let with_one = |choice: &Vec<AddOn>| {
            let choice = choice.clone();
            let of_kind = of_kind.clone().into_iter();
            of_kind.map(move |one| [choice.as_slice(), std::slice::from_ref(one)].concat())
        };
        let more: Vec<Vec<AddOn>> = choices.iter().flat_map(with_one).collect();
        choices.extend(more);
    }
    choices
}

/// The images of the engine that disks are written in, of the base systems that are in the cache.
///
/// # Errors
///
/// [`Error`] when the cache cannot be read.
pub fn tools(cache: &Cache) -> Result<Vec<String>, Error> {
    let arch = Arch::host()?;
    let mut names = Vec::new();
    for base in base::present(cache)? {
        for hypervisor in Hypervisor::ALL {
            if let Ok(firmware) = Firmware::of(arch, hypervisor) {
                names.push(format!("{TOOLS}{}", recipe::tools_tag(&base, firmware)));
            }
        }
    }
    Ok(names)
}

impl About {
    fn of(image: &str, base: Base, hypervisor: Hypervisor) -> Result<Self, Error> {
        let mut about = Self {
            name: String::new(),
            hypervisor,
            arch: Arch::host()?,
            image: image.to_owned(),
        };
        let id = recipe::id(&about, base);
        about.name = format!("{NAME}{}-{}", &id[..16], about.arch);
        Ok(about)
    }
}

/// What the names of all boxes begin with.
pub const NAME: &str = "caravan-machine-";

impl BakedBox {
    /// What Vagrant's `box_url` says: the address of its catalogue.
    pub fn url(&self) -> String {
        catalogue::file_url(&self.json)
    }

    /// The file that Vagrant unpacks.
    pub fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Writes what Vagrant reads of it, for a box that came from another computer.
    pub(crate) fn settle(&self) -> Result<(), Error> {
        catalogue::write(self)
    }

    /// The box of an entry.
    pub(crate) fn of(dir: PathBuf, manifest: &Manifest) -> Result<Self, Error> {
        let about: About = manifest.about(&dir)?;
        let file = manifest.files.iter().find(|file| file.path == FILE);
        Ok(Self {
            id: manifest.id.clone(),
            name: about.name,
            hypervisor: about.hypervisor,
            arch: about.arch,
            image: about.image,
            json: dir.join(CATALOGUE),
            sha256: file.map(|file| file.sha256.clone()).unwrap_or_default(),
            size: manifest.size(),
            dir,
        })
    }
}

#[cfg(test)]
mod tests;
