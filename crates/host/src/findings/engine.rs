//! What machines in containers take from the computer of the engine: its kernel, and the disk with the engine's data.

use std::path::{Path, PathBuf};

use caravan_docker::{DockerCli, EngineInfo};

use super::{Finding, RemedyCommands, Verdict};
use crate::Error;

/// kube-proxy's nftables mode refuses older kernels (`pkg/proxy/nftables` of Kubernetes).
const LEAST_KERNEL: (u32, u32) = (5, 13);

/// Above this share of a disk, in percent, kubelets begin to delete images by default, and little is left for a busy lab.
const FULL_PERCENT: u64 = 85;

/// What kubelets of a lab want to be left, in GiB: `nodefs.available` in `/usr/lib/caravan/container-compat`.
const LEAST_GIB: u64 = 1;

/// Bytes of a GiB.
const GIB: f64 = (1_u64 << 30) as f64;

/// What the engine says of its computer; `None` where it does not answer.
pub fn engine_info() -> Option<EngineInfo> {
    DockerCli::find().ok()?.info().ok()
}

/// The kernel that containers run on: the engine's, else this computer's.
fn kernel(info: Option<&EngineInfo>) -> String {
    match info {
        Some(info) if !info.kernel.is_empty() => info.kernel.clone(),
        _ => rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
    }
}

/// Whether a kernel such as `5.10.0-28-amd64` is too old; one that cannot be read is not.
fn is_too_old(release: &str) -> bool {
    let mut numbers = release
        .split(|it: char| !it.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < LEAST_KERNEL,
        _ => false,
    }
}

/// Refuses a kernel on which kube-proxy would not start.
///
/// # Errors
///
/// [`Error::KernelTooOld`].
pub fn check_kernel(info: Option<&EngineInfo>) -> Result<(), Error> {
    let found = kernel(info);
    if is_too_old(&found) {
        let (major, minor) = LEAST_KERNEL;
        return Err(Error::KernelTooOld {
            found,
            least: format!("{major}.{minor}"),
        });
    }
    Ok(())
}

pub(super) fn kernel_finding(info: Option<&EngineInfo>, commands: RemedyCommands) -> Finding {
    let (verdict, evidence, remedy) = match check_kernel(info) {
        Ok(()) => (Verdict::Good, kernel(info), None),
        Err(error) => (
            Verdict::Missing,
            error.to_string(),
            error.hint(commands.tool),
        ),
    };
    Finding {
        name: "kernel",
        verdict,
        evidence,
        remedy,
    }
}

/// A disk that is nearly full.
#[derive(Debug, PartialEq, Eq)]
pub struct FullDisk {
    /// Where the engine keeps its data.
    path: PathBuf,
    percent: u64,
    /// What is left, in bytes.
    left: u64,
}

impl FullDisk {
    /// How to get room.
    pub fn hint(&self, commands: RemedyCommands) -> String {
        format!(
            "free some space: `docker system df` shows what the engine holds, `{}` removes what no lab needs",
            commands.prune
        )
    }

    /// What to tell of it.
    pub fn text(&self) -> String {
        format!(
            "the disk with the engine's data, `{}`, is {} % full, {:.1} GiB are left; above {FULL_PERCENT} % kubelets of \
             other clusters delete images, and with less than {LEAST_GIB} GiB the lab's own end pods",
            self.path.display(),
            self.percent,
            self.left as f64 / GIB
        )
    }
}

/// The engine's disk, if it is on this computer and more than 85 % of it is used.
pub fn full_disk(info: Option<&EngineInfo>) -> Option<FullDisk> {
    let path = info.filter(|info| info.is_here())?.root.clone();
    let (percent, left) = used(&path)?;
    let full = FullDisk {
        path,
        percent,
        left,
    };
    (percent > FULL_PERCENT).then_some(full)
}

pub(super) fn disk_finding(info: Option<&EngineInfo>, commands: RemedyCommands) -> Option<Finding> {
    let info = info?;
    let (verdict, evidence, remedy) = match full_disk(Some(info)) {
        Some(full) => (Verdict::Weak, full.text(), Some(full.hint(commands))),
        None if !info.is_here() => return None,
        None => {
            let (percent, _) = used(&info.root)?;
            let text = format!("`{}`, {percent} % of the disk used", info.root.display());
            (Verdict::Good, text, None)
        }
    };
    Some(Finding {
        name: "engine's disk",
        verdict,
        evidence,
        remedy,
    })
}

/// How much of the disk under `path` is used, in percent, and what is left, in bytes, as a kubelet counts: what only root may
/// still fill counts as used.
fn used(path: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(path).ok()?;
    let percent = percent(found.f_blocks, found.f_bavail)?;
    Some((percent, found.f_bavail.saturating_mul(found.f_frsize)))
}

fn percent(blocks: u64, available: u64) -> Option<u64> {
    Some(100 - (u128::from(available) * 100).checked_div(u128::from(blocks))? as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels() {
        for old in [
            "5.12.19",
            "5.10.0-28-amd64",
            "4.18.0-553.el8_10.x86_64",
            "3.10.0",
            "5.4",
        ] {
            assert!(is_too_old(old), "{old}");
        }
        for good in [
            "5.13.0",
            "5.15.0-1019-aws",
            "6.1.0",
            "6.18.44-fc",
            "10.0",
            "what",
            "",
        ] {
            assert!(!is_too_old(good), "{good}");
        }
    }

    #[test]
    fn a_full_disk_says_what_is_left_and_what_comes_of_it() {
        let full = FullDisk {
            path: "/var/lib/docker".into(),
            percent: 98,
            left: 5 << 30,
        };
        assert_eq!(
            full.text(),
            "the disk with the engine's data, `/var/lib/docker`, is 98 % full, 5.0 GiB are left; above 85 % kubelets of other \
             clusters delete images, and with less than 1 GiB the lab's own end pods"
        );
    }

    #[test]
    fn kubelets_want_what_is_said_of_them() {
        let script = include_str!("../../../render/templates/usr/lib/caravan/container-compat");
        for disk in ["nodefs", "imagefs"] {
            let line = format!("{disk}.available: {LEAST_GIB}Gi");
            assert!(script.contains(&line), "{line}");
        }
    }

    #[test]
    fn shares_of_a_disk() {
        assert_eq!(percent(100, 15), Some(85));
        assert_eq!(percent(1000, 149), Some(86));
        assert_eq!(percent(0, 0), None);
    }
}
