//! Which add-ons there are, and what each is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compile::{OwnProgram, VOLUME};
use crate::components::{Component, FLANNEL, LOCAL_PATH, METALLB, METRICS_SERVER};

/// What a lab may ask for beyond what every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddOnKind {
    /// The pod network flannel.
    Flannel,
    /// The pod network Calico.
    Calico,
    /// local-path-provisioner, which makes volumes for claims.
    LocalPath,
    /// The metrics server, which says what nodes and pods use.
    MetricsServer,
    /// MetalLB, which gives services addresses of the lab.
    #[serde(rename = "metallb")]
    MetalLb,
}

/// A program of an add-on, which becomes an image when a machine image is baked.
pub(crate) struct ImageProgram {
    /// Its name, in `image/` of the add-on and in its image.
    pub(crate) name: &'static str,
    /// Whether it runs the packet filter tools of the base system, so that its image has them.
    pub(crate) over_tools: bool,
}

impl AddOnKind {
    /// All of them.
    pub const ALL: [AddOnKind; 5] = [
        AddOnKind::Flannel,
        AddOnKind::Calico,
        AddOnKind::LocalPath,
        AddOnKind::MetricsServer,
        AddOnKind::MetalLb,
    ];

    /// Its name in pins and commands: `flannel`, `local-path`.
    pub fn as_str(self) -> &'static str {
        match self {
            AddOnKind::Flannel => "flannel",
            AddOnKind::Calico => "calico",
            AddOnKind::LocalPath => "local-path",
            AddOnKind::MetricsServer => "metrics-server",
            AddOnKind::MetalLb => "metallb",
        }
    }

    /// What it is built from; none of what cannot be built.
    pub(crate) fn component(self) -> Option<&'static Component> {
        match self {
            AddOnKind::Flannel => Some(&FLANNEL),
            AddOnKind::Calico => None,
            AddOnKind::LocalPath => Some(&LOCAL_PATH),
            AddOnKind::MetricsServer => Some(&METRICS_SERVER),
            AddOnKind::MetalLb => Some(&METALLB),
        }
    }

    /// The program of our own that it has besides, from whichever source.
    pub(crate) fn own(self) -> Option<&'static OwnProgram> {
        match self {
            AddOnKind::LocalPath => Some(&VOLUME),
            AddOnKind::Flannel
            | AddOnKind::Calico
            | AddOnKind::MetricsServer
            | AddOnKind::MetalLb => None,
        }
    }

    /// Its programs, in the order of its images; those of an add-on from downloads are in its images, but for our own.
    pub(crate) fn programs(self) -> &'static [ImageProgram] {
        const fn alone(name: &'static str) -> ImageProgram {
            ImageProgram {
                name,
                over_tools: false,
            }
        }
        match self {
            AddOnKind::Flannel => {
                &const {
                    [ImageProgram {
                        name: "flanneld",
                        over_tools: true,
                    }]
                }
            }
            AddOnKind::Calico => &[],
            AddOnKind::LocalPath => &const { [alone("local-path-provisioner"), alone("volume")] },
            AddOnKind::MetricsServer => &const { [alone("metrics-server")] },
            AddOnKind::MetalLb => &const { [alone("controller"), alone("speaker")] },
        }
    }
}

impl fmt::Display for AddOnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
