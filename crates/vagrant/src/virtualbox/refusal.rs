//! Why VirtualBox does not start a machine: its own code, and what helps, which depends on what is installed.
//!
//! | source | of what |
//! |---|---|
//! | `src/VBox/VMM/VMMR3/HM.cpp`, `include/VBox/err.h` of VirtualBox | the codes |
//! | the kernel's `virt/kvm/kvm_main.c` | `enable_virt_at_load`, since Linux 6.12 |
//! | VirtualBox/virtualbox issues 81, 141, 188, 711, 713 on GitHub | which versions of both agree on who holds VT-x |

use std::fmt;
use std::fs;
use std::path::PathBuf;

use super::VirtualBox;
use crate::{Error, Version};

/// Since this kernel the modules of KVM hold VT-x and AMD-V while they are loaded, and not only while a machine runs.
pub const KVM_HOLDS_FROM: Version = Version::new(6, 12, 0);

/// Since this kernel others can ask KVM for VT-x and AMD-V.
pub const KVM_SHARES_FROM: Version = Version::new(6, 16, 0);

/// Since this version VirtualBox leaves it to KVM to switch VT-x and AMD-V on, where KVM can be asked.
const VIRTUALBOX_ASKS_KVM: Version = Version::new(7, 2, 10);

/// What of this computer decides who may use VT-x or AMD-V.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Whether it runs Linux; else KVM has no part in it.
    pub linux: bool,
    /// The kernel's version, where it is Linux.
    pub kernel: Option<Version>,
    /// The module of KVM that is loaded, `kvm_intel` or `kvm_amd`.
    pub kvm: Option<String>,
    /// Whether that module switches VT-x or AMD-V on for good; none where the kernel has no such choice.
    pub kvm_at_load: Option<bool>,
    /// VirtualBox's version.
    pub virtualbox: Option<Version>,
}

impl HostFacts {
    /// Of this computer; VirtualBox's version is the caller's to know.
    pub fn here(virtualbox: Option<Version>) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let release = read("/proc/sys/kernel/osrelease");
        let modules = read("/proc/modules");
        let loaded = modules
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .find(|name| ["kvm_intel", "kvm_amd"].contains(name));
        Self {
            linux: cfg!(target_os = "linux"),
            kernel: Version::leading(&release),
            kvm: loaded.map(str::to_owned),
            kvm_at_load: match read("/sys/module/kvm/parameters/enable_virt_at_load").trim() {
                "Y" | "1" => Some(true),
                "N" | "0" => Some(false),
                _ => None,
            },
            virtualbox,
        }
    }

    /// Whether KVM holds VT-x or AMD-V whatever runs, so that VirtualBox will be refused it: the module that does, and the
    /// code with which VirtualBox would say so.
    pub fn held_by_kvm(&self) -> Option<(&str, &'static str)> {
        let kernel = self.kernel?;
        let module = self.kvm.as_deref()?;
        let held =
            kernel >= KVM_HOLDS_FROM && kernel < KVM_SHARES_FROM && self.kvm_at_load == Some(true);
        let code = match module {
            "kvm_amd" => "VERR_SVM_IN_USE",
            _ => "VERR_VMX_IN_VMX_ROOT_MODE",
        };
        held.then_some((module, code))
    }
}

/// What a code of VirtualBox's means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Another hypervisor has VT-x or AMD-V.
    Held,
    /// VirtualBox waits for KVM to switch it on.
    NotSwitchedOn,
    /// The firmware keeps it off.
    Firmware,
    /// The processor, or the hypervisor that this computer is a guest of, has none.
    None,
    /// Windows' own hypervisor has it.
    Windows,
    /// VirtualBox's kernel module is not there, or not of this version.
    Driver,
}

/// The codes that are known; of a text with several, the one that comes first here tells most.
const CODES: &[(&str, Cause)] = &[
    ("VERR_VMX_IN_VMX_ROOT_MODE", Cause::Held),
    ("VERR_SVM_IN_USE", Cause::Held),
    ("VERR_SVM_HOST_SVME_NOT_ENABLED", Cause::NotSwitchedOn),
    ("VERR_VMX_HOST_VMXE_NOT_ENABLED", Cause::NotSwitchedOn),
    ("VERR_VMX_MSR_ALL_VMX_DISABLED", Cause::Firmware),
    ("VERR_VMX_MSR_VMX_DISABLED", Cause::Firmware),
    ("VERR_VMX_MSR_LOCKED_OR_DISABLED", Cause::Firmware),
    ("VERR_VMX_MSR_LOCKING_FAILED", Cause::Firmware),
    ("VERR_SVM_DISABLED", Cause::Firmware),
    ("VERR_VM_DRIVER_NOT_INSTALLED", Cause::Driver),
    ("VERR_VM_DRIVER_VERSION_MISMATCH", Cause::Driver),
    ("VERR_VM_DRIVER_LOAD_ERROR", Cause::Driver),
    ("VERR_VM_DRIVER_OPEN_ERROR", Cause::Driver),
    ("VERR_VM_DRIVER_NOT_ACCESSIBLE", Cause::Driver),
    ("rc=-1908", Cause::Driver),
    ("rc=-1912", Cause::Driver),
    ("VERR_NEM_MISSING_KERNEL_API", Cause::Windows),
    ("VERR_NEM_VM_CREATE_FAILED", Cause::Windows),
    ("VERR_VMX_NO_VMX", Cause::None),
    ("VERR_SVM_NO_SVM", Cause::None),
    ("VERR_UNSUPPORTED_CPU", Cause::None),
];

/// Vagrant's own errors about VirtualBox's kernel module.
const DRIVER_CLASSES: [&str; 2] = [
    "VirtualBoxKernelModuleNotLoaded",
    "VirtualBoxInstallIncomplete",
];

/// VirtualBox does not start machines on this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// VirtualBox's own code, such as `VERR_VMX_IN_VMX_ROOT_MODE`; Vagrant's class where VirtualBox gives none.
    pub code: String,
    /// The words around it.
    pub said: String,
    /// The code of the interface that passed it on, such as `NS_ERROR_FAILURE (0x80004005)`.
    pub result: Option<String>,
    /// What helps, the quickest first.
    pub remedies: Vec<String>,
    /// The file that holds all of Vagrant's output.
    pub log: Option<PathBuf>,
}

impl Refusal {
    /// What helps, and where all of the output is.
    pub fn hint(&self) -> String {
        let mut all = self.remedies.join("; ");
        if let Some(log) = &self.log {
            all += &format!("; all of Vagrant's output is in `{}`", log.display());
        }
        all
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtualBox does not start machines here: {}", self.said)?;
        if !self.said.contains(&self.code) {
            write!(f, " ({})", self.code)?;
        }
        match &self.result {
            Some(result) => write!(f, "; {result}"),
            None => Ok(()),
        }
    }
}

/// Whether Vagrant gave up because VirtualBox does not start machines on this computer; any other error as it was.
pub(crate) fn of(error: Error) -> Error {
    let Error::Refused {
        class,
        text,
        said,
        log,
        ..
    } = &error
    else {
        return error;
    };
    let all = format!("{text}\n{}", said.join("\n"));
    let Some(found) = read(class, &all) else {
        return error;
    };
    let version = VirtualBox::find()
        .and_then(|virtualbox| virtualbox.installed())
        .ok()
        .map(|installed| installed.version);
    let remedies = remedies(&found.0, found.1, &HostFacts::here(version));
    Error::VirtualBoxRefuses(Box::new(Refusal {
        code: found.0,
        said: found.2,
        result: found.3,
        remedies,
        log: log.clone(),
    }))
}

/// The code, its cause, the line that says it, and the interface's code.
fn read(class: &str, all: &str) -> Option<(String, Cause, String, Option<String>)> {
    let line_of = |code: &str| {
        let line = all.lines().find(|line| has_code(line, code))?;
        let line = line.trim().trim_start_matches("Stderr: ");
        let line = line.split_once("error: ").map_or(line, |(_, rest)| rest);
        Some(line.trim_end_matches('.').to_owned())
    };
    let result = all.lines().find_map(|line| {
        let (_, rest) = line.split_once("Details: code ")?;
        Some(rest.split(',').next().unwrap_or(rest).to_owned())
    });
    if let Some((code, cause, line)) = CODES
        .iter()
        .find_map(|(code, cause)| Some((*code, *cause, line_of(code)?)))
    {
        return Some((code.to_owned(), cause, line, result));
    }
    let class = DRIVER_CLASSES.iter().find(|it| class.ends_with(**it))?;
    let words: Vec<&str> = all.lines().next()?.split_whitespace().collect();
    Some(((*class).to_owned(), Cause::Driver, words.join(" "), result))
}

/// Whether a line has the code as a word: one code begins like another.
fn has_code(line: &str, code: &str) -> bool {
    line.match_indices(code).any(|(at, _)| {
        let next = line[at + code.len()..].chars().next();
        !next.is_some_and(|next| next.is_ascii_alphanumeric() || next == '_')
            // `VERR_NEM_MISSING_KERNEL_API_2` and the like are of the same kind.
            || code == "VERR_NEM_MISSING_KERNEL_API"
    })
}

/// What helps against the code that VirtualBox would give where KVM holds VT-x or AMD-V.
pub fn remedies_against_kvm(code: &str, host: &HostFacts) -> Vec<String> {
    remedies(code, Cause::Held, host)
}

fn remedies(code: &str, cause: Cause, host: &HostFacts) -> Vec<String> {
    let amd = code.contains("SVM");
    let feature = if amd { "AMD-V" } else { "VT-x" };
    let module = host
        .kvm
        .clone()
        .unwrap_or_else(|| if amd { "kvm_amd" } else { "kvm_intel" }.to_owned());
    let unload = format!(
        "end what runs on KVM, then `sudo modprobe -r {module} kvm`, which holds until it is loaded again"
    );
    let asks_kvm = host.virtualbox.is_some_and(|it| it >= VIRTUALBOX_ASKS_KVM)
        && host.kernel.is_some_and(|it| it >= KVM_SHARES_FROM);
    match cause {
        Cause::Held if !host.linux => vec![
            format!("end the other hypervisor, which has {feature}"),
            windows(),
        ],
        Cause::Held => {
            let mut all = vec![unload];
            match host.kernel {
                Some(kernel) if kernel < KVM_HOLDS_FROM => all.push(format!(
                    "on Linux {kernel} KVM has {feature} only while a machine runs on it: `virsh list` and `pgrep -a qemu` show which"
                )),
                _ if asks_kvm => all.push(
                    "leave `kvm.enable_virt_at_load` at 1 with VirtualBox 7.2.10 and later on Linux 6.16 and later".to_owned(),
                ),
                _ => {
                    all.push(
                        "for good, since Linux 6.12: `kvm.enable_virt_at_load=0` on the kernel's command line, or `options kvm \
                         enable_virt_at_load=0` in `/etc/modprobe.d/virtualbox.conf`, and start this computer again"
                            .to_owned(),
                    );
                    all.push(
                        "or Linux 6.16 or later with VirtualBox 7.2.10 or later, which shares it with KVM; the parameter then stays at 1"
                            .to_owned(),
                    );
                }
            }
            all
        }
        Cause::NotSwitchedOn => vec![
            format!(
                "VirtualBox 7.2.10 and later leave it to KVM to switch {feature} on: take `enable_virt_at_load=0` away \
                 (`grep -r enable_virt_at_load /etc/modprobe.d /proc/cmdline`), then `sudo modprobe -r {module} kvm` and \
                 `sudo modprobe {module}`"
            ),
            format!("or keep KVM unloaded: `sudo modprobe -r {module} kvm`"),
        ],
        Cause::Firmware => vec![format!(
            "switch {feature} on in this computer's firmware setup (BIOS, UEFI; also called Virtualization Technology or SVM Mode)"
        )],
        Cause::None => {
            let mut all = vec![format!(
                "`grep -cE 'vmx|svm' /proc/cpuinfo` says 0 where the processor has no {feature}, or where this computer is itself \
                 a guest without nested virtualization"
            )];
            if !host.linux {
                all = vec![windows()];
            }
            all.push("`--provider docker` needs neither".to_owned());
            all
        }
        Cause::Windows => vec![windows()],
        Cause::Driver => vec![
            "`VBoxManage --version` says what lacks: mostly `sudo /sbin/vboxconfig` (Oracle's packages), or `sudo apt install \
             linux-headers-$(uname -r)` and `sudo dpkg-reconfigure virtualbox-dkms` (Debian, Ubuntu)"
                .to_owned(),
            "with Secure Boot the modules vboxdrv, vboxnetflt and vboxnetadp must be signed".to_owned(),
        ],
    }
}

fn windows() -> String {
    "on Windows, as an administrator: `bcdedit /set hypervisorlaunchtype off`, Memory Integrity off, and start it again".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: &str = "There was an error while executing `VBoxManage`, a CLI used by Vagrant\nfor controlling VirtualBox. The command and stderr is shown below.\n\nCommand: [\"startvm\", \"60d9eb17\", \"--type\", \"headless\"]\n\nStderr: VBoxManage: error: VirtualBox can't operate in VMX root mode. Please disable the KVM kernel extension, recompile your kernel and reboot (VERR_VMX_IN_VMX_ROOT_MODE)\nVBoxManage: error: Details: code NS_ERROR_FAILURE (0x80004005), component ConsoleWrap, interface IConsole\n";

    fn linux(kernel: (u16, u16, u16), virtualbox: (u16, u16, u16)) -> HostFacts {
        HostFacts {
            linux: true,
            kernel: Some(Version::new(kernel.0, kernel.1, kernel.2)),
            kvm: Some("kvm_intel".to_owned()),
            kvm_at_load: Some(true),
            virtualbox: Some(Version::new(virtualbox.0, virtualbox.1, virtualbox.2)),
        }
    }

    #[test]
    fn virtualboxes_own_words_and_codes() {
        let (code, cause, said, result) =
            read("Vagrant::Errors::VBoxManageError", HELD).expect("known");
        assert_eq!(
            (code.as_str(), cause),
            ("VERR_VMX_IN_VMX_ROOT_MODE", Cause::Held)
        );
        assert!(said.starts_with("VirtualBox can't operate in VMX root mode."));
        assert_eq!(result.as_deref(), Some("NS_ERROR_FAILURE (0x80004005)"));
        let shown = Refusal {
            code,
            said,
            result,
            remedies: Vec::new(),
            log: None,
        }
        .to_string();
        assert_eq!(
            shown.matches("VERR_VMX_IN_VMX_ROOT_MODE").count(),
            1,
            "{shown}"
        );
        assert!(shown.ends_with("NS_ERROR_FAILURE (0x80004005)"));
    }

    #[test]
    fn each_code_is_told_from_those_that_begin_like_it() {
        for (code, cause) in CODES {
            let text = format!("Stderr: VBoxManage: error: words ({code})\n");
            let found = read("", &text).expect("known");
            assert_eq!((found.0.as_str(), found.1), (*code, *cause));
        }
        assert_eq!(read("", "error: x (VERR_SVM_IN_USE_BY_NOBODY)"), None);
        let windows = read(
            "",
            "VBoxManage.exe: error: (VERR_NEM_MISSING_KERNEL_API_2).\nVBoxManage.exe: error: VT-x is not available (VERR_VMX_NO_VMX)",
        );
        assert_eq!(windows.map(|it| it.1), Some(Cause::Windows));
        assert_eq!(
            read(
                "Vagrant::Errors::VBoxManageError",
                "Stderr: VBoxManage: error: no space"
            ),
            None
        );
        let driver = read(
            "Vagrant::Errors::VirtualBoxKernelModuleNotLoaded",
            "VirtualBox is complaining that the kernel module is not loaded. Please\nrun",
        );
        assert_eq!(driver.map(|it| it.1), Some(Cause::Driver));
    }

    #[test]
    fn remedies_are_those_of_the_versions() {
        let held =
            |host: &HostFacts| remedies("VERR_VMX_IN_VMX_ROOT_MODE", Cause::Held, host).join("\n");
        let old = held(&linux((6, 1, 0), (7, 0, 20)));
        assert!(
            old.contains("modprobe -r kvm_intel kvm") && !old.contains("enable_virt_at_load"),
            "{old}"
        );
        let twelve = held(&linux((6, 12, 9), (7, 0, 20)));
        assert!(twelve.contains("kvm.enable_virt_at_load=0"), "{twelve}");
        let new = held(&linux((6, 18, 2), (7, 2, 14)));
        assert!(
            new.contains("leave `kvm.enable_virt_at_load` at 1"),
            "{new}"
        );
        let amd = remedies(
            "VERR_SVM_HOST_SVME_NOT_ENABLED",
            Cause::NotSwitchedOn,
            &HostFacts {
                linux: true,
                ..HostFacts::default()
            },
        )
        .join("\n");
        assert!(
            amd.contains("modprobe kvm_amd") && amd.contains("AMD-V"),
            "{amd}"
        );
        let windows = held(&HostFacts::default());
        assert!(windows.contains("bcdedit"), "{windows}");
    }

    #[test]
    fn kvm_is_known_to_hold_it_before_anything_is_made() {
        let held = linux((6, 12, 9), (7, 0, 20));
        assert_eq!(
            held.held_by_kvm(),
            Some(("kvm_intel", "VERR_VMX_IN_VMX_ROOT_MODE"))
        );
        let free = [
            linux((6, 1, 0), (7, 0, 20)),
            linux((6, 17, 0), (7, 2, 8)),
            HostFacts {
                kvm_at_load: Some(false),
                ..held.clone()
            },
            HostFacts {
                kvm: None,
                ..held.clone()
            },
            HostFacts::default(),
        ];
        for host in free {
            assert_eq!(host.held_by_kvm(), None, "{host:?}");
        }
        let amd = HostFacts {
            kvm: Some("kvm_amd".to_owned()),
            ..held
        };
        assert_eq!(amd.held_by_kvm(), Some(("kvm_amd", "VERR_SVM_IN_USE")));
    }
}
