//! What of the control plane's flags and of the kubelets' configuration follows from something else in the lab.

use super::Component;
use super::Component::{ApiServer, ControllerManager, Scheduler};

const ALL: &[Component] = &Component::ALL;
const LEADERS: &[Component] = &[ControllerManager, Scheduler];

/// What sets certificates and keys.
const CERTIFICATES: &str =
    "the lab makes its certificates and keys itself, and `verify` holds them";

/// What sets the pace.
const PACE: &str = "it follows from how fast the lab's machines are";

/// Whose flag it is, its name, or with `*` at its end how it begins; and what sets it.
#[rustfmt::skip]
const FLAGS: &[(&[Component], &str, &str)] = &[
    (&[ApiServer], "advertise-address", "it is the master's `ip`"),
    (ALL, "bind-address", "load balancers, probes and certificates count on where it listens"),
    (ALL, "secure-port", "load balancers, probes and certificates count on where it listens"),
    (&[ApiServer], "etcd-servers*", "it follows from the `[[machines]]` with the role `etcd`"),
    (&[ApiServer], "etcd-*file", CERTIFICATES),
    (&[ApiServer], "etcd-prefix", "machines look for what is in etcd below `/registry`"),
    (&[ApiServer], "etcd-healthcheck-timeout", PACE),
    (&[ApiServer], "etcd-readycheck-timeout", PACE),
    (&[ApiServer], "shutdown-delay-duration", PACE),
    (ALL, "tls-*", CERTIFICATES),
    (ALL, "client-ca-file", CERTIFICATES),
    (ALL, "requestheader-*", CERTIFICATES),
    (&[ApiServer], "kubelet-client-*", CERTIFICATES),
    (&[ApiServer], "kubelet-certificate-authority", CERTIFICATES),
    (&[ApiServer], "proxy-client-*", CERTIFICATES),
    (&[ApiServer], "service-account-*", CERTIFICATES),
    (&[ControllerManager], "service-account-*", CERTIFICATES),
    (&[ControllerManager], "cluster-signing-*", CERTIFICATES),
    (&[ControllerManager], "use-service-account-credentials", CERTIFICATES),
    (&[ApiServer], "authorization-*", "nodes and users have the rights that kubeadm gives them, which `verify` counts on"),
    (&[ApiServer], "anonymous-auth", "load balancers ask `/readyz` without a certificate"),
    (&[ApiServer], "enable-bootstrap-token-auth", "nobody joins a lab by a token"),
    (&[ApiServer], "allow-privileged", "kubeadm sets it, and kube-proxy needs it"),
    (&[ApiServer], "service-cluster-ip-range", "set `service_cidr`"),
    (&[ControllerManager], "service-cluster-ip-range", "set `service_cidr`"),
    (&[ControllerManager], "cluster-cidr", "set `pod_cidr`"),
    (&[ControllerManager], "allocate-node-cidrs", "set `pod_network`"),
    (&[ControllerManager], "cluster-name", "it is the name of the lab"),
    (ALL, "feature-gates", "set `feature_gates` in `[cluster]`"),
    (&[ApiServer], "runtime-config", "set `runtime_config` in `[cluster]`"),
    (&[ApiServer], "audit-policy-file", "set `audit` in `[cluster]`"),
    (&[ApiServer], "audit-log-*", "set `audit` in `[cluster]`"),
    (&[ApiServer], "encryption-provider-*", "set `encryption` in `[cluster]`"),
    (ALL, "profiling", "a lab's control plane is not profiled, as benchmarks of its safety ask for"),
    (LEADERS, "leader-elect*", PACE),
    (&[ControllerManager], "kube-api-qps", "it is what a quick take-over needs"),
    (&[ControllerManager], "kube-api-burst", "it is what a quick take-over needs"),
    (ALL, "*kubeconfig", CERTIFICATES),
    (ALL, "*-file", "it names a file, and masters have none of yours"),
    (ALL, "*-dir", "it names a folder, and masters have none of yours"),
    (ALL, "config", "it names a file, and masters have none of yours"),
    (ALL, "*-config", "it names a file, and masters have none of yours"),
];

/// Fields of KubeletConfiguration, and what sets each.
#[rustfmt::skip]
const KUBELET_FIELDS: &[(&str, &str)] = &[
    ("apiVersion", "the lab knows which configuration its kubelets read"),
    ("kind", "the lab knows which configuration its kubelets read"),
    ("featureGates", "set `feature_gates` in `[cluster]`"),
    ("registerWithTaints", "set `taints` of a machine"),
    ("registerNode", "a lab's masters and workers are nodes"),
    ("clusterDNS", "it follows from `service_cidr`"),
    ("clusterDomain", "it is `cluster.local` in every lab"),
    ("podCIDR", "it follows from `pod_cidr`"),
    ("authentication", CERTIFICATES),
    ("authorization", CERTIFICATES),
    ("rotateCertificates", CERTIFICATES),
    ("serverTLSBootstrap", CERTIFICATES),
    ("tlsCertFile", CERTIFICATES),
    ("tlsPrivateKeyFile", CERTIFICATES),
    ("staticPodPath", "kubeadm puts the control plane there"),
    ("containerRuntimeEndpoint", "it is the machine's containerd"),
    ("imageServiceEndpoint", "it is the machine's containerd"),
    ("cgroupDriver", "it is what containerd and the machine's system have"),
    ("cgroupsPerQOS", "it is what containerd and the machine's system have"),
    ("enforceNodeAllocatable", "it is what containerd and the machine's system have"),
    ("failCgroupV1", "it is what the machine's system has"),
    ("failSwapOn", "it is what the machine's system has"),
    ("memorySwap", "it is what the machine's system has"),
    ("protectKernelDefaults", "it is what the machine's system has"),
    ("localStorageCapacityIsolation", "it is what the machine's system has"),
    ("resolvConf", "it follows from the lab's resolvers"),
    ("syncFrequency", PACE),
    ("crashLoopBackOff", "on masters it is what brings the control plane back soon"),
    ("address", "`verify` and the API count on where it listens"),
    ("port", "`verify` and the API count on where it listens"),
    ("readOnlyPort", "`verify` counts on where it listens"),
    ("healthzPort", "kubeadm counts on where it listens"),
    ("healthzBindAddress", "kubeadm counts on where it listens"),
    ("enableServer", "`verify` and the API ask it"),
];

/// Returns what sets a flag of `component` that the lab sets itself.
pub(super) fn flag(component: Component, name: &str) -> Option<&'static str> {
    let row = FLAGS
        .iter()
        .find(|(whose, pattern, _)| whose.contains(&component) && matches(pattern, name));
    row.map(|(.., by)| *by)
}

/// Returns what sets a field of the kubelets' configuration that the lab sets itself.
pub(super) fn kubelet_field(name: &str) -> Option<&'static str> {
    let row = KUBELET_FIELDS.iter().find(|(field, _)| *field == name);
    row.map(|(_, by)| *by)
}

/// Whether `name` is as `pattern` says, in which one `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_sets_a_flag_is_named() {
        for (component, name, by) in [
            (ApiServer, "etcd-servers", "`etcd`"),
            (ApiServer, "tls-min-version", "certificates"),
            (ApiServer, "service-cluster-ip-range", "`service_cidr`"),
            (Scheduler, "feature-gates", "`[cluster]`"),
            (ApiServer, "audit-log-maxsize", "`audit`"),
            (ApiServer, "authentication-config", "none of yours"),
            (
                ControllerManager,
                "authentication-kubeconfig",
                "certificates",
            ),
        ] {
            let found = flag(component, name).expect(name);
            assert!(found.contains(by), "{name}: {found}");
        }
        for (component, name) in [
            (ApiServer, "v"),
            (ApiServer, "etcd-compaction-interval"),
            (ApiServer, "enable-admission-plugins"),
            (ApiServer, "event-ttl"),
            (ControllerManager, "node-monitor-grace-period"),
            (Scheduler, "kube-api-qps"),
        ] {
            assert_eq!(flag(component, name), None, "{name}");
        }
        assert!(kubelet_field("clusterDNS").is_some_and(|by| by.contains("service_cidr")));
        assert_eq!(kubelet_field("maxPods"), None);
    }
}
