//! Who already has a subnet on this computer, seen from libvirt.

use ipnet::Ipv4Net;

use super::{LibvirtMachines, LibvirtNetwork};
use crate::Error;
use crate::engine::{Conflict, NetworkOwner, route_conflicts};
use crate::routes::{self, Route, overlap};

impl LibvirtMachines {
    /// Who stands in the way of `lab` taking `subnet`.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::machines`], and [`Error::Routes`].
    pub fn conflicts(&self, lab: &str, subnet: Ipv4Net) -> Result<Vec<Conflict>, Error> {
        let networks = self.networks()?;
        Ok(conflicts(
            lab,
            subnet,
            &networks,
            &routes::routes_of(&self.computer)?,
        ))
    }
}

/// Compares what a lab wants with libvirt's networks and this computer's routes. A network that is not up counts too:
/// somebody may start it at any time.
pub(super) fn conflicts(
    lab: &str,
    subnet: Ipv4Net,
    networks: &[LibvirtNetwork],
    routes: &[Route],
) -> Vec<Conflict> {
    let mut found = Vec::new();
    for network in networks {
        let labs_own = network.lab.as_deref() == Some(lab);
        for has in &network.subnets {
            let (name, has) = (network.name.clone(), *has);
            // The lab's way in for Vagrant has a range of its own, chosen where there is room.
            if labs_own && network.is_management() {
                continue;
            }
            if labs_own && has != subnet.trunc() {
                found.push(Conflict::Moved { subnet, name, has });
            } else if !labs_own && overlap(has, subnet) {
                found.push(Conflict::Network {
                    owner: NetworkOwner::Libvirt,
                    subnet,
                    name,
                    has,
                    lab: network.lab.clone(),
                });
            }
        }
    }
    found.extend(route_conflicts(subnet, routes, |device| {
        networks
            .iter()
            .any(|network| network.bridge.as_deref() == Some(device))
    }));
    found
}
