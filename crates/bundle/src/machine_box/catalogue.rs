//! `box.json`: what Vagrant reads to add a box, with where the box lies on this computer.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

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

/// The file of this computer that an address of [`file_url`] names.
pub(super) fn file_of(url: &str) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut rest = url.strip_prefix("file://")?.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.extend(hex::decode(digits).ok()?);
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
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
