//! What follows from a lab file: endpoint, certificate names, addresses inside the cluster, priorities.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

use crate::lab::Lab;
use crate::machine::{Machine, Role};
use crate::network::nth_address;
use crate::ports;
use crate::versions::{EtcdRefused, EtcdVersion};

/// The first label of the endpoint's name where load balancers share a virtual address.
pub(crate) const API_LABEL: &str = "api";

/// The priority of the first load balancer; each further one has one less.
const FIRST_PRIORITY: u8 = 101;

/// The DNS domain inside the cluster: kubeadm's default.
pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";

impl Lab {
    /// Returns the first host address of the subnet: the computer that runs the machines, or the LAN's router.
    pub fn gateway(&self) -> Ipv4Addr {
        nth_address(self.subnet, 1)
    }

    /// Returns true if load balancers stand before the masters.
    pub fn has_load_balancers(&self) -> bool {
        self.vip.is_some()
    }

    /// Returns the master that runs `kubeadm init`: the first of the file.
    ///
    /// # Panics
    ///
    /// Never: a lab without a master is refused.
    pub fn first_master(&self) -> &Machine {
        self.of_role(Role::ControlPlane)
            .next()
            .expect("a valid lab has a master")
    }

    /// Returns where everybody reaches the API: the virtual address, or the one master.
    pub fn api_endpoint(&self) -> SocketAddrV4 {
        let address = self.vip.unwrap_or_else(|| self.first_master().ip);
        SocketAddrV4::new(address, ports::API)
    }

    /// Returns the endpoint's full name: `api.<domain>` for a virtual address, or the one master's.
    pub fn api_name(&self) -> String {
        match self.vip {
            Some(_) => format!("{API_LABEL}.{}", self.domain),
            None => self.fqdn(self.first_master()),
        }
    }

    /// Returns the names and addresses, beyond those kubeadm adds by itself, that API servers' certificates carry.
    ///
    /// These are the endpoint, each load balancer and each master: address, short name and full name, each once.
    pub fn api_sans(&self) -> Vec<String> {
        let sans = self.api_sans_by_machine().into_iter();
        sans.map(|(_, san)| san).collect()
    }

    /// Returns the same, each with the machine that it names; the endpoint's name none.
    pub fn api_sans_by_machine(&self) -> Vec<(Option<&Machine>, String)> {
        let mut sans = Vec::new();
        if let Some(vip) = self.vip {
            sans.extend([vip.to_string(), self.api_name()].map(|san| (None, san)));
        }
        for role in [Role::LoadBalancer, Role::ControlPlane] {
            for machine in self.of_role(role) {
                let names = [
                    machine.name.clone(),
                    self.fqdn(machine),
                    machine.ip.to_string(),
                ];
                sans.extend(names.map(|san| (Some(machine), san)));
            }
        }
        sans
    }

    /// Returns the full name of a machine, `<name>.<domain>`.
    pub fn fqdn(&self, machine: &Machine) -> String {
        format!("{}.{}", machine.name, self.domain)
    }

    /// Returns the DNS domain inside the cluster.
    pub fn cluster_domain(&self) -> &str {
        CLUSTER_DOMAIN
    }

    /// Returns the address of the service `kubernetes`: the first of the service range, as API servers take it.
    pub fn kubernetes_service_ip(&self) -> Ipv4Addr {
        nth_address(self.service_cidr, 1)
    }

    /// Returns the address of the cluster's DNS: the tenth of the service range, as kubeadm takes it.
    pub fn dns_service_ip(&self) -> Ipv4Addr {
        nth_address(self.service_cidr, 10)
    }

    /// Returns a node's own part of the pod range, a /24; `None` for machines that are no nodes.
    ///
    /// Its number in the pod range is that of the machine's address in the subnet: `192.168.29.51` has `10.244.51.0/24`.
    pub fn pod_subnet(&self, machine: &Machine) -> Option<Ipv4Net> {
        let position = self.positions.get(&machine.name)?;
        self.pod_subnets[*position]
    }

    /// Returns the client URLs of all etcd members, in the order of the file.
    pub fn etcd_endpoints(&self) -> Vec<String> {
        let members = self.of_role(Role::Etcd);
        members.map(|member| self.etcd_endpoint(member)).collect()
    }

    /// Returns the client URL of one etcd member.
    pub fn etcd_endpoint(&self, member: &Machine) -> String {
        format!("https://{}:{}", member.ip, ports::ETCD_CLIENT)
    }

    /// Returns etcd's `--initial-cluster`: `name=https://address:2380`, joined by commas.
    pub fn etcd_initial_cluster(&self) -> String {
        let members: Vec<_> = self
            .of_role(Role::Etcd)
            .map(|member| format!("{}=https://{}:{}", member.name, member.ip, ports::ETCD_PEER))
            .collect();
        members.join(",")
    }

    /// Returns the number of etcd members that must agree before a write counts.
    pub fn etcd_quorum(&self) -> usize {
        self.of_role(Role::Etcd).count() / 2 + 1
    }

    /// Checks an etcd, such as the bundle's, against the lab's Kubernetes and what the lab file asks for.
    ///
    /// # Errors
    ///
    /// Returns who refuses it and what is needed.
    pub fn check_etcd(&self, found: EtcdVersion) -> Result<(), EtcdRefused> {
        let kubernetes = self.kubernetes;
        let oldest = kubernetes.oldest_etcd();
        if found < oldest {
            return Err(EtcdRefused::ByKubernetes {
                kubernetes,
                oldest,
                found,
            });
        }
        match self.etcd {
            Some(asked) if found < asked => Err(EtcdRefused::ByLab { asked, found }),
            _ => Ok(()),
        }
    }

    /// Returns a load balancer's VRRP priority: 101 for the first of the file, one less for each further one.
    ///
    /// A machine that is no load balancer has 0, with which Keepalived would give up the address.
    pub fn vrrp_priority(&self, machine: &Machine) -> u8 {
        self.of_role(Role::LoadBalancer)
            .zip((1..=FIRST_PRIORITY).rev())
            .find(|(balancer, _)| balancer.name == machine.name)
            .map_or(0, |(_, priority)| priority)
    }

    /// Returns the VRRP router id, 1 to 255, which no other router of the LAN may share.
    ///
    /// Where the file gives none it is the last number of the virtual address, so that labs of one LAN differ.
    pub fn virtual_router_id(&self) -> u8 {
        self.virtual_router_id
    }

    /// Returns true if the machines are on a bridge, and so on a LAN with others; false if they have a network of their own.
    pub fn is_on_lan(&self) -> bool {
        // A lab that has a bridge has one at each server.
        self.servers.iter().any(|server| server.bridge.is_some())
    }

    /// Returns who besides the lab's machines may reach etcd and ssh on etcd machines, each once and at least one.
    ///
    /// These are the computers that run the machines, and the file's `operators`. In a network of the lab's own the computer is
    /// the gateway; on a LAN the gateway is a router and nobody, and each server has its `address`.
    pub fn operators(&self) -> Vec<Ipv4Addr> {
        let computers = match self.is_on_lan() {
            true => self.servers.iter().filter_map(|it| it.address).collect(),
            false => vec![self.gateway()],
        };
        let mut operators = Vec::new();
        for address in computers.iter().chain(&self.operators) {
            if !operators.contains(address) {
                operators.push(*address);
            }
        }
        operators
    }

    /// Returns true if the machines run on more than one computer, and so need a LAN that all of them share.
    pub fn spans_computers(&self) -> bool {
        let mut hosts = self.servers.iter().map(|server| &server.host);
        let first = hosts.next();
        hosts.any(|host| Some(host) != first)
    }
}
