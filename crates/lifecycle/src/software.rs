//! The bridge between `bundle` and `render`: which software a lab's machines run.

use caravan_bundle::{AddOnKind, Cache, add_on};
use caravan_lab::{AddOn, KnownSettings, Lab, PodNetwork, Storage};
use caravan_render::{AddOnImages, Software};

use crate::error::Error;

/// The versions that machines of the lab run, as their files must say them; `calico` is [`calico_manifest`], `known` what its
/// programs know, where that was found out.
///
/// # Errors
///
/// [`Error::Bundle`] where nothing is pinned for this Kubernetes.
pub fn versions(
    lab: &Lab,
    calico: Option<String>,
    known: Option<&KnownSettings>,
) -> Result<Software, Error> {
    let minor = lab.kubernetes().to_string();
    let software = caravan_bundle::software_of(&minor)?;
    let image = |kind, place| {
        let mut names = add_on::image_names(&minor, kind)?.into_iter();
        Ok::<_, Error>(names.nth(place).unwrap_or_default())
    };
    let add_ons = AddOnImages {
        local_path: image(AddOnKind::LocalPath, 0)?,
        volume: image(AddOnKind::LocalPath, 1)?,
        metrics_server: image(AddOnKind::MetricsServer, 0)?,
        metallb_controller: image(AddOnKind::MetalLb, 0)?,
        metallb_speaker: image(AddOnKind::MetalLb, 1)?,
    };
    Ok(Software {
        kubernetes: software.kubernetes,
        etcd: software.etcd,
        containerd: software.containerd,
        coredns_repository: software.coredns_repository,
        coredns_tag: software.coredns_tag,
        pause_image: software.pause_image,
        flannel_image: image(AddOnKind::Flannel, 0)?,
        add_ons,
        gates: known.map(|known| known.gates.clone()).unwrap_or_default(),
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
    let found = add_on::find(&cache()?, &lab.kubernetes().to_string(), AddOnKind::Calico)?;
    found.map_or(Ok(None), |calico| Ok(calico.published_manifest()?))
}

/// The add-ons that machines of the lab need: of its pod network, and of what its table `[cluster]` asks for.
pub fn add_ons(lab: &Lab) -> Vec<AddOnKind> {
    let network = match lab.pod_network() {
        PodNetwork::Vxlan => None,
        PodNetwork::Flannel => Some(AddOnKind::Flannel),
        PodNetwork::Calico => Some(AddOnKind::Calico),
    };
    let asked = lab.add_ons().iter().filter_map(|add_on| match add_on {
        AddOn::Storage => lab.storage().map(|storage| match storage {
            Storage::LocalPath => AddOnKind::LocalPath,
        }),
        AddOn::Metrics => Some(AddOnKind::MetricsServer),
        AddOn::LoadBalancer => Some(AddOnKind::MetalLb),
    });
    network.into_iter().chain(asked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_has_what_it_asks_for_and_nothing_else() {
        let of = |source: &str| {
            let lab = Lab::parse("lab", source).unwrap_or_else(|faults| panic!("{faults}"));
            add_ons(&lab)
        };
        let (ha, apps) = (
            include_str!("../../../labs/ha.toml"),
            include_str!("../../../labs/ha-apps.toml"),
        );
        assert_eq!(of(ha), []);
        let all = [
            AddOnKind::LocalPath,
            AddOnKind::MetricsServer,
            AddOnKind::MetalLb,
        ];
        assert_eq!(of(apps), all);
        let flannel = of(&format!("pod_network = \"flannel\"\n{apps}"));
        assert_eq!(flannel, [&[AddOnKind::Flannel], &all[..]].concat());
    }

    #[test]
    fn manifests_name_the_images_that_machines_have() {
        let lab = Lab::parse("ha-apps", include_str!("../../../labs/ha-apps.toml"));
        let lab = lab.unwrap_or_else(|faults| panic!("{faults}"));
        let AddOnImages {
            local_path,
            volume,
            metrics_server,
            metallb_controller,
            metallb_speaker,
        } = versions(&lab, None, None).unwrap().add_ons;
        for (image, begins) in [
            (local_path, "docker.io/rancher/local-path-provisioner:v"),
            (volume, "caravan.local/volume:"),
            (
                metrics_server,
                "registry.k8s.io/metrics-server/metrics-server:v",
            ),
            (metallb_controller, "quay.io/metallb/controller:v"),
            (metallb_speaker, "quay.io/metallb/speaker:v"),
        ] {
            assert!(image.starts_with(begins), "{image}");
        }
    }
}
