//! `cargo xtask version`: which version of this program it is, and which software it puts on machines.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, PROGRAM};
use crate::exit::Exit;
use crate::flags;

/// This program's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is pinned for a minor version of Kubernetes.
#[derive(Serialize)]
struct Pinned {
    kubernetes: String,
    etcd: String,
    containerd: String,
}

#[derive(Serialize)]
struct Versions {
    caravan: &'static str,
    /// By minor version of Kubernetes.
    software: BTreeMap<String, Pinned>,
}

/// Runs the verb.
pub(crate) fn run(flags: &flags::Version) -> Result<Exit, Error> {
    let pinned = |minor: String| {
        let software = caravan_bundle::software_of(&minor)?;
        Ok((
            minor,
            Pinned {
                kubernetes: software.kubernetes,
                etcd: software.etcd,
                containerd: software.containerd,
            },
        ))
    };
    let versions = Versions {
        caravan: VERSION,
        software: caravan_bundle::minors()
            .into_iter()
            .map(pinned)
            .collect::<Result<_, caravan_bundle::Error>>()?,
    };
    if flags.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&versions).expect("plain data")
        );
        return Ok(Exit::Done);
    }
    println!("{PROGRAM} {VERSION}");
    for (minor, pinned) in &versions.software {
        println!(
            "Kubernetes {minor}: {}, etcd {}, containerd {}",
            pinned.kubernetes, pinned.etcd, pinned.containerd
        );
    }
    Ok(Exit::Done)
}
