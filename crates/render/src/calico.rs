//! Calico's own manifest, told about the lab.
//!
//! What its project publishes is pinned by its sum, so each edit knows the text that it changes; a manifest that does not
//! have it is refused rather than half edited.

use caravan_lab::Lab;

use crate::error::Error;

/// A change of the published text.
struct Edit {
    /// What the error says is missing.
    what: &'static str,
    /// Stands in the manifest exactly once, unless `every`.
    from: &'static str,
    to: String,
    /// Changes each place, of which there is at least one.
    every: bool,
}

impl Edit {
    fn once(what: &'static str, from: &'static str, to: impl Into<String>) -> Edit {
        Edit {
            what,
            from,
            to: to.into(),
            every: false,
        }
    }
}

/// Returns the manifest for a lab: its pod range, its lab addresses, VXLAN between the nodes, the endpoint for the API,
/// and images that are never pulled.
///
/// # Errors
///
/// [`Error::CalicoManifest`] if `published` is not as the edits know it.
pub(crate) fn manifest(published: &str, lab: &Lab) -> Result<String, Error> {
    let mut text = published.to_owned();
    for edit in edits(lab) {
        let count = text.matches(edit.from).count();
        if count == 0 || (count > 1 && !edit.every) {
            return Err(Error::CalicoManifest { what: edit.what });
        }
        text = text.replace(edit.from, &edit.to);
    }
    let endpoint = lab.api_endpoint();
    text.push_str(&format!(
        "---\n\
         # The API's endpoint, as kubelets take it: the service's address leads nowhere before kube-proxy has its rules.\n\
         kind: ConfigMap\n\
         apiVersion: v1\n\
         metadata:\n  name: kubernetes-services-endpoint\n  namespace: kube-system\n\
         data:\n  KUBERNETES_SERVICE_HOST: \"{}\"\n  KUBERNETES_SERVICE_PORT: \"{}\"\n",
        endpoint.ip(),
        endpoint.port(),
    ));
    Ok(text)
}

fn edits(lab: &Lab) -> Vec<Edit> {
    vec![
        // The default is 192.168.0.0/16, in which many labs' own addresses are.
        Edit::once(
            "the pool's range",
            "            # - name: CALICO_IPV4POOL_CIDR\n            #   value: \"192.168.0.0/16\"\n",
            format!(
                "            - name: CALICO_IPV4POOL_CIDR\n              value: \"{}\"\n",
                lab.pod_cidr()
            ),
        ),
        // The first address that it finds may be a NAT device's, which all machines share, or the virtual address.
        Edit::once(
            "the node's address",
            "            - name: IP\n              value: \"autodetect\"\n",
            "            - name: IP\n              value: \"autodetect\"\n\
             \x20           - name: IP_AUTODETECTION_METHOD\n              value: \"kubernetes-internal-ip\"\n",
        ),
        // VXLAN's outer packets are what every kind of network lets through; IP in IP is not, and BGP has nobody to
        // speak to.
        Edit::once(
            "the backend",
            "calico_backend: \"bird\"",
            "calico_backend: \"vxlan\"",
        ),
        Edit::once(
            "IP in IP",
            "            - name: CALICO_IPV4POOL_IPIP\n              value: \"Always\"\n",
            "            - name: CALICO_IPV4POOL_IPIP\n              value: \"Never\"\n",
        ),
        Edit::once(
            "VXLAN",
            "            - name: CALICO_IPV4POOL_VXLAN\n              value: \"Never\"\n",
            "            - name: CALICO_IPV4POOL_VXLAN\n              value: \"Always\"\n",
        ),
        // Unchanged: each node's daemon takes the size of its pods' packets from its own interfaces. A manifest with a number
        // here would have one size for all networks.
        Edit::once(
            "the size of packets",
            "  veth_mtu: \"0\"\n",
            "  veth_mtu: \"0\"\n",
        ),
        // Without BGP there is no BIRD to be alive.
        Edit::once("BIRD's liveness", "                - -bird-live\n", ""),
        Edit::once("BIRD's readiness", "                - -bird-ready\n", ""),
        Edit {
            what: "the images' pull policy",
            from: "imagePullPolicy: IfNotPresent",
            to: "imagePullPolicy: Never".into(),
            every: true,
        },
    ]
}

#[cfg(test)]
mod tests {
    use caravan_lab::Lab;

    use super::*;

    /// The places that the edits know, in a manifest of our own.
    const PUBLISHED: &str = r#"kind: ConfigMap
data:
  calico_backend: "bird"
  veth_mtu: "0"
---
kind: DaemonSet
spec:
          imagePullPolicy: IfNotPresent
          imagePullPolicy: IfNotPresent
          env:
            - name: IP
              value: "autodetect"
            - name: CALICO_IPV4POOL_IPIP
              value: "Always"
            - name: CALICO_IPV4POOL_VXLAN
              value: "Never"
            # - name: CALICO_IPV4POOL_CIDR
            #   value: "192.168.0.0/16"
          livenessProbe:
                - -felix-live
                - -bird-live
          readinessProbe:
                - -felix-ready
                - -bird-ready
"#;

    fn lab() -> Lab {
        let source = include_str!("../../../labs/ha.toml").replacen(
            "domain = ",
            "pod_network = \"calico\"\npod_cidr = \"10.200.0.0/16\"\ndomain = ",
            1,
        );
        Lab::parse("ha", &source).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    #[test]
    fn calico_is_told_about_the_lab() {
        let expected = r#"kind: ConfigMap
data:
  calico_backend: "vxlan"
  veth_mtu: "0"
---
kind: DaemonSet
spec:
          imagePullPolicy: Never
          imagePullPolicy: Never
          env:
            - name: IP
              value: "autodetect"
            - name: IP_AUTODETECTION_METHOD
              value: "kubernetes-internal-ip"
            - name: CALICO_IPV4POOL_IPIP
              value: "Never"
            - name: CALICO_IPV4POOL_VXLAN
              value: "Always"
            - name: CALICO_IPV4POOL_CIDR
              value: "10.200.0.0/16"
          livenessProbe:
                - -felix-live
          readinessProbe:
                - -felix-ready
---
# The API's endpoint, as kubelets take it: the service's address leads nowhere before kube-proxy has its rules.
kind: ConfigMap
apiVersion: v1
metadata:
  name: kubernetes-services-endpoint
  namespace: kube-system
data:
  KUBERNETES_SERVICE_HOST: "192.168.29.80"
  KUBERNETES_SERVICE_PORT: "6443"
"#;
        assert_eq!(manifest(PUBLISHED, &lab()).unwrap(), expected);
    }

    #[test]
    fn another_manifest_is_refused_rather_than_half_edited() {
        for (from, to, what) in [
            ("192.168.0.0/16", "10.0.0.0/8", "the pool's range"),
            ("\"bird\"", "\"none\"", "the backend"),
            (
                "veth_mtu: \"0\"",
                "veth_mtu: \"1440\"",
                "the size of packets",
            ),
            ("IfNotPresent", "Always", "the images' pull policy"),
        ] {
            let error = manifest(&PUBLISHED.replace(from, to), &lab()).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
        let twice = format!("{PUBLISHED}{PUBLISHED}");
        assert!(manifest(&twice, &lab()).is_err());
    }
}
