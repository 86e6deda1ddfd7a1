//! What this computer lacks, and how strong it is: one [`Finding`] for each thing that was looked at.

mod engine;
mod programs;
mod ranges;
mod virtualbox;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use caravan_lab::{Lab, Provider, Server};
use serde::Serialize;

pub use self::engine::{FullDisk, check_kernel, engine_info, full_disk};
use crate::hypervisor::{self, KvmFinding};
use crate::needs::Purpose;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What people call it.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// A lab works, with less comfort.
    Weak,
    /// No lab works.
    Missing,
}

/// The commands of the caller that remedies name, as people type them.
#[derive(Debug, Clone, Copy)]
pub struct RemedyCommands {
    /// The program whose verbs the others are.
    pub tool: &'static str,
    /// Calls [`crate::setup::ensure`].
    pub setup: &'static str,
    /// Removes made software that no lab needs.
    pub prune: &'static str,
}

/// The lab that findings are about.
#[derive(Debug, Clone, Copy)]
pub struct LabInQuestion<'a> {
    /// What its file says.
    pub lab: &'a Lab,
    /// What runs its machines.
    pub providers: &'a BTreeSet<Provider>,
    /// The servers on this computer whose machines VirtualBox runs.
    pub virtualbox: &'a [&'a Server],
    /// Whether machines of it may exist here, and with them a network of its own.
    pub was_made: bool,
}

/// Looks at everything that `purpose` needs, and at what a lab needs besides; `folder` is where its state lies.
pub fn findings(
    purpose: Purpose,
    lab: Option<LabInQuestion<'_>>,
    folder: &Path,
    commands: RemedyCommands,
) -> Vec<Finding> {
    let mut findings = programs::findings(purpose, commands);
    let info = engine::engine_info();
    if lab.is_none_or(|it| it.providers.contains(&Provider::Docker)) {
        findings.push(engine::kernel_finding(info.as_ref(), commands));
        findings.extend(engine::disk_finding(info.as_ref(), commands));
    }
    if let Some(LabInQuestion {
        lab,
        providers,
        virtualbox,
        was_made,
    }) = lab
    {
        findings.extend(virtualbox::findings(lab, virtualbox));
        findings.extend(ranges::findings(lab, providers, was_made));
    }
    findings.push(memory(lab.map(|it| it.lab)));
    findings.push(disk(folder, purpose));
    findings.push(watchers());
    findings.push(cgroups());
    findings.push(hypervisor());
    findings
}

/// The memory that the machines of `ha` were measured to use once it is up, in MiB; an idle lab of another size has its share.
const IDLE_MIB_PER_MACHINE: u64 = 170;

/// The memory that the lab uses when idle, in MiB, about.
pub fn idle_mib(lab: &Lab) -> u64 {
    lab.machines().len() as u64 * IDLE_MIB_PER_MACHINE
}

fn memory(lab: Option<&Lab>) -> Finding {
    let free = available_mib();
    let machines = lab.map_or(9, |lab| lab.machines().len() as u64);
    let wanted = machines * IDLE_MIB_PER_MACHINE;
    Finding {
        name: "memory",
        verdict: if free.is_none_or(|free| free >= wanted) {
            Verdict::Good
        } else {
            Verdict::Weak
        },
        evidence: match free {
            Some(free) => {
                format!("{free} MiB free; {machines} machines use about {wanted} MiB when idle")
            }
            None => "unknown".to_owned(),
        },
        remedy: None,
    }
}

/// What the kernel says is available, in MiB.
pub fn available_mib() -> Option<u64> {
    parse_available(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// The disk that a first `up` uses: bundle, image, and what machines write.
const WANTED_DISK_MIB: u64 = 8 * 1024;

/// What Go's caches of modules and of what it compiled take besides, where it builds the software.
const GO_CACHES_MIB: u64 = 10 * 1024;

fn disk(root: &Path, purpose: Purpose) -> Finding {
    let free = free_disk_mib(root);
    let wanted = WANTED_DISK_MIB + if purpose.built { GO_CACHES_MIB } else { 0 };
    Finding {
        name: "disk",
        verdict: if free.is_none_or(|free| free >= wanted) {
            Verdict::Good
        } else {
            Verdict::Weak
        },
        evidence: match free {
            Some(free) => format!("{free} MiB free; a first `up` uses up to {wanted} MiB"),
            None => "unknown".to_owned(),
        },
        remedy: None,
    }
}

/// What is free for this user where `path` lies, in MiB.
pub fn free_disk_mib(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail * found.f_frsize / (1024 * 1024))
}

/// Each kubelet, containerd and systemd of a container watches files, and all of them count against the host's limit.
const WATCHERS_PER_MACHINE: u64 = 13;

fn watchers() -> Finding {
    let path = "/proc/sys/fs/inotify/max_user_instances";
    let limit = fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let enough = limit.is_none_or(|limit| limit >= 2 * 9 * WATCHERS_PER_MACHINE);
    Finding {
        name: "file watchers",
        verdict: if enough { Verdict::Good } else { Verdict::Weak },
        evidence: match limit {
            Some(limit) => format!("{limit} allowed; a machine in a container uses about {WATCHERS_PER_MACHINE}"),
            None => "unknown".to_owned(),
        },
        remedy: (!enough).then(|| {
            "nodes raise it to 1024 where they may, and it is put back with the last lab; by hand: `sudo sysctl fs.inotify.max_user_instances=1024`".to_owned()
        }),
    }
}

fn cgroups() -> Finding {
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    Finding {
        name: "cgroups",
        verdict: if unified {
            Verdict::Good
        } else {
            Verdict::Weak
        },
        evidence: if unified {
            "version 2".to_owned()
        } else {
            "version 1; containers work around it".to_owned()
        },
        remedy: None,
    }
}

fn hypervisor() -> Finding {
    let (verdict, evidence) = match hypervisor::kvm() {
        KvmFinding::Usable => (Verdict::Good, "KVM works".to_owned()),
        KvmFinding::Unusable(seen) => (
            Verdict::Weak,
            format!(
                "{seen}; containers do, and virtual machines are emulated, which takes minutes"
            ),
        ),
    };
    Finding {
        name: "hypervisor",
        verdict,
        evidence,
        remedy: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   2048000 kB\nCached: 1 kB\n";
        assert_eq!(parse_available(text), Some(2000));
        assert_eq!(parse_available("MemTotal: 1 kB\n"), None);
        assert_eq!(parse_available("MemAvailable: many kB\n"), None);
    }
}
