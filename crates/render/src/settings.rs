//! What the caller decides or knows, beyond the lab file: provider, image, versions of the software.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use caravan_lab::{Lab, Machine, Provider};
use serde::{Deserialize, Serialize};

/// The image that files name before one was made.
const NO_IMAGE: &str = "caravan-machine:not-made-yet";

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
    /// The images of what labs may ask for in `[cluster]`, with their tags.
    pub add_ons: AddOnImages,
    /// Feature gates that each program has: `kube-apiserver`, `kubelet` and so on; of one that is not there nothing is known,
    /// and it is given all that the lab file says.
    pub gates: BTreeMap<String, BTreeSet<String>>,
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
            add_ons: AddOnImages {
                local_path: "docker.io/rancher/local-path-provisioner:v0.0.30".into(),
                volume: "caravan.local/volume:0123456789ab".into(),
                metrics_server: "registry.k8s.io/metrics-server/metrics-server:v0.9.0".into(),
                metallb_controller: "quay.io/metallb/controller:v0.15.2".into(),
                metallb_speaker: "quay.io/metallb/speaker:v0.15.2".into(),
            },
            gates: BTreeMap::new(),
            calico_manifest: None,
        }
    }
}

/// The images of what labs may ask for in `[cluster]`. Empty where nothing is known of them, and then only labs without that
/// can be rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AddOnImages {
    /// local-path-provisioner.
    pub local_path: String,
    /// What makes and removes the folders of its volumes.
    pub volume: String,
    /// The metrics server.
    pub metrics_server: String,
    /// What gives services their addresses.
    pub metallb_controller: String,
    /// What answers for those addresses, on each worker.
    pub metallb_speaker: String,
}

/// What machines of one provider are made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineImage {
    /// The engine's name of the machine image, or the name of the box.
    pub name: String,
    /// Where Vagrant finds the box under that name, as the URL of its metadata; none for an engine's image and for a box
    /// that Vagrant has or finds in its catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl MachineImage {
    /// One that is found by its name alone.
    pub fn named(name: impl Into<String>) -> MachineImage {
        MachineImage {
            name: name.into(),
            url: None,
        }
    }
}

/// How the machines are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What makes them, by server.
    pub providers: BTreeMap<String, Provider>,
    /// True if they have no way out of the lab.
    pub airgap: bool,
    /// True if virtual machines are emulated, without the help of a processor made for them: some ten times slower.
    pub emulated: bool,
    /// What they are made from, by what makes them.
    pub images: BTreeMap<Provider, MachineImage>,
    /// Resolvers for names outside the lab, which CoreDNS asks. Empty, or with `airgap`, none is asked.
    pub nameservers: Vec<Ipv4Addr>,
    /// The audit policy that the lab file names, as its file has it.
    pub audit_policy: Option<String>,
}

impl Settings {
    /// The settings of a lab whose servers all have one provider: with a way out, and no resolvers.
    pub fn of_one_provider(lab: &Lab, provider: Provider, image: MachineImage) -> Settings {
        let servers = lab.servers().iter();
        Settings {
            providers: servers.map(|it| (it.name.clone(), provider)).collect(),
            images: [(provider, image)].into(),
            ..Settings::default()
        }
    }

    /// Returns what makes the machines of the server called `server`.
    pub fn provider(&self, server: &str) -> Provider {
        self.providers.get(server).copied().unwrap_or_default()
    }

    /// Returns what makes `machine`.
    pub fn provider_of(&self, machine: &Machine) -> Provider {
        self.provider(&machine.server)
    }

    /// Returns the name of what machines of `provider` are made from; one that tells so where nothing was made yet.
    pub fn image_name(&self, provider: Provider) -> &str {
        self.images
            .get(&provider)
            .map_or(NO_IMAGE, |image| image.name.as_str())
    }
}
