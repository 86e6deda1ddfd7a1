//! Which requests an authority grants.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::{
    Authority, Certificate, CertificateRequest, CommonName, DnsName, Error, Leaf, Lifetime,
    Organization, San, Sans, Uri, Usage,
};

/// What may be asked for in a [`CertificateRequest`], and what is granted whatever was asked.
///
/// Purposes and lifetime are the policy's: a request has no say in them.
/// Names must all be allowed one way or another; a new policy allows none.
/// A request for anything more is refused whole, since a certificate with half of the names would only fail later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPolicy {
    usages: Vec<Usage>,
    lifetime: Lifetime,
    common_names: Vec<CommonName>,
    organizations: Vec<Organization>,
    names: Vec<San>,
    domains: Vec<DnsName>,
    networks: Vec<(IpAddr, u8)>,
    revocation_lists: Vec<Uri>,
}

impl RequestPolicy {
    /// Grants server certificates.
    pub fn server() -> Self {
        Self::new(vec![Usage::ServerAuth])
    }

    /// Grants client certificates.
    pub fn client() -> Self {
        Self::new(vec![Usage::ClientAuth])
    }

    /// Grants certificates for both.
    pub fn peer() -> Self {
        Self::new(vec![Usage::ServerAuth, Usage::ClientAuth])
    }

    /// Grants certificates for these purposes.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there is none.
    pub fn custom(usages: impl IntoIterator<Item = Usage>) -> Result<Self, Error> {
        let usages: Vec<Usage> = usages.into_iter().collect();
        if usages.is_empty() {
            let problem = "at least one is needed";
            return Err(Error::invalid("usages of", "policy", problem));
        }
        Ok(Self::new(usages))
    }

    fn new(usages: Vec<Usage>) -> Self {
        Self {
            usages,
            lifetime: Lifetime::LEAF,
            common_names: Vec::new(),
            organizations: Vec::new(),
            names: Vec::new(),
            domains: Vec::new(),
            networks: Vec::new(),
            revocation_lists: Vec::new(),
        }
    }

    /// Sets how long certificates are valid.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Says in certificates where the authority's revocation list can be fetched: see [`Leaf::with_revocation_list`].
    #[must_use]
    pub fn with_revocation_list(mut self, uri: Uri) -> Self {
        self.revocation_lists.push(uri);
        self
    }

    /// Allows this common name. A common name that is also an allowed alternative name of the request needs no
    /// allowance of its own.
    #[must_use]
    pub fn with_common_name(mut self, name: CommonName) -> Self {
        self.common_names.push(name);
        self
    }

    /// Allows this organization.
    #[must_use]
    pub fn with_organization(mut self, name: Organization) -> Self {
        self.organizations.push(name);
        self
    }

    /// Allows this one alternative name.
    #[must_use]
    pub fn with_name(mut self, name: San) -> Self {
        self.names.push(name);
        self
    }

    /// Allows this DNS name and every name below it, wildcards included.
    #[must_use]
    pub fn with_domain(mut self, domain: DnsName) -> Self {
        self.domains.push(domain);
        self
    }

    /// Allows every address of a network, for example 10.0.0.0 and 8.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a prefix longer than the address.
    pub fn with_network(mut self, network: IpAddr, prefix_length: u8) -> Result<Self, Error> {
        let longest = if network.is_ipv4() { 32 } else { 128 };
        if prefix_length > longest {
            let shown = format!("{network}/{prefix_length}");
            return Err(Error::invalid("network", shown, "has too long a prefix"));
        }
        self.networks.push((network, prefix_length));
        Ok(self)
    }

    /// What would be granted to `request`: a certificate's description.
    ///
    /// This does not prove that whoever asked has the key; [`Authority::sign_request`] does both.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for the first thing that is not allowed; [`Error::Malformed`].
    pub fn grant(&self, request: &CertificateRequest) -> Result<Leaf, Error> {
        let refused = |field: &'static str, value: &dyn ToString| Error::Refused {
            subject: request.subject_shown(),
            field,
            value: value.to_string().escape_debug().to_string(),
        };
        if request.asks_for_authority()? {
            return Err(refused("certificate authority", &"cA"));
        }
        if request.has_other_attributes() {
            return Err(refused("subject attribute", &"other than CN and O"));
        }
        let sans = request.sans()?;
        if let Some(san) = sans.iter().find(|san| !self.allows(san)) {
            return Err(refused("alternative name", san));
        }
        let common_name = match &request.common_names()[..] {
            [name] => CommonName::try_from(name.as_str())?,
            _ => return Err(refused("common name", &"none, or several")),
        };
        let is_san = sans
            .iter()
            .any(|san| san.to_string() == common_name.as_str());
        if !is_san && !self.common_names.contains(&common_name) {
            return Err(refused("common name", &common_name));
        }
        let sans = if sans.is_empty() {
            None
        } else {
            Some(Sans::new(sans)?)
        };
        let mut leaf = Leaf::custom(common_name, self.usages.iter().copied(), sans)?
            .with_lifetime(self.lifetime);
        for uri in &self.revocation_lists {
            leaf = leaf.with_revocation_list(uri.clone());
        }
        for name in request.organizations() {
            let organization = Organization::try_from(name.as_str())?;
            if !self.organizations.contains(&organization) {
                return Err(refused("organization", &organization));
            }
            leaf = leaf.with_organization(organization);
        }
        Ok(leaf)
    }

    fn allows(&self, san: &San) -> bool {
        self.names.contains(san)
            || match san {
                San::Dns(name) => self.domains.iter().any(|domain| is_below(name, domain)),
                San::Ip(address) => self
                    .networks
                    .iter()
                    .any(|(network, length)| is_inside(*address, *network, *length)),
                San::Uri(_) => false,
            }
    }
}

impl Authority {
    /// Signs a request whose holder has the key and which asks for nothing that `policy` does not allow.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::Malformed`], [`Error::UnsupportedKey`], [`Error::OutlivesIssuer`].
    pub fn sign_request(
        &self,
        request: &CertificateRequest,
        policy: &RequestPolicy,
        now: SystemTime,
    ) -> Result<Certificate, Error> {
        let key = request.verify_possession()?;
        self.certify(&policy.grant(request)?, &key, now)
    }
}

fn is_below(name: &DnsName, domain: &DnsName) -> bool {
    name == domain
        || name
            .as_str()
            .strip_suffix(domain.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
}

fn is_inside(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let (address, network, bits) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (
            u128::from(address.to_bits()),
            u128::from(network.to_bits()),
            32,
        ),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    // A shift by all bits is what a prefix of none needs, and what `>>` refuses.
    let host_bits = bits - u32::from(length);
    address.checked_shr(host_bits) == network.checked_shr(host_bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivateKey, Subject};

    fn dns(name: &str) -> DnsName {
        DnsName::try_from(name).unwrap()
    }

    fn ask(common_name: &str, organization: Option<&str>, sans: &[&str]) -> CertificateRequest {
        let mut subject = Subject::new(CommonName::try_from(common_name).unwrap());
        if let Some(organization) = organization {
            subject = subject.with_organization(Organization::try_from(organization).unwrap());
        }
        let sans = Sans::parse(sans.iter().copied()).ok();
        let key = PrivateKey::generate().unwrap();
        CertificateRequest::create(&key, &subject, sans.as_ref()).unwrap()
    }

    #[test]
    fn only_what_is_allowed_is_granted() {
        let policy = RequestPolicy::server()
            .with_domain(dns("example.com"))
            .with_network("10.1.0.0".parse().unwrap(), 16)
            .unwrap()
            .with_common_name(CommonName::try_from("web").unwrap())
            .with_organization(Organization::try_from("team").unwrap());
        for (name, organization, sans) in [
            ("web", None, &["example.com"][..]),
            ("a.example.com", None, &["a.example.com", "10.1.255.1"]),
            ("web", Some("team"), &["*.example.com"]),
        ] {
            let leaf = policy.grant(&ask(name, organization, sans)).unwrap();
            assert_eq!(leaf.usages(), [Usage::ServerAuth]);
        }
        for (name, organization, sans, field) in [
            ("root", None, &["example.com"][..], "common name `root`"),
            (
                "web",
                None,
                &["example.org"],
                "alternative name `example.org`",
            ),
            (
                "web",
                None,
                &["evilexample.com"],
                "alternative name `evilexample.com`",
            ),
            ("web", None, &["10.2.0.1"], "alternative name `10.2.0.1`"),
            ("web", None, &["::a01:1"], "alternative name `::a01:1`"),
            ("web", None, &["spiffe://example.com/x"], "alternative name"),
            (
                "web",
                Some("system:masters"),
                &["example.com"],
                "organization `system:masters`",
            ),
        ] {
            let error = policy
                .grant(&ask(name, organization, sans))
                .unwrap_err()
                .to_string();
            assert!(error.contains(field), "{error}");
        }
        // The purposes are the policy's.
        let signs = RequestPolicy::custom([Usage::CodeSigning]).unwrap();
        let signs = signs.with_common_name(CommonName::try_from("web").unwrap());
        let leaf = signs.grant(&ask("web", None, &[])).unwrap();
        assert_eq!(leaf.usages(), [Usage::CodeSigning]);
        assert!(RequestPolicy::custom([]).is_err());
        // A server without names is no server.
        assert!(policy.grant(&ask("web", None, &[])).is_err());
    }

    #[test]
    fn networks() {
        let inside = |address: &str, network: &str, length| {
            is_inside(address.parse().unwrap(), network.parse().unwrap(), length)
        };
        assert!(inside("1.2.3.4", "0.0.0.0", 0));
        assert!(inside("fd00::1", "fd00::", 8));
        assert!(inside("fd00::1", "::", 0));
        assert!(!inside("10.0.0.2", "10.0.0.1", 32));
        let address = "10.0.0.0".parse().unwrap();
        assert!(RequestPolicy::client().with_network(address, 33).is_err());
    }
}
