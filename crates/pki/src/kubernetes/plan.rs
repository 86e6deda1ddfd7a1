//! From the facts of a cluster to a plan.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cluster::MAX_KUBELET_NAME;
use super::columns::{Copies, Kind, Name, On, SanRule};
use super::table::{Row, TABLE};
use super::{Cluster, Credential, EtcdTopology, Node};
use crate::{
    AuthoritySpec, CommonName, DnsName, Error, Leaf, Organization, Plan, San, Sans, Secret, Subtree,
};

/// The plan entry of the token that kubelets join with.
pub const BOOTSTRAP_TOKEN: &str = "secrets/bootstrap-token";
/// The plan entry of the key that `kubeadm init --upload-certs` encrypts with.
pub const CERTIFICATE_KEY: &str = "secrets/certificate-key";
/// The plan entry of the operator's own client certificate: the same user as [`Credential::Admin`], another key.
pub const OPERATOR: &str = "operator";

/// kubeadm's `ClusterAdminsGroupAndClusterRoleBinding`.
const CLUSTER_ADMINS: Option<&str> = Some("kubeadm:cluster-admins");

impl Cluster {
    /// The plan of everything the cluster needs: every [`Credential`], the operator's certificate, the bootstrap token
    /// and the certificate key. Further entries may be added to it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there is no control plane node, when two nodes have one name, and for a name of a node with a
    /// kubelet that is longer than 52 characters.
    pub fn plan(&self) -> Result<Plan, Error> {
        let mut plan = self.plan_of(|_| true)?;
        plan.secret(BOOTSTRAP_TOKEN, Secret::BootstrapToken)?;
        plan.secret(CERTIFICATE_KEY, Secret::Hex(32))?;
        Ok(plan)
    }

    /// The plan of what `wanted` picks, the authorities that sign them, and the operator's certificate; kubeadm
    /// makes others itself. It has no bootstrap token and no certificate key, with which any machine could join: who wants
    /// them adds [`BOOTSTRAP_TOKEN`] and [`CERTIFICATE_KEY`].
    ///
    /// # Errors
    ///
    /// As [`Cluster::plan`].
    pub fn plan_of(&self, wanted: impl Fn(Credential) -> bool) -> Result<Plan, Error> {
        if self.control_plane.is_empty() {
            let problem = "at least one is needed";
            return Err(Error::invalid("control plane nodes", "", problem));
        }
        let mut names = HashSet::new();
        for node in self.all() {
            if !names.insert(node.name()) {
                return Err(Error::invalid("node name", node.name(), "is used twice"));
            }
        }
        let mut kubelets = self.nodes(On::Kubelet).map(Node::name);
        if let Some(name) = kubelets.find(|name| name.len() > MAX_KUBELET_NAME) {
            return Err(Error::invalid(
                "node name",
                name,
                "is longer than 52 characters",
            ));
        }
        let mut plan = Plan::new();
        for row in TABLE {
            if row.kind == Kind::Authority || wanted(row.id) {
                self.plan_row(&mut plan, row)?;
            }
        }
        let operator = self.leaf(Credential::Admin.row(), &self.control_plane[0])?;
        plan.leaf(&Credential::Ca.entry(""), OPERATOR, operator)?;
        Ok(plan)
    }

    fn plan_row(&self, plan: &mut Plan, row: &Row) -> Result<(), Error> {
        let on = match row.copies {
            Copies::PerCluster => On::FirstControlPlane,
            Copies::PerNode => row.on,
        };
        for node in self.nodes(on) {
            let id = row.id.entry(node.name());
            match (row.kind, row.signer, row.common_name) {
                (Kind::Authority, _, Name::Fixed(name)) => {
                    let spec = AuthoritySpec::new(CommonName::try_from(name)?)
                        .with_lifetime(self.authority_lifetime)
                        .with_permitted(self.permitted(row)?);
                    plan.authority(&id, spec)?;
                }
                (_, Some(signer), _) => {
                    plan.leaf(&signer.entry(""), &id, self.leaf(row, node)?)?;
                }
                (_, None, _) => {
                    plan.key_pair(&id)?;
                }
            }
        }
        Ok(())
    }

    /// What the authority `row` may vouch for; nothing in the list means anything.
    fn permitted(&self, row: &Row) -> Result<Vec<Subtree>, Error> {
        let mut permitted = Vec::new();
        if row.id == Credential::EtcdCa && self.constrain_etcd {
            for node in self.etcd() {
                for san in self.sans(SanRule::EtcdMember, node)?.iter() {
                    let limit = match san {
                        San::Dns(name) => Subtree::Domain(name.clone()),
                        San::Ip(address @ IpAddr::V4(_)) => Subtree::Network(*address, 32),
                        San::Ip(address) => Subtree::Network(*address, 128),
                        San::Uri(_) => continue,
                    };
                    if !permitted.contains(&limit) {
                        permitted.push(limit);
                    }
                }
            }
        }
        Ok(permitted)
    }

    /// The nodes of a group.
    pub(super) fn nodes(&self, on: On) -> impl Iterator<Item = &Node> {
        let (masters, none): (&[Node], &[Node]) = (&self.control_plane, &[]);
        let lists = match on {
            On::ControlPlane => [masters, none],
            On::FirstControlPlane => [&masters[..masters.len().min(1)], none],
            On::Worker => [&self.workers, none],
            On::Kubelet => [masters, &self.workers],
            On::Etcd => [self.etcd(), none],
            On::ExternalEtcd => [&self.etcd, none],
            On::StackedEtcd if self.topology() == EtcdTopology::Stacked => [masters, none],
            On::StackedEtcd => [none, none],
            On::LoadBalancer => [&self.load_balancers, none],
        };
        lists.into_iter().flatten()
    }

    /// The certificate of `row` on `node`.
    fn leaf(&self, row: &Row, node: &Node) -> Result<Leaf, Error> {
        let common_name = match row.common_name {
            Name::Fixed(name) => CommonName::try_from(name)?,
            Name::Node | Name::None => node.common_name()?,
            Name::SystemNode => {
                CommonName::try_from(format!("system:node:{}", node.name()).as_str())?
            }
        };
        let leaf = match row.kind {
            Kind::Server => Leaf::server(common_name, self.sans(row.sans, node)?),
            Kind::Peer => Leaf::peer(common_name, self.sans(row.sans, node)?),
            Kind::Client | Kind::Authority | Kind::KeyPair => Leaf::client(common_name),
        }
        .with_lifetime(self.leaf_lifetime);
        let group = match row.id {
            Credential::ApiserverKubeletClient if self.kubelet_client_group => CLUSTER_ADMINS,
            _ => row.organization,
        };
        Ok(match group {
            Some(organization) => leaf.with_organization(Organization::try_from(organization)?),
            None => leaf,
        })
    }

    /// The alternative names that `rule` gives `node`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the cluster's domain makes a name too long, or the rule gives none.
    pub(super) fn sans(&self, rule: SanRule, node: &Node) -> Result<Sans, Error> {
        let mut sans: Vec<San> = match rule {
            SanRule::None => Vec::new(),
            SanRule::EtcdMember => self.etcd_sans(node)?,
            SanRule::Apiserver => self.apiserver_sans(node)?,
        };
        if rule != SanRule::None {
            sans.push(node.dns_name().clone().into());
        }
        Sans::new(sans)
    }

    fn etcd_sans(&self, node: &Node) -> Result<Vec<San>, Error> {
        let addresses = node.addresses().iter().copied();
        let loopback = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ];
        let mut sans: Vec<San> = addresses.chain(loopback).map(San::from).collect();
        sans.push(DnsName::try_from("localhost")?.into());
        sans.extend(node.fqdn().cloned().map(San::from));
        Ok(sans)
    }

    fn apiserver_sans(&self, node: &Node) -> Result<Vec<San>, Error> {
        let in_domain = format!("kubernetes.default.svc.{}", self.dns_domain);
        let mut sans = Vec::new();
        for name in [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            in_domain.as_str(),
        ] {
            sans.push(DnsName::try_from(name)?.into());
        }
        sans.extend(self.service_addresses.iter().copied().map(San::from));
        sans.push(node.address().into());
        sans.push(self.endpoint.host().clone());
        sans.extend(self.extra_sans.iter().cloned());
        Ok(sans)
    }
}
