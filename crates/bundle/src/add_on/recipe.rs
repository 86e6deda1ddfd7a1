//! What an add-on is made from, which is its name.

use super::network::Network;
use crate::components::FLANNEL;
use crate::digest::Recipe;
use crate::pins::{Arch, Pins};
use crate::source::SoftwareSource;

/// Goes into every add-on's name: a change of how they are laid out gives other add-ons.
const FORMAT: &str = "add-on 1";

/// The name of the add-on that `source` gives.
pub(super) fn id(pins: &Pins, network: Network, source: SoftwareSource) -> String {
    let mut recipe = Recipe::new(FORMAT);
    recipe.add(network.as_str());
    recipe.add(pins.arch.as_str());
    for image in pins.images_of(network.as_str()) {
        recipe.add(&image.name);
        recipe.add(image.digest.as_deref().unwrap_or_default());
    }
    match source {
        SoftwareSource::Go => {
            recipe.add("go");
            for part in FLANNEL.ingredients(&pins.versions) {
                recipe.add(part);
            }
        }
        SoftwareSource::Download | SoftwareSource::Auto => {
            recipe.add("download");
            if let Some(manifest) = pins.manifest_of(network.as_str()) {
                recipe.add(&manifest.sha256);
            }
        }
    }
    recipe.name()
}

/// The ids of all add-ons that the pins ask for, by whichever source.
pub(crate) fn current_ids() -> Vec<String> {
    let mut ids = Vec::new();
    for minor in crate::pins::minors() {
        for arch in [Arch::Amd64, Arch::Arm64] {
            let Ok(pins) = Pins::of(&minor, arch) else {
                continue;
            };
            for network in Network::ALL {
                for source in [SoftwareSource::Download, SoftwareSource::Go] {
                    ids.push(id(&pins, network, source));
                }
            }
        }
    }
    ids
}

/// The name of the image that the machines' manifest for `network` names, where it names one.
pub(super) fn first_image(pins: &Pins, network: Network) -> String {
    pins.images_of(network.as_str())
        .next()
        .map_or_else(String::new, |image| image.name.clone())
}
