//! `/etc/vbox/networks.conf`: which host-only networks VirtualBox may make on Linux, macOS and Solaris, read as its own
//! program `VBoxNetAdpCtl` reads it.
//!
//! A line counts if its first word is `*`; the words behind it are ranges. Where there is a file, nothing but what it says
//! is allowed. A network is, if it lies in one range with all of its addresses.

use std::net::IpAddr;
use std::str::FromStr;

use caravan_lab::Ipv4Net;

/// What is allowed where there is no file.
pub(super) const DEFAULT: &str = "192.168.56.0/21";

/// What the file says of IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NetworksConf {
    /// Whether there is one.
    pub(super) exists: bool,
    /// What it allows, or what is allowed without it.
    pub(super) ranges: Vec<Ipv4Net>,
    /// The first word that is no range, with its line, from 1.
    pub(super) unreadable: Option<(usize, String)>,
}

impl NetworksConf {
    /// Reads the text of the file; none where there is no file, or none that may be read.
    pub(super) fn read(text: Option<&str>) -> Self {
        let mut conf = Self {
            exists: text.is_some(),
            ranges: Vec::new(),
            unreadable: None,
        };
        let Some(text) = text else {
            conf.ranges.extend(DEFAULT.parse::<Ipv4Net>());
            return conf;
        };
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            if words.next() != Some("*") {
                continue;
            }
            for word in words {
                match range(word) {
                    Some(IpRange::V4(range)) => conf.ranges.push(range),
                    Some(IpRange::V6) => {}
                    None if conf.unreadable.is_none() => {
                        conf.unreadable = Some((number + 1, word.to_owned()));
                    }
                    None => {}
                }
            }
        }
        conf
    }

    /// Whether a network may be made.
    pub(super) fn allows(&self, subnet: Ipv4Net) -> bool {
        self.ranges.iter().any(|range| range.contains(&subnet))
    }
}

enum IpRange {
    V4(Ipv4Net),
    V6,
}

/// A range as CIDR; a lone address is a range of one.
fn range(word: &str) -> Option<IpRange> {
    let (address, prefix) = match word.split_once('/') {
        Some((address, prefix)) => (address, Some(u8::from_str(prefix).ok()?)),
        None => (word, None),
    };
    match address.parse().ok()? {
        IpAddr::V4(address) => {
            let range = Ipv4Net::new(address, prefix.unwrap_or(32)).ok()?;
            Some(IpRange::V4(range.trunc()))
        }
        IpAddr::V6(_) if prefix.unwrap_or(128) <= 128 => Some(IpRange::V6),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a network")
    }

    fn allows(text: Option<&str>, subnet: &str) -> bool {
        NetworksConf::read(text).allows(net(subnet))
    }

    #[test]
    fn without_a_file() {
        assert!(allows(None, "192.168.56.0/24"));
        assert!(allows(None, "192.168.63.128/25"));
        assert!(!allows(None, "192.168.64.0/24"));
        assert!(!allows(None, "192.168.29.0/24"));
        assert!(!allows(None, "192.168.0.0/16"), "only a part of it is");
    }

    #[test]
    fn a_file_takes_the_place_of_what_is_allowed_without_one() {
        let manual = "* 10.0.0.0/8 192.168.0.0/16\n* 2001::/64\n";
        assert!(allows(Some(manual), "192.168.29.0/24"));
        assert!(allows(Some(manual), "10.213.7.0/29"));
        assert!(!allows(Some(manual), "172.16.0.0/24"));
        let all = "* 0.0.0.0/0 ::/0\n";
        assert!(allows(Some(all), "172.16.0.0/16"));
        for nothing in [
            "",
            "# No addresses are allowed for host-only adapters\n",
            "*\n",
        ] {
            assert!(!allows(Some(nothing), "192.168.56.0/24"), "{nothing}");
        }
    }

    #[test]
    fn lines_that_do_not_count() {
        assert!(!allows(Some("# * 192.168.29.0/24\n"), "192.168.29.0/24"));
        assert!(!allows(Some("192.168.29.0/24\n"), "192.168.29.0/24"));
        // VirtualBox wants a blank behind the star, though Vagrant does not.
        assert!(!allows(Some("*192.168.29.0/24\n"), "192.168.29.0/24"));
        assert!(allows(Some("\t*\t192.168.29.0/24\r\n"), "192.168.29.0/24"));
        assert!(allows(Some("* 192.168.29.1/24"), "192.168.29.0/24"));
        assert!(
            !allows(Some("* 192.168.29.0"), "192.168.29.0/24"),
            "a range of one"
        );
    }

    #[test]
    fn words_that_are_no_ranges() {
        let unreadable = |text: &str| NetworksConf::read(Some(text)).unreadable;
        assert_eq!(
            unreadable("* 10.0.0.0/8\n* fe80::/10 all\n"),
            Some((2, "all".to_owned()))
        );
        assert_eq!(
            unreadable("* 10.0.0.0/33"),
            Some((1, "10.0.0.0/33".to_owned()))
        );
        assert_eq!(unreadable("* ::/129"), Some((1, "::/129".to_owned())));
        assert_eq!(unreadable("all\n* 10.0.0.1 ::1\n"), None);
    }
}
