//! `cargo xtask doctor`: says what this computer lacks, and how strong it is.

pub(crate) mod engine;
mod programs;
mod ranges;

use std::fs;
use std::path::Path;

use caravan_lab::{Lab, Provider};
use serde::Serialize;

use crate::error::Error;
use crate::exit::Exit;
use crate::flags;
use crate::host::needs::Purpose;
use crate::kubeconfig;
use crate::state::choices::Choices;
use crate::workspace::Workspace;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    evidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Good,
    /// A lab works, with less comfort.
    Weak,
    /// No lab works.
    Missing,
}

/// Runs the verb.
pub(crate) fn run(flags: &flags::Doctor, workspace: &Workspace) -> Result<Exit, Error> {
    let lab = match &flags.lab {
        Some(name) => Some(workspace.lab(name)?.0),
        None => None,
    };
    let purpose = Purpose::making(flags.origin.source, flags.origin.base);
    let mut findings = programs::findings(purpose);
    let info = engine::info();
    let provider = lab.as_ref().map_or(Provider::Docker, |lab| {
        let chosen = Choices::read(&workspace.state(lab.name())).ok().flatten();
        let chosen = chosen.map(|choices| choices.provider);
        chosen.or(lab.provider()).unwrap_or(Provider::Docker)
    });
    if provider == Provider::Docker {
        findings.push(engine::kernel_finding(info.as_ref()));
        findings.extend(engine::disk_finding(info.as_ref()));
    }
    if let Some(lab) = &lab {
        let was_made = workspace.state(lab.name()).choices().is_file();
        findings.extend(ranges::findings(lab, provider, was_made));
    }
    findings.push(memory(lab.as_ref()));
    findings.push(disk(workspace.root(), purpose));
    findings.extend(folder(workspace));
    findings.push(watchers());
    findings.push(cgroups());
    findings.push(hypervisor());

    if flags.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&findings).expect("plain data")
        );
    } else {
        print(&findings);
    }
    let lacks = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Missing);
    Ok(if lacks { Exit::Failed } else { Exit::Done })
}

fn print(findings: &[Finding]) {
    for finding in findings {
        let (mark, colour) = match finding.verdict {
            Verdict::Good => ("ok", anstyle::AnsiColor::Green),
            Verdict::Weak => ("weak", anstyle::AnsiColor::Yellow),
            Verdict::Missing => ("missing", anstyle::AnsiColor::Red),
        };
        let style = colour.on_default();
        anstream::println!(
            "{style}{mark:<8}{style:#}{:<22} {}",
            finding.name,
            finding.evidence
        );
        if let Some(remedy) = &finding.remedy {
            anstream::println!("{:<30} -> {remedy}", "");
        }
    }
}

/// The memory that the machines of `ha` were measured to use once it is up, in MiB; an idle lab of another size has its share.
const IDLE_MIB_PER_MACHINE: u64 = 170;

/// The memory that the lab uses when idle, in MiB, about.
pub(crate) fn idle_mib(lab: &Lab) -> u64 {
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
pub(crate) fn available_mib() -> Option<u64> {
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
pub(crate) fn free_disk_mib(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail * found.f_frsize / (1024 * 1024))
}

/// Lists of paths are split at colons.
fn folder(workspace: &Workspace) -> Option<Finding> {
    let lab = workspace.state("LAB");
    kubeconfig::colon(&lab.kubeconfig()).map(|evidence| Finding {
        name: "folder",
        verdict: Verdict::Weak,
        evidence,
        remedy: Some("move the workspace into a folder without a colon".to_owned()),
    })
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
    let writable = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok();
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let shown = flags
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        });
    let works = writable && shown;
    Finding {
        name: "hypervisor",
        verdict: if works { Verdict::Good } else { Verdict::Weak },
        evidence: match (writable, shown) {
            (true, true) => "KVM works",
            (true, false) => {
                "/dev/kvm is there, but the CPU shows neither vmx nor svm; containers do"
            }
            (false, true) => "the CPU could, but /dev/kvm cannot be opened; containers do",
            (false, false) => "none; containers do",
        }
        .to_owned(),
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
