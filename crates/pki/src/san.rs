//! Subject alternative names: what a peer may reach the holder of a certificate as.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{DnsName, Error, Uri};

/// One subject alternative name: what a peer may reach the holder as.
///
/// From text, the kind is found by shape: an address, a URI (`://`), else a DNS name.
///
/// ```
/// use caravan_pki::San;
/// assert!(matches!(San::try_from("::1").unwrap(), San::Ip(_)));
/// assert!(matches!(San::try_from("spiffe://example.com/api").unwrap(), San::Uri(_)));
/// assert!(matches!(San::try_from("localhost").unwrap(), San::Dns(_)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum San {
    /// A host name.
    Dns(DnsName),
    /// An address, written as 4 or 16 octets.
    Ip(IpAddr),
    /// A URI.
    Uri(Uri),
}

impl TryFrom<&str> for San {
    type Error = Error;

    fn try_from(value: &str) -> Result<Self, Error> {
        if let Ok(address) = value.parse::<IpAddr>() {
            return Ok(Self::from(address));
        }
        if value.contains("://") {
            return Uri::try_from(value).map(Self::Uri);
        }
        DnsName::try_from(value).map(Self::Dns)
    }
}

impl FromStr for San {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        Self::try_from(value)
    }
}

impl From<IpAddr> for San {
    fn from(address: IpAddr) -> Self {
        // `::ffff:10.0.0.1` and `10.0.0.1` are one address to every TLS library, and must be one here too.
        Self::Ip(address.to_canonical())
    }
}

impl From<DnsName> for San {
    fn from(name: DnsName) -> Self {
        Self::Dns(name)
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => name.fmt(f),
            Self::Ip(address) => address.fmt(f),
            Self::Uri(uri) => uri.fmt(f),
        }
    }
}

/// At least one subject alternative name, sorted and without repetition.
///
/// Two lists of the same names are equal, in whatever order they were written.
///
/// ```
/// use caravan_pki::Sans;
/// let one = Sans::parse(["localhost", "127.0.0.1"]).unwrap();
/// let two = Sans::parse(["127.0.0.1", "localhost", "LOCALHOST"]).unwrap();
/// assert_eq!(one, two);
/// assert!(Sans::parse([]).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sans(Vec<San>);

impl Sans {
    /// Sorts `names` and drops repetitions.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there is none.
    pub fn new(names: impl IntoIterator<Item = San>) -> Result<Self, Error> {
        let mut names: Vec<San> = names.into_iter().collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Err(Error::invalid(
                "subject alternative names",
                "",
                "at least one is needed",
            ));
        }
        Ok(Self(names))
    }

    /// Parses each of `names` as [`San`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for the first name that is neither address, URI nor DNS name, or when there is none.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let names: Result<Vec<San>, Error> = names.into_iter().map(San::try_from).collect();
        Self::new(names?)
    }

    /// The names: DNS names first, then addresses, then URIs, each sorted.
    pub fn iter(&self) -> impl Iterator<Item = &San> {
        self.0.iter()
    }

    /// Whether `name` is one of them, compared exactly: a wildcard contains only itself.
    pub fn contains(&self, name: &San) -> bool {
        self.0.binary_search(name).is_ok()
    }
}

impl fmt::Display for Sans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_one_name() {
        assert_eq!(
            San::try_from("::ffff:10.0.0.1").unwrap(),
            San::try_from("10.0.0.1").unwrap()
        );
    }
}
