//! `cargo xtask bundle`: the software that machines run.

mod listing;

use caravan_bundle::{Bundle, Cache, add_on};
use caravan_bundle::{docker, image, image_file, machine_box};
use caravan_host::Purpose;
use caravan_vagrant::Vagrant;
use caravan_vagrant::libvirt::LibvirtMachines;
use caravan_vagrant::virtualbox::VirtualBox;

use crate::environment;
use crate::error::{Error, TOOL};
use crate::exit::Exit;
use crate::flags::{self, BundleAction};
use crate::setup;
use crate::show::report;
use crate::show::screen::Screen;
use crate::software::BundleProgress;

/// Runs the verb.
pub(crate) fn run(flags: &flags::Bundle, screen: &Screen) -> Result<Exit, Error> {
    let cache = environment::cache()?;
    let told = BundleProgress(screen);
    match &flags.action {
        BundleAction::Build {
            source: from,
            kubernetes,
            add_ons,
            yes,
        } => {
            build(&cache, kubernetes, add_ons, *from, *yes, screen)?;
        }
        BundleAction::Download {
            kubernetes,
            add_ons,
        } => {
            let from = flags::Source::Download;
            build(&cache, kubernetes, add_ons, from, false, screen)?;
        }
        BundleAction::List { json, only } => listing::print(&cache, *only, *json)?,
        BundleAction::Verify => {
            let damaged = caravan_bundle::verify(&cache, &told)?;
            if let Some(count) = report::several(damaged.into_iter().map(Error::from)) {
                screen.say(&format!(
                    "{count} damaged; the next `{TOOL} up` or `bake` makes them again"
                ));
                return Ok(Exit::Failed);
            }
            screen.say("every file is what its manifest says");
        }
        BundleAction::Export { file, kubernetes } => {
            let bundle = of_minor(&cache, kubernetes)?;
            caravan_bundle::export(&cache, &bundle.id, file, &told)?;
            println!("{}", file.display());
        }
        BundleAction::Import { file } => {
            let imported = caravan_bundle::import(&cache, file, &told)?;
            for bundle in imported.bundles {
                println!("{}", bundle.id);
            }
            for made in imported.boxes {
                println!("{}", made.name);
            }
        }
        BundleAction::Prune => prune(&cache, screen)?,
    }
    Ok(Exit::Done)
}

fn build(
    cache: &Cache,
    minor: &str,
    add_ons: &flags::AddOns,
    from: flags::Source,
    yes: bool,
    screen: &Screen,
) -> Result<(), Error> {
    let mut purpose = Purpose::making(from.into(), caravan_bundle::Base::Ubuntu);
    (purpose.first, purpose.baked) = (false, false);
    setup::ensure(purpose, yes, screen)?;
    let (from, settings) = (from.into(), environment::download_settings());
    let bundle = caravan_bundle::ensure(cache, minor, from, &settings, &BundleProgress(screen))?;
    println!("{}", bundle.dir.display());
    for kind in add_ons.kinds() {
        let made = add_on::ensure(cache, minor, kind, from, &settings, &BundleProgress(screen))?;
        println!("{}", made.dir.display());
    }
    Ok(())
}

/// The bundle of the cache for a Kubernetes minor.
fn of_minor(cache: &Cache, minor: &str) -> Result<Bundle, Error> {
    caravan_bundle::list(cache)?
        .into_iter()
        .find(|bundle| bundle.software.minor == minor)
        .ok_or_else(|| Error::NoBundle {
            minor: minor.to_owned(),
        })
}

/// Keeps what the pins ask for, by whichever source, and the images that machines run from.
fn prune(cache: &Cache, screen: &Screen) -> Result<(), Error> {
    let minors = caravan_bundle::minors();
    let keep: Vec<String> = caravan_bundle::list(cache)?
        .into_iter()
        .filter(|bundle| {
            let current = caravan_bundle::software_of(&bundle.software.minor);
            minors.contains(&bundle.software.minor)
                && current.is_ok_and(|software| software == bundle.software)
        })
        .map(|bundle| bundle.id)
        .collect();
    let pruned = caravan_bundle::prune(cache, &keep)?;
    for id in &pruned.entries {
        println!("{id}");
    }
    screen.say(&format!(
        "{} MiB freed in the cache",
        pruned.bytes / (1024 * 1024)
    ));
    // Without an engine there are no images to remove.
    if let Ok(docker) = docker::find() {
        let newest = image::list(&docker)?.into_iter().take(1);
        let keep: Vec<String> = newest.chain(machine_box::tools(cache)?).collect();
        image_file::prune(cache, &keep)?;
        for name in image::prune(&docker, &keep)? {
            println!("{name}");
        }
    }
    prune_boxes(cache)
}

/// What was made of boxes that are in the cache no more, where there is what made it: Vagrant's own copies, and what
/// hypervisors were given. What a machine stands on stays.
fn prune_boxes(cache: &Cache) -> Result<(), Error> {
    let boxes = machine_box::list(cache)?;
    let keep: Vec<String> = boxes.into_iter().map(|made| made.name).collect();
    if let Ok(vagrant) = Vagrant::find() {
        for added in vagrant.boxes(machine_box::NAME)? {
            if !keep.contains(&added.name) && vagrant.remove_box(&added)? {
                println!("{} ({})", added.name, added.provider);
            }
        }
    }
    if let Ok(virtualbox) = VirtualBox::find() {
        for name in virtualbox.remove_masters(machine_box::NAME, &keep)? {
            println!("{name}");
        }
    }
    if let Ok(libvirt) = LibvirtMachines::find() {
        match libvirt.remove_box_volumes() {
            // It is installed, and nobody has it running.
            Ok(()) | Err(caravan_vagrant::Error::LibvirtSilent { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
