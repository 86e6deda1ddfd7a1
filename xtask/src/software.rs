//! The bridge between `bundle` and the rest: which software machines run, and the image that has it.

use caravan_bundle::machine_box::{self, BakedBox, BoxRecipe, Hypervisor};
use caravan_bundle::{AddOn, Base, Bundle, BundleEvent, Cache, Network, Progress, SoftwareSource};
use caravan_bundle::{add_on, image};
use caravan_cluster::timeline::RUN;
use caravan_host::Purpose;
use caravan_lab::{Lab, Provider};
use caravan_lifecycle::software::{self, network};
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
    let cache = environment::cache()?;
    let told = BundleProgress(screen);
    let from = SoftwareSource::from(origin.source);
    let settings = environment::download_settings();
    let software = || -> Result<(Bundle, Option<AddOn>), Error> {
        let bundle = caravan_bundle::ensure(&cache, minor, from, &settings, &told)?;
        let add_on =
            network.map(|network| add_on::ensure(&cache, minor, network, from, &settings, &told));
        Ok((bundle, add_on.transpose()?))
    };
    let base = Base::from(origin.base);
    let Some(hypervisor) = hypervisor(provider) else {
        setup::ensure(lacking(&cache, minor, network, origin)?, yes, screen)?;
        let (bundle, add_on) = software()?;
        let docker = caravan_bundle::docker::find()?;
        let made = image::bake(&cache, &bundle, add_on.as_ref(), base, &docker, &told)?;
        return Ok(MachineImage::named(made));
    };
    // Where a box is there, no engine is needed.
    if has_software(&cache, minor, network, from)? {
        let (bundle, add_on) = software()?;
        let wanted = BoxRecipe {
            bundle: &bundle,
            add_on: add_on.as_ref(),
            base,
            hypervisor,
        };
        if let Some(found) = machine_box::find(&cache, &wanted, &told)? {
            return Ok(of_box(found));
        }
    }
    setup::ensure(lacking(&cache, minor, network, origin)?, yes, screen)?;
    let (bundle, add_on) = software()?;
    let wanted = BoxRecipe {
        bundle: &bundle,
        add_on: add_on.as_ref(),
        base,
        hypervisor,
    };
    let docker = caravan_bundle::docker::find()?;
    Ok(of_box(machine_box::bake(&cache, &wanted, &docker, &told)?))
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

/// What running machines of a lab needs, and making what they run, where that is not made yet.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes.
pub(crate) fn purpose(lab: &Lab, origin: &Origin) -> Result<Purpose, Error> {
    let network = network(lab.pod_network());
    lacking(
        &environment::cache()?,
        &lab.kubernetes().to_string(),
        network,
        origin,
    )
}

/// Each half alone may be there: a bundle that was built or imported earlier says nothing about the base system.
fn lacking(
    cache: &Cache,
    minor: &str,
    network: Option<Network>,
    origin: &Origin,
) -> Result<Purpose, Error> {
    let from = SoftwareSource::from(origin.source);
    let made = has_software(cache, minor, network, from)?;
    let system = caravan_bundle::has_base(cache, origin.base.into())?;
    Ok(Purpose::making(from, origin.base.into()).less(made, system))
}

/// Whether bundle and add-on are in the cache.
fn has_software(
    cache: &Cache,
    minor: &str,
    network: Option<Network>,
    from: SoftwareSource,
) -> Result<bool, Error> {
    let mut made = caravan_bundle::has_bundle(cache, minor, from)?;
    if let Some(network) = network {
        made &= add_on::is_made(cache, minor, network, from)?;
    }
    Ok(made)
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
