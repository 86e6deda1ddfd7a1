//! The facts of a cluster that its certificates depend on.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{CommonName, DnsName, Error, Lifetime, San};

/// The longest name of a machine with a kubelet: `system:node:` and it share the 64 characters of a common name.
pub(super) const MAX_KUBELET_NAME: usize = 52;

/// The longest name of a machine: a common name has 64 characters, a host's name of Linux as well.
const MAX_NAME: usize = 63;

/// One machine of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    name: DnsName,
    fqdn: Option<DnsName>,
    addresses: Vec<IpAddr>,
}

impl Node {
    /// A machine, its node name in Kubernetes, and the address it is reached at (and API servers advertise).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a name that is no DNS name or longer than 63 characters. With a kubelet on it the name can
    /// have 52, which [`Cluster::plan`] judges.
    pub fn new(name: &str, address: IpAddr) -> Result<Self, Error> {
        let parsed = DnsName::try_from(name)?;
        if parsed.as_str() != name {
            return Err(Error::invalid("node name", name, "must be lower-case"));
        }
        if name.starts_with('*') {
            return Err(Error::invalid("node name", name, "must not be a wildcard"));
        }
        if name.len() > MAX_NAME {
            let problem = "is longer than 63 characters";
            return Err(Error::invalid("node name", name, problem));
        }
        Ok(Self {
            name: parsed,
            fqdn: None,
            addresses: vec![address],
        })
    }

    /// Adds the full name: the node's name in `domain`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when that is no DNS name.
    pub fn with_domain(mut self, domain: &str) -> Result<Self, Error> {
        self.fqdn = Some(DnsName::try_from(
            format!("{}.{domain}", self.name).as_str(),
        )?);
        Ok(self)
    }

    /// Adds a further address. Of an etcd member, all addresses that its peers may see are needed.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// The node name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The address it is reached at.
    pub fn address(&self) -> IpAddr {
        self.addresses[0]
    }

    pub(crate) fn dns_name(&self) -> &DnsName {
        &self.name
    }

    pub(crate) fn fqdn(&self) -> Option<&DnsName> {
        self.fqdn.as_ref()
    }

    pub(crate) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    pub(crate) fn common_name(&self) -> Result<CommonName, Error> {
        CommonName::try_from(self.name())
    }
}

/// Where etcd runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EtcdTopology {
    /// On machines of its own.
    External,
    /// On every control plane node.
    Stacked,
}

/// A host and a port: kubeadm's `controlPlaneEndpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    host: San,
    port: u16,
}

impl Endpoint {
    /// The host.
    pub fn host(&self) -> &San {
        &self.host
    }

    /// `https://host:port`.
    pub fn url(&self) -> String {
        format!("https://{self}")
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = Error;

    fn try_from(value: &str) -> Result<Self, Error> {
        if let Ok(address) = value.parse::<SocketAddr>() {
            return Ok(Self::from(address));
        }
        let invalid =
            |problem| Error::invalid("endpoint", value.escape_debug().to_string(), problem);
        let (host, port) = value
            .rsplit_once(':')
            .ok_or_else(|| invalid("is not of the form `host:port`"))?;
        let port = port.parse().map_err(|_| invalid("has an invalid port"))?;
        Ok(Self {
            host: San::Dns(DnsName::try_from(host)?),
            port,
        })
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: San::from(address.ip()),
            port: address.port(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            San::Ip(address) => SocketAddr::new(*address, self.port).fmt(f),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// The facts of a cluster that its certificates depend on.
///
/// Etcd is external as soon as there is a node for it alone, else stacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) control_plane: Vec<Node>,
    pub(crate) etcd: Vec<Node>,
    pub(crate) workers: Vec<Node>,
    pub(crate) load_balancers: Vec<Node>,
    /// Where each load balancer has the certificates that it judges API servers by, by its name.
    pub(crate) balancers_ca_files: BTreeMap<String, String>,
    /// Where kubelets have certificate and key, if not in a kubeconfig.
    pub(crate) kubelet_pair: Option<String>,
    /// Where control plane nodes have the certificate that their controller managers sign with, if apart from what is trusted.
    pub(crate) signer_file: Option<String>,
    pub(crate) service_addresses: Vec<IpAddr>,
    pub(crate) dns_domain: DnsName,
    pub(crate) extra_sans: Vec<San>,
    pub(crate) authority_lifetime: Lifetime,
    pub(crate) leaf_lifetime: Lifetime,
    pub(crate) constrain_etcd: bool,
    pub(crate) kubelet_client_group: bool,
}

impl Cluster {
    /// A cluster without nodes, reached at `endpoint`, with kubeadm's defaults: named `kubernetes`, the API's service
    /// at 10.96.0.1, names below `cluster.local`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless `endpoint` is `host:port`.
    pub fn new(endpoint: &str) -> Result<Self, Error> {
        Ok(Self {
            name: "kubernetes".to_owned(),
            endpoint: Endpoint::try_from(endpoint)?,
            control_plane: Vec::new(),
            etcd: Vec::new(),
            workers: Vec::new(),
            load_balancers: Vec::new(),
            balancers_ca_files: BTreeMap::new(),
            kubelet_pair: None,
            signer_file: None,
            service_addresses: vec![Ipv4Addr::new(10, 96, 0, 1).into()],
            dns_domain: DnsName::try_from("cluster.local")?,
            extra_sans: Vec::new(),
            authority_lifetime: Lifetime::AUTHORITY,
            leaf_lifetime: Lifetime::LEAF,
            constrain_etcd: false,
            kubelet_client_group: false,
        })
    }

    /// Sets the name that kubeconfigs call the cluster by.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an empty name or one with control characters.
    pub fn with_name(mut self, name: &str) -> Result<Self, Error> {
        if name.is_empty() || name.chars().any(char::is_control) {
            let shown = name.escape_debug().to_string();
            return Err(Error::invalid(
                "cluster name",
                shown,
                "is empty or holds control characters",
            ));
        }
        name.clone_into(&mut self.name);
        Ok(self)
    }

    /// Adds a control plane node. The first one added is the one that `kubeadm init` runs on.
    #[must_use]
    pub fn with_control_plane(mut self, node: Node) -> Self {
        self.control_plane.push(node);
        self
    }

    /// Adds a machine that runs etcd alone.
    #[must_use]
    pub fn with_etcd(mut self, node: Node) -> Self {
        self.etcd.push(node);
        self
    }

    /// Adds a worker whose kubelet has its certificate from the plan. One that joins by token is not added.
    #[must_use]
    pub fn with_worker(mut self, node: Node) -> Self {
        self.workers.push(node);
        self
    }

    /// Adds a load balancer in front of the API servers, which has no certificate, and judges theirs by those in the file
    /// `ca_file`.
    #[must_use]
    pub fn with_load_balancer(mut self, node: Node, ca_file: &str) -> Self {
        let name = node.name().to_owned();
        self.balancers_ca_files.insert(name, ca_file.to_owned());
        self.load_balancers.push(node);
        self
    }

    /// Gives kubelets certificate and key in the file `path`, as they keep those that they renew, and no kubeconfig: for
    /// those who write kubelets' kubeconfigs themselves.
    #[must_use]
    pub fn with_kubelet_pair(mut self, path: &str) -> Self {
        self.kubelet_pair = Some(path.to_owned());
        self
    }

    /// Gives controller managers the certificate that they sign with in the file `path`
    /// (`--cluster-signing-cert-file`), so that `ca.crt` may hold what is trusted, which is more than one certificate while
    /// the authority's key changes: a controller manager refuses to sign with such a file.
    #[must_use]
    pub fn with_signer_file(mut self, path: &str) -> Self {
        self.signer_file = Some(path.to_owned());
        self
    }

    /// Sets the first address of each service network (two for dual stack).
    #[must_use]
    pub fn with_service_addresses(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.service_addresses = addresses.into_iter().collect();
        self
    }

    /// Sets the domain of services.
    #[must_use]
    pub fn with_dns_domain(mut self, domain: DnsName) -> Self {
        self.dns_domain = domain;
        self
    }

    /// Adds a name that API servers are reached as: kubeadm's `apiServer.certSANs`.
    ///
    /// `localhost` is not among their names by itself; add it if a health check dials it.
    #[must_use]
    pub fn with_extra_san(mut self, san: San) -> Self {
        self.extra_sans.push(san);
        self
    }

    /// Sets how long authorities are valid.
    #[must_use]
    pub fn with_authority_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.authority_lifetime = lifetime;
        self
    }

    /// Sets how long everything else is valid.
    #[must_use]
    pub fn with_leaf_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.leaf_lifetime = lifetime;
        self
    }

    /// Limits etcd's authority to the names and addresses of the nodes that run etcd, and the loopback ones.
    ///
    /// A member added later then needs another authority: leave it out where the cluster will grow.
    #[must_use]
    pub fn with_constrained_etcd(mut self) -> Self {
        self.constrain_etcd = true;
        self
    }

    /// Makes what API servers show to kubelets a member of `kubeadm:cluster-admins`.
    ///
    /// Kubernetes before 1.35.5, and 1.36.0, needs this: there kubeadm gives the user no role of its own
    /// (kubernetes #138957), and without the group `kubectl logs` and `exec` are forbidden.
    #[must_use]
    pub fn with_kubelet_client_group(mut self) -> Self {
        self.kubelet_client_group = true;
        self
    }

    /// Where etcd runs.
    pub fn topology(&self) -> EtcdTopology {
        if self.etcd.is_empty() {
            EtcdTopology::Stacked
        } else {
            EtcdTopology::External
        }
    }

    /// Where the API is reached.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The control plane nodes.
    pub fn control_plane(&self) -> &[Node] {
        &self.control_plane
    }

    /// Everything that has a file of the cluster.
    pub(super) fn all(&self) -> impl Iterator<Item = &Node> {
        let nodes = self.control_plane.iter().chain(&self.etcd);
        nodes.chain(&self.workers).chain(&self.load_balancers)
    }

    /// The node named `node`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub(super) fn find(&self, node: &str) -> Result<&Node, Error> {
        let found = self.all().find(|candidate| candidate.name() == node);
        found.ok_or_else(|| Error::NotFound {
            what: "node",
            name: node.to_owned(),
        })
    }

    /// The nodes that run etcd.
    pub fn etcd(&self) -> &[Node] {
        match self.topology() {
            EtcdTopology::External => &self.etcd,
            EtcdTopology::Stacked => &self.control_plane,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, url) in [
            ("192.168.29.80:6443", "https://192.168.29.80:6443"),
            ("[fd00::1]:6443", "https://[fd00::1]:6443"),
            ("api.example.com:443", "https://api.example.com:443"),
        ] {
            assert_eq!(Endpoint::try_from(text).unwrap().url(), url);
        }
        for text in [
            "",
            "10.0.0.1",
            "host:0x1",
            "ho st:1",
            "https://x:1",
            "x:1/path",
        ] {
            assert!(Endpoint::try_from(text).is_err(), "{text}");
        }
    }

    #[test]
    fn node_names_fit_a_common_name() {
        let address = IpAddr::from([10, 0, 0, 1]);
        let longest = "a".repeat(63);
        assert!(Node::new(&longest, address).is_ok());
        for name in [
            format!("{longest}.b").as_str(),
            "Master",
            "*.example.com",
            "a_b",
            "",
        ] {
            assert!(Node::new(name, address).is_err(), "{name}");
        }
        let node = |length| Node::new(&"a".repeat(length), address).unwrap();
        let cluster = Cluster::new("10.0.0.1:6443").unwrap();
        let plan = |cluster: Cluster| cluster.plan().map(drop).map_err(|error| error.to_string());
        let masters = cluster.clone().with_control_plane(node(52));
        assert_eq!(plan(masters.clone()), Ok(()));
        assert_eq!(plan(masters.clone().with_etcd(node(63))), Ok(()));
        for too_long in [
            cluster.with_control_plane(node(53)),
            masters.with_worker(node(53)),
        ] {
            let refused = plan(too_long).unwrap_err();
            assert!(
                refused.ends_with("is longer than 52 characters"),
                "{refused}"
            );
        }
    }
}
