//! The second source: what is built from the Go module proxy, and how each version is stamped.
//!
//! A component is a small module of our own (`go/NAME/`) that requires the published one at a version; its `go.sum` is
//! the pin, as a sha256 is for a download.

use crate::pins::Versions;

/// One Go module and the programs that are built from it.
pub(crate) struct Component {
    /// Its folder under `go/`, and the key of its version in `artifacts.toml`.
    pub(crate) name: &'static str,
    pub(crate) go_mod: &'static str,
    pub(crate) go_sum: &'static str,
    pub(crate) tools_go: &'static str,
    /// Whether C code is compiled in: then a C compiler and `libseccomp`'s development files are needed.
    pub(crate) cgo: bool,
    pub(crate) tags: &'static str,
    /// Extra linker flags; `{version}`, `{major}` and `{minor}` are filled in.
    pub(crate) link: &'static [&'static str],
    /// Package -> place in the bundle.
    pub(crate) programs: &'static [(&'static str, &'static str)],
}

macro_rules! module {
    ($name:literal) => {
        Component {
            name: $name,
            go_mod: include_str!(concat!("../go/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../go/", $name, "/go.sum")),
            tools_go: include_str!(concat!("../go/", $name, "/tools.go")),
            cgo: false,
            tags: "",
            link: &[],
            programs: &[],
        }
    };
}

/// All of them, in the order in which they are built: the long one first, so that an interrupted build lost least.
pub(crate) static COMPONENTS: [Component; 6] = [
    Component {
        // kubeadm refuses its own version string when it is not stamped.
        link: &[
            "-X k8s.io/component-base/version.gitVersion=v{version}",
            "-X k8s.io/component-base/version.gitMajor={major}",
            "-X k8s.io/component-base/version.gitMinor={minor}",
            "-X k8s.io/component-base/version.gitTreeState=clean",
            "-X k8s.io/client-go/pkg/version.gitVersion=v{version}",
            "-X k8s.io/client-go/pkg/version.gitMajor={major}",
            "-X k8s.io/client-go/pkg/version.gitMinor={minor}",
            "-X k8s.io/client-go/pkg/version.gitTreeState=clean",
        ],
        programs: &[
            ("k8s.io/kubernetes/cmd/kubeadm", "bin/kubeadm"),
            ("k8s.io/kubernetes/cmd/kubelet", "bin/kubelet"),
            ("k8s.io/kubernetes/cmd/kubectl", "bin/kubectl"),
            (
                "k8s.io/kubernetes/cmd/kube-apiserver",
                "image/kube-apiserver",
            ),
            (
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "image/kube-controller-manager",
            ),
            (
                "k8s.io/kubernetes/cmd/kube-scheduler",
                "image/kube-scheduler",
            ),
            ("k8s.io/kubernetes/cmd/kube-proxy", "image/kube-proxy"),
        ],
        ..module!("kubernetes")
    },
    Component {
        programs: &[("github.com/coredns/coredns", "image/coredns")],
        ..module!("coredns")
    },
    Component {
        tags: "no_btrfs",
        link: &["-X github.com/containerd/containerd/v2/version.Version=v{version}"],
        programs: &[
            (
                "github.com/containerd/containerd/v2/cmd/containerd",
                "bin/containerd",
            ),
            (
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
                "bin/containerd-shim-runc-v2",
            ),
            ("github.com/containerd/containerd/v2/cmd/ctr", "bin/ctr"),
        ],
        ..module!("containerd")
    },
    Component {
        // One version number in the source for all three; nothing to stamp.
        programs: &[
            ("go.etcd.io/etcd/server/v3", "bin/etcd"),
            ("go.etcd.io/etcd/etcdctl/v3", "bin/etcdctl"),
            ("go.etcd.io/etcd/etcdutl/v3", "bin/etcdutl"),
        ],
        ..module!("etcd")
    },
    Component {
        link: &[
            "-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=v{version}",
        ],
        programs: &[
            (
                "github.com/containernetworking/plugins/plugins/main/bridge",
                "cni/bridge",
            ),
            (
                "github.com/containernetworking/plugins/plugins/ipam/host-local",
                "cni/host-local",
            ),
            (
                "github.com/containernetworking/plugins/plugins/main/loopback",
                "cni/loopback",
            ),
            (
                "github.com/containernetworking/plugins/plugins/meta/portmap",
                "cni/portmap",
            ),
        ],
        ..module!("cni")
    },
    Component {
        // runc applies seccomp filters through libseccomp, which is C; linked statically like the rest. Its version is a
        // file in its source.
        cgo: true,
        tags: "seccomp netgo osusergo",
        link: &["-extldflags -static"],
        programs: &[("github.com/opencontainers/runc", "bin/runc")],
        ..module!("runc")
    },
];

/// flannel, for labs that ask for it. One of its backends has C in it; linked statically like the rest.
pub(crate) static FLANNEL: Component = Component {
    cgo: true,
    tags: "netgo osusergo",
    link: &[
        "-X github.com/flannel-io/flannel/pkg/version.Version=v{version}",
        "-extldflags -static",
    ],
    programs: &[("github.com/flannel-io/flannel", "image/flanneld")],
    ..module!("flannel")
};

/// local-path-provisioner, for labs that ask for volumes.
pub(crate) static LOCAL_PATH: Component = Component {
    link: &["-X main.VERSION=v{version}"],
    programs: &[(
        "github.com/rancher/local-path-provisioner",
        "image/local-path-provisioner",
    )],
    ..module!("local-path")
};

/// The metrics server, for labs that ask for metrics.
pub(crate) static METRICS_SERVER: Component = Component {
    link: &["-X k8s.io/client-go/pkg/version.gitVersion=v{version}"],
    programs: &[(
        "sigs.k8s.io/metrics-server/cmd/metrics-server",
        "image/metrics-server",
    )],
    ..module!("metrics-server")
};

/// MetalLB, for labs that ask for addresses of services. The version is in its source.
pub(crate) static METALLB: Component = Component {
    programs: &[
        ("go.universe.tf/metallb/controller", "image/controller"),
        ("go.universe.tf/metallb/speaker", "image/speaker"),
    ],
    ..module!("metallb")
};

impl Component {
    /// The value of `-ldflags`.
    pub(crate) fn ldflags(&self, versions: &Versions) -> String {
        let version = versions
            .of(self.name)
            .expect("each component has a version; a test checks it");
        let mut numbers = version.split('.');
        let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
        let mut flags = "-s -w".to_owned();
        for flag in self.link {
            flags.push(' ');
            flags.push_str(
                &flag
                    .replace("{version}", version)
                    .replace("{major}", major)
                    .replace("{minor}", minor),
            );
        }
        flags
    }

    /// Everything that decides what its programs are.
    pub(crate) fn ingredients(&self, versions: &Versions) -> Vec<String> {
        let mut all = vec![
            self.name.to_owned(),
            self.go_mod.to_owned(),
            self.go_sum.to_owned(),
            self.tools_go.to_owned(),
            self.cgo.to_string(),
            self.tags.to_owned(),
            self.ldflags(versions),
        ];
        for (package, place) in self.programs {
            all.push(format!("{package} {place}"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::add_on::AddOnKind;
    use crate::pins::{Arch, Pins, minors};

    /// Those of the bundle, and those of add-ons.
    fn all() -> impl Iterator<Item = &'static Component> {
        COMPONENTS
            .iter()
            .chain(AddOnKind::ALL.iter().filter_map(|kind| kind.component()))
    }

    #[test]
    fn modules_require_the_pinned_versions() {
        for minor in minors() {
            let versions = Pins::of(&minor, Arch::Amd64).unwrap().versions;
            for component in all() {
                let version = versions.of(component.name).unwrap();
                let direct = component.go_mod.lines().filter(|line| {
                    line.contains(" v") && !line.contains("// indirect") && !line.contains("=>")
                });
                for line in direct {
                    assert!(
                        line.ends_with(&format!(" v{version}")),
                        "{}: `{line}` is not v{version}",
                        component.name
                    );
                }
                assert!(
                    component.go_mod.contains(&format!(" v{version}")),
                    "{}",
                    component.name
                );
            }
        }
    }

    #[test]
    fn both_sources_give_the_same_files() {
        for minor in minors() {
            let mut downloaded: Vec<String> = Pins::of(&minor, Arch::Amd64)
                .unwrap()
                .artifacts
                .iter()
                .flat_map(|artifact| artifact.take.values().cloned())
                .collect();
            let mut built: Vec<String> = COMPONENTS
                .iter()
                .flat_map(|component| {
                    component
                        .programs
                        .iter()
                        .map(|(_, place)| (*place).to_owned())
                })
                .collect();
            downloaded.sort();
            built.sort();
            assert_eq!(downloaded, built);
        }
    }

    #[test]
    fn versions_are_stamped() {
        let versions = Pins::of("1.36", Arch::Amd64).unwrap().versions;
        let flags = COMPONENTS[0].ldflags(&versions);
        assert!(
            flags.starts_with("-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 "),
            "{flags}"
        );
        assert!(
            flags.contains("client-go/pkg/version.gitMinor=36"),
            "{flags}"
        );
        assert!(!flags.contains('{'), "{flags}");
    }

    #[test]
    fn every_package_is_named_in_its_tools_file() {
        for component in all() {
            for (package, _) in component.programs {
                assert!(
                    component.tools_go.contains(&format!("\"{package}\"")),
                    "{package}"
                );
            }
        }
    }
}
