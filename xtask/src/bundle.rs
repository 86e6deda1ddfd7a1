//! `cargo xtask bundle`: the software that machines run.

use caravan_bundle::{AddOn, Bundle, Cache, SoftwareSource, add_on};
use caravan_bundle::{docker, image};
use caravan_host::Purpose;
use serde::Serialize;

use crate::environment;
use crate::error::Error;
use crate::exit::Exit;
use crate::flags::{self, BundleAction};
use crate::setup;
use crate::show::report;
use crate::show::screen::Screen;
use crate::show::table;
use crate::software::BundleProgress;

/// A bundle, for programs.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    kubernetes: &'a str,
    etcd: &'a str,
    containerd: &'a str,
    source: SoftwareSource,
    arch: String,
    bytes: u64,
    dir: String,
}

/// Runs the verb.
pub(crate) fn run(flags: &flags::Bundle, screen: &Screen) -> Result<Exit, Error> {
    let cache = environment::cache()?;
    let told = BundleProgress(screen);
    match &flags.action {
        BundleAction::Build {
            source: from,
            kubernetes,
            pod_network,
            yes,
        } => {
            build(&cache, kubernetes, *pod_network, *from, *yes, screen)?;
        }
        BundleAction::Download {
            kubernetes,
            pod_network,
        } => {
            let from = flags::Source::Download;
            build(&cache, kubernetes, *pod_network, from, false, screen)?;
        }
        BundleAction::List { json } => {
            list(&caravan_bundle::list(&cache)?, *json);
            if !json {
                list_add_ons(&caravan_bundle::add_ons(&cache)?);
            }
        }
        BundleAction::Verify => {
            let damaged = caravan_bundle::verify(&cache, &told)?;
            if let Some(count) = report::several(damaged.into_iter().map(Error::from)) {
                screen.say(&format!(
                    "{count} damaged; the next `cargo xtask bundle build` makes them again"
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
            for bundle in caravan_bundle::import(&cache, file, &told)? {
                println!("{}", bundle.id);
            }
        }
        BundleAction::Prune => prune(&cache, screen)?,
    }
    Ok(Exit::Done)
}

fn build(
    cache: &Cache,
    minor: &str,
    pod_network: Option<flags::PodNetwork>,
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
    if let Some(network) = pod_network {
        let made = add_on::ensure(
            cache,
            minor,
            network.into(),
            from,
            &settings,
            &BundleProgress(screen),
        )?;
        println!("{}", made.dir.display());
    }
    Ok(())
}

/// Pod networks, where the cache has any.
fn list_add_ons(add_ons: &[AddOn]) {
    if add_ons.is_empty() {
        return;
    }
    let mut table = table::plain(&["pod network", "id", "version", "source", "size"]);
    for add_on in add_ons {
        table.add_row([
            add_on.network.to_string(),
            add_on.id.clone(),
            add_on.version.clone(),
            format!("{:?}", add_on.source).to_lowercase(),
            format!("{} MiB", add_on.size / (1024 * 1024)),
        ]);
    }
    println!("\n{}", table::text(&table));
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

fn list(bundles: &[Bundle], json: bool) {
    let lines: Vec<Line<'_>> = bundles
        .iter()
        .map(|bundle| Line {
            id: &bundle.id,
            kubernetes: &bundle.software.kubernetes,
            etcd: &bundle.software.etcd,
            containerd: &bundle.software.containerd,
            source: bundle.source,
            arch: bundle.arch.to_string(),
            bytes: bundle.size,
            dir: bundle.dir.display().to_string(),
        })
        .collect();
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(&lines).expect("plain data")
        );
        return;
    }
    let mut table = table::plain(&[
        "bundle",
        "kubernetes",
        "etcd",
        "containerd",
        "source",
        "size",
    ]);
    for line in lines {
        table.add_row([
            line.id.to_owned(),
            line.kubernetes.to_owned(),
            line.etcd.to_owned(),
            line.containerd.to_owned(),
            format!("{:?}", line.source).to_lowercase(),
            format!("{} MiB", line.bytes / (1024 * 1024)),
        ]);
    }
    println!("{}", table::text(&table));
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
        let newest: Vec<String> = image::list(&docker)?.into_iter().take(1).collect();
        for name in image::prune(&docker, &newest)? {
            println!("{name}");
        }
    }
    Ok(())
}
