//! Every way in which a lab file can be wrong, one variant per rule.
//!
//! What is said about each beyond its message is in `advice.rs`.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use thiserror::Error;

use crate::machine::Role;
use crate::versions::{EtcdVersion, KubernetesVersion};

/// What is wrong at a place of a lab file.
///
/// Its `Display` says what was found; [`label`](Problem::label) what was expected there, [`help`](Problem::help) what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// A number of CPUs below what the role needs.
    #[error("{cpus} CPU is too few for the role `{role}`")]
    CpusBelowRole {
        /// What the file says.
        cpus: u8,
        /// The machine's role.
        role: Role,
    },
    /// An address that two machines have.
    #[error("machine `{other}` has the address `{ip}` too")]
    DuplicateAddress {
        /// The address.
        ip: Ipv4Addr,
        /// The machine that has it first.
        other: String,
    },
    /// A name that two machines have.
    #[error("two machines are called `{name}`")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// Containers, which have no network over several computers.
    #[error("provider `docker` makes no network over several computers")]
    DockerSpansComputers,
    /// An etcd that this Kubernetes refuses.
    #[error("etcd `{etcd}` is too old for Kubernetes `{kubernetes}`")]
    EtcdTooOld {
        /// What the file asks for.
        etcd: EtcdVersion,
        /// The Kubernetes of the lab.
        kubernetes: KubernetesVersion,
        /// The oldest etcd that goes with it.
        oldest: EtcdVersion,
    },
    /// A number of etcd members of which one is of no use.
    #[error("{count} etcd members are an even number")]
    EvenEtcd {
        /// How many members there are.
        count: usize,
    },
    /// A domain that leaves too little room for a machine's name before it.
    #[error("domain is too long for `{machine}`: together they have {length} characters")]
    FullNameTooLong {
        /// The machine with the longest name.
        machine: String,
        /// The length of both with the dot between.
        length: usize,
    },
    /// A range that starts between its own borders.
    #[error("`{found}` is an address inside a range and not the start of one")]
    HostBits {
        /// What the file says.
        found: Ipv4Net,
    },
    /// A bridge that is no name of a network interface.
    #[error("bridge `{found}` names no network interface: {reason}")]
    InvalidBridge {
        /// What the file says.
        found: String,
        /// Why it is none.
        reason: &'static str,
    },
    /// A domain that DNS refuses.
    #[error("`{found}` cannot be the domain of a lab: {reason}")]
    InvalidDomain {
        /// What the file says.
        found: String,
        /// Why it is none.
        reason: &'static str,
    },
    /// A host that is no ssh URL.
    #[error("host `{found}` is no ssh URL: {reason}")]
    InvalidHost {
        /// What the file says.
        found: String,
        /// Why it does not.
        reason: &'static str,
    },
    /// A name that is no DNS label in lower case.
    #[error("`{found}` cannot be the name of a {what}: {reason}")]
    InvalidName {
        /// What is named: `machine`, `server` or `lab`.
        what: &'static str,
        /// What the file says.
        found: String,
        /// Why it is none.
        reason: &'static str,
        /// The nearest name that would do.
        suggestion: Option<String>,
    },
    /// Text that is none of what its key can be: an address, a range, a version.
    #[error("`{key}` is `{found}`")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// What the file says.
        found: String,
        /// What it can be.
        expected: &'static str,
    },
    /// Load balancers with no address to share.
    #[error("load balancers have no address to share")]
    LoadBalancersWithoutVip,
    /// Several masters and nothing before them.
    #[error("{count} masters have no load balancer in front of them")]
    MastersWithoutLoadBalancers {
        /// How many masters there are.
        count: usize,
    },
    /// Memory below what the role needs.
    #[error("{memory_mib} MiB is too little for the role `{role}`")]
    MemoryBelowRole {
        /// What the file says.
        memory_mib: u32,
        /// The machine's role.
        role: Role,
    },
    /// A server among several computers without a LAN that they share.
    #[error("machines on `{server}` cannot reach those on other computers")]
    MissingBridge {
        /// The server.
        server: String,
    },
    /// A key that must be there and is not.
    #[error("{place} has no `{key}`")]
    MissingKey {
        /// Where it belongs: `the lab` or `this machine`.
        place: &'static str,
        /// The key.
        key: &'static str,
        /// A line that would do.
        example: &'static str,
    },
    /// A role without which there is no cluster.
    #[error("the lab has no machine of the role `{role}`")]
    MissingRole {
        /// The role: `etcd` or `control-plane`.
        role: Role,
    },
    /// A node's name too long for its kubelet's certificate.
    #[error("node name `{name}` has {} characters", .name.len())]
    NodeNameTooLong {
        /// The name.
        name: String,
    },
    /// A number that its key cannot be.
    #[error("`{key}` is {found}")]
    NumberOutOfRange {
        /// The key.
        key: &'static str,
        /// What the file says.
        found: String,
        /// The smallest number it can be.
        least: u32,
        /// The largest number it can be.
        most: u32,
    },
    /// A machine that would be let into etcd as an operator.
    #[error("operator `{ip}` is {}", .machine.as_ref().map_or("the virtual address".to_owned(), |name| format!("the machine `{name}`")))]
    OperatorInLab {
        /// The address.
        ip: Ipv4Addr,
        /// The machine that has it; `None` where it is the VIP.
        machine: Option<String>,
    },
    /// An address that no machine of this lab can have.
    #[error("`{key}` is `{ip}`, outside the subnet `{subnet}`")]
    OutsideSubnet {
        /// The key: `ip` or `vip`.
        key: &'static str,
        /// The address.
        ip: Ipv4Addr,
        /// The lab's subnet.
        subnet: Ipv4Net,
    },
    /// Two ranges that share addresses.
    #[error("`{key}` `{range}` and `{other_key}` `{other}` overlap")]
    Overlap {
        /// The key at fault.
        key: &'static str,
        /// Its range.
        range: Ipv4Net,
        /// The key it collides with.
        other_key: &'static str,
        /// That key's range.
        other: Ipv4Net,
        /// True if the file does not say `other_key`.
        is_default: bool,
    },
    /// More nodes than pod subnets.
    #[error("{nodes} nodes do not fit into `{pod_cidr}`: it has room for {subnets}")]
    PodRangeTooSmall {
        /// How many nodes there are.
        nodes: usize,
        /// The range.
        pod_cidr: Ipv4Net,
        /// How many /24 it has.
        subnets: usize,
    },
    /// A subnet outside the private ranges. A warning.
    #[error("the subnet `{subnet}` is not private")]
    PublicSubnet {
        /// The subnet.
        subnet: Ipv4Net,
    },
    /// A range larger or smaller than its purpose allows.
    #[error("`{key}` is a /{found}")]
    RangeSize {
        /// The key.
        key: &'static str,
        /// The prefix length in the file.
        found: u8,
        /// The shortest prefix it can have.
        shortest: u8,
        /// The longest prefix it can have.
        longest: u8,
    },
    /// A name that already means something else.
    #[error("`{name}` cannot be the name of a {what}")]
    ReservedName {
        /// What is named: `machine` or `server`.
        what: &'static str,
        /// The name.
        name: String,
        /// What has the name already.
        reason: &'static str,
    },
    /// A server that runs nothing. A warning.
    #[error("server `{name}` has no machines")]
    ServerWithoutMachines {
        /// The server.
        name: String,
    },
    /// A range in which no machine can live.
    #[error("`{key}` `{range}` is {kind}")]
    SpecialRange {
        /// The key.
        key: &'static str,
        /// The range.
        range: Ipv4Net,
        /// What the range is for.
        kind: &'static str,
    },
    /// Text that is no TOML.
    #[error("{detail}")]
    Syntax {
        /// What the TOML parser says.
        detail: String,
        /// What to write instead, where that can be told.
        advice: Option<String>,
    },
    /// An address of the subnet that is not for machines.
    #[error("`{key}` is `{ip}`, {taken}")]
    TakenAddress {
        /// The key: `ip` or `vip`.
        key: &'static str,
        /// The address.
        ip: Ipv4Addr,
        /// Whose address it is.
        taken: &'static str,
    },
    /// More load balancers than Keepalived's priorities can order.
    #[error("{count} load balancers are too many")]
    TooManyLoadBalancers {
        /// How many there are.
        count: usize,
    },
    /// A key that means nothing.
    #[error("unknown key `{key}` in {place}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        place: &'static str,
        /// The keys known there, joined.
        known: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// A version of Kubernetes that Caravan knows nothing about.
    #[error("Kubernetes `{found}` is not supported")]
    UnknownKubernetes {
        /// What the file says.
        found: String,
        /// A version that was probably meant.
        suggestion: Option<String>,
    },
    /// A server that the file does not describe.
    #[error("the lab has no server `{found}`")]
    UnknownServer {
        /// What the file says.
        found: String,
        /// The lab's servers, joined.
        known: String,
        /// The server that was probably meant.
        suggestion: Option<String>,
    },
    /// A word that is none of its key's.
    #[error("`{key}` is `{found}`")]
    UnknownWord {
        /// The key: `role`, `provider` or `pod_network`.
        key: &'static str,
        /// What the file says.
        found: String,
        /// The words it can be, joined.
        known: String,
        /// The word that was probably meant.
        suggestion: Option<String>,
    },
    /// A virtual address that nobody holds.
    #[error("virtual address `{vip}` has no load balancer to hold it")]
    VipWithoutLoadBalancers {
        /// The address.
        vip: Ipv4Addr,
    },
    /// A value of a kind that its key cannot be.
    #[error("`{key}` is {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What kind of value the file has, with its article.
        found: &'static str,
        /// What it can be.
        expected: &'static str,
        /// The same in the right form, where that can be told.
        suggestion: Option<String>,
    },
}
