//! What is said about a problem beyond its message: the rule's name, what was expected, what to write instead.

use crate::check::MOST_LOAD_BALANCERS;
use crate::machine::Role;
use crate::name::{LONGEST_NAME, LONGEST_NODE_NAME};
use crate::problem::Problem;
use crate::versions::KubernetesVersion;

impl Problem {
    /// Returns the name of the broken rule, in kebab case; `docs/lab-file.md` lists them all.
    pub fn rule(&self) -> &'static str {
        match self {
            Problem::CpusBelowRole { .. } => "cpus-below-role",
            Problem::DuplicateAddress { .. } => "duplicate-address",
            Problem::DuplicateName { .. } => "duplicate-name",
            Problem::DockerSpansComputers => "docker-spans-computers",
            Problem::EtcdTooOld { .. } => "etcd-too-old",
            Problem::EvenEtcd { .. } => "even-etcd",
            Problem::FullNameTooLong { .. } => "full-name-too-long",
            Problem::HostBits { .. } => "host-bits",
            Problem::InvalidBridge { .. } => "invalid-bridge",
            Problem::InvalidDomain { .. } => "invalid-domain",
            Problem::InvalidHost { .. } => "invalid-host",
            Problem::InvalidName { .. } => "invalid-name",
            Problem::InvalidValue { .. } => "invalid-value",
            Problem::LoadBalancersWithoutVip => "load-balancers-without-vip",
            Problem::MastersWithoutLoadBalancers { .. } => "masters-without-load-balancers",
            Problem::MemoryBelowRole { .. } => "memory-below-role",
            Problem::MissingBridge { .. } => "missing-bridge",
            Problem::MissingKey { .. } => "missing-key",
            Problem::MissingRole { .. } => "missing-role",
            Problem::NodeNameTooLong { .. } => "node-name-too-long",
            Problem::NumberOutOfRange { .. } => "number-out-of-range",
            Problem::OperatorInLab { .. } => "operator-in-lab",
            Problem::OutsideSubnet { .. } => "outside-subnet",
            Problem::Overlap { .. } => "overlap",
            Problem::PodRangeTooSmall { .. } => "pod-range-too-small",
            Problem::PublicSubnet { .. } => "public-subnet",
            Problem::RangeSize { .. } => "range-size",
            Problem::ReservedName { .. } => "reserved-name",
            Problem::ServerWithoutMachines { .. } => "server-without-machines",
            Problem::SpecialRange { .. } => "special-range",
            Problem::Syntax { .. } => "syntax",
            Problem::TakenAddress { .. } => "taken-address",
            Problem::TooManyLoadBalancers { .. } => "too-many-load-balancers",
            Problem::UnknownKey { .. } => "unknown-key",
            Problem::UnknownKubernetes { .. } => "unknown-kubernetes",
            Problem::UnknownServer { .. } => "unknown-server",
            Problem::UnknownWord { .. } => "unknown-word",
            Problem::VipWithoutLoadBalancers { .. } => "vip-without-load-balancers",
            Problem::WrongType { .. } => "wrong-type",
        }
    }

    /// Returns true for what is legal but hardly meant.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Problem::PublicSubnet { .. } | Problem::ServerWithoutMachines { .. }
        )
    }

    /// Returns true if the problem is there even if the rest of the file cannot be read; `on_broken_line` tells whether it stands in a line that cannot.
    ///
    /// What is missing or does not add up in a broken file may only be unreadable, and what stands in a broken line is the parser's guess.
    pub(crate) fn holds_in_a_broken_file(&self, on_broken_line: impl Fn() -> bool) -> bool {
        match self {
            Problem::Syntax { .. } => true,
            Problem::EvenEtcd { .. }
            | Problem::LoadBalancersWithoutVip
            | Problem::MastersWithoutLoadBalancers { .. }
            | Problem::MissingBridge { .. }
            | Problem::MissingKey { .. }
            | Problem::MissingRole { .. }
            | Problem::ServerWithoutMachines { .. }
            | Problem::UnknownServer { .. }
            | Problem::VipWithoutLoadBalancers { .. } => false,
            _ => !on_broken_line(),
        }
    }

    /// Returns what was expected at the place of the problem, short enough to stand under it.
    pub fn label(&self) -> Option<String> {
        let label = match self {
            Problem::CpusBelowRole { role, .. } => {
                format!("expected at least {}", role.minimum_cpus())
            }
            Problem::MemoryBelowRole { role, .. } => {
                format!("expected at least {}", role.minimum_memory_mib())
            }
            Problem::DuplicateAddress { .. } => "expected an address of its own".to_owned(),
            Problem::DuplicateName { .. } => "expected a name of its own".to_owned(),
            Problem::EtcdTooOld { oldest, .. } => format!("expected `{oldest}` or later"),
            Problem::EvenEtcd { count } => {
                format!("expected {} or {} members", count - 1, count + 1)
            }
            Problem::FullNameTooLong { .. } => {
                format!("expected at most {LONGEST_NAME} characters for both")
            }
            Problem::HostBits { found } => format!("expected `{}`", found.trunc()),
            Problem::InvalidBridge { .. } => "expected a name like `enp3s0`".to_owned(),
            Problem::InvalidDomain { .. } => "expected a domain like `example.com`".to_owned(),
            Problem::InvalidHost { .. } => "expected `ssh://[user@]host[:port]`".to_owned(),
            Problem::InvalidName { .. } => "expected a DNS label in lower case".to_owned(),
            Problem::InvalidValue { expected, .. } | Problem::WrongType { expected, .. } => {
                format!("expected {expected}")
            }
            Problem::LoadBalancersWithoutVip => "expected a `vip` for this one".to_owned(),
            Problem::NodeNameTooLong { .. } => {
                format!("expected at most {LONGEST_NODE_NAME} characters")
            }
            Problem::NumberOutOfRange { least, most, .. } => {
                format!("expected {least} to {most}")
            }
            Problem::OutsideSubnet { subnet, .. } => format!("expected an address in `{subnet}`"),
            Problem::RangeSize {
                shortest, longest, ..
            } => format!("expected /{shortest} to /{longest}"),
            Problem::ReservedName { .. } => "expected another name".to_owned(),
            Problem::SpecialRange { .. } => "expected a range for machines".to_owned(),
            Problem::TakenAddress { .. } => "expected a free address".to_owned(),
            Problem::TooManyLoadBalancers { .. } => {
                format!("expected at most {MOST_LOAD_BALANCERS}")
            }
            Problem::UnknownKey { known, .. } => format!("expected {known}"),
            Problem::UnknownKubernetes { .. } => format!(
                "expected `{}` to `{}`",
                KubernetesVersion::OLDEST,
                KubernetesVersion::NEWEST
            ),
            Problem::UnknownServer { known, .. } | Problem::UnknownWord { known, .. } => {
                format!("expected {known}")
            }
            Problem::DockerSpansComputers
            | Problem::MastersWithoutLoadBalancers { .. }
            | Problem::MissingBridge { .. }
            | Problem::MissingKey { .. }
            | Problem::MissingRole { .. }
            | Problem::OperatorInLab { .. }
            | Problem::Overlap { .. }
            | Problem::PodRangeTooSmall { .. }
            | Problem::PublicSubnet { .. }
            | Problem::ServerWithoutMachines { .. }
            | Problem::Syntax { .. }
            | Problem::VipWithoutLoadBalancers { .. } => return None,
        };
        Some(label)
    }

    /// Returns what to write instead, or why the rule exists.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Problem::CpusBelowRole { role, .. } => minimum_reason(*role, "fewer CPUs"),
            Problem::MemoryBelowRole {
                memory_mib, role, ..
            } => match memory_mib {
                1..=64 => format!(
                    "memory is in MiB: {memory_mib} GiB is `memory_mib = {}`",
                    memory_mib * 1024
                ),
                _ => minimum_reason(*role, "less memory"),
            },
            Problem::DockerSpansComputers => {
                "take `libvirt` or `virtualbox`, or leave out `host` to run all servers' machines here"
                    .to_owned()
            }
            Problem::EtcdTooOld { .. } => {
                "kubeadm's preflight refuses older members; without the key `etcd` the bundle's etcd is used"
                    .to_owned()
            }
            Problem::EvenEtcd { count } => format!(
                "a majority of {count} is {}: with one member fewer the same number may fail, with one more one more may fail",
                count / 2 + 1
            ),
            Problem::InvalidHost { .. } | Problem::MissingBridge { .. } => {
                "a server on another computer is `host = \"ssh://user@host\"` and `bridge = \"enp3s0\"`, a LAN that all of them share"
                    .to_owned()
            }
            Problem::InvalidName {
                suggestion: Some(name),
                ..
            } => format!("did you mean `{name}`?"),
            Problem::InvalidName { what: "lab", .. } => {
                "the lab is named after its file: rename the file".to_owned()
            }
            Problem::LoadBalancersWithoutVip => {
                "add a free address of the subnet: `vip = \"...\"`".to_owned()
            }
            Problem::MastersWithoutLoadBalancers { .. } => {
                "add two machines with `role = \"load-balancer\"` and a `vip`, or keep one master"
                    .to_owned()
            }
            Problem::MissingKey { example, .. } => format!("add `{example}`"),
            Problem::MissingRole { role: Role::Etcd } => {
                "all state is in etcd: add one, three or five machines with `role = \"etcd\"`"
                    .to_owned()
            }
            Problem::MissingRole { role } => format!("add a machine with `role = \"{role}\"`"),
            Problem::NodeNameTooLong { .. } => {
                "the kubelet's certificate is named `system:node:<name>`, and X.509 ends a common name at 64 characters"
                    .to_owned()
            }
            Problem::OperatorInLab { .. } => {
                "operators reach etcd from outside the lab; etcd members and masters are let in anyway, and others never are"
                    .to_owned()
            }
            Problem::Overlap {
                other_key,
                is_default: true,
                ..
            } => format!("`{other_key}` has its default: set it to a free range, or move this one"),
            Problem::Overlap { .. } => {
                "addresses of machines, pods and services must differ for packets to find their way"
                    .to_owned()
            }
            Problem::PodRangeTooSmall { nodes, .. } => format!(
                "each master and worker has a /24: {nodes} need a `pod_cidr` of /{} or larger",
                24 - nodes.next_power_of_two().trailing_zeros().min(24)
            ),
            Problem::PublicSubnet { .. } => {
                "hosts on the internet with these addresses become unreachable from here; private are `10.0.0.0/8`, `172.16.0.0/12` and `192.168.0.0/16`"
                    .to_owned()
            }
            Problem::RangeSize { key, .. } => match *key {
                "pod_cidr" => "each node has a /24 of it, and kubeadm takes at most 65,536 nodes",
                "service_cidr" => "API servers take at most 20 bits for services, and the DNS service is the tenth address",
                _ => "a lab needs room for its machines, and not for more than 65,534",
            }
            .to_owned(),
            Problem::ReservedName { reason, .. } => (*reason).to_owned(),
            Problem::ServerWithoutMachines { name } => {
                format!("remove `[servers.{name}]`, or give it a machine")
            }
            Problem::Syntax { advice, .. } => return advice.clone(),
            Problem::TooManyLoadBalancers { .. } => {
                "their priorities go down by one from 101, and must stay well above 0, with which Keepalived gives the address up"
                    .to_owned()
            }
            Problem::UnknownKey { suggestion, .. }
            | Problem::UnknownKubernetes { suggestion, .. }
            | Problem::UnknownServer { suggestion, .. }
            | Problem::UnknownWord { suggestion, .. } => {
                format!("did you mean `{}`?", suggestion.as_ref()?)
            }
            Problem::VipWithoutLoadBalancers { .. } => {
                "add a machine with `role = \"load-balancer\"`, or remove `vip`: then the endpoint is the one master"
                    .to_owned()
            }
            Problem::WrongType { suggestion, .. } => format!("write `{}`", suggestion.as_ref()?),
            Problem::DuplicateAddress { .. }
            | Problem::DuplicateName { .. }
            | Problem::FullNameTooLong { .. }
            | Problem::HostBits { .. }
            | Problem::InvalidBridge { .. }
            | Problem::InvalidDomain { .. }
            | Problem::InvalidName { .. }
            | Problem::InvalidValue { .. }
            | Problem::NumberOutOfRange { .. }
            | Problem::OutsideSubnet { .. }
            | Problem::SpecialRange { .. }
            | Problem::TakenAddress { .. } => return None,
        };
        Some(help)
    }
}

fn minimum_reason(role: Role, less: &str) -> String {
    match role {
        Role::ControlPlane => format!("kubeadm's preflight refuses masters with {less}"),
        Role::Etcd | Role::LoadBalancer | Role::Worker => {
            "the operating system alone needs this much".to_owned()
        }
    }
}
