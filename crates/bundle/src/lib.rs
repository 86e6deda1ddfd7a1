//! What software runs? Pins in, a content-addressed bundle, machine image and box out.
//!
//! A [`Bundle`] holds every program and container image of a lab. [`ensure`] makes it once, from pinned downloads or
//! from Go modules, and keeps it in the [`Cache`]; [`image::bake`] puts it over a base system as a machine image, once per
//! content, and [`machine_box::bake`] makes a disk of that for virtual machines. All tell a [`Progress`] where they stand and
//! print nothing.
//!
//! Nothing half made is ever seen: entries are made aside and renamed when whole, and what is damaged later is found
//! before it is used. The pins are `artifacts.toml` and `go/`; the image's recipe is `image/`.

pub mod add_on;
mod base;
mod bundle;
mod cache;
mod carry;
mod compile;
mod components;
mod debian;
mod digest;
pub mod docker;
mod download;
mod entry;
mod error;
pub mod image;
pub mod image_archive;
pub mod image_file;
mod known;
pub mod machine_box;
pub mod needs;
mod oci;
mod pins;
mod progress;
mod proxy_root;
mod registry;
#[cfg(test)]
mod script;
mod shelf;
mod software;
mod source;
mod transport;

/// How this computer gets Debian packages: for who makes another system from them than a machine's.
pub mod apt {
    pub use crate::debian::{KEYRING, Suite, fetch_settings, host_sources};
}

pub use add_on::{AddOn, AddOnKind};
pub use base::{Base, is_made as has_base};
pub use bundle::{Bundle, ensure, find_made, is_made as has_bundle};
pub use cache::Cache;
pub use carry::{Imported, export, import};
pub use error::{Error, Remedy};
pub use known::{KnownSettings, KubeletRefusal, judge_kubelet};
pub use pins::{Arch, minors};
pub use progress::{BundleEvent, Progress, Silent};
pub use shelf::{Pruned, add_ons, list, prune, verify};
pub use software::{Software, software_of};
pub use source::{DownloadSettings, Proxy, SoftwareSource};
