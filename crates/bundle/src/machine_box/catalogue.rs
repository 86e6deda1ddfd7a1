//! `box.json`: what Vagrant reads to add a box, with where the box lies on this computer.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{BakedBox, FILE};
use crate::{Error, entry};

/// Boxes are named by content: there is one version of each.
const VERSION: &str = "1.0.0";

/// Writes the catalogue, unless it says the same already.
pub(super) fn write(baked: &BakedBox) -> Result<(), Error> {
    let wanted = text(baked);
    let found = fs::read(&baked.json)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    if found.as_ref() == Some(&wanted) {
        return Ok(());
    }
    entry::write_json(&baked.json, &wanted)
}

fn text(baked: &BakedBox) -> Value {
    json!({
        "name": baked.name,
        "description": format!("Made of {}", baked.image),
        "versions": [{
            "version": VERSION,
            "providers": [{
                "name": baked.hypervisor.provider(),
                "url": file_url(&baked.dir.join(FILE)),
                "checksum_type": "sha256",
                "checksum": baked.sha256,
                "architecture": baked.arch.as_str(),
                "default_architecture": true,
            }],
        }],
    })
}

/// The address of a file of this computer, in which all that could be read otherwise is escaped.
pub(super) fn file_url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                url.push(char::from(*byte));
            }
            other => write!(url, "%{other:02X}").expect("writing to memory"),
        }
    }
    url
}
