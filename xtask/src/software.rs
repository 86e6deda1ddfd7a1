//! The bridge between `bundle` and the rest: which software machines run, and the image that has it.

use std::collections::{BTreeMap, BTreeSet};

use caravan_bundle::image_file::{self, ImageFile};
use caravan_bundle::machine_box::{self, BakedBox, BoxRecipe, Hypervisor};
use caravan_bundle::{AddOn, Bundle, BundleEvent, Cache, Network, Progress, Silent};
use caravan_bundle::{add_on, image};
use caravan_cluster::timeline::RUN;
use caravan_host::Purpose;
use caravan_lab::{Lab, Provider};
use caravan_lifecycle::software::{self, network};
use caravan_lifecycle::up::{UpPlan, UpRequest};
use caravan_render::{MachineImage, Software};

use crate::environment;
use crate::error::Error;
use crate::flags::Origin;
use crate::setup;
use crate::show::screen::Screen;

/// The versions that machines of the lab run, as their files must say them.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes, or the cache cannot be read.
pub(crate) fn versions(lab: &Lab) -> Result<Software, Error> {
    let calico = software::calico_manifest(lab, environment::cache)?;
    Ok(software::versions(lab, calico)?)
}

/// The image that machines hold for test pods.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes.
pub(crate) fn probe_image(lab: &Lab) -> Result<String, Error> {
    let software = caravan_bundle::software_of(&lab.kubernetes().to_string())?;
    Ok(software.probe_image)
}

/// Makes what machines of Kubernetes `minor` with a pod network start from, and what that is made from, where they are not
/// there yet: an engine's image, or a box of virtual machines.
///
/// # Errors
///
/// [`Error::Bundle`], and those of [`setup::ensure`].
pub(crate) fn image(
    minor: &str,
    network: Option<Network>,
    provider: Provider,
    origin: &Origin,
    yes: bool,
    screen: &Screen,
) -> Result<MachineImage, Error> {
    let told = BundleProgress(screen);
    let kit = Kit {
        cache: environment::cache()?,
        minor: minor.to_owned(),
        network,
        origin,
        told: &told,
    };
    if let Some(found) = kit.found_box(provider)? {
        return Ok(of_box(found));
    }
    setup::ensure(kit.lacking()?, yes, screen)?;
    let (bundle, add_on) = kit.software()?;
    let docker = caravan_bundle::docker::find()?;
    let base = origin.base.into();
    let Some(hypervisor) = hypervisor(provider) else {
        let made = image::bake(&kit.cache, &bundle, add_on.as_ref(), base, &docker, &told)?;
        return Ok(MachineImage::named(made));
    };
    let wanted = BoxRecipe {
        bundle: &bundle,
        add_on: add_on.as_ref(),
        base,
        hypervisor,
    };
    let made = machine_box::bake(&kit.cache, &wanted, &docker, &told)?;
    Ok(of_box(made))
}

/// The files of what machines on other computers are made from, by what runs them: none of images and boxes of the user's
/// own that cannot be had as a file, which those computers must have themselves.
///
/// # Errors
///
/// [`Error::Bundle`].
pub(crate) fn image_files(
    plan: &UpPlan,
    request: &UpRequest<'_>,
    screen: &Screen,
) -> Result<BTreeMap<Provider, ImageFile>, Error> {
    let far = request.wanted.iter().filter(|machine| {
        let server = request.lab.server(&machine.server);
        plan.todo.contains(&machine.name) && server.is_some_and(|it| it.host.is_some())
    });
    let kinds: BTreeSet<Provider> = far.map(|it| plan.choices.provider(&it.server)).collect();
    let mut files = BTreeMap::new();
    for kind in kinds {
        let Some(image) = plan.choices.images.get(&kind) else {
            continue;
        };
        let file = image_file(kind, &image.name, screen)?;
        files.extend(file.map(|file| (kind, file)));
    }
    Ok(files)
}

/// An image or a box as a file; none of a box that this computer did not make.
///
/// # Errors
///
/// [`Error::Bundle`].
pub(crate) fn image_file(
    provider: Provider,
    image: &str,
    screen: &Screen,
) -> Result<Option<ImageFile>, Error> {
    let cache = environment::cache()?;
    Ok(match provider {
        Provider::Docker => {
            let docker = caravan_bundle::docker::find()?;
            let told = BundleProgress(screen);
            Some(image_file::of_image(&cache, &docker, image, &told)?)
        }
        Provider::Libvirt | Provider::VirtualBox => image_file::of_box(&cache, image)?,
    })
}

/// What machines are made from, and what of it the cache has.
struct Kit<'a> {
    cache: Cache,
    minor: String,
    network: Option<Network>,
    origin: &'a Origin,
    told: &'a dyn Progress,
}

impl Kit<'_> {
    /// Bundle and add-on, made where they are not there.
    fn software(&self) -> Result<(Bundle, Option<AddOn>), Error> {
        let (from, settings) = (self.origin.source.into(), environment::download_settings());
        let (cache, minor) = (&self.cache, &self.minor);
        let bundle = caravan_bundle::ensure(cache, minor, from, &settings, self.told)?;
        let add_on = self
            .network
            .map(|network| add_on::ensure(cache, minor, network, from, &settings, self.told));
        Ok((bundle, add_on.transpose()?))
    }

    /// Whether they are there.
    fn has_software(&self) -> Result<bool, Error> {
        let from = self.origin.source.into();
        let mut made = caravan_bundle::has_bundle(&self.cache, &self.minor, from)?;
        if let Some(network) = self.network {
            made &= add_on::is_made(&self.cache, &self.minor, network, from)?;
        }
        Ok(made)
    }

    /// The box of a provider with virtual machines, where it is there. No engine is asked.
    fn found_box(&self, provider: Provider) -> Result<Option<BakedBox>, Error> {
        let Some(hypervisor) = hypervisor(provider) else {
            return Ok(None);
        };
        if !self.has_software()? {
            return Ok(None);
        }
        let (bundle, add_on) = self.software()?;
        let wanted = BoxRecipe {
            bundle: &bundle,
            add_on: add_on.as_ref(),
            base: self.origin.base.into(),
            hypervisor,
        };
        Ok(machine_box::find(&self.cache, &wanted, self.told)?)
    }

    /// What making an image or a box needs. Each half alone may be there: a bundle that was built or imported earlier says
    /// nothing about the base system.
    fn lacking(&self) -> Result<Purpose, Error> {
        let (from, base) = (self.origin.source.into(), self.origin.base.into());
        let system = caravan_bundle::has_base(&self.cache, base)?;
        Ok(Purpose::making(from, base).less(self.has_software()?, system))
    }
}

/// What runs a provider's virtual machines; `None` where its machines are containers.
fn hypervisor(provider: Provider) -> Option<Hypervisor> {
    match provider {
        Provider::Docker => None,
        Provider::Libvirt => Some(Hypervisor::Libvirt),
        Provider::VirtualBox => Some(Hypervisor::VirtualBox),
    }
}

fn of_box(made: BakedBox) -> MachineImage {
    MachineImage {
        url: Some(made.url()),
        name: made.name,
    }
}

/// Makes what machines of a lab start from, by what runs them, where it is not there yet.
///
/// # Errors
///
/// As [`image()`].
pub(crate) fn image_for(
    lab: &Lab,
    provider: Provider,
    origin: &Origin,
    yes: bool,
    screen: &Screen,
) -> Result<MachineImage, Error> {
    let network = network(lab.pod_network());
    let minor = lab.kubernetes().to_string();
    image(&minor, network, provider, origin, yes, screen)
}

/// What making what machines of a lab start from needs, for the `providers` whose images are not known: nothing where the
/// cache has their boxes.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes.
pub(crate) fn purpose(
    lab: &Lab,
    providers: impl IntoIterator<Item = Provider>,
    origin: &Origin,
) -> Result<Purpose, Error> {
    let kit = Kit {
        cache: environment::cache()?,
        minor: lab.kubernetes().to_string(),
        network: network(lab.pod_network()),
        origin,
        told: &Silent,
    };
    for provider in providers {
        if kit.found_box(provider)?.is_none() {
            return kit.lacking();
        }
    }
    Ok(Purpose::default())
}

/// Shows on the screen what `bundle` tells.
pub(crate) struct BundleProgress<'a>(pub(crate) &'a Screen);

impl Progress for BundleProgress<'_> {
    fn event(&self, event: &BundleEvent<'_>) {
        let screen = self.0;
        match event {
            BundleEvent::Started { text } => screen.now(text, ""),
            BundleEvent::Ended { text, seconds } => screen.done(text, &format!("{seconds:.1} s")),
            BundleEvent::Bytes { item, done, total } => {
                let mib = |bytes: u64| bytes / (1024 * 1024);
                let text = match total {
                    Some(total) => format!("{item}: {} of {} MiB", mib(*done), mib(*total)),
                    None => format!("{item}: {} MiB", mib(*done)),
                };
                screen.detail(RUN, &text);
            }
            BundleEvent::Line { text } => screen.detail(RUN, text),
            BundleEvent::Note { text } => screen.say(text),
            _ => {}
        }
    }
}
