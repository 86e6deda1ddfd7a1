//! Whether this computer's resolvers and routes lie in the ranges that a lab uses for itself.
//!
//! Inside the lab such an address leads to a pod, a service or a machine, or nowhere: a resolver in the service range is
//! never reached, and neither is a company's network in the pods' range.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use caravan_lab::{Ipv4Net, Lab, Provider};
use caravan_vagrant::engine::DockerMachines;
use caravan_vagrant::routes::{self, Route};
use serde::Serialize;

use crate::resolvers;

/// Something of this computer that lies in a range of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collision {
    /// The key of the lab file.
    pub key: &'static str,
    /// Its range.
    pub range: Ipv4Net,
    /// What lies there.
    pub what: CollidingThing,
}

/// What lies in a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollidingThing {
    /// Who answers this computer for names.
    Resolver(Ipv4Addr),
    /// A network that this computer reaches.
    Route(Route),
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, range, what } = self;
        match what {
            CollidingThing::Resolver(address) => write!(
                f,
                "the resolver `{address}` of this computer lies in the lab's `{key}` `{range}`: machines cannot ask it, and \
                 are not given it"
            ),
            CollidingThing::Route(route) => write!(
                f,
                "this computer {route}, which overlaps the lab's `{key}` `{range}`: one of the two cannot be reached"
            ),
        }
    }
}

impl Collision {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let shows = match &self.what {
            CollidingThing::Resolver(_) => {
                "cat /etc/resolv.conf /run/systemd/resolve/resolv.conf".to_owned()
            }
            CollidingThing::Route(route) => route.command(),
        };
        format!(
            "give the lab another `{}`; `{shows}` shows what is taken here",
            self.key
        )
    }
}

/// The ranges of a lab that must be its own, by their keys. On a LAN that it shares, the subnet is everybody's.
fn ranges(lab: &Lab) -> Vec<(&'static str, Ipv4Net)> {
    let shared = lab.servers().iter().any(|server| server.bridge.is_some());
    let mut ranges = vec![
        ("pod_cidr", lab.pod_cidr()),
        ("service_cidr", lab.service_cidr()),
    ];
    if !shared {
        ranges.push(("subnet", lab.subnet()));
    }
    ranges
}

/// Those of `resolvers` that machines of the lab can ask.
pub fn usable(lab: &Lab, resolvers: &[Ipv4Addr]) -> Vec<Ipv4Addr> {
    let ranges = ranges(lab);
    let outside = |address: &&Ipv4Addr| !ranges.iter().any(|(_, range)| range.contains(*address));
    resolvers.iter().filter(outside).copied().collect()
}

/// Compares the lab's ranges with resolvers and routes. `is_own` tells the devices that the lab itself made.
fn compare(
    lab: &Lab,
    resolvers: &[Ipv4Addr],
    routes: &[Route],
    is_own: &dyn Fn(&Route) -> bool,
) -> Vec<Collision> {
    let mut found: Vec<Collision> = Vec::new();
    for (key, range) in ranges(lab) {
        for address in resolvers.iter().filter(|it| range.contains(*it)) {
            found.push(Collision {
                key,
                range,
                what: CollidingThing::Resolver(*address),
            });
        }
        for route in routes {
            if route.is_default() || !routes::overlap(route.to, range) || is_own(route) {
                continue;
            }
            // An address of this computer lies in a network that is told already, and so does a part of one.
            let told = found.iter().any(|it| {
                it.key == key
                    && matches!(&it.what, CollidingThing::Route(wide) if wide.device == route.device
                        && (wide.table == route.table || route.is_own_address())
                        && wide.to.contains(&route.to))
            });
            if !told {
                found.push(Collision {
                    key,
                    range,
                    what: CollidingThing::Route(route.clone()),
                });
            }
        }
    }
    found
}

/// What of this computer lies in the ranges of a lab whose machines `providers` run here. `was_made` tells whether the lab may have a network here.
///
/// # Errors
///
/// [`caravan_vagrant::Error::Routes`].
pub fn collisions(
    lab: &Lab,
    providers: &BTreeSet<Provider>,
    was_made: bool,
) -> Result<Vec<Collision>, caravan_vagrant::Error> {
    // Machines of other computers have their routes there.
    if lab.servers().iter().all(|server| server.host.is_some()) {
        return Ok(Vec::new());
    }
    let bridges: Option<Vec<String>> = match providers.contains(&Provider::Docker) {
        true => DockerMachines::find()
            .and_then(|engine| engine.networks_of(lab.name()))
            .ok()
            .map(|networks| networks.into_iter().filter_map(|it| it.bridge).collect()),
        false => None,
    };
    let is_own = |route: &Route| match (&bridges, &route.device) {
        (Some(bridges), Some(device)) => bridges.contains(device),
        // Nobody can be asked whose the device is; a lab's own network has its subnet.
        (None, Some(_)) => was_made && lab.subnet().contains(&route.to),
        (_, None) => false,
    };
    Ok(compare(
        lab,
        &resolvers::nameservers(),
        &routes::routes()?,
        &is_own,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(more: &str) -> Lab {
        let text = include_str!("../../../labs/ha.toml");
        let text = text.replacen("kubernetes = ", &format!("{more}\nkubernetes = "), 1);
        Lab::parse("ha", &text).expect("valid")
    }

    fn route(to: &str, device: &str, table: u32) -> Route {
        Route {
            to: to.parse().expect("a range"),
            device: Some(device.to_owned()),
            table,
            direct: false,
        }
    }

    fn shown(lab: &Lab, resolvers: &[Ipv4Addr], routes: &[Route]) -> Vec<String> {
        let own = |route: &Route| route.device.as_deref() == Some("br-lab");
        compare(lab, resolvers, routes, &own)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_resolver_in_a_range_is_named_and_not_used() {
        let lab = lab("");
        let resolvers = [[10, 100, 0, 53], [10, 244, 7, 53], [192, 168, 1, 1]].map(Ipv4Addr::from);
        assert_eq!(
            shown(&lab, &resolvers, &[]),
            [
                "the resolver `10.244.7.53` of this computer lies in the lab's `pod_cidr` `10.244.0.0/16`: machines cannot ask it, and are not given it",
                "the resolver `10.100.0.53` of this computer lies in the lab's `service_cidr` `10.96.0.0/12`: machines cannot ask it, and are not given it",
            ]
        );
        assert_eq!(usable(&lab, &resolvers), resolvers[2..]);
        assert_eq!(usable(&lab, &[]), [] as [Ipv4Addr; 0]);
    }

    #[test]
    fn networks_within_and_around_a_range_are_named() {
        let lab = lab("");
        let routes = [
            route("0.0.0.0/0", "eth0", 254),
            route("0.0.0.0/1", "tun0", 52),
            route("10.0.0.0/8", "tun0", 52),
            // A VPN's table on the same device hides nothing of what the main table says.
            route("10.244.0.0/16", "lan0", 52),
            route("10.244.7.0/24", "lan0", 254),
            route("10.244.7.1/32", "lan0", 255),
            route("192.168.29.0/24", "br-lab", 254),
            route("192.168.0.0/16", "wlan0", 254),
            route("172.17.0.0/16", "docker0", 254),
        ];
        let end = "one of the two cannot be reached";
        assert_eq!(
            shown(&lab, &[], &routes),
            [
                format!(
                    "this computer reaches `10.0.0.0/8` through `tun0` (routing table 52), which overlaps the lab's `pod_cidr` `10.244.0.0/16`: {end}"
                ),
                format!(
                    "this computer reaches `10.244.0.0/16` through `lan0` (routing table 52), which overlaps the lab's `pod_cidr` `10.244.0.0/16`: {end}"
                ),
                format!(
                    "this computer reaches `10.244.7.0/24` through `lan0`, which overlaps the lab's `pod_cidr` `10.244.0.0/16`: {end}"
                ),
                format!(
                    "this computer reaches `10.0.0.0/8` through `tun0` (routing table 52), which overlaps the lab's `service_cidr` `10.96.0.0/12`: {end}"
                ),
                format!(
                    "this computer reaches `192.168.0.0/16` through `wlan0`, which overlaps the lab's `subnet` `192.168.29.0/24`: {end}"
                ),
            ]
        );
        let found = compare(&lab, &[], &routes[2..3], &|_| false);
        assert_eq!(
            found[0].hint(),
            "give the lab another `pod_cidr`; `ip route show table 52` shows what is taken here"
        );
    }

    #[test]
    fn other_ranges_are_compared_as_the_lab_file_says_them() {
        let lab = lab("pod_cidr = \"172.16.0.0/15\"\nservice_cidr = \"10.32.0.0/16\"");
        let docker = route("172.17.0.0/16", "docker0", 254);
        assert_eq!(shown(&lab, &[[10, 32, 0, 53].into()], &[docker]).len(), 2);
        assert_eq!(shown(&lab, &[[10, 100, 0, 53].into()], &[]).len(), 0);
    }

    #[test]
    fn the_subnet_of_a_shared_lan_is_everybodys() {
        let text = include_str!("../../../labs/ha.toml")
            .replace("[servers.server1]", "[servers.server1]\nbridge = \"eth0\"")
            .replace("[servers.server2]", "[servers.server2]\nbridge = \"eth0\"");
        let text = format!("provider = \"libvirt\"\noperators = [\"192.168.29.5\"]\n{text}");
        let lab = Lab::parse("ha", &text).expect("valid");
        let lan = route("192.168.29.0/24", "eth0", 254);
        assert_eq!(shown(&lab, &[[192, 168, 29, 1].into()], &[lan]).len(), 0);
    }
}
