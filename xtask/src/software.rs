//! The bridge between `bundle` and the rest: which software machines run, and the image that has it.

use std::collections::{BTreeMap, BTreeSet};

use caravan_bundle::image_file::{self, ImageFile};
use caravan_bundle::machine_box::{self, BakedBox, BoxRecipe, Hypervisor};
use caravan_bundle::{
    AddOn, AddOnKind, Bundle, BundleEvent, Cache, Progress, Silent, SoftwareSource,
};
use caravan_bundle::{add_on, image};
use caravan_cluster::timeline::RUN;
use caravan_host::Purpose;
use caravan_lab::{Lab, Provider};
use caravan_lifecycle::Workspace;
use caravan_lifecycle::settings::{self, SettingsCheck};
use caravan_lifecycle::software;
use caravan_lifecycle::up::{UpPlan, UpRequest};
use caravan_render::{MachineImage, Software};

use crate::environment;
use crate::error::Error;
use crate::flags::Origin;
use crate::setup;
use crate::show::screen::Screen;

/// The versions that machines of the lab run, as their files must say them; its settings are held by the way.
///
/// # Errors
///
/// As [`versions_of`] and [`hold_settings`].
pub(crate) fn versions(workspace: &Workspace, lab: &Lab) -> Result<Software, Error> {
    versions_of(lab, &hold_settings(workspace, lab)?)
}

/// The versions that machines of the lab run, as their files must say them; `checked` is [`hold_settings`].
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes, or the cache cannot be read.
pub(crate) fn versions_of(lab: &Lab, checked: &SettingsCheck) -> Result<Software, Error> {
    let calico = software::calico_manifest(lab, environment::cache)?;
    Ok(software::versions(lab, calico, checked.known())?)
}

/// Holds what the lab file sets of the cluster against what is in the cache: programs that know flags, feature gates and
/// fields; and looks for the files beside it that it names.
///
/// # Errors
///
/// Every flag, gate and field that nobody knows, with its line; [`Error::Bundle`] where the cache cannot be read.
pub(crate) fn hold_settings(workspace: &Workspace, lab: &Lab) -> Result<SettingsCheck, Error> {
    settings::audit_policy(workspace, lab)?;
    let (cache, from) = (environment::cache, SoftwareSource::Auto);
    Ok(settings::check(workspace, lab, cache, from, &Silent)?)
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

/// The image that machines of labs with `storage` hold for test pods with a volume.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes.
pub(crate) fn volume_image(lab: &Lab) -> Result<String, Error> {
    Ok(software::versions(lab, None, None)?.add_ons.volume)
}

/// Makes what machines of Kubernetes `minor` with these add-ons start from, and what that is made from, where they are not
/// there yet: an engine's image, or a box of virtual machines.
///
/// # Errors
///
/// [`Error::Bundle`], and those of [`setup::ensure`].
pub(crate) fn image(
    minor: &str,
    add_ons: Vec<AddOnKind>,
    provider: Provider,
    origin: &Origin,
    yes: bool,
    screen: &Screen,
) -> Result<MachineImage, Error> {
    let told = BundleProgress(screen);
    let kit = Kit {
        cache: environment::cache()?,
        minor: minor.to_owned(),
        add_ons,
        origin,
        told: &told,
    };
    if let Some(found) = kit.found_box(provider)? {
        return Ok(of_box(found));
    }
    setup::ensure(kit.lacking()?, yes, screen)?;
    let (bundle, add_ons) = kit.software()?;
    let docker = caravan_bundle::docker::find()?;
    let base = origin.base.into();
    let Some(hypervisor) = hypervisor(provider) else {
        let made = image::bake(&kit.cache, &bundle, &add_ons, base, &docker, &told)?;
        return Ok(MachineImage::named(made));
    };
    let wanted = BoxRecipe {
        bundle: &bundle,
        add_ons: &add_ons,
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
    add_ons: Vec<AddOnKind>,
    origin: &'a Origin,
    told: &'a dyn Progress,
}

impl Kit<'_> {
    /// Bundle and add-ons, made where they are not there.
    fn software(&self) -> Result<(Bundle, Vec<AddOn>), Error> {
        let (from, settings) = (self.origin.source.into(), environment::download_settings());
        let (cache, minor) = (&self.cache, &self.minor);
        let bundle = caravan_bundle::ensure(cache, minor, from, &settings, self.told)?;
        let add_ons = (self.add_ons.iter())
            .map(|kind| add_on::ensure(cache, minor, *kind, from, &settings, self.told));
        Ok((bundle, add_ons.collect::<Result<_, _>>()?))
    }

    /// Whether they are there.
    fn has_software(&self) -> Result<bool, Error> {
        let from = self.origin.source.into();
        let mut made = caravan_bundle::has_bundle(&self.cache, &self.minor, from)?;
        for kind in &self.add_ons {
            made &= add_on::is_made(&self.cache, &self.minor, *kind, from)?;
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
        let (bundle, add_ons) = self.software()?;
        let wanted = BoxRecipe {
            bundle: &bundle,
            add_ons: &add_ons,
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
    let add_ons = software::add_ons(lab);
    let minor = lab.kubernetes().to_string();
    image(&minor, add_ons, provider, origin, yes, screen)
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
        add_ons: software::add_ons(lab),
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
