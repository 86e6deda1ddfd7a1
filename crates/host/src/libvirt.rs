//! libvirt: whether it answers this user, and starting it where it does not run.
//!
//! Distributions have it as one daemon, or as one for each of its parts, and start them by systemd when somebody asks.
//! Where systemd is not process 1 they are started in the background by themselves, as the container engine is.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use caravan_process::{Program, interrupt};
use caravan_vagrant::Error as VagrantError;
use caravan_vagrant::libvirt::LibvirtMachines;

use crate::engine::{make_state_folder, state_folder, systemd_runs, unit_state};
use crate::error::Error;
use crate::packages;
use crate::probe::{NeedState, SBIN, told};

/// How long libvirt may take to answer after it was started.
const PATIENCE: Duration = Duration::from_secs(60);

/// The device by which programs use KVM.
const KVM: &str = "/dev/kvm";

/// What lacks where libvirt does not run and this user may not start it.
const RUNNING_LIBVIRT: &str = "libvirt that runs";

/// The sockets of the parts that machines need, where each is a daemon of its own: domains, networks, disks.
const PARTS: [&str; 3] = [
    "virtqemud.socket",
    "virtnetworkd.socket",
    "virtstoraged.socket",
];

/// What can start libvirt.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Starter {
    /// These units.
    Systemd(Vec<&'static str>),
    /// The daemon by itself, and the one that keeps what machines write to their consoles.
    Daemons {
        libvirtd: Program,
        virtlogd: Option<Program>,
    },
}

/// How libvirt is, as a need.
pub(crate) fn look() -> NeedState {
    let Ok(libvirt) = LibvirtMachines::find() else {
        return NeedState::package("no `virsh` command");
    };
    match libvirt.version() {
        Ok(version) => NeedState::Met(format!("answers, version {version}")),
        Err(error @ VagrantError::LibvirtSilent { .. }) if error.is_forbidden() => {
            NeedState::by_hand(
                format!("does not let you in: {}", told(&error)),
                "`sudo usermod --append --groups libvirt $USER`, then log in again; or go on at once with the same \
                 command in `sg libvirt -c '...'`",
            )
        }
        Err(VagrantError::LibvirtSilent { command, said }) => match starter() {
            Some(Starter::Systemd(units)) => NeedState::Asleep(format!(
                "does not run; can be started by `systemctl start {}`",
                units.join(" ")
            )),
            Some(Starter::Daemons { libvirtd, .. }) => NeedState::Asleep(format!(
                "does not run; can be started by `{}`",
                libvirtd.path().display()
            )),
            None => NeedState::package(format!(
                "`{command}` says: {said}; and no daemon of libvirt is here"
            )),
        },
        Err(error) => NeedState::replace(
            format!("`virsh` does not work: {}", told(&error)),
            "repair or remove it",
        ),
    }
}

fn starter() -> Option<Starter> {
    if systemd_runs() {
        for units in [&["libvirtd.service"][..], &PARTS] {
            if units.iter().all(|unit| unit_state(unit) == "loaded") {
                return Some(Starter::Systemd(units.to_vec()));
            }
        }
    }
    let libvirtd = Program::find_also_in("libvirtd", &SBIN).ok()?;
    Some(Starter::Daemons {
        libvirtd,
        virtlogd: Program::find_also_in("virtlogd", &SBIN).ok(),
    })
}

/// Starts libvirt if it does not run; returns how, or `None` if it ran already.
///
/// # Errors
///
/// [`Error::LibvirtSilent`] when it does not answer in the end, [`Error::CannotInstall`] with the exact command where this
/// user may not start it, [`Error::Process`].
pub fn start() -> Result<Option<String>, Error> {
    if !matches!(look(), NeedState::Asleep(_)) {
        return Ok(None);
    }
    let Some(starter) = starter() else {
        return Ok(None);
    };
    packages::admit()?;
    let how = match &starter {
        Starter::Systemd(units) => {
            let words: Vec<&str> = std::iter::once("start")
                .chain(units.iter().copied())
                .collect();
            packages::run_as_root(RUNNING_LIBVIRT, &[("systemctl", &words)])?;
            format!("`systemctl {}`", words.join(" "))
        }
        Starter::Daemons { libvirtd, virtlogd } => start_daemons(libvirtd, virtlogd.as_ref())?,
    };
    let began = Instant::now();
    loop {
        match look() {
            NeedState::Met(_) => return Ok(Some(how)),
            _ if interrupt::raised() => return Err(Error::Interrupted),
            state if began.elapsed() > PATIENCE => {
                return Err(Error::LibvirtSilent {
                    how,
                    found: match state {
                        NeedState::Lacking { found, .. } => found,
                        NeedState::Met(found) | NeedState::Asleep(found) => found,
                    },
                });
            }
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Gives the group `kvm` the device of KVM, as udev does, where nothing runs that would have done it.
///
/// libvirt looks again what QEMU can do, for seconds and at each question, while QEMU has KVM and the user that it runs as
/// has not.
fn open_kvm() -> Result<(), Error> {
    let (Ok(found), Ok(groups)) = (
        std::fs::metadata(KVM),
        std::fs::read_to_string("/etc/group"),
    ) else {
        return Ok(());
    };
    if !found.file_type().is_char_device() || !is_closed_to_kvm(found.mode(), found.gid(), &groups)
    {
        return Ok(());
    }
    packages::run_as_root(
        "a `/dev/kvm` that QEMU may use",
        &[("chgrp", &["kvm", KVM]), ("chmod", &["g+rw", KVM])],
    )
}

/// Whether a device with this mode and group is closed to the group `kvm`, if `groups`, the text of `/etc/group`, has that
/// group. A device that is older than the group may belong to one that had its number before.
fn is_closed_to_kvm(mode: u32, gid: u32, groups: &str) -> bool {
    let kvm = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some("kvm")).then(|| fields.nth(1)?.parse::<u32>().ok())?
    });
    let open_to = |bits: u32| mode & bits == bits;
    kvm.is_some_and(|kvm| !open_to(0o006) && (gid != kvm || !open_to(0o060)))
}

/// Starts the daemons in a session of their own, so that Ctrl-C here does not end them.
fn start_daemons(libvirtd: &Program, virtlogd: Option<&Program>) -> Result<String, Error> {
    open_kvm()?;
    let folder = state_folder();
    make_state_folder(&folder)?;
    let log = folder.join("libvirtd.log");
    let pid_file = format!("--pid-file={}", folder.join("libvirtd.pid").display());
    let log_pid_file = format!("--pid-file={}", folder.join("virtlogd.pid").display());
    let mut commands = Vec::new();
    if let Some(virtlogd) = virtlogd.filter(|_| !Path::new("/run/libvirt/virtlogd-sock").exists()) {
        commands.push((virtlogd.path().display().to_string(), log_pid_file));
    }
    commands.push((libvirtd.path().display().to_string(), pid_file));
    for (program, pid_file) in &commands {
        let Ok(call) = packages::as_root(program, &["--daemon", pid_file]) else {
            let by_hand: Vec<String> = commands
                .iter()
                .map(|(program, _)| format!("{program} --daemon"))
                .collect();
            return Err(Error::CannotInstall {
                what: RUNNING_LIBVIRT.to_owned(),
                command: by_hand.join(" && "),
            });
        };
        call.logged(&log, &mut |_| {})?;
    }
    Ok(format!("`libvirtd`, log in `{}`", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_opened_to_the_group_that_qemu_is_in() {
        let groups = "root:x:0:\nhaproxy:x:106:\nkvm:x:110:\nnonsense\n";
        for (mode, gid, closed) in [
            (0o020_600, 0, true),
            (0o020_660, 110, false),
            // It was made when another group had that number.
            (0o020_660, 106, true),
            (0o020_640, 110, true),
            (0o020_666, 0, false),
        ] {
            assert_eq!(
                is_closed_to_kvm(mode, gid, groups),
                closed,
                "{mode:o} of group {gid}"
            );
        }
        for others in ["root:x:0:\n", "kvm:x:\n", "kvm\n", ""] {
            assert!(!is_closed_to_kvm(0o020_600, 0, others), "{others}");
        }
    }
}
