//! What differs from operating system to operating system and from processor to processor: names of packages, and how a
//! machine starts.

use super::Hypervisor;
use crate::Error;
use crate::base::Base;
use crate::pins::Arch;

const MACHINE: &str = include_str!("../../image/vm/packages.txt");

/// What starts the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Firmware {
    /// A boot sector: syslinux.
    Bios,
    /// A file in the boot partition: systemd-boot.
    Efi,
}

impl Firmware {
    /// That of a virtual machine.
    ///
    /// # Errors
    ///
    /// [`Error::NoBox`] where machines of this kind are not known well enough to make a box for them.
    pub(super) fn of(arch: Arch, hypervisor: Hypervisor) -> Result<Self, Error> {
        match (arch, hypervisor) {
            (Arch::Amd64, _) => Ok(Self::Bios),
            (Arch::Arm64, Hypervisor::Libvirt) => Ok(Self::Efi),
            (Arch::Arm64, Hypervisor::VirtualBox) => Err(Error::NoBox { hypervisor, arch }),
        }
    }

    /// As `image/disk/write` takes it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Efi => "efi",
        }
    }
}

/// What a machine image lacks to be a virtual machine.
pub(super) fn of_machine(base: Base, arch: Arch) -> Vec<&'static str> {
    let kernel = match (base, arch) {
        // The kernel for virtual machines with the drivers of all that Debian's has, and no more.
        (Base::Ubuntu, _) => "linux-image-virtual",
        // VirtIO, IDE and NVMe; no AHCI and no e1000.
        (_, Arch::Amd64) => "linux-image-cloud-amd64",
        (_, Arch::Arm64) => "linux-image-cloud-arm64",
    };
    MACHINE
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .chain([kernel])
        .collect()
}

/// What writes disks.
pub(super) fn of_tools(base: Base, firmware: Firmware) -> Vec<&'static str> {
    let mut packages = vec!["dosfstools", "e2fsprogs", "fdisk", "mtools", "qemu-utils"];
    match (firmware, base) {
        (Firmware::Bios, _) => packages.extend(["syslinux", "syslinux-common"]),
        // Ubuntu 22.04 has it in systemd itself.
        (Firmware::Efi, Base::Ubuntu) => {}
        (Firmware::Efi, _) => packages.push("systemd-boot-efi"),
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_and_processor_has_its_kernel() {
        for (base, arch, kernel) in [
            (Base::Debian12, Arch::Amd64, "linux-image-cloud-amd64"),
            (Base::Debian13, Arch::Arm64, "linux-image-cloud-arm64"),
            (Base::Ubuntu, Arch::Amd64, "linux-image-virtual"),
        ] {
            let packages = of_machine(base, arch);
            assert!(packages.contains(&kernel) && packages.contains(&"udev"));
            let kernels = packages.iter().filter(|name| name.starts_with("linux-"));
            assert_eq!(kernels.count(), 1, "{packages:?}");
        }
    }

    #[test]
    fn a_box_that_could_not_start_is_refused() {
        let error = Firmware::of(Arch::Arm64, Hypervisor::VirtualBox).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("virtualbox") && text.contains("arm64"),
            "{text}"
        );
        assert!(error.hint("the tool").unwrap().contains("--image"));
        assert!(!of_tools(Base::Debian12, Firmware::Efi).contains(&"syslinux"));
    }
}
