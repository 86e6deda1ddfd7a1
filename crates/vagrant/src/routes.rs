//! Where this computer sends packets: the one reading of its routes.
//!
//! `/proc/net/route` shows one table of many. A VPN has routes in a table of its own, which rules ask before that one; so
//! the kernel is asked for all tables and for the rules, over netlink (<https://man7.org/linux/man-pages/man7/rtnetlink.7.html>).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use serde::Serialize;

use crate::Error;

mod there;

pub use there::routes_of;

/// The tables that rules ask on any computer: `default`, `main`, `local`.
const USUAL_TABLES: [u32; 3] = [253, MAIN_TABLE, LOCAL_TABLE];

/// The table in which a device's own networks stand.
const MAIN_TABLE: u32 = 254;

/// The table that the kernel keeps of its own addresses.
const LOCAL_TABLE: u32 = 255;

/// How many datagrams one answer may take: a table of a router, and an end to a kernel that never says it is done.
const MOST_DATAGRAMS: usize = 100_000;

/// A route of this computer, for IPv4.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The device it goes through; `None` where packets are refused or dropped.
    pub device: Option<String>,
    /// The number of the table it stands in, as `ip route show table` takes it.
    pub table: u32,
    /// Whether no gateway is between: packets go to their receiver itself.
    #[serde(skip)]
    pub direct: bool,
}

impl Route {
    /// The command that shows it.
    pub fn command(&self) -> String {
        if USUAL_TABLES.contains(&self.table) {
            "ip route".to_owned()
        } else {
            format!("ip route show table {}", self.table)
        }
    }

    /// Whether it leads to an address of this computer itself.
    pub fn is_own_address(&self) -> bool {
        self.table == LOCAL_TABLE
    }

    /// Whether it is of a network that this computer is itself on, and that holds all of `range`.
    ///
    /// A tunnel's routes have no gateway either; a VPN keeps its own in another table.
    pub fn is_network_with(&self, range: Ipv4Net) -> bool {
        self.direct
            && self.table == MAIN_TABLE
            && self.to.prefix_len() > 0
            && self.to.contains(&range)
    }

    /// Whether it stands for "everything else": the default route, or one of the two halves that VPNs make of it.
    pub fn is_default(&self) -> bool {
        self.to.prefix_len() <= 1
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Some(device) => write!(f, "reaches `{}` through `{device}`", self.to)?,
            None => write!(f, "refuses packets to `{}`", self.to)?,
        }
        if USUAL_TABLES.contains(&self.table) {
            return Ok(());
        }
        write!(f, " (routing table {})", self.table)
    }
}

/// A policy rule: which table is asked, and for which destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    to: Ipv4Net,
    asks: RuleTarget,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum RuleTarget {
    Table(u32),
    /// The table of whichever device the packet belongs to.
    AnyTable,
    Refuses,
}

/// This computer's IPv4 routes in all tables that some rule asks, its own addresses included.
///
/// # Errors
///
/// [`Error::Routes`] when the kernel does not tell.
pub fn routes() -> Result<Vec<Route>, Error> {
    read().map_err(|source| Error::Routes { source })
}

fn read() -> io::Result<Vec<Route>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut devices = BTreeMap::new();
    ask(
        &socket,
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        &mut |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer {
                devices.extend(device(&link));
            }
        },
    )?;
    let mut entries = Vec::new();
    let mut question = RouteMessage::default();
    question.header.address_family = AddressFamily::Inet;
    ask(
        &socket,
        RouteNetlinkMessage::GetRoute(question),
        &mut |answer| {
            if let RouteNetlinkMessage::NewRoute(route) = answer {
                entries.extend(entry(&route, &devices));
            }
        },
    )?;
    let mut rules = Vec::new();
    let mut question = RuleMessage::default();
    question.header.family = AddressFamily::Inet;
    let asked = ask(
        &socket,
        RouteNetlinkMessage::GetRule(question),
        &mut |answer| {
            if let RouteNetlinkMessage::NewRule(rule) = answer {
                rules.extend(policy(&rule));
            }
        },
    );
    // A kernel without policy routing has no rules to tell, and asks the usual tables.
    if asked.is_err() || rules.is_empty() {
        rules = USUAL_TABLES
            .map(|table| Rule {
                to: everything(),
                asks: RuleTarget::Table(table),
            })
            .to_vec();
    }
    Ok(effective(&entries, &rules))
}

/// Asks for a whole list, and gives each entry to `take`. What this crate's libraries cannot read is left out.
fn ask(
    socket: &Socket,
    question: RouteNetlinkMessage,
    take: &mut dyn FnMut(RouteNetlinkMessage),
) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    for _ in 0..MOST_DATAGRAMS {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while let Ok(found) = NetlinkBuffer::new_checked(&rest) {
            // Messages begin at multiples of four bytes.
            let length = (found.length() as usize).next_multiple_of(4);
            match NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map(|it| it.payload) {
                Ok(NetlinkPayload::Done(_)) => return Ok(()),
                Ok(NetlinkPayload::Error(error)) => return Err(error.to_io()),
                Ok(NetlinkPayload::InnerMessage(answer)) => take(answer),
                Ok(_) | Err(_) => {}
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    Err(io::Error::other("the kernel's list of routes does not end"))
}

fn device(link: &LinkMessage) -> Option<(u32, String)> {
    let name = link.attributes.iter().find_map(|it| match it {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    Some((link.header.index, name))
}

fn entry(message: &RouteMessage, devices: &BTreeMap<u32, String>) -> Option<Route> {
    let header = &message.header;
    let refuses = match header.kind {
        RouteType::Unicast | RouteType::Local => false,
        RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit => true,
        _ => return None,
    };
    let mut to = Ipv4Addr::UNSPECIFIED;
    let mut index = None;
    let mut gateway = false;
    let mut table = u32::from(header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => to = *address,
            RouteAttribute::Oif(number) => index = Some(*number),
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => gateway = true,
            RouteAttribute::MultiPath(hops) => {
                index = index.or(hops.first().map(|hop| hop.interface_index));
                gateway |= hops.iter().any(|hop| {
                    hop.attributes
                        .iter()
                        .any(|it| matches!(it, RouteAttribute::Gateway(_) | RouteAttribute::Via(_)))
                });
            }
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    let device = index.map(|index| {
        let name = devices.get(&index).cloned();
        name.unwrap_or_else(|| format!("device {index}"))
    });
    let to = Ipv4Net::new(to, header.destination_prefix_length).ok()?;
    Some(Route {
        to: to.trunc(),
        device: if refuses {
            None
        } else {
            Some(device.unwrap_or_else(|| "another device".to_owned()))
        },
        table,
        direct: header.kind == RouteType::Unicast && !gateway,
    })
}

fn policy(message: &RuleMessage) -> Option<Rule> {
    let mut to = Ipv4Addr::UNSPECIFIED;
    let mut table = u32::from(message.header.table);
    let mut any = false;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Destination(std::net::IpAddr::V4(address)) => to = *address,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::L3MDev(on) => any = *on,
            _ => {}
        }
    }
    let to = Ipv4Net::new(to, message.header.dst_len).ok()?.trunc();
    let asks = match message.header.action {
        RuleAction::ToTable if any => RuleTarget::AnyTable,
        RuleAction::ToTable => RuleTarget::Table(table),
        RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => {
            RuleTarget::Refuses
        }
        _ => return None,
    };
    Some(Rule { to, asks })
}

/// What the entries of all tables come to by the rules: a table that no rule asks counts for nothing, and one that is asked
/// for some destinations counts for those.
fn effective(entries: &[Route], rules: &[Rule]) -> Vec<Route> {
    let mut found = Vec::new();
    for rule in rules {
        if rule.asks == RuleTarget::Refuses {
            found.push(Route {
                to: rule.to,
                device: None,
                table: 0,
                direct: false,
            });
        }
        for entry in entries {
            let asked = match rule.asks {
                RuleTarget::Table(table) => entry.table == table,
                RuleTarget::AnyTable => true,
                RuleTarget::Refuses => false,
            };
            if asked && let Some(to) = common(entry.to, rule.to) {
                found.push(Route {
                    to,
                    ..entry.clone()
                });
            }
        }
    }
    found.sort();
    // Of the same way with and without a gateway, as for two metrics, one is told.
    found.dedup_by(|other, kept| {
        let same = (kept.to, &kept.device, kept.table) == (other.to, &other.device, other.table);
        kept.direct |= same && other.direct;
        same
    });
    found
}

/// What two ranges share.
fn common(a: Ipv4Net, b: Ipv4Net) -> Option<Ipv4Net> {
    if a.contains(&b) {
        Some(b)
    } else {
        b.contains(&a).then_some(a)
    }
}

/// Whether two ranges share an address.
pub fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    common(a, b).is_some()
}

fn everything() -> Ipv4Net {
    Ipv4Net::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a range")
    }

    fn route(to: &str, device: &str, table: u32) -> Route {
        Route {
            to: net(to),
            device: Some(device.to_owned()).filter(|name| !name.is_empty()),
            table,
            direct: false,
        }
    }

    fn rule(to: &str, asks: RuleTarget) -> Rule {
        Rule { to: net(to), asks }
    }

    #[test]
    fn a_table_counts_where_a_rule_asks_it() {
        let entries = [
            route("0.0.0.0/0", "eth0", 254),
            route("192.0.2.0/24", "eth0", 254),
            route("10.0.0.0/8", "tun0", 52),
            route("172.16.0.0/12", "old0", 77),
        ];
        let main = rule("0.0.0.0/0", RuleTarget::Table(254));
        let shown = |rules: &[Rule]| {
            let found = effective(&entries, rules);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let usual = [
            "reaches `0.0.0.0/0` through `eth0`",
            "reaches `192.0.2.0/24` through `eth0`",
        ];
        assert_eq!(shown(std::slice::from_ref(&main)), usual);
        assert_eq!(
            shown(&[main.clone(), rule("0.0.0.0/0", RuleTarget::Table(52))]),
            [
                usual[0],
                "reaches `10.0.0.0/8` through `tun0` (routing table 52)",
                usual[1]
            ]
        );
        // By a rule for one destination, the table's routes lead there and nowhere else.
        assert_eq!(
            shown(&[rule("10.244.0.0/16", RuleTarget::Table(52))]),
            ["reaches `10.244.0.0/16` through `tun0` (routing table 52)"]
        );
        assert_eq!(
            shown(&[rule("10.96.0.0/12", RuleTarget::Table(254))]),
            ["reaches `10.96.0.0/12` through `eth0`"]
        );
        assert_eq!(shown(&[rule("0.0.0.0/0", RuleTarget::AnyTable)]).len(), 4);
        assert_eq!(
            effective(&entries, &[rule("10.0.0.0/9", RuleTarget::Refuses)])[0].device,
            None
        );
    }

    #[test]
    fn halves_of_everything_are_a_default_route() {
        for to in ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"] {
            assert!(route(to, "tun0", 254).is_default(), "{to}");
        }
        assert!(!route("10.0.0.0/8", "tun0", 254).is_default());
    }

    /// A message of the kernel for `to`, in the table `main` and through device 2.
    fn told(to: &str, kind: RouteType, more: Vec<RouteAttribute>) -> RouteMessage {
        let to = net(to);
        let mut message = RouteMessage::default();
        message.header.kind = kind;
        message.header.table = MAIN_TABLE as u8;
        message.header.destination_prefix_length = to.prefix_len();
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet(to.addr())),
            RouteAttribute::Oif(2),
        ];
        message.attributes.extend(more);
        message
    }

    #[test]
    fn only_a_network_of_ones_own_is_near() {
        let devices = BTreeMap::from([(2, "br-1".to_owned())]);
        let lab = net("192.168.29.0/24");
        let gateway = || RouteAttribute::Gateway(RouteAddress::Inet(Ipv4Addr::new(192, 0, 2, 9)));
        let mut hop = netlink_packet_route::route::RouteNextHop::default();
        hop.interface_index = 2;
        hop.attributes = vec![gateway()];
        let other_table = RouteAttribute::Table(52);
        for (message, near) in [
            (told("192.168.29.0/24", RouteType::Unicast, vec![]), true),
            (told("192.168.0.0/16", RouteType::Unicast, vec![]), true),
            (told("192.168.29.0/25", RouteType::Unicast, vec![]), false),
            (
                told("192.168.29.0/24", RouteType::Unicast, vec![gateway()]),
                false,
            ),
            (
                told(
                    "192.168.29.0/24",
                    RouteType::Unicast,
                    vec![RouteAttribute::MultiPath(vec![hop])],
                ),
                false,
            ),
            (told("192.168.29.0/24", RouteType::BlackHole, vec![]), false),
            (
                told("192.168.29.0/24", RouteType::Unicast, vec![other_table]),
                false,
            ),
            // The default route of a device without a gateway, such as a modem's.
            (told("0.0.0.0/0", RouteType::Unicast, vec![]), false),
        ] {
            let route = entry(&message, &devices).expect("a route");
            assert_eq!(route.is_network_with(lab), near, "{route:?}");
        }
    }

    #[test]
    fn one_way_with_and_without_a_gateway_is_told_once() {
        let entries = [false, true].map(|direct| Route {
            direct,
            ..route("192.0.2.0/24", "eth0", MAIN_TABLE)
        });
        let found = effective(
            &entries,
            &[rule("0.0.0.0/0", RuleTarget::Table(MAIN_TABLE))],
        );
        assert_eq!(found, [entries[1].clone()]);
    }

    #[test]
    fn this_computer_tells_its_routes() {
        // Every network namespace has the loopback's own addresses once it is up; a sandbox may have nothing.
        let found = routes().expect("the kernel answers");
        let loopback = net("127.0.0.0/8");
        let listed = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        assert_eq!(
            found.iter().any(|it| loopback.contains(&it.to)),
            listed.contains("127.0.0.0"),
            "{found:?}"
        );
    }
}
