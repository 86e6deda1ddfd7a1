//! Which versions go together, and the published files that carry them: `artifacts.toml`, read once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The kind of processor that software is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Arch {
    /// This computer's.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownProcessor`].
    pub fn host() -> Result<Self, Error> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            arch => Err(Error::UnknownProcessor {
                arch: arch.to_owned(),
            }),
        }
    }

    /// Its name in download addresses, Go and container images: `amd64`, `arm64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One version of everything that goes with a Kubernetes minor, without a leading `v`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Versions {
    pub(crate) kubernetes: String,
    pub(crate) etcd: String,
    pub(crate) containerd: String,
    pub(crate) runc: String,
    pub(crate) cni: String,
    pub(crate) coredns: String,
    pub(crate) pause: String,
    pub(crate) flannel: String,
    pub(crate) calico: String,
    #[serde(rename = "local-path")]
    pub(crate) local_path: String,
    #[serde(rename = "metrics-server")]
    pub(crate) metrics_server: String,
    pub(crate) metallb: String,
}

/// How a published file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Packing {
    #[serde(rename = "binary")]
    Binary,
    #[serde(rename = "tar.gz")]
    TarGz,
}

/// One published file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) arch: Arch,
    pub(crate) kind: Packing,
    pub(crate) url: String,
    pub(crate) sha256: String,
    /// Name in the file -> place in the bundle.
    pub(crate) take: BTreeMap<String, String>,
    #[allow(dead_code, reason = "for readers of artifacts.toml; a test checks it")]
    pub(crate) sum_from: String,
    #[allow(dead_code, reason = "for readers of artifacts.toml; a test checks it")]
    pub(crate) sum_agrees_with: Option<String>,
}

/// An image of an add-on, as its project publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedImage {
    pub(crate) add_on: String,
    pub(crate) version: String,
    /// With its registry and tag.
    pub(crate) name: String,
    /// `sha256:...`, where it is known.
    pub(crate) digest: Option<String>,
    #[allow(dead_code, reason = "for readers of artifacts.toml; a test checks it")]
    pub(crate) name_from: String,
}

/// What an add-on's project publishes for kubectl.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedManifest {
    pub(crate) add_on: String,
    pub(crate) version: String,
    pub(crate) url: String,
    pub(crate) sha256: String,
    #[allow(dead_code, reason = "for readers of artifacts.toml; a test checks it")]
    pub(crate) sum_from: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[allow(dead_code, reason = "for readers of artifacts.toml; a test checks it")]
    sources: BTreeMap<String, toml::Table>,
    kubernetes: BTreeMap<String, Versions>,
    artifact: Vec<Artifact>,
    image: Vec<PublishedImage>,
    manifest: Vec<PublishedManifest>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    toml::from_str(include_str!("../artifacts.toml"))
        .expect("artifacts.toml is part of the program, and a test reads it")
});

/// The pins of one Kubernetes minor for one architecture.
#[derive(Debug, Clone)]
pub(crate) struct Pins {
    pub(crate) minor: String,
    pub(crate) arch: Arch,
    pub(crate) versions: Versions,
    pub(crate) artifacts: Vec<Artifact>,
}

impl Pins {
    /// The pins for Kubernetes `minor` (`1.36`).
    ///
    /// # Errors
    ///
    /// [`Error::UnknownMinor`].
    pub(crate) fn of(minor: &str, arch: Arch) -> Result<Self, Error> {
        let Some(versions) = TABLE.kubernetes.get(minor) else {
            return Err(Error::UnknownMinor {
                minor: minor.to_owned(),
                known: minors().join(", "),
            });
        };
        let artifacts = TABLE
            .artifact
            .iter()
            .filter(|artifact| {
                artifact.arch == arch && versions.of(&artifact.name) == Some(&artifact.version)
            })
            .cloned()
            .collect();
        Ok(Self {
            minor: minor.to_owned(),
            arch,
            versions: versions.clone(),
            artifacts,
        })
    }
}

impl Versions {
    /// The version of the artifact or component `name`.
    pub(crate) fn of(&self, name: &str) -> Option<&String> {
        Some(match name {
            "kubeadm"
            | "kubelet"
            | "kubectl"
            | "kube-apiserver"
            | "kube-controller-manager"
            | "kube-scheduler"
            | "kube-proxy"
            | "kubernetes" => &self.kubernetes,
            "etcd" => &self.etcd,
            "containerd" => &self.containerd,
            "runc" => &self.runc,
            "cni" => &self.cni,
            "coredns" => &self.coredns,
            "flannel" => &self.flannel,
            "calico" => &self.calico,
            "local-path" => &self.local_path,
            "metrics-server" => &self.metrics_server,
            "metallb" => &self.metallb,
            _ => return None,
        })
    }
}

impl Pins {
    /// The published images of an add-on, in their order.
    pub(crate) fn images_of<'a>(
        &'a self,
        add_on: &'a str,
    ) -> impl Iterator<Item = &'static PublishedImage> + 'a {
        TABLE.image.iter().filter(move |image| {
            image.add_on == add_on && self.versions.of(add_on) == Some(&image.version)
        })
    }

    /// The published manifest of an add-on, where it has one that is used.
    pub(crate) fn manifest_of(&self, add_on: &str) -> Option<&'static PublishedManifest> {
        TABLE.manifest.iter().find(|manifest| {
            manifest.add_on == add_on && self.versions.of(add_on) == Some(&manifest.version)
        })
    }
}

/// The Kubernetes minors that software is pinned for: `1.36`.
pub fn minors() -> Vec<String> {
    TABLE.kubernetes.keys().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_artifact_is_well_formed_and_used() {
        for artifact in &TABLE.artifact {
            let name = &artifact.name;
            assert!(artifact.url.starts_with("https://"), "{name}");
            assert!(
                artifact.url.contains(&artifact.version),
                "{name}: version in its address"
            );
            assert!(
                artifact.url.contains(artifact.arch.as_str()),
                "{name}: processor in its address"
            );
            assert_eq!(artifact.sha256.len(), 64, "{name}");
            assert!(hex::decode(&artifact.sha256).is_ok(), "{name}");
            let packed = artifact.url.ends_with(".tgz") || artifact.url.ends_with(".tar.gz");
            assert_eq!(packed, artifact.kind == Packing::TarGz, "{name}");
            for source in [Some(&artifact.sum_from), artifact.sum_agrees_with.as_ref()]
                .into_iter()
                .flatten()
            {
                assert!(
                    TABLE.sources.contains_key(source),
                    "{name}: no source `{source}`"
                );
            }
            assert!(
                TABLE
                    .kubernetes
                    .values()
                    .any(|versions| versions.of(name) == Some(&artifact.version)),
                "{name} {} goes with no Kubernetes minor",
                artifact.version
            );
        }
    }

    #[test]
    fn both_processors_get_the_same_software() {
        for minor in minors() {
            let places = |arch| {
                let mut places: Vec<String> = Pins::of(&minor, arch)
                    .unwrap()
                    .artifacts
                    .iter()
                    .flat_map(|artifact| artifact.take.values().cloned())
                    .collect();
                places.sort();
                places
            };
            assert_eq!(places(Arch::Amd64), places(Arch::Arm64));
            assert!(
                places(Arch::Amd64)
                    .windows(2)
                    .all(|pair| pair[0] != pair[1]),
                "one file, one place"
            );
        }
    }

    #[test]
    fn what_add_ons_publish_is_well_formed_and_used() {
        for image in &TABLE.image {
            let name = &image.name;
            assert!(name.ends_with(&format!(":v{}", image.version)), "{name}");
            assert!(TABLE.sources.contains_key(&image.name_from), "{name}");
            let digest = image.digest.as_deref().unwrap_or("sha256:");
            assert!(digest.starts_with("sha256:"), "{name}");
        }
        for manifest in &TABLE.manifest {
            let url = &manifest.url;
            assert!(url.starts_with("https://"), "{url}");
            assert!(url.contains(&format!("/v{}/", manifest.version)), "{url}");
            assert_eq!(hex::decode(&manifest.sha256).unwrap().len(), 32, "{url}");
            assert!(TABLE.sources.contains_key(&manifest.sum_from), "{url}");
        }
        for minor in minors() {
            let pins = Pins::of(&minor, Arch::Amd64).unwrap();
            for (add_on, images) in [
                ("flannel", 1),
                ("calico", 3),
                ("local-path", 1),
                ("metrics-server", 1),
                ("metallb", 2),
            ] {
                assert_eq!(pins.images_of(add_on).count(), images, "{add_on}");
            }
            assert!(pins.manifest_of("flannel").is_none());
            assert!(pins.manifest_of("calico").is_some());
        }
    }

    #[test]
    fn sums_are_not_repeated() {
        let mut sums: Vec<&String> = TABLE
            .artifact
            .iter()
            .map(|artifact| &artifact.sha256)
            .collect();
        let all = sums.len();
        sums.sort();
        sums.dedup();
        assert_eq!(sums.len(), all, "two files with one sum: copied by mistake");
    }

    #[test]
    fn unknown_minors_are_refused_with_the_known_ones() {
        let refused = Pins::of("1.12", Arch::Amd64).unwrap_err().to_string();
        assert_eq!(
            refused,
            "no software is pinned for Kubernetes 1.12; known: 1.36"
        );
    }
}
