//! Reads what a computer told of itself.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use super::{ComputerFacts, LinkFacts};

/// The facts in `said`.
pub(super) fn facts(said: &str) -> ComputerFacts {
    let mut facts = ComputerFacts::default();
    let mut is_wireless = false;
    for line in said.lines() {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let number = || value.parse::<u64>().ok();
        match word {
            "processor" => value.clone_into(&mut facts.processor),
            "cpus" => facts.cpus = value.parse().ok(),
            "memory" => facts.memory_mib = number().map(|kib| kib / 1024),
            "disk" => facts.disk_mib = number().map(|kib| kib / 1024),
            "links" => facts.links = value.split(' ').map(str::to_owned).collect(),
            "link" => facts.link = link(value),
            "wireless" => is_wireless = true,
            "vagrant" => facts.vagrant = value.split(' ').nth(1).map(str::to_owned),
            "docker" => facts.docker = Some(value.to_owned()),
            "libvirt" => facts.libvirt = Some(value.to_owned()),
            "kvm" => facts.kvm = true,
            "neighbour" => facts.taken.extend(neighbour(value)),
            _ => {}
        }
    }
    if let Some(link) = &mut facts.link {
        link.is_wireless = is_wireless;
    }
    facts
}

/// How far a clock that showed `value`, in seconds since 1970, is ahead, and how far that may be off: it was read at some
/// time of the question.
pub(super) fn clock(value: &str, asked: SystemTime, took: Duration) -> Option<(f64, f64)> {
    // Some systems have no parts of seconds, and print a letter for them.
    let whole = value.split('.').next()?.parse::<f64>().ok()?;
    let parts = value.split_once('.').and_then(|(_, parts)| {
        let digits = parts.chars().all(|it| it.is_ascii_digit());
        digits.then(|| format!("0.{parts}").parse::<f64>().ok())?
    });
    let (shown, coarse) = match parts {
        Some(parts) => (whole + parts, 0.0),
        None => (whole + 0.5, 0.5),
    };
    let asked = asked.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let half = took.as_secs_f64() / 2.0;
    Some((shown - asked.as_secs_f64() - half, half + coarse))
}

/// A line of `ip -details -oneline link show`.
fn link(line: &str) -> Option<LinkFacts> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "mtu")?;
    Some(LinkFacts {
        is_bridge: words.contains(&"bridge"),
        is_wireless: false,
        is_up: words.iter().any(|word| {
            let flags = word.trim_matches(['<', '>']);
            word.starts_with('<') && flags.split(',').any(|flag| flag == "UP")
        }),
        mtu: words.get(place + 1)?.parse().ok()?,
    })
}

/// A line of `ip neigh show`, such as `192.0.2.7 lladdr 52:54:00:12:34:56 REACHABLE`; nothing where nobody answered just now.
fn neighbour(line: &str) -> Option<(Ipv4Addr, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.last() != Some(&"REACHABLE") {
        return None;
    }
    let place = words.iter().position(|word| *word == "lladdr")?;
    let address = words.first()?.parse().ok()?;
    Some((address, (*words.get(place + 1)?).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computer_tells_what_it_has() {
        let said = "processor x86_64\ncpus 4\nmemory 8388608\ndisk 20971520\n\
            links lo enp3s0 br0\n\
            link 3: br0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 qdisc noqueue state UP mode DEFAULT group default qlen 1000\\    link/ether 52:54:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0 bridge forward_delay 1500\n\
            vagrant Vagrant 2.3.4\ndocker 20.10.24\nlibvirt \nkvm yes\n\
            neighbour 192.0.2.51 lladdr 52:54:00:12:34:56 REACHABLE\nneighbour 192.0.2.52 FAILED\n\
            neighbour 192.0.2.53 lladdr 52:54:00:12:34:57 STALE\nneighbour \n";
        let found = facts(said);
        assert_eq!(
            (found.cpus, found.memory_mib, found.disk_mib),
            (Some(4), Some(8192), Some(20480))
        );
        assert_eq!(found.links, ["lo", "enp3s0", "br0"]);
        let link = LinkFacts {
            is_bridge: true,
            is_wireless: false,
            is_up: true,
            mtu: 1400,
        };
        assert_eq!(found.link, Some(link));
        assert_eq!(found.vagrant.as_deref(), Some("2.3.4"));
        assert_eq!(found.docker.as_deref(), Some("20.10.24"));
        assert_eq!(found.libvirt, None);
        assert!(found.kvm);
        let taken = [(Ipv4Addr::new(192, 0, 2, 51), "52:54:00:12:34:56".to_owned())];
        assert_eq!(found.taken, taken.into());
    }

    #[test]
    fn a_clock_without_parts_of_seconds_is_less_sure() {
        let asked = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let second = Duration::from_secs(1);
        assert_eq!(clock("103.500000000", asked, second), Some((3.0, 0.5)));
        assert_eq!(clock("100.N", asked, Duration::ZERO), Some((0.5, 0.5)));
        assert_eq!(clock("nonsense", asked, second), None);
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        assert_eq!(facts(""), ComputerFacts::default());
        assert_eq!(link("nothing"), None);
    }
}
