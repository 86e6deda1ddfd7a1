//! What can go wrong between here and a machine.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use caravan_process::shell;

use crate::virtualbox::Refusal;
use crate::{FLOOR, Version};

/// Why Vagrant, the container engine or ssh did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The container engine does not answer, or not what is understood.
    #[error(transparent)]
    Docker(caravan_docker::Error),
    /// A file of ours could not be read or written.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A host-only network of VirtualBox's cannot go, because others use it.
    #[error("the lab's host-only network `{network}` is used by {}, which the lab does not own", machines.join(", "))]
    HostOnlyInUse {
        /// Its name.
        network: String,
        /// The names of those machines.
        machines: Vec<String>,
    },
    /// A machine's host key is not the one it had before.
    #[error(
        "the machine at `{address}` has another host key than before, as a machine that was made anew has"
    )]
    HostKeyChanged {
        /// The machine.
        address: Ipv4Addr,
        /// The file that holds the key it had.
        known_hosts: PathBuf,
    },
    /// libvirt did not do what it was asked.
    #[error("`{command}` failed: {said}")]
    Libvirt {
        /// The command line, pasteable.
        command: String,
        /// What it says is wrong.
        said: String,
    },
    /// libvirt does not answer, or not this user.
    #[error("libvirt does not answer `{command}`: {said}")]
    LibvirtSilent {
        /// The command line, pasteable.
        command: String,
        /// What its client says is wrong.
        said: String,
    },
    /// Another Vagrant works on the machine, and did not end in time.
    #[error("another `vagrant` works on the machines in `{}`, and did not end within {seconds} s", dir.display())]
    Locked {
        /// The group's folder.
        dir: PathBuf,
        /// How long it was waited for, in seconds.
        seconds: u64,
    },
    /// The lab's network cannot go, because others use it.
    #[error("the lab's network `{network}` is used by {}, which the lab does not own", containers.join(", "))]
    NetworkInUse {
        /// Its name.
        network: String,
        /// The names of those containers.
        containers: Vec<String>,
    },
    /// The container engine does not tell where it keeps what containers have written.
    #[error(
        "the container engine does not say where it keeps what machines have written{}",
        by(driver)
    )]
    NoLayers {
        /// Its storage driver; empty where it keeps that in containerd's store.
        driver: String,
    },
    /// Something was not done to parts of machines.
    #[error("cannot do `{verb}` to {part}: {said}")]
    Part {
        /// What was to be done.
        verb: &'static str,
        /// The parts, such as `etcdone.root`.
        part: String,
        /// What is wrong, in the words of whoever was to do it.
        said: String,
    },
    /// A machine has a volume that is not known to be the lab's.
    #[error("`{machine}` has a volume `{volume}`, which has no label of the lab")]
    StrangeVolume {
        /// The machine.
        machine: String,
        /// The volume.
        volume: String,
    },
    /// What a machine was to be given could not be read here.
    #[error("cannot read what `{address}` was to be given")]
    Source {
        /// The machine.
        address: Ipv4Addr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program's `--version` did not print one.
    #[error("cannot find a version in what `{program} --version` printed: `{said}`")]
    NoVersion {
        /// The program.
        program: &'static str,
        /// What it printed.
        said: String,
    },
    /// ssh did not get in.
    #[error("cannot get into the machine at `{address}` by ssh: {said}")]
    NotReached {
        /// The machine.
        address: Ipv4Addr,
        /// What ssh says.
        said: String,
    },
    /// A program could not be found, started or ended badly.
    #[error(transparent)]
    Process(#[from] caravan_process::Error),
    /// Vagrant ran and gave up.
    #[error("`{command}` gave up in `{}`: {text}", dir.display())]
    Refused {
        /// The command line, pasteable.
        command: String,
        /// The group's folder.
        dir: PathBuf,
        /// The class of Vagrant's error, such as `Vagrant::Errors::VagrantError`.
        class: String,
        /// What Vagrant says about it.
        text: String,
        /// What was said just before, by machine: the script's own words among them.
        said: Vec<String>,
        /// The file that holds all of its output.
        log: Option<PathBuf>,
    },
    /// A port of a machine could not be brought here.
    #[error("cannot reach `{target}` through `{address}`")]
    Forward {
        /// The machine that dials.
        address: Ipv4Addr,
        /// The address and port behind it.
        target: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel does not tell its routes.
    #[error("cannot read the routes of this computer")]
    Routes {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Vagrant is too old.
    #[error("Vagrant {found} is installed, and {FLOOR} or later is needed")]
    TooOld {
        /// What is installed.
        found: Version,
    },
    /// VirtualBox does not start machines on this computer.
    #[error("{0}")]
    VirtualBoxRefuses(Box<Refusal>),
}

fn by(driver: &str) -> String {
    match driver {
        "" => " in containerd's store".to_owned(),
        driver => format!(" by its storage driver `{driver}`"),
    }
}

/// Whether libvirt is there and does not let this user in: it asks for a password by polkit, or its socket is closed to them.
fn is_forbidden(said: &str) -> bool {
    ["Permission denied", "authentication"]
        .iter()
        .any(|sign| said.contains(sign))
}

impl From<caravan_docker::Error> for Error {
    fn from(error: caravan_docker::Error) -> Self {
        match error {
            caravan_docker::Error::Process(error) => Self::Process(error),
            error => Self::Docker(error),
        }
    }
}

impl Error {
    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::HostKeyChanged {
                address,
                known_hosts,
            } => Some(format!(
                "if you have made it anew: `ssh-keygen -R {address} -f {}`",
                shell::path(known_hosts)
            )),
            Self::LibvirtSilent { said, .. } if is_forbidden(said) => {
                Some("`sudo usermod --append --groups libvirt $USER`, then log in again".to_owned())
            }
            Self::LibvirtSilent { .. } => Some(format!(
                "`{tool} setup --provider libvirt` starts it; with systemd `sudo systemctl start libvirtd` does too"
            )),
            Self::Locked { dir, .. } => Some(format!(
                "see which one: `pgrep -af vagrant`; then again, or `cd {} && vagrant status`",
                shell::path(dir)
            )),
            Self::NetworkInUse {
                network,
                containers,
            } => Some(format!(
                "`docker network disconnect --force {network} {}`, then run the same command again",
                containers.first()?
            )),
            Self::HostOnlyInUse { machines, .. } => Some(format!(
                "attach `{}` to another network (`VBoxManage modifyvm {} --nic2 none`), then run the same command again",
                machines.first()?,
                shell::word(machines.first()?)
            )),
            Self::Docker(error) => error.hint(tool),
            Self::NoVersion { program, .. } => Some(format!("`{program} --version` shows more")),
            Self::Process(error) => error.hint(tool),
            Self::Refused { log: Some(log), .. } => {
                Some(format!("all of its output is in `{}`", log.display()))
            }
            Self::Refused { dir, command, .. } => Some(format!(
                "see for yourself: `cd {} && {command}`",
                shell::path(dir)
            )),
            Self::NoLayers { .. } => Some(format!(
                "`{tool} etcd snapshot LAB --out FOLDER` keeps what etcd has; with `overlay2` as its storage driver (`docker info`) the engine says it"
            )),
            Self::StrangeVolume { machine, .. } => Some(format!(
                "`{tool} destroy LAB {machine}`, then `up`: it is made anew, with volumes of the lab"
            )),
            Self::TooOld { .. } => Some(format!(
                "`{tool} setup` installs what is missing or too old"
            )),
            Self::VirtualBoxRefuses(refusal) => Some(refusal.hint()),
            Self::File { .. }
            | Self::Libvirt { .. }
            | Self::NotReached { .. }
            | Self::Forward { .. }
            | Self::Part { .. }
            | Self::Routes { .. }
            | Self::Source { .. } => None,
        }
    }

    /// Whether what runs machines is there and does not let this user in.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::LibvirtSilent { said, .. } if is_forbidden(said))
    }

    /// The class of Vagrant's own error, if it was Vagrant that gave up.
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::Refused { class, .. } => Some(class),
            _ => None,
        }
    }
}
