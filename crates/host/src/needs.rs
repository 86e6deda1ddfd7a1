//! What this computer must have: one table, read by `doctor`, `setup` and `up`.

use caravan_bundle::{Base, SoftwareSource};
use caravan_lab::Provider;

use crate::probe::{NeedState, Probe};

/// One thing that must be here.
#[derive(Debug)]
pub struct Need {
    /// What people call it.
    pub name: &'static str,
    /// What for.
    pub why: &'static str,
    /// When it is needed.
    pub when: When,
    /// How to see that what will be used of it works.
    pub probe: Probe,
    /// Its packages for apt, dnf, pacman and zypper, separated by blanks; empty where there is none. One that ends in `?`
    /// is left out where the package manager does not know it.
    pub packages: [&'static str; 4],
    /// Where to get it by hand.
    pub by_hand: &'static str,
}

/// When something is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// For every lab.
    Always,
    /// Where an engine runs machines, or makes their image.
    Engine,
    /// Where an engine's machines may be made for the first time: what takes a second to see.
    FirstContainers,
    /// Where libvirt runs machines.
    Libvirt,
    /// Where libvirt's machines may be made for the first time.
    FirstLibvirt,
    /// Where a machine image is made.
    Compiled,
    /// Where software is built from Go modules.
    Built,
    /// Where the base system is made from Debian packages.
    Debian,
    /// Where tests must read rendered files with the programs they are for.
    Checked,
}

/// Everything, in the order in which people should read it.
pub const NEEDS: &[Need] = &[
    Need {
        name: "Vagrant",
        why: "makes the machines",
        when: When::Always,
        probe: Probe::Vagrant,
        packages: ["vagrant", "vagrant", "vagrant", "vagrant"],
        by_hand: VAGRANT_PAGE,
    },
    Need {
        name: "Vagrant's docker provider",
        why: "lets Vagrant make machines in containers",
        when: When::FirstContainers,
        probe: Probe::DockerProvider,
        packages: [""; 4],
        by_hand: VAGRANT_PAGE,
    },
    Need {
        name: "container engine",
        why: "runs machines in containers, and makes images and boxes",
        when: When::Engine,
        probe: Probe::Engine,
        // Debian 13 has the client apart, and only recommends it.
        packages: ["docker.io docker-cli?", "moby-engine", "docker", "docker"],
        by_hand: "https://docs.docker.com/engine/install/",
    },
    Need {
        name: "QEMU",
        why: "runs virtual machines",
        when: When::Libvirt,
        probe: Probe::Qemu,
        packages: [QEMU_OF_DEBIAN, "qemu-kvm", "qemu-base", "qemu-kvm"],
        by_hand: "https://www.qemu.org/download/#linux",
    },
    Need {
        name: "qemu-img",
        why: "lets libvirt make the disks of virtual machines",
        when: When::Libvirt,
        probe: answers("qemu-img", &["--version"], "qemu-img"),
        packages: ["qemu-utils", "qemu-img", "qemu-img", "qemu-tools"],
        by_hand: "https://www.qemu.org/download/#linux",
    },
    Need {
        name: "libvirt",
        why: "runs virtual machines",
        when: When::Libvirt,
        probe: Probe::Libvirt,
        // Without what Debian only recommends it has neither a driver for QEMU nor networks.
        packages: [
            "libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu? dnsmasq-base iptables",
            "libvirt-daemon-kvm libvirt-client dnsmasq",
            "libvirt dnsmasq iptables-nft",
            "libvirt-daemon-qemu libvirt-client dnsmasq",
        ],
        by_hand: "https://libvirt.org/downloads.html",
    },
    Need {
        name: "Vagrant's libvirt plugin",
        why: "lets Vagrant make virtual machines by libvirt",
        when: When::FirstLibvirt,
        probe: Probe::LibvirtProvider,
        packages: ["vagrant-libvirt", "vagrant-libvirt", "", "vagrant-libvirt"],
        by_hand: "`vagrant plugin install vagrant-libvirt`, https://vagrant-libvirt.github.io/vagrant-libvirt/",
    },
    Need {
        name: "ssh client",
        why: "reaches the machines",
        when: When::Always,
        probe: answers("ssh", &["-V"], "OpenSSH"),
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
        probe: answers("mmdebstrap", &["--version"], "mmdebstrap"),
        packages: ["mmdebstrap", "mmdebstrap", "", ""],
        by_hand: "https://gitlab.mister-muffin.de/josch/mmdebstrap",
    },
    Need {
        name: "user namespaces",
        why: "let mmdebstrap make the base system for who is not root",
        when: When::Debian,
        probe: Probe::UserNamespaces,
        packages: ["uidmap", "shadow-utils", "shadow", "shadow"],
        by_hand: "https://github.com/shadow-maint/shadow",
    },
    Need {
        name: "Debian's archive keys",
        why: "judge the packages of the base system",
        when: When::Debian,
        probe: Probe::Lies(&["/usr/share/keyrings/debian-archive-keyring.gpg"]),
        packages: ["debian-archive-keyring", "debian-keyring", "", ""],
        by_hand: "https://www.debian.org/",
    },
    Need {
        name: "Go",
        why: "builds Kubernetes, etcd, containerd and runc",
        when: When::Built,
        probe: Probe::Go,
        packages: ["golang-go", "golang", "go", "go"],
        by_hand: "https://go.dev/doc/install",
    },
    Need {
        name: "CA certificates",
        why: "let Go trust the servers that it fetches modules from",
        when: When::Built,
        // The files that Go's crypto/x509 reads on Linux.
        probe: Probe::Lies(&[
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/ca-bundle.pem",
            "/etc/pki/tls/cacert.pem",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            "/etc/ssl/cert.pem",
        ]),
        packages: ["ca-certificates"; 4],
        by_hand: "https://wiki.mozilla.org/CA",
    },
    Need {
        name: "C compiler",
        why: "links what is compiled here",
        when: When::Compiled,
        // By the name that rustc calls.
        probe: answers("cc", &["--version"], ""),
        packages: ["gcc", "gcc", "gcc", "gcc"],
        by_hand: "https://gcc.gnu.org/",
    },
    Need {
        name: "gcc",
        why: "builds the C parts of runc",
        when: When::Built,
        // By the name that Go calls.
        probe: answers("gcc", &["--version"], ""),
        packages: ["gcc", "gcc", "gcc", "gcc"],
        by_hand: "https://gcc.gnu.org/",
    },
    Need {
        name: "static C library",
        why: "makes programs run on any base system",
        when: When::Compiled,
        probe: Probe::StaticLibc,
        packages: ["libc6-dev", "glibc-static", "glibc", "glibc-devel-static"],
        by_hand: "https://www.gnu.org/software/libc/",
    },
    Need {
        name: "libseccomp",
        why: "is linked into runc",
        when: When::Built,
        probe: Probe::Seccomp,
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
        probe: Probe::PkgConfig,
        packages: ["pkg-config", "pkgconf-pkg-config", "pkgconf", "pkg-config"],
        by_hand: "https://www.freedesktop.org/wiki/Software/pkg-config/",
    },
    checker(
        "haproxy",
        answers("haproxy", &["-v"], "HAProxy"),
        ["haproxy"; 4],
    ),
    checker(
        "keepalived",
        answers("keepalived", &["--version"], "Keepalived"),
        ["keepalived"; 4],
    ),
    checker(
        "nftables",
        answers("nft", &["--version"], "nftables"),
        ["nftables"; 4],
    ),
    checker("ruby", answers("ruby", &["--version"], "ruby"), ["ruby"; 4]),
    checker(
        "shellcheck",
        answers("shellcheck", &["--version"], "ShellCheck"),
        ["shellcheck", "ShellCheck", "shellcheck", "ShellCheck"],
    ),
    checker(
        "systemd",
        answers("systemd-analyze", &["--version"], "systemd"),
        ["systemd"; 4],
    ),
    checker(
        "openssl",
        answers("openssl", &["version"], "OpenSSL"),
        ["openssl"; 4],
    ),
    // One of the judges of certificates, pkilint, is a Python program, and is put into an environment of its own.
    checker(
        "python3",
        Probe::Answers {
            program: "python3",
            args: &["-c", "import venv, ensurepip"],
            says: "",
            or_package: true,
        },
        ["python3-venv", "python3", "python", "python3"],
    ),
    checker(
        "tcpdump",
        answers("tcpdump", &["--version"], "tcpdump"),
        ["tcpdump"; 4],
    ),
    checker(
        "iproute2",
        answers("ip", &["-V"], "iproute2"),
        ["iproute2", "iproute", "iproute2", "iproute2"],
    ),
    checker(
        "iptables",
        answers("iptables", &["--version"], "iptables"),
        ["iptables"; 4],
    ),
    // Shows pages of `report` as people see them; Ubuntu has none as a package of apt.
    checker(
        "Chromium",
        answers("chromium", &["--version"], "Chromium"),
        ["chromium?", "chromium", "chromium", "chromium"],
    ),
    // Brings Mermaid, which the topology in its language is read by.
    checker("npm", answers("npm", &["--version"], ""), ["npm"; 4]),
];

/// Debian has QEMU by the processor that it emulates.
const QEMU_OF_DEBIAN: &str = if cfg!(target_arch = "aarch64") {
    "qemu-system-arm"
} else {
    "qemu-system-x86"
};

/// Where Vagrant's makers offer it.
pub const VAGRANT_PAGE: &str = "https://developer.hashicorp.com/vagrant/install";

/// A program that starts, ends well, and says what tells it from others of its name.
const fn answers(
    program: &'static str,
    args: &'static [&'static str],
    says: &'static str,
) -> Probe {
    Probe::Answers {
        program,
        args,
        says,
        or_package: false,
    }
}

const fn checker(name: &'static str, probe: Probe, packages: [&'static str; 4]) -> Need {
    Need {
        name,
        why: "checks rendered files, or real labs, in tests",
        when: When::Checked,
        probe,
        packages,
        by_hand: "",
    }
}

/// What is asked of this computer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Purpose {
    /// Whether a container engine is to run machines.
    pub containers: bool,
    /// Whether libvirt is to run machines.
    pub libvirt: bool,
    /// Whether VirtualBox is to run machines.
    pub virtualbox: bool,
    /// Whether that may be for the first time.
    pub first: bool,
    /// Whether a machine image or a box must be made.
    pub baked: bool,
    /// Whether anything must be compiled: our own small programs always are.
    pub compiled: bool,
    /// Whether software must be built or may have to be.
    pub built: bool,
    /// Whether the base system must be made or may have to be.
    pub debian: bool,
    /// Whether tests must check rendered files.
    pub checked: bool,
}

impl Purpose {
    /// What running machines needs when software and image are there.
    pub fn running(providers: impl IntoIterator<Item = Provider>) -> Self {
        let mut purpose = Self::default();
        for provider in providers {
            match provider {
                Provider::Docker => purpose.containers = true,
                Provider::Libvirt => purpose.libvirt = true,
                Provider::VirtualBox => purpose.virtualbox = true,
            }
        }
        purpose
    }

    /// What making software and image needs, by the sources asked for; `auto` may come to need all.
    pub fn making(source: SoftwareSource, base: Base) -> Self {
        Self {
            first: true,
            baked: true,
            compiled: true,
            built: source != SoftwareSource::Download,
            debian: base != Base::Ubuntu,
            ..Self::default()
        }
    }

    /// The same where the software, or the base system, has been made already.
    pub fn less(self, bundle: bool, system: bool) -> Self {
        Self {
            compiled: self.compiled && !bundle,
            built: self.built && !bundle,
            debian: self.debian && !system,
            ..self
        }
    }

    /// What this and `other` need.
    pub fn and(self, other: Self) -> Self {
        Self {
            containers: self.containers || other.containers,
            libvirt: self.libvirt || other.libvirt,
            virtualbox: self.virtualbox || other.virtualbox,
            first: self.first || other.first,
            baked: self.baked || other.baked,
            compiled: self.compiled || other.compiled,
            built: self.built || other.built,
            debian: self.debian || other.debian,
            checked: self.checked || other.checked,
        }
    }

    fn covers(self, when: When) -> bool {
        match when {
            When::Always => self.containers || self.libvirt || self.virtualbox,
            When::Engine => self.containers || self.baked,
            When::FirstContainers => self.containers && self.first,
            When::Libvirt => self.libvirt,
            When::FirstLibvirt => self.libvirt && self.first,
            When::Compiled => self.compiled,
            When::Built => self.built,
            When::Debian => self.debian,
            When::Checked => self.checked,
        }
    }
}

/// The rows of the table that `purpose` needs.
pub fn of(purpose: Purpose) -> impl Iterator<Item = &'static Need> {
    NEEDS.iter().filter(move |need| purpose.covers(need.when))
}

/// How this computer meets each row that `purpose` needs, in the table's order. All are looked at side by side.
///
/// A row that cannot be judged before another one is met is left out.
pub fn judge(purpose: Purpose) -> Vec<(&'static Need, NeedState)> {
    std::thread::scope(|scope| {
        let looks: Vec<_> = of(purpose)
            .map(|need| (need, scope.spawn(|| need.probe.look())))
            .collect();
        looks
            .into_iter()
            .filter_map(|(need, look)| {
                let state = look
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Some((need, state?))
            })
            .collect()
    })
}

/// Whether everything that `purpose` needs is here, started or not.
pub fn all_met(purpose: Purpose) -> bool {
    judge(purpose)
        .iter()
        .all(|(_, state)| matches!(state, NeedState::Met(_) | NeedState::Asleep(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_got() {
        for need in NEEDS {
            let everywhere = need.packages.iter().all(|packages| !packages.is_empty());
            assert!(everywhere || !need.by_hand.is_empty(), "{}", need.name);
        }
    }

    fn names(purpose: Purpose) -> Vec<&'static str> {
        of(purpose).map(|need| need.name).collect()
    }

    #[test]
    fn sources_decide_what_is_needed() {
        let docker = Purpose::running([Provider::Docker]);
        let making = |source, base| docker.and(Purpose::making(source, base));
        let always = ["Vagrant", "container engine", "ssh client"];
        let first = [
            "Vagrant",
            "Vagrant's docker provider",
            "container engine",
            "ssh client",
        ];
        assert_eq!(
            names(making(SoftwareSource::Download, Base::Ubuntu)),
            [&first[..], &["C compiler", "static C library"]].concat()
        );
        assert_eq!(names(docker), always);
        let debian = names(making(SoftwareSource::Download, Base::Debian12));
        assert!(debian.contains(&"mmdebstrap") && !debian.contains(&"Go"));
        let auto = names(making(SoftwareSource::Auto, Base::Auto));
        assert!(auto.contains(&"Go") && auto.contains(&"mmdebstrap"));
        assert!(!auto.contains(&"haproxy"));
        let made = making(SoftwareSource::Go, Base::Debian12);
        let system = ["mmdebstrap", "user namespaces", "Debian's archive keys"];
        assert_eq!(
            names(made.less(true, false)),
            [&first[..], &system].concat()
        );
        assert!(names(made.less(false, true)).contains(&"Go"));
        assert_eq!(names(made.less(true, true)), first);
    }

    #[test]
    fn virtual_machines_need_an_engine_only_to_be_baked() {
        let libvirt = Purpose::running([Provider::Libvirt]);
        assert_eq!(
            names(libvirt),
            ["Vagrant", "QEMU", "qemu-img", "libvirt", "ssh client"]
        );
        let baked = libvirt
            .and(Purpose::making(SoftwareSource::Download, Base::Ubuntu))
            .less(true, true);
        assert_eq!(
            names(baked),
            [
                "Vagrant",
                "container engine",
                "QEMU",
                "qemu-img",
                "libvirt",
                "Vagrant's libvirt plugin",
                "ssh client"
            ]
        );
        assert_eq!(
            names(Purpose::running([Provider::VirtualBox])),
            ["Vagrant", "ssh client"]
        );
    }
}
