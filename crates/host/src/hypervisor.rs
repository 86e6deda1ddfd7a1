//! Whether this computer's processor helps virtual machines along, by KVM; without, QEMU emulates one for them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The device by which programs use KVM.
const DEVICE: &str = "/dev/kvm";

/// Whether KVM can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvmFinding {
    /// It can.
    Usable,
    /// It cannot; what was seen, as an English clause.
    Unusable(String),
}

impl KvmFinding {
    /// Whether it can be used.
    pub fn is_usable(&self) -> bool {
        *self == Self::Usable
    }
}

/// Looks: on x86 the device must open for writing and the processor must show vmx or svm, because some clouds have the
/// device without either; on ARM the device says all.
///
/// The Vagrantfile decides in the same way, where it runs.
pub fn kvm() -> KvmFinding {
    let opened = File::options().read(true).write(true).open(DEVICE).err();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    judge(
        opened.as_ref(),
        Path::new(DEVICE).exists(),
        &cpuinfo,
        cfg!(target_arch = "x86_64"),
    )
}

fn judge(refused: Option<&io::Error>, exists: bool, cpuinfo: &str, x86: bool) -> KvmFinding {
    let helps = !x86
        || cpuinfo
            .lines()
            .filter(|line| line.starts_with("flags"))
            .flat_map(str::split_whitespace)
            .any(|flag| flag == "vmx" || flag == "svm");
    match (refused, exists, helps) {
        (None, _, true) => KvmFinding::Usable,
        (None, _, false) => KvmFinding::Unusable(format!(
            "`{DEVICE}` is there, and the processor shows neither vmx nor svm, as in a virtual machine without nesting"
        )),
        (Some(error), true, true) if error.kind() == io::ErrorKind::PermissionDenied => {
            KvmFinding::Unusable(format!(
                "`{DEVICE}` is closed to this user: `sudo usermod --append --groups kvm $USER`, then log in again"
            ))
        }
        (Some(error), true, _) => {
            KvmFinding::Unusable(format!("`{DEVICE}` cannot be opened: {error}"))
        }
        (Some(_), false, true) if x86 => KvmFinding::Unusable(format!(
            "there is no `{DEVICE}`, and the processor could: `sudo modprobe kvm_intel` or `kvm_amd`, or the firmware has \
             virtualisation switched off"
        )),
        (Some(_), false, _) => KvmFinding::Unusable(format!("there is no `{DEVICE}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_alone_is_not_enough_on_x86() {
        let intel = "processor\t: 0\nflags\t\t: fpu vme vmx sse\n";
        let bare = "processor\t: 0\nflags\t\t: fpu vme sse svms\n";
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let absent = io::Error::from(io::ErrorKind::NotFound);
        let evidence = |finding| match finding {
            KvmFinding::Usable => "usable".to_owned(),
            KvmFinding::Unusable(evidence) => evidence,
        };
        assert!(judge(None, true, intel, true).is_usable());
        assert!(judge(None, true, "", false).is_usable());
        assert!(evidence(judge(None, true, bare, true)).contains("neither vmx nor svm"));
        assert!(evidence(judge(Some(&denied), true, intel, true)).contains("--groups kvm"));
        assert!(evidence(judge(Some(&absent), false, intel, true)).contains("modprobe"));
        assert_eq!(
            evidence(judge(Some(&absent), false, "", false)),
            "there is no `/dev/kvm`"
        );
    }
}
