//! Name constraints: which names an authority may vouch for (RFC 5280 4.2.1.10).

use std::fmt;
use std::net::IpAddr;

use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

use crate::{DnsName, Error, San};

/// Names that an authority may vouch for.
///
/// A constraint binds its kind: one domain permitted forbids all other DNS names, and leaves addresses alone.
/// So permit everything the certificates hold: for etcd that is `localhost`, the members' short names, and the loopback
/// addresses beside those of the members.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Permitted {
    /// This DNS name and all below it.
    Domain(DnsName),
    /// The addresses of a network: any of them, and the length of the prefix they share.
    Network(IpAddr, u8),
}

impl Permitted {
    fn to_subtree(&self) -> Result<GeneralSubtree, Error> {
        let malformed = |error| Error::malformed("name constraint", error);
        let base = match self {
            Self::Domain(domain) => {
                GeneralName::DnsName(Ia5String::new(domain.as_str()).map_err(malformed)?)
            }
            Self::Network(address, length) => {
                let octets = network_octets(*address, *length).ok_or_else(|| {
                    Error::invalid("network", self.to_string(), "has too long a prefix")
                })?;
                GeneralName::IpAddress(OctetString::new(octets).map_err(malformed)?)
            }
        };
        Ok(GeneralSubtree {
            base,
            minimum: 0,
            maximum: None,
        })
    }
}

impl fmt::Display for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Network(address, length) => write!(f, "{address}/{length}"),
        }
    }
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

pub(crate) fn extension_value(permitted: &[Permitted]) -> Result<NameConstraints, Error> {
    let subtrees: Result<Vec<GeneralSubtree>, Error> =
        permitted.iter().map(Permitted::to_subtree).collect();
    Ok(NameConstraints {
        permitted_subtrees: Some(subtrees?),
        excluded_subtrees: None,
    })
}

/// Whether `constraints` let `name` pass, so that nothing is signed that verifiers would refuse.
pub(crate) fn allow(constraints: &NameConstraints, name: &San) -> bool {
    let of_kind = |subtrees: &Option<Vec<GeneralSubtree>>| -> Vec<bool> {
        let subtrees = subtrees.iter().flatten();
        subtrees
            .filter_map(|subtree| covers(&subtree.base, name))
            .collect()
    };
    let permitted = of_kind(&constraints.permitted_subtrees);
    let excluded = of_kind(&constraints.excluded_subtrees);
    (permitted.is_empty() || permitted.contains(&true)) && !excluded.contains(&true)
}

/// Whether `base` covers `name`; `None` when it is of another kind.
fn covers(base: &GeneralName, name: &San) -> Option<bool> {
    match (base, name) {
        (GeneralName::DnsName(base), San::Dns(name)) => {
            let base = base.as_str().trim_start_matches('.').to_ascii_lowercase();
            let rest = name.as_str().strip_suffix(&base);
            Some(rest.is_some_and(|rest| base.is_empty() || rest.is_empty() || rest.ends_with('.')))
        }
        (GeneralName::IpAddress(base), San::Ip(address)) => {
            let octets = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let base = base.as_bytes();
            if base.len() != octets.len() * 2 {
                // Addresses of the other version are of this kind too, and not covered.
                return Some(false);
            }
            let (network, mask) = base.split_at(octets.len());
            let inside = octets.iter().zip(mask).map(|(octet, mask)| octet & mask);
            Some(inside.eq(network.iter().copied()))
        }
        _ => None,
    }
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
    }

    #[test]
    fn what_is_covered() {
        let constraints = extension_value(&[
            Permitted::Domain(DnsName::try_from("example.com").unwrap()),
            Permitted::Domain(DnsName::try_from("localhost").unwrap()),
            Permitted::Network("10.0.0.0".parse().unwrap(), 8),
        ])
        .unwrap();
        for (name, allowed) in [
            ("example.com", true),
            ("a.b.example.com", true),
            ("localhost", true),
            ("evilexample.com", false),
            ("example.org", false),
            ("10.9.9.9", true),
            ("11.0.0.1", false),
            ("::1", false),
            ("spiffe://elsewhere/x", true),
        ] {
            assert_eq!(
                allow(&constraints, &San::try_from(name).unwrap()),
                allowed,
                "{name}"
            );
        }
    }
}
