//! `cargo xtask bundle list`: what the cache has.

use caravan_bundle::machine_box::{self, BakedBox};
use caravan_bundle::{AddOn, Bundle, Cache, SoftwareSource};
use serde::Serialize;

use crate::error::Error;
use crate::flags::BundleListing;
use crate::show::table;

/// What the cache has.
struct Listing<'a> {
    bundles: Vec<BundleLine<'a>>,
    add_ons: Vec<AddOnLine<'a>>,
    boxes: Vec<BoxLine<'a>>,
}

#[derive(Serialize)]
struct BundleLine<'a> {
    id: &'a str,
    kubernetes: &'a str,
    etcd: &'a str,
    containerd: &'a str,
    source: SoftwareSource,
    arch: String,
    bytes: u64,
    dir: String,
}

#[derive(Serialize)]
struct AddOnLine<'a> {
    kind: String,
    id: &'a str,
    version: &'a str,
    source: SoftwareSource,
    arch: String,
    bytes: u64,
}

#[derive(Serialize)]
struct BoxLine<'a> {
    name: &'a str,
    id: &'a str,
    provider: &'static str,
    arch: String,
    /// The machine image that it is made of.
    image: &'a str,
    /// What Vagrant adds it from.
    url: String,
    sha256: &'a str,
    bytes: u64,
}

/// Prints what the cache has; as JSON the list of what is asked for.
pub(super) fn print(cache: &Cache, asked: BundleListing, json: bool) -> Result<(), Error> {
    let bundles = caravan_bundle::list(cache)?;
    let add_ons = caravan_bundle::add_ons(cache)?;
    let boxes = machine_box::list(cache)?;
    let listing = Listing {
        bundles: bundles.iter().map(bundle).collect(),
        add_ons: add_ons.iter().map(add_on).collect(),
        boxes: boxes.iter().map(machine).collect(),
    };
    if json {
        let text = match asked {
            BundleListing::Bundles => serde_json::to_string_pretty(&listing.bundles),
            BundleListing::AddOns => serde_json::to_string_pretty(&listing.add_ons),
            BundleListing::Boxes => serde_json::to_string_pretty(&listing.boxes),
        };
        println!("{}", text.expect("plain data"));
        return Ok(());
    }
    let heads = [
        "bundle",
        "kubernetes",
        "etcd",
        "containerd",
        "source",
        "size",
    ];
    let mut rows = table::plain(&heads);
    for line in listing.bundles {
        rows.add_row([
            line.id.to_owned(),
            line.kubernetes.to_owned(),
            line.etcd.to_owned(),
            line.containerd.to_owned(),
            word(line.source),
            mib(line.bytes),
        ]);
    }
    println!("{}", table::text(&rows));
    // The rest where the cache has any.
    if !listing.add_ons.is_empty() {
        let mut rows = table::plain(&["add-on", "id", "version", "source", "size"]);
        for line in listing.add_ons {
            rows.add_row([
                line.kind,
                line.id.to_owned(),
                line.version.to_owned(),
                word(line.source),
                mib(line.bytes),
            ]);
        }
        println!("\n{}", table::text(&rows));
    }
    if !listing.boxes.is_empty() {
        let mut rows = table::plain(&["box", "provider", "made of", "size"]);
        for line in listing.boxes {
            rows.add_row([
                line.name.to_owned(),
                line.provider.to_owned(),
                line.image.to_owned(),
                mib(line.bytes),
            ]);
        }
        println!("\n{}", table::text(&rows));
    }
    Ok(())
}

fn bundle(bundle: &Bundle) -> BundleLine<'_> {
    BundleLine {
        id: &bundle.id,
        kubernetes: &bundle.software.kubernetes,
        etcd: &bundle.software.etcd,
        containerd: &bundle.software.containerd,
        source: bundle.source,
        arch: bundle.arch.to_string(),
        bytes: bundle.size,
        dir: bundle.dir.display().to_string(),
    }
}

fn add_on(add_on: &AddOn) -> AddOnLine<'_> {
    AddOnLine {
        kind: add_on.kind.to_string(),
        id: &add_on.id,
        version: &add_on.version,
        source: add_on.source,
        arch: add_on.arch.to_string(),
        bytes: add_on.size,
    }
}

fn machine(made: &BakedBox) -> BoxLine<'_> {
    BoxLine {
        name: &made.name,
        id: &made.id,
        provider: made.hypervisor.provider(),
        arch: made.arch.to_string(),
        image: &made.image,
        url: made.url(),
        sha256: &made.sha256,
        bytes: made.size,
    }
}

fn word(source: SoftwareSource) -> String {
    format!("{source:?}").to_lowercase()
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}
