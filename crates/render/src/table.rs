//! Which files a machine gets, as a table: one row is one file, in the order of its path.

use caravan_lab::{PodNetwork, Role};

/// Where a file's content comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The same on every machine of every lab.
    Fixed(&'static str),
    /// A template whose result is the same on every machine of a lab.
    Lab(&'static str),
    /// A template that is rendered for each machine.
    Machine(&'static str),
}

/// Which machines get a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// All of them.
    Every,
    /// One role.
    Role(Role),
    /// Machines that run pods.
    Nodes,
    /// Machines of one role, where pods talk through this network.
    RoleWith(Role, PodNetwork),
    /// Machines that run pods, where pods talk through this network.
    NodesWith(PodNetwork),
}

impl On {
    pub(crate) fn holds(self, role: Role, pod_network: PodNetwork) -> bool {
        match self {
            On::Every => true,
            On::Role(wanted) => role == wanted,
            On::Nodes => role.is_node(),
            On::RoleWith(wanted, network) => role == wanted && pod_network == network,
            On::NodesWith(network) => role.is_node() && pod_network == network,
        }
    }
}

/// One file.
pub(crate) struct Entry {
    /// Absolute path on the machine.
    pub(crate) path: &'static str,
    /// The file below `templates/`.
    pub(crate) template: &'static str,
    pub(crate) source: Source,
    pub(crate) mode: u32,
    pub(crate) on: On,
}

/// A row whose template is the path plus `.hbs`, or the path itself where the file is the same everywhere.
macro_rules! row {
    (fixed $path:literal, $mode:literal, $on:expr) => {
        Entry {
            path: concat!("/", $path),
            template: $path,
            source: Source::Fixed(include_str!(concat!("../templates/", $path))),
            mode: $mode,
            on: $on,
        }
    };
    ($kind:ident $path:literal, $mode:literal, $on:expr) => {
        row!($kind $path, $mode, $on, $path)
    };
    ($kind:ident $path:literal, $mode:literal, $on:expr, $template:literal) => {
        Entry {
            path: concat!("/", $path),
            template: concat!($template, ".hbs"),
            source: row!(@source $kind include_str!(concat!("../templates/", $template, ".hbs"))),
            mode: $mode,
            on: $on,
        }
    };
    (@source lab $text:expr) => { Source::Lab($text) };
    (@source machine $text:expr) => { Source::Machine($text) };
}

const ETCD: On = On::Role(Role::Etcd);
const BALANCER: On = On::Role(Role::LoadBalancer);
const MASTER: On = On::Role(Role::ControlPlane);
const WORKER: On = On::Role(Role::Worker);
const MESH_NODES: On = On::NodesWith(PodNetwork::Vxlan);
const FLANNEL_NODES: On = On::NodesWith(PodNetwork::Flannel);

/// Every file that is made from `templates/`. Keys are in `keys.rs`.
#[rustfmt::skip]
pub(crate) const FILES: &[Entry] = &[
    row!(machine "etc/caravan/filter.nft", 0o644, ETCD),
    row!(machine "etc/caravan/filter.nft", 0o644, BALANCER, "etc/caravan/filter-load-balancer.nft"),
    row!(machine "etc/caravan/guard.nft", 0o644, On::Nodes),
    row!(lab "etc/caravan/hosts", 0o644, On::Every),
    row!(machine "etc/caravan/machine.env", 0o644, On::Every),
    row!(lab "etc/caravan/mesh", 0o644, MESH_NODES),
    row!(lab "etc/caravan/overlay.nft", 0o644, On::Nodes),
    row!(lab "etc/caravan/resolv.conf", 0o644, On::Every),
    row!(machine "etc/cni/net.d/10-caravan.conflist", 0o644, MESH_NODES),
    row!(lab "etc/containerd/config.toml", 0o644, On::Nodes),
    row!(lab "etc/etcd/cluster.env", 0o600, ETCD),
    row!(lab "etc/haproxy/haproxy.cfg", 0o644, BALANCER),
    row!(machine "etc/keepalived/keepalived.conf", 0o644, BALANCER),
    row!(machine "etc/kubernetes/caravan/kubeadm-init.yaml", 0o600, On::Nodes),
    row!(lab "etc/kubernetes/caravan/pod-network.yaml", 0o644, On::RoleWith(Role::ControlPlane, PodNetwork::Flannel), "etc/kubernetes/caravan/flannel.yaml"),
    row!(lab "etc/kubernetes/patches/corednsdeployment0+strategic.yaml", 0o644, On::Nodes),
    row!(lab "etc/kubernetes/patches/kube-apiserver0+strategic.yaml", 0o644, On::Nodes),
    row!(lab "etc/kubernetes/patches/kube-controller-manager0+strategic.yaml", 0o644, On::Nodes),
    row!(lab "etc/kubernetes/patches/kube-scheduler0+strategic.yaml", 0o644, On::Nodes),
    row!(machine "etc/kubernetes/kubelet.conf", 0o600, On::Nodes),
    row!(fixed "etc/kubernetes/kubelet.conf.d/20-master.conf", 0o644, MASTER),
    row!(lab "etc/kubernetes/resolv.conf", 0o644, On::Nodes),
    row!(fixed "etc/modules-load.d/caravan.conf", 0o644, On::Nodes),
    row!(fixed "etc/sysctl.d/90-caravan.conf", 0o644, On::Nodes),
    row!(fixed "etc/systemd/system/caravan-bootstrap.service", 0o644, On::Every),
    row!(fixed "etc/systemd/system/caravan-cni.path", 0o644, FLANNEL_NODES),
    row!(fixed "etc/systemd/system/caravan-cni.service", 0o644, FLANNEL_NODES),
    row!(fixed "etc/systemd/system/caravan-network.service", 0o644, On::Every),
    row!(fixed "etc/systemd/system/container-compat.service", 0o644, On::Nodes),
    row!(fixed "etc/systemd/system/containerd.service", 0o644, On::Nodes),
    row!(machine "etc/systemd/system/etcd.service", 0o644, ETCD),
    row!(fixed "etc/systemd/system/haproxy.service", 0o644, BALANCER),
    row!(fixed "etc/systemd/system/keepalived.service", 0o644, BALANCER),
    row!(fixed "etc/systemd/system/kubelet.service", 0o644, On::Nodes),
    row!(fixed "etc/systemd/system/kubelet.service.d/10-kubeadm.conf", 0o644, On::Nodes),
    row!(fixed "usr/lib/caravan/bootstrap", 0o755, On::Every),
    row!(fixed "usr/lib/caravan/bootstrap-control-plane", 0o644, MASTER),
    row!(fixed "usr/lib/caravan/bootstrap-etcd", 0o644, ETCD),
    row!(fixed "usr/lib/caravan/bootstrap-load-balancer", 0o644, BALANCER),
    row!(fixed "usr/lib/caravan/bootstrap-worker", 0o644, WORKER),
    row!(fixed "usr/lib/caravan/check-api", 0o755, BALANCER),
    row!(fixed "usr/lib/caravan/cni", 0o755, FLANNEL_NODES),
    row!(fixed "usr/lib/caravan/container-compat", 0o755, On::Nodes),
    row!(fixed "usr/lib/caravan/filtered", 0o755, On::Every),
    row!(fixed "usr/lib/caravan/lib.sh", 0o644, On::Every),
    row!(fixed "usr/lib/caravan/member.sh", 0o644, ETCD),
    row!(fixed "usr/lib/caravan/network", 0o755, On::Every),
    row!(fixed "usr/lib/caravan/node.sh", 0o644, On::Nodes),
];

/// Units that start by themselves on every boot of a machine of this role, sorted.
pub(crate) fn enabled_units(role: Role, pod_network: PodNetwork) -> Vec<&'static str> {
    let mut units = vec!["caravan-bootstrap.service", "caravan-network.service"];
    match role {
        Role::Etcd => units.push("etcd.service"),
        Role::LoadBalancer => units.extend(["haproxy.service", "keepalived.service"]),
        Role::ControlPlane | Role::Worker => {}
    }
    if role.is_node() {
        units.extend([
            "container-compat.service",
            "containerd.service",
            "kubelet.service",
        ]);
        if pod_network == PodNetwork::Flannel {
            units.push("caravan-cni.path");
        }
    }
    units.sort_unstable();
    units
}
