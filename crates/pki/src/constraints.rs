//! Name constraints: which names an authority may vouch for (RFC 5280 4.2.1.10).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

use crate::{DnsName, Error, profile};

/// Names that belong together: what an authority may vouch for, or may not (RFC 5280 calls it a subtree).
///
/// A constraint binds its kind: one domain permitted forbids all other DNS names, and leaves addresses alone.
/// So permit everything the certificates hold: for etcd that is `localhost`, the members' short names, and the loopback
/// addresses beside those of the members.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Subtree {
    /// This DNS name and all below it.
    Domain(DnsName),
    /// The addresses of a network: any of them, and the length of the prefix they share.
    Network(IpAddr, u8),
    /// The URIs whose host is this one. rustls refuses every URI below such a constraint, since it does not read it.
    UriHost(DnsName),
}

impl Subtree {
    fn to_general(&self) -> Result<GeneralSubtree, Error> {
        let malformed = |error| Error::malformed("name constraint", error);
        let text = |name: &DnsName| Ia5String::new(name.as_str()).map_err(malformed);
        let base = match self {
            Self::Domain(domain) => GeneralName::DnsName(text(domain)?),
            Self::Network(address, length) => {
                let octets = network_octets(*address, *length).ok_or_else(|| {
                    Error::invalid("network", self.to_string(), "has too long a prefix")
                })?;
                GeneralName::IpAddress(OctetString::new(octets).map_err(malformed)?)
            }
            Self::UriHost(host) => GeneralName::UniformResourceIdentifier(text(host)?),
        };
        Ok(GeneralSubtree {
            base,
            minimum: 0,
            maximum: None,
        })
    }

    /// Reads one of ours back; `None` for a kind or form that cannot be said here.
    fn of_general(subtree: &GeneralSubtree) -> Option<Self> {
        if subtree.minimum != 0 || subtree.maximum.is_some() {
            return None;
        }
        match &subtree.base {
            GeneralName::DnsName(name) => DnsName::try_from(name.as_str()).ok().map(Self::Domain),
            GeneralName::UniformResourceIdentifier(host) => {
                DnsName::try_from(host.as_str()).ok().map(Self::UriHost)
            }
            GeneralName::IpAddress(octets) => {
                let (network, mask) = octets.as_bytes().split_at(octets.as_bytes().len() / 2);
                let address = profile::ip_of(network)?;
                let length = prefix_length(mask)?;
                let canonical = network_octets(address, length)?;
                (canonical == octets.as_bytes()).then_some(Self::Network(address, length))
            }
            _ => None,
        }
    }

    /// The same with what decides nothing left out: the host bits of a network.
    fn canonical(&self) -> Self {
        match self {
            Self::Network(address, length) => network_octets(*address, *length)
                .and_then(|octets| profile::ip_of(&octets[..octets.len() / 2]))
                .map_or_else(|| self.clone(), |address| Self::Network(address, *length)),
            other => other.clone(),
        }
    }
}

/// `example.com`, `10.0.0.0/8` (an address alone is a network of one), `uri:example.com`.
impl TryFrom<&str> for Subtree {
    type Error = Error;

    fn try_from(value: &str) -> Result<Self, Error> {
        if let Some(host) = value.strip_prefix("uri:") {
            return DnsName::try_from(host).map(Self::UriHost);
        }
        let (address, length) = match value.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (value, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return DnsName::try_from(value).map(Self::Domain);
        };
        let invalid =
            |problem| Error::invalid("network", value.escape_debug().to_string(), problem);
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length
                .parse::<u8>()
                .map_err(|_| invalid("has no prefix length"))?,
            None => longest,
        };
        if length > longest {
            return Err(invalid("has too long a prefix"));
        }
        Ok(Self::Network(address, length))
    }
}

impl FromStr for Subtree {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        Self::try_from(value)
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Network(address, length) => write!(f, "{address}/{length}"),
            Self::UriHost(host) => write!(f, "uri:{host}"),
        }
    }
}

/// What an authority may vouch for, and what it may not whatever else is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    pub(crate) permitted: Vec<Subtree>,
    pub(crate) excluded: Vec<Subtree>,
}

impl Constraints {
    pub(crate) fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }

    /// Reads ours back; `None` when the extension says what cannot be said here.
    pub(crate) fn of_extension(value: &NameConstraints) -> Option<Self> {
        let read = |subtrees: &Option<Vec<GeneralSubtree>>| -> Option<Vec<Subtree>> {
            subtrees.iter().flatten().map(Subtree::of_general).collect()
        };
        Some(Self {
            permitted: read(&value.permitted_subtrees)?,
            excluded: read(&value.excluded_subtrees)?,
        })
    }

    /// Whether both say the same, in whatever order.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        let sorted = |subtrees: &[Subtree]| {
            let mut all: Vec<Subtree> = subtrees.iter().map(Subtree::canonical).collect();
            all.sort();
            all.dedup();
            all
        };
        sorted(&self.permitted) == sorted(&other.permitted)
            && sorted(&self.excluded) == sorted(&other.excluded)
    }

    pub(crate) fn to_extension(&self) -> Result<NameConstraints, Error> {
        let write = |subtrees: &[Subtree]| -> Result<Option<Vec<GeneralSubtree>>, Error> {
            let all: Result<Vec<GeneralSubtree>, Error> =
                subtrees.iter().map(Subtree::to_general).collect();
            // Absent, not empty: a list has one element at least.
            all.map(|all| (!all.is_empty()).then_some(all))
        };
        Ok(NameConstraints {
            permitted_subtrees: write(&self.permitted)?,
            excluded_subtrees: write(&self.excluded)?,
        })
    }
}

impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let list = |subtrees: &[Subtree]| {
            let shown: Vec<String> = subtrees.iter().map(Subtree::to_string).collect();
            shown.join(", ")
        };
        match (self.permitted.is_empty(), self.excluded.is_empty()) {
            (false, true) => write!(f, "permitted {}", list(&self.permitted)),
            (true, _) => write!(f, "excluded {}", list(&self.excluded)),
            (false, false) => {
                let (permitted, excluded) = (list(&self.permitted), list(&self.excluded));
                write!(f, "permitted {permitted}; excluded {excluded}")
            }
        }
    }
}

/// The length of the prefix that `mask` stands for; `None` when it has ones after a zero.
pub(crate) fn prefix_length(mask: &[u8]) -> Option<u8> {
    let ones: u32 = mask.iter().map(|octet| octet.leading_ones()).sum();
    let all: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let is_prefix = mask.windows(2).all(|pair| pair[0] == 0xff || pair[1] == 0);
    (is_prefix && ones == all).then_some(all as u8)
}

/// The address with its host bits cleared, then the mask.
fn network_octets(address: IpAddr, length: u8) -> Option<Vec<u8>> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    if usize::from(length) > octets.len() * 8 {
        return None;
    }
    let mask: Vec<u8> = (0..octets.len())
        .map(|index| {
            let bits = usize::from(length).saturating_sub(index * 8).min(8);
            // 8 - bits is at most 8, a shift that only the wider type takes.
            (0xff00u16 >> bits) as u8
        })
        .collect();
    let network = octets.iter().zip(&mask).map(|(octet, mask)| octet & mask);
    Some(network.chain(mask.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        let octets = |address: &str, length| network_octets(address.parse().unwrap(), length);
        assert_eq!(octets("10.1.2.3", 8).unwrap(), [10, 0, 0, 0, 255, 0, 0, 0]);
        assert_eq!(
            octets("10.1.2.3", 12).unwrap(),
            [10, 0, 0, 0, 255, 240, 0, 0]
        );
        assert_eq!(
            octets("10.1.2.3", 32).unwrap(),
            [10, 1, 2, 3, 255, 255, 255, 255]
        );
        assert_eq!(octets("10.1.2.3", 0).unwrap(), [0; 8]);
        assert_eq!(octets("10.1.2.3", 33), None);
        assert_eq!(octets("::1", 128).unwrap().len(), 32);
        for (mask, length) in [
            (&[255, 240, 0, 0][..], Some(12)),
            (&[0, 0, 0, 0], Some(0)),
            (&[255, 0, 255, 0], None),
            (&[240, 255, 0, 0], None),
            (&[255, 15, 0, 0], None),
        ] {
            assert_eq!(prefix_length(mask), length, "{mask:?}");
        }
    }

    #[test]
    fn text_is_read() {
        for (text, shown) in [
            ("Example.com", "example.com"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.7", "10.0.0.7/32"),
            ("::1", "::1/128"),
            ("uri:example.com", "uri:example.com"),
        ] {
            assert_eq!(Subtree::try_from(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "a b",
            "uri:",
            "uri:10.0.0.1",
        ] {
            assert!(Subtree::try_from(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_said_is_read_back() {
        let host = |name| DnsName::try_from(name).unwrap();
        let said = Constraints {
            permitted: vec![
                Subtree::Domain(host("example.com")),
                Subtree::Network("10.1.2.3".parse().unwrap(), 8),
                Subtree::Network("fd00::".parse().unwrap(), 8),
            ],
            excluded: vec![Subtree::UriHost(host("evil.example.com"))],
        };
        let read = Constraints::of_extension(&said.to_extension().unwrap()).unwrap();
        assert!(read.says_as(&said));
        let other = Constraints::default();
        assert!(!read.says_as(&other));
        assert_eq!(
            read.to_string(),
            "permitted example.com, 10.0.0.0/8, fd00::/8; excluded uri:evil.example.com"
        );
    }
}
