//! The file that Vagrant unpacks: a gzip tar with the disk and what says what it is.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{About, DISK_GIB, Hypervisor, recipe};
use crate::pins::Arch;
use crate::{Error, digest, oci};

/// The disk in a box for VirtualBox.
const VMDK: &str = "box-disk001.vmdk";

/// Packs the box of `about`, whose disk is the file `disk`.
pub(super) fn write(about: &About, id: &str, disk: &Path, to: &Path) -> Result<(), Error> {
    let read = || Error::file("read", disk);
    let write = || Error::file("write", to);
    let size = disk.metadata().map_err(read())?.len();
    let file = File::create(to).map_err(write())?;
    // The disk is compressed: what could be gained is not worth the time.
    let gzip = GzEncoder::new(
        BufWriter::with_capacity(digest::CHUNK, file),
        Compression::none(),
    );
    let mut archive = tar::Builder::new(gzip);
    let mut add = |path: &str, text: &str| {
        oci::add_bytes(&mut archive, path, text.as_bytes(), 0o644).map_err(write())
    };
    let metadata = metadata(about).to_string();
    add("metadata.json", &metadata)?;
    add("Vagrantfile", recipe::VAGRANTFILE)?;
    if about.hypervisor == Hypervisor::VirtualBox {
        add("box.ovf", &ovf(about, id, size))?;
    }
    let name = disk_name(about.hypervisor);
    let mut header = oci::header(size, 0o644, tar::EntryType::Regular);
    let content = BufReader::with_capacity(digest::CHUNK, File::open(disk).map_err(read())?);
    archive
        .append_data(&mut header, name, content)
        .map_err(write())?;
    let gzip = archive.into_inner().map_err(write())?;
    let buffered = gzip.finish().map_err(write())?;
    let file = buffered
        .into_inner()
        .map_err(|error| write()(error.into_error()))?;
    file.sync_all().map_err(write())
}

/// The disk's name in the box.
fn disk_name(hypervisor: Hypervisor) -> &'static str {
    match hypervisor {
        Hypervisor::Libvirt => "box.img",
        Hypervisor::VirtualBox => VMDK,
    }
}

/// What Vagrant and the provider read of it.
pub(super) fn metadata(about: &About) -> Value {
    let (provider, architecture) = (about.hypervisor.provider(), about.arch.as_str());
    match about.hypervisor {
        Hypervisor::Libvirt => json!({
            "provider": provider,
            "architecture": architecture,
            "format": "qcow2",
            "virtual_size": DISK_GIB,
        }),
        Hypervisor::VirtualBox => json!({ "provider": provider, "architecture": architecture }),
    }
}

/// What VirtualBox imports, with a disk file of `size` bytes.
pub(super) fn ovf(about: &About, id: &str, size: u64) -> String {
    // What it calls the system decides defaults that no lab is about; Debian's are right for Ubuntu's kernel too.
    let (system, cim) = match about.arch {
        Arch::Amd64 => ("Debian_64", "96"),
        Arch::Arm64 => ("Debian_arm64", "96"),
    };
    let capacity = u64::from(DISK_GIB) << 30;
    [
        ("@NAME@", about.name.as_str()),
        ("@DISK@", VMDK),
        ("@DISK_SIZE@", &size.to_string()),
        ("@CAPACITY@", &capacity.to_string()),
        ("@DISK_UUID@", &uuid("disk", id)),
        ("@MACHINE_UUID@", &uuid("machine", id)),
        ("@SYSTEM@", system),
        ("@CIM_SYSTEM@", cim),
    ]
    .into_iter()
    .fold(recipe::OVF.to_owned(), |text, (word, value)| {
        text.replace(word, value)
    })
}

/// A UUID that follows from the box's own name, of the version for such (8).
fn uuid(of: &str, id: &str) -> String {
    let sum = digest::of_bytes(format!("{of} {id}").as_bytes());
    format!(
        "{}-{}-8{}-a{}-{}",
        &sum[..8],
        &sum[8..12],
        &sum[13..16],
        &sum[17..20],
        &sum[20..32]
    )
}
