//! Who already has a subnet or an address on this computer.

use std::fmt;
use std::net::Ipv4Addr;

use caravan_docker::Network;
use ipnet::Ipv4Net;
use serde::Serialize;

use super::{Container, lab_of};
use crate::libvirt::LIBVIRT_URI;
use crate::routes::{Route, overlap};

/// Something that stands in the way of a lab's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Conflict {
    /// A container that is not the lab's has a machine's address.
    Address {
        /// The machine.
        machine: String,
        /// Its address.
        address: Ipv4Addr,
        /// The container that has it.
        owner: String,
    },
    /// Another network of the engine is on the lab's bridge.
    Bridge {
        /// The bridge.
        bridge: String,
        /// The network's name.
        name: String,
        /// The lab that the network belongs to, if any.
        lab: Option<String>,
    },
    /// A network of the engine, or of libvirt, overlaps.
    Network {
        /// Who has it.
        owner: NetworkOwner,
        /// The subnet asked for.
        subnet: Ipv4Net,
        /// The network's name.
        name: String,
        /// What it has.
        has: Ipv4Net,
        /// The lab that the network belongs to, if any.
        lab: Option<String>,
    },
    /// The network of the lab exists, with another subnet.
    Moved {
        /// The subnet asked for.
        subnet: Ipv4Net,
        /// The network's name.
        name: String,
        /// What it has.
        has: Ipv4Net,
    },
    /// This computer already sends packets for a part of the subnet elsewhere.
    Route {
        /// The subnet asked for.
        subnet: Ipv4Net,
        /// The route.
        route: Route,
    },
}

/// Who has a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkOwner {
    /// The container engine.
    Engine,
    /// libvirt.
    Libvirt,
    /// VirtualBox.
    VirtualBox,
}

impl fmt::Display for NetworkOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "the engine",
            Self::Libvirt => "libvirt",
            Self::VirtualBox => "VirtualBox",
        })
    }
}

impl NetworkOwner {
    /// The command that removes the network `name`.
    fn removal(self, name: &str) -> String {
        match self {
            Self::Engine => format!("docker network rm {name}"),
            Self::Libvirt => format!("virsh --connect {LIBVIRT_URI} net-destroy {name}"),
            Self::VirtualBox => format!("VBoxManage hostonlyif remove {name}"),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address {
                machine,
                address,
                owner,
            } => write!(
                f,
                "the address `{address}` of `{machine}` is taken by the container `{owner}`"
            ),
            Self::Bridge { bridge, name, lab } => {
                let of = lab.as_ref().map_or("the engine's".to_owned(), |lab| {
                    format!("the lab `{lab}`'s")
                });
                write!(
                    f,
                    "{of} network `{name}` is on the bridge `{bridge}`, and the engine puts one network on a bridge"
                )
            }
            Self::Network {
                subnet,
                name,
                has,
                lab: Some(lab),
                ..
            } => write!(
                f,
                "the lab `{lab}` runs on the network `{name}` with `{has}`, which overlaps `{subnet}`"
            ),
            Self::Network {
                owner,
                subnet,
                name,
                has,
                lab: None,
            } => write!(
                f,
                "{owner}'s network `{name}` has `{has}`, which overlaps `{subnet}`"
            ),
            Self::Moved { subnet, name, has } => write!(
                f,
                "the lab's network `{name}` was made for `{has}`, and the lab file now says `{subnet}`"
            ),
            Self::Route { subnet, route } => {
                write!(f, "this computer {route}, which overlaps `{subnet}`")
            }
        }
    }
}

impl Conflict {
    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Address { owner, .. } => Some(format!("`docker rm -f {owner}`, if it is yours")),
            Self::Bridge { lab: Some(lab), .. } => Some(format!(
                "`{tool} destroy {lab}`, or give one of the labs another `bridge`"
            )),
            Self::Bridge { name, .. } => Some(format!(
                "`docker network rm {name}`, if nobody needs it, or give the lab another `bridge`"
            )),
            Self::Network { lab: Some(lab), .. } => Some(format!(
                "`{tool} destroy {lab}`, or give one of the labs another `subnet`"
            )),
            Self::Network { owner, name, .. } => Some(format!(
                "`{}`, if nobody needs it, or give the lab another `subnet`",
                owner.removal(name)
            )),
            Self::Moved { .. } => Some(format!("`{tool} destroy` the lab first, then `up` again")),
            Self::Route { route, .. } => Some(format!(
                "give the lab another `subnet`; `{}` shows what is taken here",
                route.command()
            )),
        }
    }
}

impl Conflict {
    /// Whether it is a route by one of `devices`: a bridge that the lab's machines are on leads to them as it should.
    pub fn is_route_by(&self, devices: &[&str]) -> bool {
        let Self::Route { route, .. } = self else {
            return false;
        };
        let device = route.device.as_deref();
        device.is_some_and(|device| devices.contains(&device))
    }
}

/// The networks among `networks` that keep `lab` from the bridge called `bridge`.
pub fn on_bridge(lab: &str, bridge: &str, networks: &[Network]) -> Vec<Conflict> {
    let others = networks.iter().filter(|network| {
        network.bridge.as_deref() == Some(bridge) && lab_of(network) != Some(lab)
    });
    others
        .map(|network| Conflict::Bridge {
            bridge: bridge.to_owned(),
            name: network.name.clone(),
            lab: lab_of(network).map(str::to_owned),
        })
        .collect()
}

/// What a lab wants.
#[derive(Debug, Clone, Copy)]
pub struct NetworkWish<'a> {
    /// Its name.
    pub lab: &'a str,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// Its machines' names and addresses.
    pub addresses: &'a [(String, Ipv4Addr)],
}

/// Compares what a lab wants with its own containers, the engine's networks and this computer's routes.
pub fn conflicts(
    wish: &NetworkWish<'_>,
    own: &[Container],
    networks: &[Network],
    routes: &[Route],
) -> Vec<Conflict> {
    let subnet = wish.subnet;
    let mut found = Vec::new();
    for network in networks {
        let labs_own = lab_of(network) == Some(wish.lab);
        for has in &network.subnets {
            let name = network.name.clone();
            let has = *has;
            if labs_own && has.trunc() != subnet.trunc() {
                found.push(Conflict::Moved { subnet, name, has });
            } else if !labs_own && overlap(has, subnet) {
                let lab = lab_of(network).map(str::to_owned);
                found.push(Conflict::Network {
                    owner: NetworkOwner::Engine,
                    subnet,
                    name,
                    has,
                    lab,
                });
            }
        }
        if !labs_own {
            continue;
        }
        let strangers = network
            .members
            .iter()
            .filter(|member| own.iter().all(|container| container.id != member.id));
        for stranger in strangers {
            let taken = wish
                .addresses
                .iter()
                .find(|(_, address)| *address == stranger.address);
            if let Some((machine, address)) = taken {
                found.push(Conflict::Address {
                    machine: machine.clone(),
                    address: *address,
                    owner: stranger.name.clone(),
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

/// The routes that stand in the way of `subnet`: those by a device of a network that was judged already say nothing new, and
/// the default route covers everything and stands in nobody's way.
pub(crate) fn route_conflicts(
    subnet: Ipv4Net,
    routes: &[Route],
    is_judged: impl Fn(&str) -> bool,
) -> Vec<Conflict> {
    routes
        .iter()
        .filter(|route| !route.device.as_deref().is_some_and(&is_judged))
        .filter(|route| !route.is_default() && overlap(route.to, subnet))
        .map(|route| Conflict::Route {
            subnet,
            route: route.clone(),
        })
        .collect()
}
