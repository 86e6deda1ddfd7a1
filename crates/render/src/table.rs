//! Which files a machine gets, as a table: one row is one file, in the order of its path.

use caravan_lab::{AddOn, AddOns, Lab, Machine, PodNetwork, Role};

use crate::settings::Settings;

/// What a file is made of.
#[derive(Clone, Copy)]
pub(crate) enum FileSource {
    /// A file below `templates/`.
    Template(Template),
    /// The lab's public ssh key.
    SshKey,
    /// The machine's name.
    Hostname,
    /// What the lab file sets of the cluster, as far as a node is told.
    SettingsStamp,
    /// What every kubelet is set to by the lab file, and the node's own taints.
    KubeletSettings,
    /// What API servers write down, in labs where they do.
    AuditPolicy,
    /// How API servers encrypt Secrets, in labs where they do.
    Encryption,
    /// Calico's published manifest, for masters of labs with that pod network.
    CalicoManifest,
    /// `pki`'s table, which says who has it, and what of which certificate it holds.
    Pki,
}

/// A file below `templates/`, and what is made of it.
#[derive(Clone, Copy)]
pub(crate) struct Template {
    /// Its path below `templates/`.
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    pub(crate) text: &'static str,
    /// The text of its `.why.toml`; scripts have their reasons in their comments.
    pub(crate) why: Option<&'static str>,
    /// The mode of the file on the machine.
    pub(crate) mode: u32,
    pub(crate) on: On,
}

/// For whom a template's result is the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every machine of every lab: it has no placeholders.
    Fixed,
    /// The machines of a lab.
    Lab,
    /// One machine.
    Machine,
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
    /// Machines of one role, where the lab asks for this add-on.
    RoleIf(Role, AddOn),
    /// Machines that run pods, where the lab asks for this add-on.
    NodesIf(AddOn),
    /// Virtual machines.
    Virtual,
    /// Virtual machines that run pods.
    VirtualNodes,
    /// Virtual machines without a way out of the lab.
    VirtualAirgap,
    /// Machines without a way out whose network others share: by an interface of the hypervisor's, or by a bridge.
    SharedAirgap,
}

impl On {
    pub(crate) fn holds(self, machine: MachineKind) -> bool {
        let MachineKind {
            role,
            pod_network,
            add_ons,
            is_virtual,
            is_bridged,
            airgap,
            audited: _,
            encrypted: _,
        } = machine;
        match self {
            On::Every => true,
            On::Role(wanted) => role == wanted,
            On::Nodes => role.is_node(),
            On::RoleWith(wanted, network) => role == wanted && pod_network == network,
            On::NodesWith(network) => role.is_node() && pod_network == network,
            On::RoleIf(wanted, add_on) => role == wanted && add_ons.has(add_on),
            On::NodesIf(add_on) => role.is_node() && add_ons.has(add_on),
            On::Virtual => is_virtual,
            On::VirtualNodes => is_virtual && role.is_node(),
            On::VirtualAirgap => is_virtual && airgap,
            On::SharedAirgap => (is_virtual || is_bridged) && airgap,
        }
    }
}

/// What decides which files a machine gets.
#[derive(Clone, Copy)]
pub(crate) struct MachineKind {
    pub(crate) role: Role,
    pub(crate) pod_network: PodNetwork,
    pub(crate) add_ons: AddOns,
    /// False for containers.
    pub(crate) is_virtual: bool,
    /// True on a bridge that the lab file names, which others may share.
    pub(crate) is_bridged: bool,
    pub(crate) airgap: bool,
    /// True where API servers write down what they are asked to.
    pub(crate) audited: bool,
    /// True where API servers encrypt Secrets.
    pub(crate) encrypted: bool,
}

impl MachineKind {
    pub(crate) fn of(lab: &Lab, machine: &Machine, settings: &Settings) -> MachineKind {
        MachineKind {
            role: machine.role,
            pod_network: lab.pod_network(),
            add_ons: lab.add_ons(),
            is_virtual: settings.provider_of(machine).is_virtual(),
            is_bridged: lab
                .server(&machine.server)
                .is_some_and(|server| server.bridge.is_some()),
            airgap: settings.airgap,
            audited: lab.settings().audit.is_some(),
            encrypted: lab.settings().encryption.is_some(),
        }
    }
}

/// One file.
pub(crate) struct FileRow {
    /// Absolute path on the machine.
    pub(crate) path: &'static str,
    pub(crate) source: FileSource,
    /// Who reads it, and why it is there.
    pub(crate) purpose: &'static str,
}

impl FileRow {
    /// True if such a machine may get the file. Of certificates and keys only `pki`'s table knows.
    pub(crate) fn is_of(&self, machine: MachineKind) -> bool {
        match &self.source {
            FileSource::Template(template) => template.on.holds(machine),
            FileSource::CalicoManifest => CALICO_MASTERS.holds(machine),
            FileSource::SettingsStamp | FileSource::KubeletSettings => On::Nodes.holds(machine),
            FileSource::AuditPolicy => machine.audited && MASTER.holds(machine),
            FileSource::Encryption => machine.encrypted && MASTER.holds(machine),
            FileSource::SshKey | FileSource::Hostname | FileSource::Pki => true,
        }
    }

    /// Its template, if it has one.
    pub(crate) fn template(&self) -> Option<&Template> {
        match &self.source {
            FileSource::Template(template) => Some(template),
            _ => None,
        }
    }
}

/// A row. `fixed` is the same everywhere, and so is `script`, which has no file of reasons. The template of `lab` and
/// `machine` is the path plus `.hbs`, or what follows `from`.
macro_rules! row {
    (fixed $path:literal, $mode:literal, $on:expr, $purpose:expr) => {
        row!(@template Fixed $path, $path, row!(@why $path), $mode, $on, $purpose)
    };
    (script $path:literal, $mode:literal, $on:expr, $purpose:expr) => {
        row!(@template Fixed $path, $path, None, $mode, $on, $purpose)
    };
    (lab $path:literal $(from $template:literal)?, $($rest:tt)*) => {
        row!(@rendered Lab $path, [$path $($template)?], $($rest)*)
    };
    (machine $path:literal $(from $template:literal)?, $($rest:tt)*) => {
        row!(@rendered Machine $path, [$path $($template)?], $($rest)*)
    };
    ($source:ident $path:literal, $purpose:expr) => {
        FileRow {
            path: concat!("/", $path),
            source: FileSource::$source,
            purpose: $purpose,
        }
    };
    (@rendered $scope:ident $path:literal, [$same:literal $template:literal], $($rest:tt)*) => {
        row!(@rendered $scope $path, [$template], $($rest)*)
    };
    (@rendered $scope:ident $path:literal, [$template:literal], $mode:literal, $on:expr, $purpose:expr) => {
        row!(@template $scope $path, concat!($template, ".hbs"), row!(@why $template), $mode, $on, $purpose)
    };
    (@why $template:literal) => {
        Some(include_str!(concat!("../templates/", $template, ".why.toml")))
    };
    (@template $scope:ident $path:literal, $name:expr, $why:expr, $mode:literal, $on:expr, $purpose:expr) => {
        FileRow {
            path: concat!("/", $path),
            source: FileSource::Template(Template {
                name: $name,
                scope: Scope::$scope,
                text: include_str!(concat!("../templates/", $name)),
                why: $why,
                mode: $mode,
                on: $on,
            }),
            purpose: $purpose,
        }
    };
}

const ETCD: On = On::Role(Role::Etcd);
const BALANCER: On = On::Role(Role::LoadBalancer);
const MASTER: On = On::Role(Role::ControlPlane);
const WORKER: On = On::Role(Role::Worker);
const MESH_NODES: On = On::NodesWith(PodNetwork::Vxlan);
const FLANNEL_NODES: On = On::NodesWith(PodNetwork::Flannel);
const CALICO_MASTERS: On = On::RoleWith(Role::ControlPlane, PodNetwork::Calico);
const FLANNEL_MASTERS: On = On::RoleWith(Role::ControlPlane, PodNetwork::Flannel);

const STORAGE_MASTERS: On = On::RoleIf(Role::ControlPlane, AddOn::Storage);
const METRICS_MASTERS: On = On::RoleIf(Role::ControlPlane, AddOn::Metrics);
const METRICS_NODES: On = On::NodesIf(AddOn::Metrics);
const ADDRESS_MASTERS: On = On::RoleIf(Role::ControlPlane, AddOn::LoadBalancer);

/// Of files that are made in several ways.
const FILTER: &str = "nft, by caravan-network: who may talk to this etcd member or load balancer";
const POD_NETWORK: &str =
    "the first master applies it: the pod network that is no part of the machines";

/// Every file of every machine.
#[rustfmt::skip]
pub(crate) const FILES: &[FileRow] = &[
    row!(fixed "etc/apt/apt.conf.d/99-caravan", 0o644, On::Virtual, "apt on virtual machines: nothing is fetched or upgraded by itself"),
    row!(lab "etc/caravan/airgap.nft", 0o644, On::SharedAirgap, "nft, by caravan-network in an airgapped lab, on virtual machines and on a bridge of the user's: what may leave the machine"),
    row!(SshKey "etc/caravan/authorized_keys", "the lab's ssh key; copied to the user vagrant, where it replaces Vagrant's published one"),
    row!(machine "etc/caravan/filter.nft", 0o644, ETCD, FILTER),
    row!(machine "etc/caravan/filter.nft" from "etc/caravan/filter-load-balancer.nft", 0o644, BALANCER, FILTER),
    row!(machine "etc/caravan/guard.nft", 0o644, On::Nodes, "nft, by caravan-network: service addresses never leave; pods speak as their node to the outside, and with no other's voice"),
    row!(Hostname "etc/caravan/hostname", "caravan-network: the machine's name"),
    row!(lab "etc/caravan/hosts", 0o644, On::Every, "caravan-network copies it over /etc/hosts on every boot"),
    row!(machine "etc/caravan/machine.env", 0o644, On::Every, "the scripts in /usr/lib/caravan: what this machine is"),
    row!(lab "etc/caravan/mesh", 0o644, MESH_NODES, "caravan-network: the nodes of the pod network"),
    row!(lab "etc/caravan/overlay.nft", 0o644, On::Nodes, "nft, by caravan-network: who may send pods' packets to this node"),
    row!(lab "etc/caravan/resolv.conf", 0o644, On::Every, "caravan-network copies it over /etc/resolv.conf when the lab is airgapped"),
    row!(SettingsStamp "etc/caravan/settings", "bootstrap: what the lab file sets of the cluster; where it is not what was applied, it is applied"),
    row!(machine "etc/cni/net.d/10-caravan.conflist", 0o644, MESH_NODES, "containerd: how a pod gets its interface and address"),
    row!(lab "etc/containerd/config.toml", 0o644, On::Nodes, "containerd"),
    row!(lab "etc/etcd/cluster.env", 0o600, ETCD, "etcd.service: members and token of the cluster"),
    row!(Pki "etc/etcd/pki/ca.crt", "etcd: the CA that clients and peers must have a certificate from"),
    row!(Pki "etc/etcd/pki/healthcheck-client.crt", "etcdctl on this machine"),
    row!(Pki "etc/etcd/pki/healthcheck-client.key", "etcdctl on this machine"),
    row!(Pki "etc/etcd/pki/peer.crt", "etcd, for other members; this member's own"),
    row!(Pki "etc/etcd/pki/peer.key", "etcd, for other members; this member's own"),
    row!(Pki "etc/etcd/pki/server.crt", "etcd, for clients; this member's own"),
    row!(Pki "etc/etcd/pki/server.key", "etcd, for clients; this member's own"),
    row!(lab "etc/haproxy/haproxy.cfg", 0o644, BALANCER, "HAProxy: the API of all masters behind one port"),
    row!(Pki "etc/haproxy/k8s-ca.crt", "HAProxy and check-api: the CA that a healthy API server has its certificate from"),
    row!(machine "etc/keepalived/keepalived.conf", 0o644, BALANCER, "Keepalived: who holds the shared address"),
    row!(AuditPolicy "etc/kubernetes/caravan/api-server/audit-policy.yaml", "the API server: which requests it writes down, and how much of them"),
    row!(Encryption "etc/kubernetes/caravan/api-server/encryption.json", "the API server: how Secrets are encrypted in etcd, with the key"),
    row!(machine "etc/kubernetes/caravan/kubeadm-init.yaml", 0o600, On::Nodes, "kubeadm: the whole cluster's settings, and this machine's"),
    row!(lab "etc/kubernetes/caravan/load-balancer-pool.yaml", 0o644, ADDRESS_MASTERS, "the first master applies it once the API knows MetalLB's kinds: the addresses that services get"),
    row!(lab "etc/kubernetes/caravan/load-balancer.yaml", 0o600, ADDRESS_MASTERS, "the first master applies it: MetalLB, which gives services addresses of the lab"),
    row!(lab "etc/kubernetes/caravan/metrics.yaml", 0o600, METRICS_MASTERS, "the first master applies it: the metrics server, for `kubectl top`"),
    row!(lab "etc/kubernetes/caravan/pod-network.yaml" from "etc/kubernetes/caravan/flannel.yaml", 0o644, FLANNEL_MASTERS, POD_NETWORK),
    row!(CalicoManifest "etc/kubernetes/caravan/pod-network.yaml", POD_NETWORK),
    row!(lab "etc/kubernetes/caravan/storage.yaml", 0o644, STORAGE_MASTERS, "the first master applies it: local-path-provisioner, which makes volumes for claims"),
    row!(machine "etc/kubernetes/kubelet.conf", 0o600, On::Nodes, "the kubelet: how it reaches the API"),
    row!(fixed "etc/kubernetes/kubelet.conf.d/20-master.conf", 0o644, MASTER, "a master's kubelet, on top of the cluster's configuration: short pauses between restarts"),
    row!(KubeletSettings "etc/kubernetes/kubelet.conf.d/30-lab.conf", "the kubelet: what the lab file sets of its configuration, on top of the cluster's"),
    row!(fixed "etc/kubernetes/kubelet.conf.d/30-serving.conf", 0o644, METRICS_NODES, "the kubelet, on top of the cluster's configuration: what it shows to the metrics server"),
    row!(lab "etc/kubernetes/patches/corednsdeployment0+strategic.yaml", 0o644, On::Nodes, "kubeadm: changes to CoreDNS's deployment"),
    row!(lab "etc/kubernetes/patches/kube-apiserver0+strategic.yaml", 0o644, On::Nodes, "kubeadm: changes to the API server's static pod"),
    row!(lab "etc/kubernetes/patches/kube-controller-manager0+strategic.yaml", 0o644, On::Nodes, "kubeadm: changes to the controller manager's static pod"),
    row!(lab "etc/kubernetes/patches/kube-scheduler0+strategic.yaml", 0o644, On::Nodes, "kubeadm: changes to the scheduler's static pod"),
    row!(Pki "etc/kubernetes/pki/apiserver-etcd-client.crt", "API servers, as etcd's clients; the same on all masters"),
    row!(Pki "etc/kubernetes/pki/apiserver-etcd-client.key", "API servers, as etcd's clients; the same on all masters"),
    row!(Pki "etc/kubernetes/pki/ca-signer.crt", "the controller manager signs with it: one certificate, whatever is trusted; on masters alone"),
    row!(Pki "etc/kubernetes/pki/ca.crt", "everybody who talks to the API"),
    row!(Pki "etc/kubernetes/pki/ca.key", "kubeadm and the controller manager sign with it; on masters alone"),
    row!(Pki "etc/kubernetes/pki/etcd/ca.crt", "API servers: the CA that etcd's members have their certificates from"),
    row!(Pki "etc/kubernetes/pki/front-proxy-ca.crt", "API servers: the CA of aggregated APIs' proxy"),
    row!(Pki "etc/kubernetes/pki/front-proxy-ca.key", "kubeadm signs front-proxy-client with it; on masters alone"),
    row!(Pki "etc/kubernetes/pki/sa.key", "API servers and the controller manager: signs service accounts' tokens"),
    row!(Pki "etc/kubernetes/pki/sa.pub", "API servers: checks service accounts' tokens"),
    row!(lab "etc/kubernetes/resolv.conf", 0o644, On::Nodes, "the kubelet: the resolver that CoreDNS asks for names outside"),
    row!(fixed "etc/modules-load.d/caravan.conf", 0o644, On::Nodes, "systemd-modules-load, on virtual machines"),
    row!(fixed "etc/ssh/sshd_config.d/00-caravan.conf", 0o644, On::Virtual, "sshd on virtual machines: keys only, whatever the box says"),
    row!(fixed "etc/sysctl.d/90-caravan.conf", 0o644, On::Nodes, "systemd-sysctl on virtual machines, caravan-network elsewhere"),
    row!(fixed "etc/systemd/journald.conf.d/caravan.conf", 0o644, On::Virtual, "journald on virtual machines: the journal is kept over a reboot"),
    row!(fixed "etc/systemd/network/10-management.network.d/20-caravan.conf", 0o644, On::VirtualAirgap, "systemd-networkd, on top of the box's file for Vagrant's interface: no route and no resolver of it; vm-compat copies it for other boxes' files"),
    row!(machine "etc/systemd/network/20-lab.network", 0o644, On::Virtual, "systemd-networkd on virtual machines: the lab's interface"),
    row!(fixed "etc/systemd/network/20-pods.link", 0o644, On::VirtualNodes, "systemd-udevd on virtual machines: leaves the addresses of pods' interfaces alone"),
    row!(fixed "etc/systemd/networkd.conf.d/20-caravan.conf", 0o644, On::Virtual, "systemd-networkd on virtual machines: leaves routes of others alone"),
    row!(fixed "etc/systemd/system/caravan-bootstrap.service", 0o644, On::Every, "systemd: makes the machine what the lab says"),
    row!(fixed "etc/systemd/system/caravan-certificates.service", 0o644, MASTER, "systemd: what kubeadm has made on a master is made anew before it ends"),
    row!(fixed "etc/systemd/system/caravan-certificates.timer", 0o644, MASTER, "systemd: starts caravan-certificates.service each day"),
    row!(fixed "etc/systemd/system/caravan-cni.path", 0o644, FLANNEL_NODES, "systemd: waits for flannel's word on the machine's pod subnet"),
    row!(fixed "etc/systemd/system/caravan-cni.service", 0o644, FLANNEL_NODES, "systemd: how pods get their addresses, once flannel has said its word"),
    row!(fixed "etc/systemd/system/caravan-network-watch.service", 0o644, On::VirtualNodes, "systemd on virtual machines: caravan-network runs again when the lab address is given anew"),
    row!(fixed "etc/systemd/system/caravan-network.service", 0o644, On::Every, "systemd: names, routes and packet filters on every boot"),
    row!(fixed "etc/systemd/system/caravan-network.service.d/10-virtual.conf", 0o644, On::Virtual, "systemd on virtual machines: caravan-network runs again after systemd-networkd"),
    row!(fixed "etc/systemd/system/container-compat.service", 0o644, On::Nodes, "systemd: workarounds for containers"),
    row!(fixed "etc/systemd/system/containerd.service", 0o644, On::Nodes, "systemd: containerd, with the preloaded images linked in"),
    row!(machine "etc/systemd/system/etcd.service", 0o644, ETCD, "systemd: etcd and all its flags"),
    row!(fixed "etc/systemd/system/haproxy.service", 0o644, BALANCER, "systemd: HAProxy"),
    row!(fixed "etc/systemd/system/keepalived.service", 0o644, BALANCER, "systemd: Keepalived"),
    row!(fixed "etc/systemd/system/kubelet.service", 0o644, On::Nodes, "systemd: the kubelet"),
    row!(fixed "etc/systemd/system/kubelet.service.d/10-kubeadm.conf", 0o644, On::Nodes, "systemd: the kubelet's flags, as kubeadm expects them"),
    row!(fixed "etc/systemd/system/systemd-networkd.service.d/10-caravan.conf", 0o644, On::Virtual, "systemd on virtual machines: no network of the machine without caravan-network"),
    row!(fixed "etc/systemd/system/vm-compat.service", 0o644, On::Virtual, "systemd: what a virtual machine needs, whatever box it was made from"),
    row!(script "usr/lib/caravan/bootstrap", 0o755, On::Every, "caravan-bootstrap.service: chooses the role's phases"),
    row!(script "usr/lib/caravan/bootstrap-control-plane", 0o644, MASTER, "bootstrap: a master's phases"),
    row!(script "usr/lib/caravan/bootstrap-etcd", 0o644, ETCD, "bootstrap: an etcd member's phases"),
    row!(script "usr/lib/caravan/bootstrap-load-balancer", 0o644, BALANCER, "bootstrap: a load balancer's phases"),
    row!(script "usr/lib/caravan/bootstrap-worker", 0o644, WORKER, "bootstrap: a worker's phases"),
    row!(script "usr/lib/caravan/check-api", 0o755, BALANCER, "Keepalived: does this load balancer lead to a ready API server?"),
    row!(script "usr/lib/caravan/cni", 0o755, FLANNEL_NODES, "caravan-cni.service: writes containerd's network configuration from flannel's subnet"),
    row!(script "usr/lib/caravan/container-compat", 0o755, On::Nodes, "container-compat.service: everything needed only in containers or on weak hosts"),
    row!(script "usr/lib/caravan/filtered", 0o755, On::Every, "systemd, before each daemon that others can reach: are the packet filters in force?"),
    row!(script "usr/lib/caravan/lib.sh", 0o644, On::Every, "the other scripts: progress lines and waits"),
    row!(script "usr/lib/caravan/member.sh", 0o644, ETCD, "bootstrap and network: what an etcd member knows of the others, and who may dial it"),
    row!(script "usr/lib/caravan/network", 0o755, On::Every, "caravan-network.service: names, routes and packet filters"),
    row!(script "usr/lib/caravan/network-watch", 0o755, On::VirtualNodes, "caravan-network-watch.service: sees the lab address come"),
    row!(script "usr/lib/caravan/node.sh", 0o644, On::Nodes, "bootstrap: what masters and workers share"),
    row!(script "usr/lib/caravan/renew-certificates", 0o755, MASTER, "caravan-certificates.service and `certs renew`: has kubeadm make certificates anew, one master at a time"),
    row!(script "usr/lib/caravan/vm-compat", 0o755, On::Virtual, "vm-compat.service: swap, clock, logins, updates and the journal of a virtual machine, whatever its box"),
    row!(Pki "var/lib/kubelet/pki/kubelet-client-caravan.pem", "the kubelet: its first certificate, which it renews by itself"),
    row!(Pki "var/lib/kubelet/pki/kubelet-server-caravan.crt", "the kubelet, for who asks it: a certificate of the cluster's CA, where the metrics server checks it"),
    row!(Pki "var/lib/kubelet/pki/kubelet-server-caravan.key", "the kubelet, for who asks it: a certificate of the cluster's CA, where the metrics server checks it"),
];

/// Who reads the file at this absolute path of a machine, and why it is there; none where no machine gets such a file.
pub fn purpose_of(path: &str) -> Option<&'static str> {
    let row = FILES.iter().find(|row| row.path == path);
    row.map(|row| row.purpose)
}

/// All templates of the table.
pub(crate) fn templates() -> impl Iterator<Item = &'static Template> {
    FILES.iter().filter_map(FileRow::template)
}

/// Units that start by themselves on every boot of such a machine, sorted.
pub(crate) fn enabled_units(machine: MachineKind) -> Vec<&'static str> {
    let MachineKind {
        role,
        pod_network,
        add_ons: _,
        is_virtual,
        is_bridged: _,
        airgap: _,
        audited: _,
        encrypted: _,
    } = machine;
    let mut units = vec!["caravan-bootstrap.service", "caravan-network.service"];
    if is_virtual {
        units.extend(["systemd-networkd.service", "vm-compat.service"]);
    }
    match role {
        Role::Etcd => units.push("etcd.service"),
        Role::LoadBalancer => units.extend(["haproxy.service", "keepalived.service"]),
        Role::ControlPlane => units.push("caravan-certificates.timer"),
        Role::Worker => {}
    }
    if is_virtual && role.is_node() {
        units.push("caravan-network-watch.service");
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
