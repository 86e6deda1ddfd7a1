//! What an add-on is made from, which is its name.

use super::kind::AddOnKind;
use crate::compile::{OwnProgram, RUSTC_FLAGS};
use crate::digest::{self, Recipe};
use crate::pins::{Arch, Pins};
use crate::source::SoftwareSource;

/// Goes into every add-on's name: a change of how they are laid out gives other add-ons.
const FORMAT: &str = "add-on 1";

/// The name of the add-on that `source` gives.
pub(super) fn id(pins: &Pins, kind: AddOnKind, source: SoftwareSource) -> String {
    let mut recipe = Recipe::new(FORMAT);
    recipe.add(kind.as_str());
    recipe.add(pins.arch.as_str());
    for image in pins.images_of(kind.as_str()) {
        recipe.add(&image.name);
        recipe.add(image.digest.as_deref().unwrap_or_default());
    }
    if let Some(own) = kind.own() {
        recipe.add(own.source);
        for flag in RUSTC_FLAGS {
            recipe.add(flag);
        }
    }
    match source {
        SoftwareSource::Go => {
            recipe.add("go");
            // What cannot be built is never made from Go modules, and its name is asked for all the same.
            let component = kind.component().or(AddOnKind::Flannel.component());
            for part in component
                .into_iter()
                .flat_map(|it| it.ingredients(&pins.versions))
            {
                recipe.add(part);
            }
        }
        SoftwareSource::Download | SoftwareSource::Auto => {
            recipe.add("download");
            if let Some(manifest) = pins.manifest_of(kind.as_str()) {
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
            for kind in AddOnKind::ALL {
                for source in [SoftwareSource::Download, SoftwareSource::Go] {
                    ids.push(id(&pins, kind, source));
                }
            }
        }
    }
    ids
}

/// The names of an add-on's images: those that are published, then the one of our own where it has one. Machines' manifests
/// name them.
pub(super) fn images(pins: &Pins, kind: AddOnKind) -> Vec<String> {
    let published = pins.images_of(kind.as_str()).map(|it| it.name.clone());
    published.chain(kind.own().map(own_image)).collect()
}

/// The name of the image of a program of our own.
pub(super) fn own_image(own: &OwnProgram) -> String {
    let sum = digest::of_bytes(own.source.as_bytes());
    format!("caravan.local/{}:{}", own.name, &sum[..12])
}
