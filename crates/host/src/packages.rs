//! The package managers: which one is here, and the exact commands that install.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use caravan_process::{Call, Output, Program};

use crate::Error;
use crate::needs::Need;

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// Fedora, RHEL.
    Dnf,
    /// Arch.
    Pacman,
    /// openSUSE.
    Zypper,
}

impl Manager {
    /// All, in the order of the packages of a [`Need`].
    pub(crate) const ALL: [Self; 4] = [Self::Apt, Self::Dnf, Self::Pacman, Self::Zypper];

    /// The one that is on the search path.
    pub(crate) fn here() -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|manager| Program::find(manager.program()).is_ok())
    }

    /// Its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
            Self::Zypper => "zypper",
        }
    }

    /// The packages of `needs`, each once, sorted; and the needs that it has no package for.
    ///
    /// `knows` tells whether the package manager can install one; `None` where it cannot tell.
    pub(crate) fn packages<'a>(
        self,
        needs: &[&'a Need],
        knows: impl Fn(&str) -> Option<bool>,
    ) -> (BTreeSet<&'static str>, Vec<&'a Need>) {
        let mut packages = BTreeSet::new();
        let mut without = Vec::new();
        for need in needs {
            let mut names = Vec::new();
            let mut lacks = need.packages[self as usize].is_empty();
            for name in need.packages[self as usize].split_whitespace() {
                match name.strip_suffix('?') {
                    Some(optional) if knows(optional) == Some(true) => names.push(optional),
                    Some(_) => {}
                    None => {
                        lacks |= knows(name) == Some(false);
                        names.push(name);
                    }
                }
            }
            if lacks {
                without.push(*need);
            } else {
                packages.extend(names);
            }
        }
        (packages, without)
    }

    /// Whether it can install `package`, by its lists as they are here; `None` where it has none or does not tell.
    ///
    /// Asked before a command is named: where a distribution has no such package, no command brings it.
    pub(crate) fn knows(self, package: &str) -> Option<bool> {
        match self {
            Self::Apt => apt_knows(
                &answer("apt-cache", &["policy"])?,
                &answer("apt-cache", &["policy", package])?,
            ),
            Self::Pacman => succeeds("pacman", &["-Si", package]),
            // Both fetch their lists when those are old, and fail otherwise too where they cannot.
            Self::Dnf => succeeds("dnf", &["--quiet", "info", package]),
            Self::Zypper => succeeds(
                "zypper",
                &["--non-interactive", "search", "--match-exact", package],
            ),
        }
    }

    /// The same, where that takes no network.
    pub(crate) fn knows_already(self, package: &str) -> Option<bool> {
        match self {
            Self::Apt | Self::Pacman => self.knows(package),
            Self::Dnf | Self::Zypper => None,
        }
    }

    /// The command that fetches the lists by which [`Manager::knows`] tells, as words after the program's name; `None`
    /// where that happens by itself.
    pub(crate) fn refresh(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Apt => Some(&["update"]),
            Self::Pacman => Some(&["-Sy", "--noconfirm"]),
            Self::Dnf | Self::Zypper => None,
        }
    }

    /// The command that installs `packages`, as words after the program's name.
    pub(crate) fn install(self, packages: &BTreeSet<&'static str>) -> Vec<&'static str> {
        let with = |words: &[&'static str]| -> Vec<&'static str> {
            words
                .iter()
                .copied()
                .chain(packages.iter().copied())
                .collect()
        };
        match self {
            // Recommended packages would bring a hypervisor with Vagrant.
            Self::Apt => with(&["install", "--yes", "--no-install-recommends"]),
            Self::Dnf => with(&["install", "--assumeyes", "--setopt=install_weak_deps=False"]),
            Self::Pacman => with(&["-S", "--noconfirm", "--needed"]),
            Self::Zypper => with(&["--non-interactive", "install", "--no-recommends"]),
        }
    }
}

/// How long a package manager may take for a question.
const QUESTION: Duration = Duration::from_secs(60);

fn ask(program: &str, words: &[&str]) -> Option<Output> {
    Program::find(program)
        .ok()?
        .call(words)
        .timeout(QUESTION)
        .output()
        .ok()
}

fn answer(program: &str, words: &[&str]) -> Option<String> {
    let output = ask(program, words)?;
    output.success().then_some(output.stdout)
}

fn succeeds(program: &str, words: &[&str]) -> Option<bool> {
    Some(ask(program, words)?.success())
}

/// Reads `apt-cache policy` of everything and of one package.
///
/// Without lists, as before the first `apt-get update`, apt knows what is installed and nothing else.
fn apt_knows(everything: &str, package: &str) -> Option<bool> {
    let lists = everything
        .lines()
        .take_while(|line| !line.starts_with("Pinned"))
        .filter_map(|line| line.trim_start().split_once(' '))
        .any(|(priority, source)| {
            priority.parse::<i32>().is_ok() && !source.starts_with("/var/lib/dpkg/status")
        });
    let candidate = package
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("Candidate:"))
        .is_some_and(|version| version.trim() != "(none)");
    (lists || candidate).then_some(candidate)
}

/// `program args...` with an administrator's rights, by `sudo` where the user has none.
///
/// # Errors
///
/// [`caravan_process::Error::NotFound`] for the program, or for `sudo` where it is needed.
pub(crate) fn as_root(program: &str, args: &[&str]) -> Result<Call, caravan_process::Error> {
    let program = Program::find_also_in(program, &crate::probe::SBIN)?;
    if rustix::process::geteuid().is_root() {
        return Ok(program.call(args).env("DEBIAN_FRONTEND", "noninteractive"));
    }
    let sudo = Program::find("sudo")?;
    // sudo drops the environment; `env` sets what the package manager must know.
    Ok(sudo
        .call(["env", "DEBIAN_FRONTEND=noninteractive"])
        .arg(program.path())
        .args(args))
}

/// Runs `commands`, each a program and its words, with an administrator's rights, for `what` to be here.
///
/// # Errors
///
/// [`Error::CannotInstall`] with all of them as one line for a shell, before any has run; [`Error::Process`].
pub(crate) fn run_as_root(what: &str, commands: &[(&str, &[&str])]) -> Result<(), Error> {
    let calls: Result<Vec<_>, _> = commands
        .iter()
        .map(|(program, words)| as_root(program, words))
        .collect();
    let Ok(calls) = calls else {
        let commands: Vec<String> = commands
            .iter()
            .map(|(program, words)| format!("{program} {}", words.join(" ")))
            .collect();
        return Err(Error::CannotInstall {
            what: what.to_owned(),
            command: commands.join(" && "),
        });
    };
    for call in calls {
        call.run()?;
    }
    Ok(())
}

/// Lets `sudo` ask for the password now, where it will have to: later, a live line would draw over its question.
///
/// # Errors
///
/// [`Error::Process`] when `sudo` cannot be started. What it refuses, the command that needs it reports.
pub(crate) fn admit() -> Result<(), Error> {
    if rustix::process::geteuid().is_root() || !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let Ok(sudo) = Program::find("sudo") else {
        return Ok(());
    };
    let silent = sudo.call(["--non-interactive", "true"]).output()?;
    if !silent.success() {
        sudo.call(["--validate"]).interactive()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::needs::{NEEDS, When};

    #[test]
    fn commands() {
        let needs: Vec<&Need> = NEEDS
            .iter()
            .filter(|need| !matches!(need.when, When::Checked | When::FirstContainers))
            .collect();
        let mut text = String::new();
        for manager in Manager::ALL {
            let (packages, without) = manager.packages(&needs, |_| None);
            for words in manager
                .refresh()
                .map(<[_]>::to_vec)
                .into_iter()
                .chain([manager.install(&packages)])
            {
                text += &format!("{} {}\n", manager.program(), words.join(" "));
            }
            for need in without {
                text += &format!("  by hand: {}\n", need.name);
            }
        }
        expect![[r#"
            apt-get update
            apt-get install --yes --no-install-recommends ca-certificates debian-archive-keyring dnsmasq-base docker.io gcc golang-go iptables libc6-dev libseccomp-dev libvirt-clients libvirt-daemon-system mmdebstrap openssh-client pkg-config qemu-system-x86 qemu-utils uidmap vagrant vagrant-libvirt
            dnf install --assumeyes --setopt=install_weak_deps=False ca-certificates debian-keyring dnsmasq gcc glibc-static golang libseccomp-devel libseccomp-static libvirt-client libvirt-daemon-kvm mmdebstrap moby-engine openssh-clients pkgconf-pkg-config qemu-img qemu-kvm shadow-utils vagrant vagrant-libvirt
            pacman -Sy --noconfirm
            pacman -S --noconfirm --needed ca-certificates dnsmasq docker gcc glibc go iptables-nft libseccomp libvirt openssh pkgconf qemu-base qemu-img shadow vagrant
              by hand: Vagrant's libvirt plugin
              by hand: mmdebstrap
              by hand: Debian's archive keys
            zypper --non-interactive install --no-recommends ca-certificates dnsmasq docker gcc glibc-devel-static go libseccomp-devel libvirt-client libvirt-daemon-qemu openssh-clients pkg-config qemu-kvm qemu-tools shadow vagrant vagrant-libvirt
              by hand: mmdebstrap
              by hand: Debian's archive keys
        "#]].assert_eq(&text);
    }

    #[test]
    fn what_a_distribution_does_not_have() {
        let vagrant: Vec<&Need> = NEEDS.iter().take(1).collect();
        let engine: Vec<&Need> = NEEDS
            .iter()
            .filter(|need| need.name == "container engine")
            .collect();
        let names = |needs: &[&Need], known: &[&str]| {
            let (packages, without) =
                Manager::Apt.packages(needs, |name| Some(known.contains(&name)));
            let packages: Vec<&str> = packages.into_iter().collect();
            let without: Vec<&str> = without.iter().map(|need| need.name).collect();
            (packages.join(" "), without.join(" "))
        };
        // Ubuntu 24.04, Debian 12, Debian 13.
        assert_eq!(
            names(&vagrant, &["docker.io"]),
            (String::new(), "Vagrant".to_owned())
        );
        assert_eq!(
            names(&engine, &["docker.io"]),
            ("docker.io".to_owned(), String::new())
        );
        assert_eq!(
            names(&engine, &["docker.io", "docker-cli"]),
            ("docker-cli docker.io".to_owned(), String::new())
        );
    }

    #[test]
    fn what_apt_knows() {
        let bare =
            "Package files:\n 100 /var/lib/dpkg/status\n     release a=now\nPinned packages:\n";
        let listed = "Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n \
                      500 http://deb.debian.org/debian bookworm/main amd64 Packages\n     release v=12.15,o=Debian\nPinned packages:\n";
        let has = "vagrant:\n  Installed: (none)\n  Candidate: 2.3.4+dfsg-1\n  Version table:\n";
        let mentioned = "vagrant:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n";
        assert_eq!(apt_knows(listed, has), Some(true));
        assert_eq!(apt_knows(listed, ""), Some(false));
        // A package that others only depend on.
        assert_eq!(apt_knows(listed, mentioned), Some(false));
        assert_eq!(apt_knows(bare, ""), None);
        assert_eq!(apt_knows(bare, has), Some(true));
    }
}
