//! The files of reasons, one beside each template.

use std::sync::OnceLock;

use super::reasons::Reasons;

/// A template below `templates/` and the text of its `.why.toml`.
macro_rules! why {
    (fixed $path:literal) => {
        (
            $path,
            include_str!(concat!("../../templates/", $path, ".why.toml")),
        )
    };
    ($path:literal) => {
        (
            concat!($path, ".hbs"),
            include_str!(concat!("../../templates/", $path, ".why.toml")),
        )
    };
}

/// In the order of the paths. Scripts are not here: their comments are their reasons.
#[rustfmt::skip]
pub(super) const WHY: &[(&str, &str)] = &[
    why!("Vagrantfile"),
    why!("etc/caravan/filter.nft"),
    why!("etc/caravan/filter-load-balancer.nft"),
    why!("etc/caravan/guard.nft"),
    why!("etc/caravan/hosts"),
    why!("etc/caravan/machine.env"),
    why!("etc/caravan/mesh"),
    why!("etc/caravan/overlay.nft"),
    why!("etc/caravan/resolv.conf"),
    why!("etc/cni/net.d/10-caravan.conflist"),
    why!("etc/containerd/config.toml"),
    why!("etc/etcd/cluster.env"),
    why!("etc/haproxy/haproxy.cfg"),
    why!("etc/keepalived/keepalived.conf"),
    why!("etc/kubernetes/caravan/flannel.yaml"),
    why!("etc/kubernetes/caravan/kubeadm-init.yaml"),
    why!("etc/kubernetes/kubelet.conf"),
    why!(fixed "etc/kubernetes/kubelet.conf.d/20-master.conf"),
    why!("etc/kubernetes/patches/corednsdeployment0+strategic.yaml"),
    why!("etc/kubernetes/patches/kube-apiserver0+strategic.yaml"),
    why!("etc/kubernetes/patches/kube-controller-manager0+strategic.yaml"),
    why!("etc/kubernetes/patches/kube-scheduler0+strategic.yaml"),
    why!("etc/kubernetes/resolv.conf"),
    why!(fixed "etc/modules-load.d/caravan.conf"),
    why!(fixed "etc/sysctl.d/90-caravan.conf"),
    why!(fixed "etc/systemd/system/caravan-bootstrap.service"),
    why!(fixed "etc/systemd/system/caravan-cni.path"),
    why!(fixed "etc/systemd/system/caravan-cni.service"),
    why!(fixed "etc/systemd/system/caravan-network.service"),
    why!(fixed "etc/systemd/system/container-compat.service"),
    why!(fixed "etc/systemd/system/containerd.service"),
    why!("etc/systemd/system/etcd.service"),
    why!(fixed "etc/systemd/system/haproxy.service"),
    why!(fixed "etc/systemd/system/keepalived.service"),
    why!(fixed "etc/systemd/system/kubelet.service"),
    why!(fixed "etc/systemd/system/kubelet.service.d/10-kubeadm.conf"),
];

/// Returns the reasons of a template's lines; `None` for scripts.
///
/// # Panics
///
/// Never: a test reads all of them.
pub(super) fn of(template: &str) -> Option<&'static Reasons> {
    static READ: [OnceLock<Reasons>; WHY.len()] = [const { OnceLock::new() }; WHY.len()];
    let place = WHY.iter().position(|(known, _)| *known == template)?;
    let read = || {
        Reasons::parse(WHY[place].1)
            .unwrap_or_else(|error| panic!("reasons of `{template}`: {error}"))
    };
    Some(READ[place].get_or_init(read))
}
