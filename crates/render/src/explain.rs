//! Why a file is on a machine, and why its lines are there.
//!
//! The reasons are the templates' own comments, so that they cannot drift from what they explain.

use crate::table;

/// What is known about a guest file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The file below `crates/render/templates/` that says what the file says; `None` for key material.
    pub template: Option<&'static str>,
    /// Who reads the file, and why it is there.
    pub purpose: &'static str,
}

/// Who reads each file, in the order of the paths.
#[rustfmt::skip]
const PURPOSES: &[(&str, &str)] = &[
    ("/etc/caravan/authorized_keys", "the lab's ssh key; copied to the user vagrant, where it replaces Vagrant's published one"),
    ("/etc/caravan/filter.nft", "nft, by caravan-network: who may talk to this etcd member"),
    ("/etc/caravan/guard.nft", "nft, by caravan-network: service addresses never leave; pods speak as their node to the outside"),
    ("/etc/caravan/hostname", "caravan-network: the machine's name"),
    ("/etc/caravan/hosts", "caravan-network copies it over /etc/hosts on every boot"),
    ("/etc/caravan/machine.env", "the scripts in /usr/lib/caravan: what this machine is"),
    ("/etc/caravan/mesh", "caravan-network: the nodes of the pod network"),
    ("/etc/caravan/resolv.conf", "caravan-network copies it over /etc/resolv.conf when the lab is airgapped"),
    ("/etc/cni/net.d/10-caravan.conflist", "containerd: how a pod gets its interface and address"),
    ("/etc/containerd/config.toml", "containerd"),
    ("/etc/etcd/cluster.env", "etcd.service: members and token of the cluster"),
    ("/etc/etcd/pki/ca.crt", "etcd: the CA that clients and peers must have a certificate from"),
    ("/etc/etcd/pki/healthcheck-client.crt", "etcdctl on this machine"),
    ("/etc/etcd/pki/healthcheck-client.key", "etcdctl on this machine"),
    ("/etc/etcd/pki/peer.crt", "etcd, for other members; this member's own"),
    ("/etc/etcd/pki/peer.key", "etcd, for other members; this member's own"),
    ("/etc/etcd/pki/server.crt", "etcd, for clients; this member's own"),
    ("/etc/etcd/pki/server.key", "etcd, for clients; this member's own"),
    ("/etc/haproxy/haproxy.cfg", "HAProxy: the API of all masters behind one port"),
    ("/etc/haproxy/k8s-ca.crt", "HAProxy and check-api: the CA that a healthy API server has its certificate from"),
    ("/etc/keepalived/keepalived.conf", "Keepalived: who holds the shared address"),
    ("/etc/kubernetes/caravan/discovery.conf", "kubeadm join: where the cluster is and which CA to believe"),
    ("/etc/kubernetes/caravan/join-token.curl", "the bootstrap: asks whether a predecessor of the same name is still Ready"),
    ("/etc/kubernetes/caravan/join-token.env", "join-token: renews the secret that lets machines join"),
    ("/etc/kubernetes/caravan/kubeadm-init.yaml", "kubeadm init: the whole cluster's settings"),
    ("/etc/kubernetes/caravan/kubeadm-join.yaml", "kubeadm join: this machine's settings"),
    ("/etc/kubernetes/caravan/pod-network.yaml", "the first master applies it: the pod network that is no part of the machines"),
    ("/etc/kubernetes/kubelet.conf", "a master's kubelet: how it reaches the API"),
    ("/etc/kubernetes/patches/corednsdeployment0+strategic.yaml", "kubeadm: changes to CoreDNS's deployment"),
    ("/etc/kubernetes/patches/kube-apiserver0+strategic.yaml", "kubeadm: changes to the API server's static pod"),
    ("/etc/kubernetes/patches/kube-controller-manager0+strategic.yaml", "kubeadm: changes to the controller manager's static pod"),
    ("/etc/kubernetes/patches/kube-scheduler0+strategic.yaml", "kubeadm: changes to the scheduler's static pod"),
    ("/etc/kubernetes/pki/apiserver-etcd-client.crt", "API servers, as etcd's clients; the same on all masters"),
    ("/etc/kubernetes/pki/apiserver-etcd-client.key", "API servers, as etcd's clients; the same on all masters"),
    ("/etc/kubernetes/pki/ca.crt", "everybody who talks to the API"),
    ("/etc/kubernetes/pki/ca.key", "kubeadm and the controller manager sign with it; on masters alone"),
    ("/etc/kubernetes/pki/etcd/ca.crt", "API servers: the CA that etcd's members have their certificates from"),
    ("/etc/kubernetes/pki/front-proxy-ca.crt", "API servers: the CA of aggregated APIs' proxy"),
    ("/etc/kubernetes/pki/front-proxy-ca.key", "kubeadm signs front-proxy-client with it; on masters alone"),
    ("/etc/kubernetes/pki/sa.key", "API servers and the controller manager: signs service accounts' tokens"),
    ("/etc/kubernetes/pki/sa.pub", "API servers: checks service accounts' tokens"),
    ("/etc/kubernetes/resolv.conf", "the kubelet: the resolver that CoreDNS asks for names outside"),
    ("/etc/modules-load.d/caravan.conf", "systemd-modules-load, on virtual machines"),
    ("/etc/sysctl.d/90-caravan.conf", "systemd-sysctl on virtual machines, caravan-network elsewhere"),
    ("/etc/systemd/system/caravan-bootstrap.service", "systemd: makes the machine what the lab says"),
    ("/etc/systemd/system/caravan-join-token.service", "systemd: one renewal of the join token"),
    ("/etc/systemd/system/caravan-join-token.timer", "systemd: renews the join token several times a day"),
    ("/etc/systemd/system/caravan-network.service", "systemd: names, routes and packet filters on every boot"),
    ("/etc/systemd/system/container-compat.service", "systemd: workarounds for containers"),
    ("/etc/systemd/system/containerd.service", "systemd: containerd, with the preloaded images linked in"),
    ("/etc/systemd/system/etcd.service", "systemd: etcd and all its flags"),
    ("/etc/systemd/system/haproxy.service", "systemd: HAProxy"),
    ("/etc/systemd/system/keepalived.service", "systemd: Keepalived"),
    ("/etc/systemd/system/kubelet.service", "systemd: the kubelet"),
    ("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "systemd: the kubelet's flags, as kubeadm expects them"),
    ("/usr/lib/caravan/bootstrap", "caravan-bootstrap.service: chooses the role's phases"),
    ("/usr/lib/caravan/bootstrap-control-plane", "bootstrap: a master's phases"),
    ("/usr/lib/caravan/bootstrap-etcd", "bootstrap: an etcd member's phases"),
    ("/usr/lib/caravan/bootstrap-load-balancer", "bootstrap: a load balancer's phases"),
    ("/usr/lib/caravan/bootstrap-worker", "bootstrap: a worker's phases"),
    ("/usr/lib/caravan/check-api", "Keepalived: does this load balancer lead to a ready API server?"),
    ("/usr/lib/caravan/container-compat", "container-compat.service: everything needed only in containers or on weak hosts"),
    ("/usr/lib/caravan/join-token", "caravan-join-token.service: writes the join token's secret anew"),
    ("/usr/lib/caravan/lib.sh", "the other scripts: progress lines and waits"),
    ("/usr/lib/caravan/network", "caravan-network.service: names, routes and packet filters"),
    ("/usr/lib/caravan/node.sh", "bootstrap: what masters and workers share"),
    ("/var/lib/kubelet/pki/kubelet-client-caravan.pem", "a master's kubelet: its first certificate, which it renews by itself"),
];

/// Returns what is known about the guest file at `path`; `None` if no machine gets such a file.
pub fn annotate(path: &str) -> Option<Explanation> {
    let (_, purpose) = PURPOSES.iter().find(|(known, _)| *known == path)?;
    let entry = table::FILES.iter().find(|entry| entry.path == path);
    Some(Explanation {
        template: entry.map(|entry| entry.template),
        purpose,
    })
}

/// Returns the paths of all files that some machine gets, in their order.
pub fn paths() -> impl Iterator<Item = &'static str> {
    PURPOSES.iter().map(|(path, _)| *path)
}
