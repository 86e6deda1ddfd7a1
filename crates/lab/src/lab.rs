//! A lab: what its file says, checked.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::add_on::AddOns;
use crate::drill::{DrillBudget, DrillKind, DrillName, FaultMode};
use crate::fault::{Fault, Faults};
use crate::machine::{Machine, Role};
use crate::network::PodNetwork;
use crate::place::Places;
use crate::server::{Provider, Server};
use crate::settings::ClusterSettings;
use crate::versions::{EtcdVersion, KubernetesVersion};

/// A valid lab.
///
/// Holds what the file says; what follows from it is in the methods below those.
#[derive(Clone, Debug)]
pub struct Lab {
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) kubernetes: KubernetesVersion,
    pub(crate) etcd: Option<EtcdVersion>,
    pub(crate) vip: Option<Ipv4Addr>,
    pub(crate) subnet: Ipv4Net,
    pub(crate) pod_cidr: Ipv4Net,
    pub(crate) service_cidr: Ipv4Net,
    pub(crate) pod_network: PodNetwork,
    pub(crate) add_ons: AddOns,
    pub(crate) provider: Option<Provider>,
    pub(crate) airgap: bool,
    pub(crate) emulated: Option<bool>,
    pub(crate) virtual_router_id: u8,
    pub(crate) operators: Vec<Ipv4Addr>,
    pub(crate) drills: Vec<(DrillKind, Option<FaultMode>, DrillBudget)>,
    pub(crate) settings: ClusterSettings,
    pub(crate) servers: Vec<Server>,
    pub(crate) machines: Vec<Machine>,
    /// Positions in `machines` by name, for lookups that stay quick in labs of thousands.
    pub(crate) positions: HashMap<String, usize>,
    /// Pod subnets, one for each of `machines`.
    pub(crate) pod_subnets: Vec<Option<Ipv4Net>>,
    pub(crate) places: Places,
    pub(crate) warnings: Vec<Fault>,
}

impl Lab {
    /// Reads the lab called `name` from the text of its file.
    ///
    /// `name` is the stem of the file's name, such as `ha`.
    ///
    /// # Errors
    ///
    /// Returns every fault of the file, in the order of the file.
    pub fn parse(name: &str, source: &str) -> Result<Lab, Faults> {
        crate::parse::parse(name, source)
    }

    /// Returns the name of the lab, a DNS label.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the DNS domain that the machines' full names end in.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the minor version of Kubernetes.
    pub fn kubernetes(&self) -> KubernetesVersion {
        self.kubernetes
    }

    /// Returns the oldest etcd the lab accepts, where its file asks for one.
    pub fn etcd(&self) -> Option<EtcdVersion> {
        self.etcd
    }

    /// Returns the virtual address that the load balancers share; `None` where there is no load balancer.
    pub fn vip(&self) -> Option<Ipv4Addr> {
        self.vip
    }

    /// Returns the subnet that all machines are in.
    pub fn subnet(&self) -> Ipv4Net {
        self.subnet
    }

    /// Returns the range that the nodes' pod subnets are taken from.
    pub fn pod_cidr(&self) -> Ipv4Net {
        self.pod_cidr
    }

    /// Returns the range that services' virtual addresses are taken from.
    pub fn service_cidr(&self) -> Ipv4Net {
        self.service_cidr
    }

    /// Returns what the file allows a drill: what it says of this way of doing it, and where it says nothing of that, what it
    /// says of all ways.
    pub fn drill_budget(&self, name: DrillName) -> DrillBudget {
        let of = |mode: Option<FaultMode>| {
            let mut drills = self.drills.iter();
            let found = drills.find(|(kind, way, _)| (*kind, *way) == (name.kind, mode));
            found.map_or_else(DrillBudget::default, |(.., budget)| *budget)
        };
        of(name.mode).or(of(None))
    }

    /// Returns what the file sets of the cluster: feature gates, flags, auditing, encryption, the kubelets' configuration.
    pub fn settings(&self) -> &ClusterSettings {
        &self.settings
    }

    /// Returns what carries packets between pods.
    pub fn pod_network(&self) -> PodNetwork {
        self.pod_network
    }

    /// Returns the provider the lab asks for; `None` leaves the choice to the command line or the computer.
    pub fn provider(&self) -> Option<Provider> {
        self.provider
    }

    /// Returns the provider that the file asks for on `server`: its own, else the lab's.
    pub fn provider_of(&self, server: &Server) -> Option<Provider> {
        server.provider.or(self.provider)
    }

    /// Returns true if the file says that the machines have no way out of the lab.
    pub fn airgap(&self) -> bool {
        self.airgap
    }

    /// Returns whether the file says that virtual machines are emulated, or that they are not; `None` leaves that to the
    /// command line or the computer.
    pub fn emulated(&self) -> Option<bool> {
        self.emulated
    }

    /// Returns the servers, in the order of their names.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Returns the server called `name`.
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers
            .binary_search_by(|server| server.name.as_str().cmp(name))
            .ok()
            .map(|place| &self.servers[place])
    }

    /// Returns the lab as it is seen on a computer: a server whose `host` is that computer, as `is_here` says, has none.
    #[must_use]
    pub fn with_servers_here(mut self, is_here: impl Fn(&str) -> bool) -> Self {
        for server in &mut self.servers {
            server.host.take_if(|host| is_here(host));
        }
        self
    }

    /// Returns all machines in the order of the file.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// Returns the machine called `name`.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        let position = self.positions.get(name)?;
        Some(&self.machines[*position])
    }

    /// Iterates over the machines of a role, in the order of the file.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Machine> + Clone {
        self.machines
            .iter()
            .filter(move |machine| machine.role == role)
    }

    /// Iterates over the machines on a server, in the order of the file.
    pub fn machines_on<'a>(
        &'a self,
        server: &'a Server,
    ) -> impl Iterator<Item = &'a Machine> + Clone {
        self.machines
            .iter()
            .filter(move |machine| machine.server == server.name)
    }

    /// Returns where the lab file says what.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Returns what is legal in the file but hardly meant, in the order of the file.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }
}
