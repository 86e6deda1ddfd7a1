//! Whether this computer helps virtual machines along, or emulates them.

use std::fs::{self, OpenOptions};

/// Whether KVM can be used here, which libvirt's machines need in order to be about as fast as this computer.
pub(crate) fn has_kvm() -> bool {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let is_able = !cfg!(target_arch = "x86_64")
        || (flags.split_whitespace()).any(|flag| flag == "vmx" || flag == "svm");
    let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    is_able && device.is_ok()
}
