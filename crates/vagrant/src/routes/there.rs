//! Where other computers send packets.

use std::net::Ipv4Addr;
use std::time::Duration;

use caravan_process::Computer;
use ipnet::Ipv4Net;

use super::{MAIN_TABLE, Route, everything, routes};
use crate::Error;

/// How long another computer may take for an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// As [`routes`], of another computer: those of its main table, as `ip` there tells them.
///
/// # Errors
///
/// [`Error::Process`] where it is not reached or has no `ip`.
pub fn routes_of(computer: &Computer) -> Result<Vec<Route>, Error> {
    if computer.is_here() {
        return routes();
    }
    // Administrators' programs are in folders that an ordinary user's search path lacks.
    let script = "PATH=$PATH:/usr/sbin:/sbin; exec ip -4 route show table main";
    let output = computer.run(&["sh", "-c", script], "", ANSWER)?;
    Ok(output.stdout.lines().filter_map(shown_route).collect())
}

/// A route as `ip route` shows it, such as `192.0.2.0/24 dev br0 proto kernel scope link src 192.0.2.11`.
fn shown_route(line: &str) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |word: &str| {
        let place = words.iter().position(|it| *it == word)?;
        words.get(place + 1).map(|it| (*it).to_owned())
    };
    let to = match *words.first()? {
        "default" => everything(),
        "blackhole" | "unreachable" | "prohibit" => range(words.get(1)?)?,
        word => range(word)?,
    };
    Some(Route {
        to,
        device: after("dev"),
        table: MAIN_TABLE,
        direct: after("via").is_none() && after("dev").is_some(),
    })
}

/// A network, or a single address, as `ip` writes it.
fn range(word: &str) -> Option<Ipv4Net> {
    let single = || Some(Ipv4Net::from(word.parse::<Ipv4Addr>().ok()?));
    word.parse().ok().or_else(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_ip_shows_them() {
        let shown = |line: &str| {
            let route = shown_route(line)?;
            Some((route.to.to_string(), route.device, route.direct))
        };
        let route = |to: &str, device: Option<&str>, direct| {
            Some((to.to_owned(), device.map(str::to_owned), direct))
        };
        for (line, expected) in [
            (
                "default via 192.0.2.1 dev eth0 proto dhcp metric 100",
                route("0.0.0.0/0", Some("eth0"), false),
            ),
            (
                "192.0.2.0/24 dev br0 proto kernel scope link src 192.0.2.11",
                route("192.0.2.0/24", Some("br0"), true),
            ),
            (
                "192.0.2.7 dev br0 scope link",
                route("192.0.2.7/32", Some("br0"), true),
            ),
            (
                "blackhole 198.51.100.0/24",
                route("198.51.100.0/24", None, false),
            ),
            ("", None),
            ("nonsense dev br0", None),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }
}
