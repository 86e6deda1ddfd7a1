//! What this computer must have: one table, read by `doctor` and `setup`.

use std::path::Path;

use caravan_process::Program;

use crate::flags::{Base, Source};

/// Folders of administrators' tools, which an ordinary search path lacks.
pub(crate) const SBIN: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// One thing that must be here.
#[derive(Debug)]
pub(crate) struct Need {
    /// What people call it.
    pub(crate) name: &'static str,
    /// What for.
    pub(crate) why: &'static str,
    /// When it is needed.
    pub(crate) when: When,
    /// How to see that it is here: any of these.
    pub(crate) probes: &'static [Probe],
    /// Its packages for apt, dnf, pacman and zypper, separated by blanks; empty where there is none.
    pub(crate) packages: [&'static str; 4],
    /// Where to get it by hand.
    pub(crate) by_hand: &'static str,
}

/// When something is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// For every lab.
    Always,
    /// Where a machine image is made.
    Compiled,
    /// Where software is built from Go modules.
    Built,
    /// Where the base system is made from Debian packages.
    Debian,
    /// Where tests must read rendered files with the programs they are for.
    Checked,
}

/// A sign that something is here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Probe {
    /// A program of the search path or of the administrators' folders.
    Runs(&'static str),
    /// A file.
    Lies(&'static str),
}

/// Everything, in the order in which people should read it.
pub(crate) const NEEDS: &[Need] = &[
    Need {
        name: "Vagrant",
        why: "makes the machines",
        when: When::Always,
        probes: &[Probe::Runs("vagrant")],
        packages: ["vagrant", "vagrant", "vagrant", "vagrant"],
        by_hand: "https://developer.hashicorp.com/vagrant/install",
    },
    Need {
        name: "container engine",
        why: "runs the machines, and makes their image",
        when: When::Always,
        probes: &[Probe::Runs("docker")],
        packages: ["docker.io", "moby-engine", "docker", "docker"],
        by_hand: "https://docs.docker.com/engine/install/",
    },
    Need {
        name: "ssh client",
        why: "reaches the machines",
        when: When::Always,
        probes: &[Probe::Runs("ssh")],
        packages: [
            "openssh-client",
            "openssh-clients",
            "openssh",
            "openssh-clients",
        ],
        by_hand: "https://www.openssh.com/portable.html",
    },
    Need {
        name: "mmdebstrap",
        why: "makes the base system from Debian packages",
        when: When::Debian,
        probes: &[Probe::Runs("mmdebstrap")],
        packages: ["mmdebstrap", "mmdebstrap", "", ""],
        by_hand: "https://gitlab.mister-muffin.de/josch/mmdebstrap",
    },
    Need {
        name: "Debian's archive keys",
        why: "judge the packages of the base system",
        when: When::Debian,
        probes: &[Probe::Lies(
            "/usr/share/keyrings/debian-archive-keyring.gpg",
        )],
        packages: ["debian-archive-keyring", "debian-keyring", "", ""],
        by_hand: "https://www.debian.org/",
    },
    Need {
        name: "Go",
        why: "builds Kubernetes, etcd, containerd and runc",
        when: When::Built,
        probes: &[Probe::Runs("go"), Probe::Lies("/usr/local/go/bin/go")],
        packages: ["golang-go", "golang", "go", "go"],
        by_hand: "https://go.dev/doc/install",
    },
    Need {
        name: "C compiler",
        why: "links what is compiled here",
        when: When::Compiled,
        probes: &[Probe::Runs("cc"), Probe::Runs("gcc")],
        packages: ["gcc", "gcc", "gcc", "gcc"],
        by_hand: "https://gcc.gnu.org/",
    },
    Need {
        name: "static C library",
        why: "makes programs run on any base system",
        when: When::Compiled,
        probes: &[
            Probe::Lies("/usr/lib/x86_64-linux-gnu/libc.a"),
            Probe::Lies("/usr/lib/aarch64-linux-gnu/libc.a"),
            Probe::Lies("/usr/lib64/libc.a"),
            Probe::Lies("/usr/lib/libc.a"),
        ],
        packages: ["libc6-dev", "glibc-static", "glibc", "glibc-devel-static"],
        by_hand: "https://www.gnu.org/software/libc/",
    },
    Need {
        name: "libseccomp headers",
        why: "builds runc",
        when: When::Built,
        probes: &[Probe::Lies("/usr/include/seccomp.h")],
        packages: [
            "libseccomp-dev",
            "libseccomp-devel libseccomp-static",
            "libseccomp",
            "libseccomp-devel",
        ],
        by_hand: "https://github.com/seccomp/libseccomp",
    },
    Need {
        name: "pkg-config",
        why: "finds libseccomp",
        when: When::Built,
        probes: &[Probe::Runs("pkg-config")],
        packages: ["pkg-config", "pkgconf-pkg-config", "pkgconf", "pkg-config"],
        by_hand: "https://www.freedesktop.org/wiki/Software/pkg-config/",
    },
    checker("haproxy", &[Probe::Runs("haproxy")], ["haproxy"; 4]),
    checker(
        "keepalived",
        &[Probe::Runs("keepalived")],
        ["keepalived"; 4],
    ),
    checker("nftables", &[Probe::Runs("nft")], ["nftables"; 4]),
    checker("ruby", &[Probe::Runs("ruby")], ["ruby"; 4]),
    checker(
        "shellcheck",
        &[Probe::Runs("shellcheck")],
        ["shellcheck", "ShellCheck", "shellcheck", "ShellCheck"],
    ),
    checker("systemd", &[Probe::Runs("systemd-analyze")], ["systemd"; 4]),
    checker("openssl", &[Probe::Runs("openssl")], ["openssl"; 4]),
    // One of the judges of certificates, pkilint, is a Python program.
    checker(
        "python3",
        &[Probe::Runs("python3")],
        ["python3-venv", "python3", "python", "python3"],
    ),
    checker("tcpdump", &[Probe::Runs("tcpdump")], ["tcpdump"; 4]),
    checker(
        "iproute2",
        &[Probe::Runs("ip")],
        ["iproute2", "iproute", "iproute2", "iproute2"],
    ),
    checker("iptables", &[Probe::Runs("iptables")], ["iptables"; 4]),
];

const fn checker(
    name: &'static str,
    probes: &'static [Probe],
    packages: [&'static str; 4],
) -> Need {
    Need {
        name,
        why: "checks rendered files, or real labs, in tests",
        when: When::Checked,
        probes,
        packages,
        by_hand: "",
    }
}

/// What is asked of this computer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    /// Whether machines are to run.
    pub(crate) running: bool,
    /// Whether anything must be compiled: our own small programs always are.
    pub(crate) compiled: bool,
    /// Whether software must be built or may have to be.
    pub(crate) built: bool,
    /// Whether the base system must be made or may have to be.
    pub(crate) debian: bool,
    /// Whether tests must check rendered files.
    pub(crate) checked: bool,
}

impl Purpose {
    /// What making software and image needs, by the sources asked for; `auto` may come to need all.
    pub(crate) fn making(source: Source, base: Base) -> Self {
        Self {
            running: true,
            compiled: true,
            built: source != Source::Download,
            debian: base != Base::Ubuntu,
            checked: false,
        }
    }

    /// The same where the software, or the base system, has been made already.
    pub(crate) fn less(self, bundle: bool, system: bool) -> Self {
        Self {
            compiled: self.compiled && !bundle,
            built: self.built && !bundle,
            debian: self.debian && !system,
            ..self
        }
    }

    /// What running machines needs when software and image are there.
    pub(crate) const RUNNING: Self = Self {
        running: true,
        compiled: false,
        built: false,
        debian: false,
        checked: false,
    };

    fn covers(self, when: When) -> bool {
        match when {
            When::Always => self.running,
            When::Compiled => self.compiled,
            When::Built => self.built,
            When::Debian => self.debian,
            When::Checked => self.checked,
        }
    }
}

/// The rows of the table that `purpose` needs.
pub(crate) fn of(purpose: Purpose) -> impl Iterator<Item = &'static Need> {
    NEEDS.iter().filter(move |need| purpose.covers(need.when))
}

/// The rows that `purpose` needs and that this computer lacks.
pub(crate) fn missing(purpose: Purpose) -> Vec<&'static Need> {
    of(purpose).filter(|need| need.found().is_none()).collect()
}

impl Need {
    /// Where it is, if it is here.
    pub(crate) fn found(&self) -> Option<String> {
        self.probes.iter().find_map(|probe| match probe {
            Probe::Runs(program) => Program::find_also_in(program, &SBIN)
                .ok()
                .map(|program| program.path().display().to_string()),
            Probe::Lies(file) => Path::new(file).exists().then(|| (*file).to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_seen_and_got() {
        for need in NEEDS {
            assert!(!need.probes.is_empty(), "{}", need.name);
            assert!(!need.packages[0].is_empty(), "{}", need.name);
            let everywhere = need.packages.iter().all(|packages| !packages.is_empty());
            assert!(everywhere || !need.by_hand.is_empty(), "{}", need.name);
        }
    }

    #[test]
    fn sources_decide_what_is_needed() {
        let names = |purpose| -> Vec<&str> { of(purpose).map(|need| need.name).collect() };
        let always = ["Vagrant", "container engine", "ssh client"];
        assert_eq!(
            names(Purpose::making(Source::Download, Base::Ubuntu)),
            [&always[..], &["C compiler", "static C library"]].concat()
        );
        assert_eq!(names(Purpose::RUNNING), always);
        let debian = names(Purpose::making(Source::Download, Base::Debian));
        assert!(debian.contains(&"mmdebstrap") && !debian.contains(&"Go"));
        let auto = names(Purpose::making(Source::Auto, Base::Auto));
        assert!(auto.contains(&"Go") && auto.contains(&"mmdebstrap"));
        assert!(!auto.contains(&"haproxy"));
        let made = Purpose::making(Source::Go, Base::Debian);
        let keys = "Debian's archive keys";
        assert_eq!(
            names(made.less(true, false)),
            [&always[..], &["mmdebstrap", keys]].concat()
        );
        assert!(names(made.less(false, true)).contains(&"Go"));
        assert_eq!(names(made.less(true, true)), always);
    }
}
