//! What the caller decides or knows, beyond the lab file: provider, image, versions of the software.

use std::net::Ipv4Addr;

use caravan_lab::Provider;

/// Versions and names of the software in the machine image, as the bundle has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Kubernetes, with the `v`: `v1.36.3`.
    pub kubernetes: String,
    /// etcd without a `v`: `3.6.14`.
    pub etcd: String,
    /// containerd without a `v`: `2.3.4`.
    pub containerd: String,
    /// Where CoreDNS's image is, without its last part: `registry.k8s.io/coredns`.
    pub coredns_repository: String,
    /// CoreDNS's image tag: `v1.14.4`.
    pub coredns_tag: String,
    /// The image of a pod's first container, with its tag: `registry.k8s.io/pause:3.10.2`.
    pub pause_image: String,
    /// flannel's image with its tag; empty where nothing is known of it, and then only other pod networks can be rendered.
    pub flannel_image: String,
    /// Calico's manifest as its project publishes it; needed by labs with that pod network alone.
    pub calico_manifest: Option<String>,
}

impl Software {
    /// Returns fixed versions, for golden files and examples.
    pub fn example() -> Software {
        Software {
            kubernetes: "v1.36.3".into(),
            etcd: "3.6.14".into(),
            containerd: "2.3.4".into(),
            coredns_repository: "registry.k8s.io/coredns".into(),
            coredns_tag: "v1.14.4".into(),
            pause_image: "registry.k8s.io/pause:3.10.2".into(),
            flannel_image: "ghcr.io/flannel-io/flannel:v0.28.4".into(),
            calico_manifest: None,
        }
    }
}

/// How the machines are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What makes them.
    pub provider: Provider,
    /// True if they have no way out of the lab.
    pub airgap: bool,
    /// The engine's name of the machine image, or the name of the box.
    pub image: String,
    /// Resolvers for names outside the lab, which CoreDNS asks. Empty, or with `airgap`, none is asked.
    pub nameservers: Vec<Ipv4Addr>,
}
