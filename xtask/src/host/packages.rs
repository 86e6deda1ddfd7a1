//! The package managers: which one is here, and the exact commands that install.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use caravan_process::{Call, Program};

use crate::error::Error;
use crate::host::needs::Need;

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
    pub(crate) fn packages<'a>(
        self,
        needs: &[&'a Need],
    ) -> (BTreeSet<&'static str>, Vec<&'a Need>) {
        let mut packages = BTreeSet::new();
        let mut without = Vec::new();
        for need in needs {
            let named = need.packages[self as usize];
            if named.is_empty() {
                without.push(*need);
            }
            packages.extend(named.split_whitespace());
        }
        (packages, without)
    }

    /// The commands that install `packages`, in order, as words after the program's name.
    pub(crate) fn commands(self, packages: &BTreeSet<&'static str>) -> Vec<Vec<&'static str>> {
        let with = |words: &[&'static str]| -> Vec<&'static str> {
            words
                .iter()
                .copied()
                .chain(packages.iter().copied())
                .collect()
        };
        match self {
            // Recommended packages would bring a hypervisor with Vagrant.
            Self::Apt => vec![
                vec!["update"],
                with(&["install", "--yes", "--no-install-recommends"]),
            ],
            Self::Dnf => vec![with(&[
                "install",
                "--assumeyes",
                "--setopt=install_weak_deps=False",
            ])],
            Self::Pacman => vec![with(&["-Sy", "--noconfirm", "--needed"])],
            Self::Zypper => vec![with(&["--non-interactive", "install", "--no-recommends"])],
        }
    }
}

/// `program args...` with an administrator's rights, by `sudo` where the user has none.
///
/// # Errors
///
/// [`caravan_process::Error::NotFound`] for the program, or for `sudo` where it is needed.
pub(crate) fn as_root(program: &str, args: &[&str]) -> Result<Call, caravan_process::Error> {
    let program = Program::find_also_in(program, &crate::host::needs::SBIN)?;
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
    use crate::host::needs::NEEDS;

    #[test]
    fn commands() {
        let needs: Vec<&Need> = NEEDS.iter().take(10).collect();
        let mut text = String::new();
        for manager in Manager::ALL {
            let (packages, without) = manager.packages(&needs);
            for words in manager.commands(&packages) {
                text += &format!("{} {}\n", manager.program(), words.join(" "));
            }
            for need in without {
                text += &format!("  by hand: {}\n", need.name);
            }
        }
        expect![[r#"
            apt-get update
            apt-get install --yes --no-install-recommends debian-archive-keyring docker.io gcc golang-go libc6-dev libseccomp-dev mmdebstrap openssh-client pkg-config vagrant
            dnf install --assumeyes --setopt=install_weak_deps=False debian-keyring gcc glibc-static golang libseccomp-devel libseccomp-static mmdebstrap moby-engine openssh-clients pkgconf-pkg-config vagrant
            pacman -Sy --noconfirm --needed docker gcc glibc go libseccomp openssh pkgconf vagrant
              by hand: mmdebstrap
              by hand: Debian's archive keys
            zypper --non-interactive install --no-recommends docker gcc glibc-devel-static go libseccomp-devel openssh-clients pkg-config vagrant
              by hand: mmdebstrap
              by hand: Debian's archive keys
        "#]].assert_eq(&text);
    }
}
