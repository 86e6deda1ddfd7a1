//! What libvirt tells of a network.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use roxmltree::{Document, Node};

use super::domain::child;

/// The namespace of what we write into a network's metadata; the Vagrantfile knows it by the same name.
const NAMESPACE: &str = "urn:caravan:lab";

/// A network of libvirt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibvirtNetwork {
    /// Its name.
    pub name: String,
    /// The lab it belongs to, if any.
    pub lab: Option<String>,
    /// The subnets in which this computer has an address on it.
    pub subnets: Vec<Ipv4Net>,
    /// Its bridge.
    pub bridge: Option<String>,
}

/// What follows a lab's name in the name of the network by which Vagrant comes in. No name of a lab has a dot in it.
const MANAGEMENT: &str = ".management";

impl LibvirtNetwork {
    /// Whether Vagrant comes in by it, and no machine reaches another.
    pub fn is_management(&self) -> bool {
        self.name.ends_with(MANAGEMENT)
    }
}

/// Reads the XML of a network.
pub(super) fn read(xml: &str) -> Option<LibvirtNetwork> {
    let document = Document::parse(xml).ok()?;
    let network = document.root_element();
    let lab = child(network, "metadata").and_then(|metadata| {
        let ours = metadata
            .children()
            .find(|node| node.tag_name().namespace() == Some(NAMESPACE))?;
        Some(ours.text()?.trim().to_owned())
    });
    Some(LibvirtNetwork {
        name: child(network, "name")?.text()?.to_owned(),
        lab,
        subnets: network
            .children()
            .filter(|node| node.has_tag_name("ip"))
            .filter_map(subnet)
            .collect(),
        bridge: child(network, "bridge")
            .and_then(|bridge| bridge.attribute("name"))
            .map(str::to_owned),
    })
}

fn subnet(ip: Node<'_, '_>) -> Option<Ipv4Net> {
    let address: Ipv4Addr = ip.attribute("address")?.parse().ok()?;
    let net = match (ip.attribute("netmask"), ip.attribute("prefix")) {
        (Some(mask), _) => Ipv4Net::with_netmask(address, mask.parse().ok()?).ok()?,
        (None, Some(prefix)) => Ipv4Net::new(address, prefix.parse().ok()?).ok()?,
        (None, None) => return None,
    };
    Some(net.trunc())
}

/// The documents that one answer holds one after the other, each from its first line to the end of its root.
pub(super) fn split(said: &str) -> Vec<String> {
    let mut documents = Vec::new();
    let mut document = String::new();
    for line in said.lines() {
        document.push_str(line);
        document.push('\n');
        if line == "</domain>" || line == "</network>" {
            documents.push(std::mem::take(&mut document));
        }
    }
    documents
}
