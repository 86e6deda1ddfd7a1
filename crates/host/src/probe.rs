//! How one need is looked at: not whether something of its name is here, but whether what will be used works.

use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_bundle::needs::{self as bundle, Go};
use caravan_process::Program;
use caravan_vagrant::{Error as VagrantError, Vagrant};

use crate::{engine, libvirt};

/// Folders of administrators' tools, which an ordinary search path lacks.
pub(crate) const SBIN: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// How long a program may take to say what it is.
const QUESTION: Duration = Duration::from_secs(10);

/// How to see that a need is met.
#[derive(Debug, Clone, Copy)]
pub enum Probe {
    /// This program, of the search path or of the administrators' folders, starts, ends well and says a word.
    Answers {
        /// Its name.
        program: &'static str,
        /// What makes it say what it is.
        args: &'static [&'static str],
        /// What it must say, on either output; empty where ending well is enough.
        says: &'static str,
        /// Whether a package brings what it lacks where it does not end well.
        or_package: bool,
    },
    /// One of these files lies there.
    Lies(&'static [&'static str]),
    /// The engine that `docker` asks, or one that can be started for it.
    Engine,
    /// Vagrant, recent enough.
    Vagrant,
    /// The part of Vagrant that makes containers.
    DockerProvider,
    /// libvirt, or one that can be started.
    Libvirt,
    /// The part of Vagrant that makes machines by libvirt.
    LibvirtProvider,
    /// QEMU for this computer's processor.
    Qemu,
    /// A Go that can build.
    Go,
    /// The C library that static programs are linked with.
    StaticLibc,
    /// libseccomp, for static linking.
    Seccomp,
    /// pkg-config, and that it finds libseccomp where that is here.
    PkgConfig,
    /// For who is not root: what mmdebstrap makes a system in.
    UserNamespaces,
}

/// How a need is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeedState {
    /// What will be used works; what was seen of it.
    Met(String),
    /// It works once it is started, which `setup` and `up` do; what was seen of it.
    Asleep(String),
    /// It does not.
    Lacking {
        /// What was seen instead.
        found: String,
        /// What helps.
        cure: Cure,
    },
}

/// What helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cure {
    /// A package, which `setup` installs.
    Package,
    /// A newer Go, which `setup` fetches.
    Toolchain,
    /// What people must do, since nothing here may: an English clause with the command.
    Hand(String),
    /// What people must take away first; then `setup` brings what takes its place.
    Replace(String),
}

impl Cure {
    /// What to do, as an English clause; `setup` is the command that calls [`crate::setup::ensure`].
    pub fn text(&self, setup: &str) -> String {
        match self {
            Self::Package | Self::Toolchain => format!("`{setup}`"),
            Self::Hand(remedy) => remedy.clone(),
            Self::Replace(remedy) => format!("{remedy}, then `{setup}`"),
        }
    }

    /// Whether people must do something before anything here can.
    pub fn is_by_hand(&self) -> bool {
        matches!(self, Self::Hand(_) | Self::Replace(_))
    }
}

impl NeedState {
    pub(crate) fn absent() -> Self {
        Self::package("not here")
    }

    pub(crate) fn package(found: impl Into<String>) -> Self {
        Self::Lacking {
            found: found.into(),
            cure: Cure::Package,
        }
    }

    pub(crate) fn by_hand(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Lacking {
            found: found.into(),
            cure: Cure::Hand(remedy.into()),
        }
    }

    pub(crate) fn replace(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Lacking {
            found: found.into(),
            cure: Cure::Replace(remedy.into()),
        }
    }
}

impl Probe {
    /// Looks; `None` where that cannot be judged before another need is met.
    pub fn look(self) -> Option<NeedState> {
        Some(match self {
            Self::Answers {
                program,
                args,
                says,
                or_package,
            } => match answer(program, args, says) {
                NeedState::Lacking { found, .. } if or_package => NeedState::package(found),
                state => state,
            },
            Self::Lies(files) => files
                .iter()
                .find(|file| Path::new(file).exists())
                .map_or_else(NeedState::absent, |file| NeedState::Met((*file).to_owned())),
            Self::Engine => engine::look().into(),
            Self::Vagrant => vagrant(),
            Self::DockerProvider => return docker_provider(),
            Self::Libvirt => libvirt::look(),
            Self::LibvirtProvider => return libvirt_provider(),
            Self::Qemu => qemu(),
            Self::Go => go(),
            Self::StaticLibc => match bundle::static_libc() {
                Ok(file) => NeedState::Met(file.display().to_string()),
                Err(_) => NeedState::package("no `libc.a` for this processor"),
            },
            Self::Seccomp => match bundle::seccomp() {
                Ok(file) => NeedState::Met(file.display().to_string()),
                Err(_) => NeedState::package("`libseccomp.a` or `seccomp.h` is not here"),
            },
            Self::PkgConfig => pkg_config(),
            Self::UserNamespaces => return user_namespaces(),
        })
    }
}

/// Starts `program`, if it is here, and judges what it says.
fn answer(program: &str, args: &[&str], says: &str) -> NeedState {
    let Ok(found) = Program::find_also_in(program, &SBIN) else {
        return NeedState::package(absence(program, std::env::var_os("PATH").as_deref()));
    };
    let place = found.path().display().to_string();
    let aside = |what: String| {
        NeedState::replace(
            what,
            format!(
                "remove or repair `{place}`, or put another `{program}` before it on the search path"
            ),
        )
    };
    match found.call(args).timeout(QUESTION).output() {
        Ok(output) => {
            let said = format!("{}\n{}", output.stdout, output.stderr);
            let line = said.lines().find(|line| !line.trim().is_empty());
            let line = line.unwrap_or("nothing").trim();
            if !output.success() {
                aside(format!("`{place}` does not work: {line}"))
            } else if !said.contains(says) {
                aside(format!("`{place}` is not {says}: it says `{line}`"))
            } else {
                NeedState::Met(place)
            }
        }
        Err(error) => aside(format!("`{place}` does not work: {}", told(&error))),
    }
}

/// An error with its reason, on one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(reason) = next {
        text = format!("{text}: {reason}");
        next = reason.source();
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// How a program is not here: a link to nothing deserves its name.
fn absence(program: &str, path: Option<&std::ffi::OsStr>) -> String {
    let folders = std::env::split_paths(path.unwrap_or_default())
        .chain(SBIN.map(PathBuf::from))
        .map(|folder| folder.join(program));
    for place in folders {
        if let Ok(to) = std::fs::read_link(&place)
            && !place.exists()
        {
            return format!(
                "`{}` is a link to `{}`, which is not there",
                place.display(),
                to.display()
            );
        }
        if place.is_file() {
            return format!("`{}` is not executable", place.display());
        }
    }
    "not here".to_owned()
}

fn vagrant() -> NeedState {
    let Ok(program) = Program::find("vagrant") else {
        return NeedState::package(absence("vagrant", std::env::var_os("PATH").as_deref()));
    };
    let place = program.path().display().to_string();
    let page = super::needs::VAGRANT_PAGE;
    match Vagrant::of(program) {
        Ok(vagrant) => NeedState::Met(format!("{place}, version {}", vagrant.version())),
        Err(error @ VagrantError::TooOld { .. }) => {
            NeedState::by_hand(error.to_string(), format!("a newer one is at {page}"))
        }
        Err(error) => NeedState::replace(
            match error {
                VagrantError::NoVersion { said, .. } => {
                    let line = said.lines().next().unwrap_or("nothing");
                    format!("`{place}` is not Vagrant: it says `{line}`")
                }
                other => format!("`{place}` does not work: {}", told(&other)),
            },
            format!("repair or remove `{place}`, or install Vagrant from {page}"),
        ),
    }
}

fn docker_provider() -> Option<NeedState> {
    let vagrant = Vagrant::find().ok()?;
    let place = vagrant.program().path().display().to_string();
    Some(match vagrant.docker_provider() {
        Ok(true) => NeedState::Met("loads".to_owned()),
        Ok(false) => NeedState::by_hand(
            format!("`{place}` has none"),
            format!(
                "install a Vagrant that has it: {}",
                super::needs::VAGRANT_PAGE
            ),
        ),
        Err(error) => NeedState::by_hand(
            format!("`{place}` does not load its plugins: {}", told(&error)),
            "`vagrant plugin repair`, or `vagrant plugin expunge --reinstall`".to_owned(),
        ),
    })
}

/// HashiCorp's own Vagrant keeps its Ruby here, for which no distribution packages plugins.
const HASHICORPS: &str = "/opt/vagrant";

fn libvirt_provider() -> Option<NeedState> {
    let vagrant = Vagrant::find().ok()?;
    let place = vagrant.program().path();
    let lacks = format!("`{}` has no plugin `vagrant-libvirt`", place.display());
    Some(match vagrant.libvirt_provider() {
        Ok(true) => NeedState::Met("loads".to_owned()),
        Ok(false) if Path::new(HASHICORPS).is_dir() => {
            NeedState::by_hand(lacks, "`vagrant plugin install vagrant-libvirt`")
        }
        Ok(false) => NeedState::package(lacks),
        Err(error) => NeedState::by_hand(
            format!(
                "`{}` does not load its plugins: {}",
                place.display(),
                told(&error)
            ),
            "`vagrant plugin repair`, or `vagrant plugin expunge --reinstall`".to_owned(),
        ),
    })
}

/// Debian's name for it, and the place where RHEL and its like keep theirs.
fn qemu() -> NeedState {
    const RHEL: &str = "/usr/libexec/qemu-kvm";
    let program = format!("qemu-system-{}", std::env::consts::ARCH);
    match answer(&program, &["--version"], "QEMU") {
        NeedState::Lacking {
            cure: Cure::Package,
            ..
        } if Path::new(RHEL).exists() => NeedState::Met(RHEL.to_owned()),
        state => state,
    }
}

fn go() -> NeedState {
    match bundle::go() {
        Ok(Go::Enough { program, version }) => {
            NeedState::Met(format!("{}, {version}", program.path().display()))
        }
        Ok(Go::TooOld { program, version }) => NeedState::Lacking {
            found: format!(
                "`{}` is {version}, too old to build Kubernetes",
                program.path().display()
            ),
            cure: Cure::Toolchain,
        },
        Ok(Go::Absent) => NeedState::package(absence("go", std::env::var_os("PATH").as_deref())),
        Err(error) => NeedState::replace(
            format!("`go` does not work: {}", told(&error)),
            "repair or remove it",
        ),
    }
}

fn pkg_config() -> NeedState {
    let found = answer("pkg-config", &["--version"], "");
    // Without the library there is nothing to find yet; it has a row of its own.
    let NeedState::Met(place) = &found else {
        return found;
    };
    if bundle::seccomp().is_err() {
        return found;
    }
    match answer("pkg-config", &["--exists", "libseccomp"], "") {
        NeedState::Met(_) => found,
        _ => NeedState::by_hand(
            format!("`{place}` does not find libseccomp, which is here"),
            "put the distribution's `pkg-config` first on the search path, or set `PKG_CONFIG_PATH` to the folder of \
             `libseccomp.pc`",
        ),
    }
}

/// mmdebstrap makes a system as root, or as root of a user namespace with the ids that these two programs give.
fn user_namespaces() -> Option<NeedState> {
    if rustix::process::geteuid().is_root() {
        return None;
    }
    let lacking = ["newuidmap", "newgidmap"]
        .into_iter()
        .find(|program| Program::find_also_in(program, &SBIN).is_err());
    if let Some(program) = lacking {
        return Some(NeedState::package(format!("`{program}` is not here")));
    }
    let uid = rustix::process::geteuid().as_raw().to_string();
    let name = std::env::var("USER").unwrap_or_default();
    let listed = ["/etc/subuid", "/etc/subgid"].iter().all(|file| {
        std::fs::read_to_string(file).is_ok_and(|text| {
            text.lines()
                .filter_map(|line| line.split(':').next())
                .any(|who| who == uid || who == name)
        })
    });
    Some(if listed {
        NeedState::Met("`newuidmap`, `newgidmap`, and ids for you".to_owned())
    } else {
        NeedState::by_hand(
            "`/etc/subuid` and `/etc/subgid` have no ids for you",
            "`sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_cannot_be_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().as_os_str();
        assert_eq!(absence("vagrant-x", Some(path)), "not here");
        fs::write(folder.path().join("vagrant-x"), "").expect("written");
        assert!(absence("vagrant-x", Some(path)).ends_with("is not executable"));
        symlink("/nowhere/docker", folder.path().join("docker-x")).expect("linked");
        assert!(
            absence("docker-x", Some(path))
                .ends_with("is a link to `/nowhere/docker`, which is not there")
        );
    }

    #[test]
    fn another_program_of_the_same_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = |name: &str, text: &str| -> &'static str {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("set");
            // A probe names programs that are known beforehand.
            Box::leak(path.display().to_string().into_boxed_str())
        };
        let found = |program: &str| match answer(program, &["-V"], "OpenSSH") {
            NeedState::Met(_) => "met".to_owned(),
            NeedState::Lacking {
                found,
                cure: Cure::Replace(_),
            } => found.replace(program, "ssh"),
            other => format!("{other:?}"),
        };
        let good = program("good", "#!/bin/sh\necho OpenSSH_9.2p1 >&2\n");
        assert_eq!(found(good), "met");
        let other = program("other", "#!/bin/sh\necho Dropbear v2022.83 >&2\n");
        assert_eq!(
            found(other),
            "`ssh` is not OpenSSH: it says `Dropbear v2022.83`"
        );
        let broken = program("broken", "#!/bin/sh\necho no libcrypto >&2\nexit 127\n");
        assert_eq!(found(broken), "`ssh` does not work: no libcrypto");
        let foreign = program("foreign", "\u{7f}ELF of another processor");
        assert!(found(foreign).starts_with("`ssh` does not work: "));
        let orphan = program("orphan", "#!/nowhere/sh\n");
        assert!(found(orphan).starts_with("`ssh` does not work: "));
    }
}
