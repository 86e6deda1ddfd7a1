//! What a cluster may have beyond Kubernetes itself: the add-ons that the table `[cluster]` asks for.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::Serialize;

use crate::lab::Lab;

/// Something beyond Kubernetes itself that workloads need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddOn {
    /// Volumes for claims.
    Storage,
    /// What pods and nodes use, for `kubectl top` and autoscalers.
    Metrics,
    /// Addresses for services of the type `LoadBalancer`.
    LoadBalancer,
}

impl AddOn {
    /// Every add-on, in the order in which the lab file's reference has their keys.
    pub const ALL: [AddOn; 3] = [AddOn::Storage, AddOn::Metrics, AddOn::LoadBalancer];

    /// Returns its key in the table `[cluster]`.
    pub const fn key(self) -> &'static str {
        match self {
            AddOn::Storage => "storage",
            AddOn::Metrics => "metrics",
            AddOn::LoadBalancer => "load_balancer",
        }
    }
}

/// What makes volumes for claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// A folder of the node that the pod is on, by local-path-provisioner.
    LocalPath,
}

impl Storage {
    /// Every kind of storage.
    pub const ALL: [Storage; 1] = [Storage::LocalPath];

    /// Returns the word for this kind of storage in a lab file.
    pub const fn word(self) -> &'static str {
        match self {
            Storage::LocalPath => "local-path",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Addresses from the first to the last, both of them included: `192.168.29.200-192.168.29.219`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

impl AddressRange {
    /// Returns the first address.
    pub fn first(self) -> Ipv4Addr {
        self.first
    }

    /// Returns the last address.
    pub fn last(self) -> Ipv4Addr {
        self.last
    }

    /// Returns true if `address` is one of them.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

/// A text that is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddressRange;

impl FromStr for AddressRange {
    type Err = NoAddressRange;

    fn from_str(text: &str) -> Result<Self, NoAddressRange> {
        let (first, last) = text.split_once('-').ok_or(NoAddressRange)?;
        let address = |text: &str| text.trim().parse().map_err(|_| NoAddressRange);
        let (first, last) = (address(first)?, address(last)?);
        if first > last {
            return Err(NoAddressRange);
        }
        Ok(AddressRange { first, last })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.first, self.last))
    }
}

/// The add-ons of a lab, as its file asks for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddOns {
    pub(crate) storage: Option<Storage>,
    pub(crate) metrics: bool,
    pub(crate) load_balancer: Option<AddressRange>,
}

impl AddOns {
    /// Returns true if `add_on` is one of them.
    pub fn has(self, add_on: AddOn) -> bool {
        match add_on {
            AddOn::Storage => self.storage.is_some(),
            AddOn::Metrics => self.metrics,
            AddOn::LoadBalancer => self.load_balancer.is_some(),
        }
    }

    /// Iterates over them.
    pub fn iter(self) -> impl Iterator<Item = AddOn> + Clone {
        AddOn::ALL.into_iter().filter(move |it| self.has(*it))
    }
}

impl Lab {
    /// Returns what makes volumes for claims, where the lab asks for it.
    pub fn storage(&self) -> Option<Storage> {
        self.add_ons.storage
    }

    /// Returns true if the lab asks for `kubectl top`.
    pub fn metrics(&self) -> bool {
        self.add_ons.metrics
    }

    /// Returns the addresses for services of the type `LoadBalancer`, where the lab asks for them.
    pub fn service_addresses(&self) -> Option<AddressRange> {
        self.add_ons.load_balancer
    }

    /// Returns the add-ons that the lab asks for.
    pub fn add_ons(&self) -> AddOns {
        self.add_ons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_its_ends() {
        let range: AddressRange = "10.0.0.200-10.0.0.219".parse().unwrap();
        assert_eq!(range.to_string(), "10.0.0.200-10.0.0.219");
        let holds = |last: u8| range.contains(Ipv4Addr::new(10, 0, 0, last));
        assert_eq!([199, 200, 219, 220].map(holds), [false, true, true, false]);
        assert_eq!(
            "10.0.0.7 - 10.0.0.7"
                .parse::<AddressRange>()
                .unwrap()
                .first(),
            range_of(7).last()
        );
    }

    fn range_of(last: u8) -> AddressRange {
        let address = Ipv4Addr::new(10, 0, 0, last);
        AddressRange {
            first: address,
            last: address,
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.200",
            "10.0.0.0/28",
            "10.0.0.9-10.0.0.8",
            "10.0.0.1-19",
            "10.0.0.1-10.0.0.2-10.0.0.3",
            "fd00::1-fd00::2",
        ] {
            assert_eq!(text.parse::<AddressRange>(), Err(NoAddressRange), "{text}");
        }
    }
}
