//! What templates may say. Every field is there for every machine; one that does not apply is empty.

mod cluster;
mod etcd;
mod machine_list;
mod pace;

use std::net::Ipv4Addr;

use caravan_lab::{Lab, Machine, PodNetwork, Provider, Role, ports};
use serde::Serialize;

use self::cluster::ControlPlane;
use self::etcd::EtcdFlags;
pub(crate) use self::machine_list::{MachineList, MachineLists};
use self::pace::Pace;
use crate::add_ons::{AddOnMaterial, METALLB_KINDS, MetalLbKind};
use crate::error::Error;
use crate::key_files::{self, Material};
use crate::settings::{AddOnImages, Settings, Software};

/// The hardware address of a machine's end of the lab's network, which it is made with; the network script of a container
/// sets it too, because not every engine can be told. So packet filters can know it before the machine exists.
pub(crate) fn mac(lab: &Lab, machine: &Machine, settings: &Settings) -> String {
    if settings.provider_of(machine).is_virtual() {
        return lab.mac(machine).to_string();
    }
    let [a, b, c, d] = machine.ip.octets();
    // Locally administered (02), then as the nodes of the pod network, but for the last bit of `cb`.
    format!("02:cb:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// The match of nft for a machine's packets.
fn from(lab: &Lab, machine: &Machine, settings: &Settings) -> String {
    let ip = machine.ip;
    let bridge = lab.server(&machine.server).map(|it| it.bridge.is_some());
    if settings.provider_of(machine) == Provider::VirtualBox && bridge == Some(true) {
        // VirtualBox bridges to wireless LANs too, by its host's hardware address in the place of all of them.
        return format!("ip saddr {ip}");
    }
    format!("ip saddr {ip} ether saddr {}", mac(lab, machine, settings))
}

/// Where CoreDNS sends names outside the lab when there is nobody to ask. The address belongs to nobody (RFC 5737), and
/// nodes refuse to go there, so that the answer comes at once: no.
const NO_NAMESERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// VXLAN puts 50 bytes round each packet of a usual network (1500). `usr/lib/caravan/network` writes that of the machine's own
/// interface in its place.
const POD_MTU: u16 = 1450;

/// How long a part of the control plane may take to start, in seconds: kubeadm waits so long, and the kubelet lets it be.
/// An emulated machine takes minutes for what others do in seconds.
const START_LIMIT_S: u16 = 900;

/// A machine among others.
#[derive(Clone, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) fqdn: String,
    pub(crate) ip: String,
    pub(crate) pod_subnet: String,
    /// How packet filters tell its packets: a match of nft.
    pub(crate) from: String,
}

impl Named {
    fn new(lab: &Lab, machine: &Machine, settings: &Settings) -> Named {
        Named {
            from: from(lab, machine, settings),
            name: machine.name.clone(),
            fqdn: lab.fqdn(machine),
            ip: machine.ip.to_string(),
            pod_subnet: pod_subnet(lab, machine),
        }
    }
}

/// The limits of the kernel's table of connections, as kube-proxy names them.
#[derive(Clone, Serialize)]
struct Conntrack {
    max_per_core: u32,
    min: u32,
    tcp_established_timeout: &'static str,
    tcp_close_wait_timeout: &'static str,
}

#[derive(Clone, Serialize)]
struct Etcd {
    initial_cluster: String,
    cluster_token: String,
    member_names: String,
    endpoints: MachineList<String>,
    corrupt_check: &'static str,
    progress_notify: &'static str,
}

/// The ports that templates name.
#[derive(Clone, Serialize)]
struct Ports {
    api: u16,
    etcd_client: u16,
    etcd_peer: u16,
    etcd_health: u16,
    haproxy_health: u16,
    ssh: u16,
    vxlan: u16,
    vxlan_flannel: u16,
    memberlist: u16,
    speaker_health: u16,
}

const PORTS: Ports = Ports {
    api: ports::API,
    etcd_client: ports::ETCD_CLIENT,
    etcd_peer: ports::ETCD_PEER,
    etcd_health: ports::ETCD_HEALTH,
    haproxy_health: ports::HAPROXY_HEALTH,
    ssh: ports::SSH,
    vxlan: ports::VXLAN,
    vxlan_flannel: ports::VXLAN_FLANNEL,
    memberlist: ports::MEMBERLIST,
    speaker_health: ports::SPEAKER_HEALTH,
};

/// What all machines of a lab have in common.
#[derive(Clone, Serialize)]
pub(crate) struct LabContext {
    #[serde(skip)]
    settings: Settings,
    pub(crate) lab: String,
    pub(crate) lab_file: String,
    domain: String,
    airgap: &'static str,
    endpoint: String,
    vip: String,
    prefix: u8,
    subnet: String,
    first_master: String,
    kubernetes_version: String,
    coredns_repository: String,
    coredns_tag: String,
    dns_nodes: u8,
    start_limit_s: u16,
    pause_image: String,
    cluster_domain: String,
    pod_network: &'static str,
    flannel_image: String,
    add_on_images: AddOnImages,
    add_on_material: AddOnMaterial,
    service_addresses: String,
    metallb_kinds: [MetalLbKind; METALLB_KINDS.len()],
    endpoint_address: String,
    endpoint_port: u16,
    pod_cidr: String,
    pod_mtu: u16,
    service_cidr: String,
    allocate_node_cidrs: bool,
    kube_proxy_mode: &'static str,
    conntrack: Conntrack,
    api_sans: MachineList<String>,
    nameservers: Vec<String>,
    /// [`NO_NAMESERVER`] where it is in use.
    nowhere: Vec<String>,
    /// Resolvers that machines ask themselves; none without a way out.
    resolvers: Vec<String>,
    operators: Vec<String>,
    masters: MachineList<Named>,
    members: MachineList<Named>,
    etcd: Etcd,
    virtual_router_id: u8,
    haproxy_ca: &'static str,
    node_names: String,
    ports: Ports,
    pace: Pace,
    control_plane: ControlPlane,
}

impl LabContext {
    /// How the machines are made.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn new(
        lab: &Lab,
        software: &Software,
        settings: &Settings,
        material: &Material,
    ) -> Result<LabContext, Error> {
        let named = |role| {
            MachineList::of(lab.of_role(role), |machine| {
                Named::new(lab, machine, settings)
            })
        };
        let members = lab.of_role(Role::Etcd);
        let member_names: Vec<_> = members.map(|member| member.name.as_str()).collect();
        let flags = EtcdFlags::of(&software.etcd)?;
        let nodes = lab.machines().iter().filter(|it| it.role.is_node());
        let node_names: Vec<_> = nodes.map(|node| node.name.as_str()).collect();
        Ok(LabContext {
            settings: settings.clone(),
            lab: lab.name().into(),
            lab_file: format!("labs/{}.toml", lab.name()),
            domain: lab.domain().into(),
            airgap: yes_no(settings.airgap),
            endpoint: lab.api_endpoint().to_string(),
            vip: lab.vip().map(|vip| vip.to_string()).unwrap_or_default(),
            prefix: lab.subnet().prefix_len(),
            subnet: lab.subnet().to_string(),
            first_master: lab.first_master().name.clone(),
            kubernetes_version: software.kubernetes.clone(),
            coredns_repository: software.coredns_repository.clone(),
            coredns_tag: software.coredns_tag.clone(),
            dns_nodes: dns_nodes(lab),
            start_limit_s: START_LIMIT_S,
            pause_image: software.pause_image.clone(),
            cluster_domain: lab.cluster_domain().into(),
            pod_network: lab.pod_network().word(),
            flannel_image: software.flannel_image.clone(),
            add_on_images: software.add_ons.clone(),
            add_on_material: material.add_ons.clone(),
            service_addresses: lab
                .service_addresses()
                .map(|addresses| addresses.to_string())
                .unwrap_or_default(),
            metallb_kinds: METALLB_KINDS,
            endpoint_address: lab.api_endpoint().ip().to_string(),
            endpoint_port: lab.api_endpoint().port(),
            pod_cidr: lab.pod_cidr().to_string(),
            pod_mtu: POD_MTU,
            service_cidr: lab.service_cidr().to_string(),
            allocate_node_cidrs: allocate_node_cidrs(lab.pod_network()),
            kube_proxy_mode: "nftables",
            conntrack: conntrack(lab, settings),
            api_sans: lab.api_sans_by_machine().into_iter().collect(),
            nameservers: nameservers(settings)
                .iter()
                .map(Ipv4Addr::to_string)
                .collect(),
            nowhere: nameservers(settings)
                .iter()
                .filter(|address| **address == NO_NAMESERVER)
                .map(Ipv4Addr::to_string)
                .collect(),
            resolvers: nameservers(settings)
                .iter()
                .filter(|address| **address != NO_NAMESERVER)
                .map(Ipv4Addr::to_string)
                .collect(),
            operators: lab.operators().iter().map(Ipv4Addr::to_string).collect(),
            masters: named(Role::ControlPlane),
            etcd: Etcd {
                initial_cluster: lab.etcd_initial_cluster(),
                cluster_token: material.etcd_cluster_token.0.clone(),
                member_names: member_names.join(","),
                endpoints: MachineList::of(lab.of_role(Role::Etcd), |member| {
                    lab.etcd_endpoint(member)
                }),
                corrupt_check: flags.corrupt_check,
                progress_notify: flags.progress_notify,
            },
            members: named(Role::Etcd),
            virtual_router_id: lab.virtual_router_id(),
            haproxy_ca: key_files::BALANCERS_CA_FILE,
            node_names: node_names.join(" "),
            ports: PORTS,
            pace: Pace::of(lab, settings),
            control_plane: ControlPlane::of(lab, software, settings, material),
        })
    }
}

impl MachineLists for LabContext {
    fn machine_of(&self, list: &str, index: usize) -> Option<&str> {
        match list {
            "api_sans" => self.api_sans.machine(index),
            "etcd.endpoints" => self.etcd.endpoints.machine(index),
            "masters" => self.masters.machine(index),
            "members" => self.members.machine(index),
            _ => None,
        }
    }
}

/// The lists whose length is that of the lab, kept out of [`LabContext`], which each machine's context repeats.
#[derive(Serialize)]
pub(crate) struct ListsContext<'a> {
    #[serde(flatten)]
    lab: &'a LabContext,
    /// Every name of the lab with its address: what /etc/hosts says.
    names: MachineList<Named>,
    /// The machines that run pods.
    nodes: MachineList<Named>,
}

impl<'a> ListsContext<'a> {
    pub(crate) fn new(lab: &Lab, context: &'a LabContext) -> ListsContext<'a> {
        let named = |machine| Named::new(lab, machine, &context.settings);
        let mut names = MachineList::of(lab.machines(), named);
        if let Some(vip) = lab.vip() {
            let fqdn = lab.api_name();
            let name = fqdn.split('.').next().unwrap_or_default().into();
            let ip = vip.to_string();
            names.push_of_none(Named {
                name,
                fqdn,
                ip,
                pod_subnet: String::new(),
                from: String::new(),
            });
        }
        let nodes = lab
            .machines()
            .iter()
            .filter(|machine| machine.role.is_node());
        ListsContext {
            lab: context,
            names,
            nodes: MachineList::of(nodes, named),
        }
    }
}

impl MachineLists for ListsContext<'_> {
    fn machine_of(&self, list: &str, index: usize) -> Option<&str> {
        match list {
            "names" => self.names.machine(index),
            "nodes" => self.nodes.machine(index),
            other => self.lab.machine_of(other, index),
        }
    }
}

/// What one machine's files may say.
#[derive(Serialize)]
pub(crate) struct MachineContext<'a> {
    #[serde(flatten)]
    lab: &'a LabContext,
    name: &'a str,
    role: &'static str,
    ip: String,
    mac: String,
    /// `virtual` or `container`.
    kind: &'static str,
    /// The lab's interface, as machines from images of ours call it.
    lab_nic: &'static str,
    /// What of an interface's configuration outlives networkd: for load balancers the shared address, else nothing.
    keep: Vec<&'static str>,
    memory_mib: u32,
    cpus: u8,
    pod_subnet: String,
    own_pods: String,
    vrrp_priority: u8,
    vrrp_peers: MachineList<Named>,
    certificates_dir: &'static str,
}

impl<'a> MachineContext<'a> {
    pub(crate) fn new(lab: &Lab, machine: &'a Machine, context: &'a LabContext) -> Self {
        let settings = &context.settings;
        let is_virtual = settings.provider_of(machine).is_virtual();
        let peers = lab
            .of_role(Role::LoadBalancer)
            .filter(|peer| machine.role == Role::LoadBalancer && peer.name != machine.name);
        MachineContext {
            lab: context,
            name: &machine.name,
            role: machine.role.word(),
            ip: machine.ip.to_string(),
            mac: mac(lab, machine, settings),
            kind: if is_virtual { "virtual" } else { "container" },
            lab_nic: if is_virtual { "eth1" } else { "eth0" },
            keep: (is_virtual && machine.role == Role::LoadBalancer)
                .then_some("static")
                .into_iter()
                .collect(),
            memory_mib: machine.memory_mib,
            cpus: machine.cpus,
            pod_subnet: pod_subnet(lab, machine),
            own_pods: own_pods(lab, machine),
            vrrp_priority: lab.vrrp_priority(machine),
            vrrp_peers: MachineList::of(peers, |peer| Named::new(lab, peer, settings)),
            certificates_dir: match machine.role {
                Role::Worker => "/var/lib/caravan/no-authorities",
                Role::Etcd | Role::LoadBalancer | Role::ControlPlane => "/etc/kubernetes/pki",
            },
        }
    }
}

impl MachineLists for MachineContext<'_> {
    fn machine_of(&self, list: &str, index: usize) -> Option<&str> {
        match list {
            "vrrp_peers" => self.vrrp_peers.machine(index),
            other => self.lab.machine_of(other, index),
        }
    }
}

/// On how many nodes CoreDNS must stand: its two replicas on two, where there are two.
fn dns_nodes(lab: &Lab) -> u8 {
    let nodes = lab.machines().iter().filter(|it| it.role.is_node());
    if nodes.take(2).count() < 2 { 1 } else { 2 }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn pod_subnet(lab: &Lab, machine: &Machine) -> String {
    lab.pod_subnet(machine)
        .map(|subnet| subnet.to_string())
        .unwrap_or_default()
}

/// The addresses that a packet of this machine's own pods may come from, as far as they are known before the machine is.
fn own_pods(lab: &Lab, machine: &Machine) -> String {
    match lab.pod_network() {
        PodNetwork::Vxlan => pod_subnet(lab, machine),
        PodNetwork::Flannel | PodNetwork::Calico => lab.pod_cidr().to_string(),
    }
}

/// flannel and Calico take a node's pod subnet from its Node object, where the controller manager writes it.
fn allocate_node_cidrs(pod_network: PodNetwork) -> bool {
    match pod_network {
        PodNetwork::Vxlan => false,
        PodNetwork::Flannel | PodNetwork::Calico => true,
    }
}

/// The table of connections belongs to a container's host: zeros leave it as it is. All nodes have one configuration, so a
/// lab with any node in a container leaves it everywhere.
fn conntrack(lab: &Lab, settings: &Settings) -> Conntrack {
    let mut nodes = lab.machines().iter().filter(|it| it.role.is_node());
    match nodes.any(|node| settings.provider_of(node) == Provider::Docker) {
        true => Conntrack {
            max_per_core: 0,
            min: 0,
            tcp_established_timeout: "0s",
            tcp_close_wait_timeout: "0s",
        },
        // kube-proxy's own defaults.
        false => Conntrack {
            max_per_core: 32_768,
            min: 131_072,
            tcp_established_timeout: "24h0m0s",
            tcp_close_wait_timeout: "1h0m0s",
        },
    }
}

fn nameservers(settings: &Settings) -> Vec<Ipv4Addr> {
    if settings.airgap || settings.nameservers.is_empty() {
        vec![NO_NAMESERVER]
    } else {
        settings.nameservers.clone()
    }
}
