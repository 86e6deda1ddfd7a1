//! Pod networks and the ranges of addresses inside the cluster.

use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

/// What carries packets between pods on different nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodNetwork {
    /// A static VXLAN mesh that the machines set up themselves: no image, no daemon.
    #[default]
    Vxlan,
    /// Flannel, from its own images.
    Flannel,
    /// Calico, from its own images.
    Calico,
}

impl PodNetwork {
    /// Every pod network, the default first.
    pub const ALL: [PodNetwork; 3] = [PodNetwork::Vxlan, PodNetwork::Flannel, PodNetwork::Calico];

    /// Returns the word for this pod network in a lab file.
    pub const fn word(self) -> &'static str {
        match self {
            PodNetwork::Vxlan => "vxlan",
            PodNetwork::Flannel => "flannel",
            PodNetwork::Calico => "calico",
        }
    }
}

impl fmt::Display for PodNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The pod range where the lab file gives none; kubeadm's examples and flannel's manifest use it.
pub(crate) const DEFAULT_POD_CIDR: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 16);

/// The service range where the lab file gives none: kubeadm's own default.
pub(crate) const DEFAULT_SERVICE_CIDR: Ipv4Net =
    Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12);

/// The prefix length of one node's pod subnet: the controller manager's default `--node-cidr-mask-size`.
pub(crate) const POD_SUBNET_PREFIX: u8 = 24;

/// Returns the address `offset` addresses after the start of `net`.
pub(crate) fn nth_address(net: Ipv4Net, offset: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(net.network().to_bits().wrapping_add(offset))
}

/// Returns how many addresses `address` lies after the start of `net`.
pub(crate) fn offset_in(net: Ipv4Net, address: Ipv4Addr) -> u32 {
    address.to_bits().wrapping_sub(net.network().to_bits())
}

/// Returns the VRRP router id of a lab whose file gives none: the last number of its virtual address, or 1 where that is 0.
pub(crate) fn router_id(vip: Option<Ipv4Addr>) -> u8 {
    vip.map_or(1, |vip| vip.octets()[3]).max(1)
}

/// Returns how many pod subnets fit into the pod range.
pub(crate) fn pod_subnet_count(pod_cidr: Ipv4Net) -> u32 {
    1 << POD_SUBNET_PREFIX.saturating_sub(pod_cidr.prefix_len())
}

/// Gives each node its pod subnet, in the order of `addresses` (the nodes in file order).
///
/// A node takes the subnet numbered like its address in the lab (`192.168.29.51` has `10.244.51.0/24`), so that a subnet tells its node
/// and editing the file moves no other node's pods. Where the numbers wrap round and meet, the later node takes the next free one.
/// The caller has checked that there are no more nodes than subnets.
pub(crate) fn pod_subnets(
    pod_cidr: Ipv4Net,
    lab: Ipv4Net,
    addresses: impl Iterator<Item = Ipv4Addr>,
) -> Vec<Ipv4Net> {
    let count = pod_subnet_count(pod_cidr);
    let mut taken = vec![false; count as usize];
    addresses
        .map(|address| {
            let first = offset_in(lab, address) % count;
            let number = (0..count)
                .map(|step| (first + step) % count)
                .find(|number| !taken[*number as usize])
                .unwrap_or(first);
            taken[number as usize] = true;
            let start = nth_address(pod_cidr, number << (32 - POD_SUBNET_PREFIX));
            Ipv4Net::new_assert(start, POD_SUBNET_PREFIX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets(pod_cidr: &str, lab: &str, addresses: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|ip| ip.parse().unwrap());
        pod_subnets(pod_cidr.parse().unwrap(), lab.parse().unwrap(), addresses)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_pod_subnet_has_the_number_of_its_node() {
        let nodes = ["192.168.29.71", "192.168.29.51"];
        assert_eq!(
            subnets("10.244.0.0/16", "192.168.29.0/24", &nodes),
            ["10.244.71.0/24", "10.244.51.0/24"]
        );
    }

    #[test]
    fn numbers_that_meet_give_way_to_the_next_free_one() {
        // Four subnets: 7 and 11 are both number 3, so the second takes 0, and the one whose number that is takes 1.
        let nodes = ["10.9.0.7", "10.9.0.11", "10.9.0.12", "10.9.0.14"];
        assert_eq!(
            subnets("10.0.0.0/22", "10.9.0.0/24", &nodes),
            ["10.0.3.0/24", "10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
        );
    }

    #[test]
    fn router_ids_are_never_zero() {
        assert_eq!(router_id(Some(Ipv4Addr::new(192, 168, 29, 80))), 80);
        assert_eq!(router_id(Some(Ipv4Addr::new(10, 0, 1, 0))), 1);
        assert_eq!(router_id(None), 1);
    }
}
