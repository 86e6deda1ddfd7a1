//! The bridge between `bundle` and the rest: which software machines run, and the image that has it.

use caravan_bundle::{BundleEvent, Cache, Network, Progress, SoftwareSource, add_on, image};
use caravan_cluster::timeline::RUN;
use caravan_host::Purpose;
use caravan_lab::Lab;
use caravan_lifecycle::software::{self, network};
use caravan_render::Software;

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

/// Makes the machine image for Kubernetes `minor` with a pod network, and what it is made from, where they are not there
/// yet; returns the image's name.
///
/// # Errors
///
/// [`Error::Bundle`], and those of [`setup::ensure`].
pub(crate) fn image(
    minor: &str,
    network: Option<Network>,
    origin: &Origin,
    yes: bool,
    screen: &Screen,
) -> Result<String, Error> {
    let cache = environment::cache()?;
    let told = BundleProgress(screen);
    setup::ensure(lacking(&cache, minor, network, origin)?, yes, screen)?;
    let from = SoftwareSource::from(origin.source);
    let docker = caravan_bundle::docker::find()?;
    let settings = environment::download_settings();
    let bundle = caravan_bundle::ensure(&cache, minor, from, &settings, &told)?;
    let add_on =
        network.map(|network| add_on::ensure(&cache, minor, network, from, &settings, &told));
    Ok(image::bake(
        &cache,
        &bundle,
        add_on.transpose()?.as_ref(),
        origin.base.into(),
        &docker,
        &told,
    )?)
}

/// Makes the machine image for a lab, where it is not there yet; returns its name.
///
/// # Errors
///
/// As [`image()`].
pub(crate) fn image_for(
    lab: &Lab,
    origin: &Origin,
    yes: bool,
    screen: &Screen,
) -> Result<String, Error> {
    let network = network(lab.pod_network());
    image(&lab.kubernetes().to_string(), network, origin, yes, screen)
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
    let mut made = caravan_bundle::has_bundle(cache, minor, from)?;
    if let Some(network) = network {
        made &= add_on::is_made(cache, minor, network, from)?;
    }
    let system = caravan_bundle::has_base(cache, origin.base.into())?;
    Ok(Purpose::making(from, origin.base.into()).less(made, system))
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
