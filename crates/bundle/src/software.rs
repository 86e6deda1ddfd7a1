//! What is in a bundle, as other software has to be told.

use serde::{Deserialize, Serialize};

use crate::compile::PROBE;
use crate::pins::{Arch, Pins};
use crate::{Error, digest};

/// The versions in a bundle and the names of its images, as other software has to be told them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    /// The Kubernetes minor: `1.36`.
    pub minor: String,
    /// `v1.36.3`, as kubeadm wants it.
    pub kubernetes: String,
    /// `3.6.14`.
    pub etcd: String,
    /// `2.3.4`.
    pub containerd: String,
    /// `1.4.3`.
    pub runc: String,
    /// The network plugins: `1.9.1`.
    pub cni: String,
    /// For kubeadm's `dns.imageRepository`: `registry.k8s.io/coredns`.
    pub coredns_repository: String,
    /// For kubeadm's `dns.imageTag`: `v1.14.4`.
    pub coredns_tag: String,
    /// For containerd's `sandbox`: `registry.k8s.io/pause:3.10.2`.
    pub pause_image: String,
    /// What `verify` runs in pods: `caravan.local/probe:0123456789ab`.
    pub probe_image: String,
    /// All images that a machine has from the start, kube-proxy's included, sorted.
    pub images: Vec<String>,
}

pub(crate) const KUBE_PROXY: &str = "kube-proxy";

/// Program -> image, for every image of a machine.
pub(crate) fn images(pins: &Pins) -> Vec<(&'static str, String)> {
    let kubernetes = &pins.versions.kubernetes;
    let mut images: Vec<(&'static str, String)> = [
        "kube-apiserver",
        "kube-controller-manager",
        KUBE_PROXY,
        "kube-scheduler",
    ]
    .into_iter()
    .map(|program| (program, format!("registry.k8s.io/{program}:v{kubernetes}")))
    .collect();
    images.push((
        "coredns",
        format!("registry.k8s.io/coredns/coredns:v{}", pins.versions.coredns),
    ));
    images.push((
        "pause",
        format!("registry.k8s.io/pause:{}", pins.versions.pause),
    ));
    images.push((
        "probe",
        format!(
            "caravan.local/probe:{}",
            &digest::of_bytes(PROBE.source.as_bytes())[..12]
        ),
    ));
    images
}

pub(crate) fn software(pins: &Pins) -> Software {
    let versions = &pins.versions;
    let images = images(pins);
    let named = |program: &str| {
        images
            .iter()
            .find(|(known, _)| *known == program)
            .map_or_else(String::new, |(_, name)| name.clone())
    };
    let mut names: Vec<String> = images.iter().map(|(_, name)| name.clone()).collect();
    names.sort();
    Software {
        minor: pins.minor.clone(),
        kubernetes: format!("v{}", versions.kubernetes),
        etcd: versions.etcd.clone(),
        containerd: versions.containerd.clone(),
        runc: versions.runc.clone(),
        cni: versions.cni.clone(),
        coredns_repository: "registry.k8s.io/coredns".to_owned(),
        coredns_tag: format!("v{}", versions.coredns),
        pause_image: named("pause"),
        probe_image: named("probe"),
        images: names,
    }
}

/// The software that a bundle for Kubernetes `minor` has, without making one.
///
/// # Errors
///
/// [`Error::UnknownMinor`] and [`Error::UnknownProcessor`].
pub fn software_of(minor: &str) -> Result<Software, Error> {
    Ok(software(&Pins::of(minor, Arch::host()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_kubeadm_expects() {
        let software = software_of("1.36").unwrap();
        let expected = [
            "registry.k8s.io/coredns/coredns:v1.14.4",
            "registry.k8s.io/kube-apiserver:v1.36.3",
            "registry.k8s.io/kube-controller-manager:v1.36.3",
            "registry.k8s.io/kube-proxy:v1.36.3",
            "registry.k8s.io/kube-scheduler:v1.36.3",
            "registry.k8s.io/pause:3.10.2",
        ];
        assert_eq!(software.images[1..], expected);
        assert_eq!(software.images[0], software.probe_image);
        assert!(software.probe_image.starts_with("caravan.local/probe:"));
        assert_eq!(
            format!(
                "{}/coredns:{}",
                software.coredns_repository, software.coredns_tag
            ),
            expected[0]
        );
        assert_eq!(software.pause_image, expected[5]);
    }
}
