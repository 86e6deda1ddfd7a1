//! The ports that a lab's machines listen on, each named once.
//!
//! Scripts on machines say the numbers themselves, since they are read without a renderer; a test of `render` holds them
//! against this list.

use crate::Role;

/// The API, on masters and on the endpoint: kubeadm's default.
pub const API: u16 = 6443;

/// etcd, for clients.
pub const ETCD_CLIENT: u16 = 2379;

/// etcd, for other members.
pub const ETCD_PEER: u16 = 2380;

/// etcd's health, on its own machine alone.
pub const ETCD_HEALTH: u16 = 2381;

/// HAProxy's answer about itself, on its own machine alone.
pub const HAPROXY_HEALTH: u16 = 6444;

/// The kubelet, for API servers: logs, commands in containers, figures. Its own default.
pub const KUBELET: u16 = 10250;

/// The kubelet's health, on its own machine alone. Its own default.
pub const KUBELET_HEALTH: u16 = 10248;

/// kube-proxy's health.
pub const KUBE_PROXY_HEALTH: u16 = 10256;

/// The controller manager, on its own machine alone. Its own default.
pub const CONTROLLER_MANAGER: u16 = 10257;

/// The scheduler, on its own machine alone. Its own default.
pub const SCHEDULER: u16 = 10259;

/// ssh.
pub const SSH: u16 = 22;

/// VXLAN as it is assigned: the static mesh's, and Calico's.
pub const VXLAN: u16 = 4789;

/// VXLAN as Linux had it before, and flannel has it still.
pub const VXLAN_FLANNEL: u16 = 8472;

/// MetalLB's speakers among themselves, by TCP and UDP: memberlist's default.
pub const MEMBERLIST: u16 = 7946;

/// A speaker's health, on its own machine alone: MetalLB's default.
pub const SPEAKER_HEALTH: u16 = 7472;

/// All of them.
pub const ALL: [u16; 15] = [
    API,
    ETCD_CLIENT,
    ETCD_PEER,
    ETCD_HEALTH,
    HAPROXY_HEALTH,
    KUBELET,
    KUBELET_HEALTH,
    KUBE_PROXY_HEALTH,
    CONTROLLER_MANAGER,
    SCHEDULER,
    SSH,
    VXLAN,
    VXLAN_FLANNEL,
    MEMBERLIST,
    SPEAKER_HEALTH,
];

/// What machines of a role listen on for others, by TCP, sorted; their packet filters may let in fewer.
///
/// Node ports of Services are none of them: nobody listens there, kube-proxy translates.
pub const fn listened(role: Role) -> &'static [u16] {
    match role {
        Role::Etcd => &[SSH, ETCD_CLIENT, ETCD_PEER],
        Role::LoadBalancer => &[SSH, API],
        Role::ControlPlane => &[SSH, API, KUBELET, KUBE_PROXY_HEALTH],
        Role::Worker => &[SSH, KUBELET, KUBE_PROXY_HEALTH],
    }
}
