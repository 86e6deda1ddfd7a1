//! The bridge between `bundle` and `render`: which software a lab's machines run.

use caravan_bundle::{Cache, Network, add_on};
use caravan_lab::{Lab, PodNetwork};
use caravan_render::Software;

use crate::error::Error;

/// The versions that machines of the lab run, as their files must say them; `calico` is [`calico_manifest`].
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes.
pub fn versions(lab: &Lab, calico: Option<String>) -> Result<Software, Error> {
    let minor = lab.kubernetes().to_string();
    let software = caravan_bundle::software_of(&minor)?;
    Ok(Software {
        kubernetes: software.kubernetes,
        etcd: software.etcd,
        containerd: software.containerd,
        coredns_repository: software.coredns_repository,
        coredns_tag: software.coredns_tag,
        pause_image: software.pause_image,
        flannel_image: add_on::flannel_image(&minor)?,
        calico_manifest: calico,
    })
}

/// What Calico's project publishes, where the lab wants it and the cache has it; only then is the cache opened.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes, or the cache cannot be read.
pub fn calico_manifest(
    lab: &Lab,
    cache: impl FnOnce() -> Result<Cache, caravan_bundle::Error>,
) -> Result<Option<String>, Error> {
    if lab.pod_network() != PodNetwork::Calico {
        return Ok(None);
    }
    let found = add_on::find(&cache()?, &lab.kubernetes().to_string(), Network::Calico)?;
    found.map_or(Ok(None), |calico| Ok(calico.published_manifest()?))
}

/// The add-on that a pod network needs.
pub fn network(pod_network: PodNetwork) -> Option<Network> {
    match pod_network {
        PodNetwork::Vxlan => None,
        PodNetwork::Flannel => Some(Network::Flannel),
        PodNetwork::Calico => Some(Network::Calico),
    }
}
