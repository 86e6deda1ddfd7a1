//! Every rule that a lab file can break, one row per rule. What is said about a broken one stands beside its check.

/// Makes the rules of rows `Variant => "name"`, so that there is one list of them.
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $rule:ident => $name:literal,)+) => {
        /// A rule that a lab file can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])+ $rule,)+
        }

        impl Rule {
            /// Every rule, in the order of their names.
            pub const ALL: &[Rule] = &[$(Rule::$rule,)+];

            /// Returns the name of the rule in kebab case, such as `duplicate-address`; `docs/lab-file.md` lists them all.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Rule::$rule => $name,)+
                }
            }
        }
    };
}

rules! {
    /// An add-on whose pods no machine would run.
    AddOnWithoutWorkers => "add-on-without-workers",
    /// An address of a server on no bridge, where nobody asks for it.
    AddressWithoutBridge => "address-without-bridge",
    /// Two addresses of one computer, which has one on its bridge.
    AddressesDiffer => "addresses-differ",
    /// Two bridges for machines of one computer, which have one network.
    BridgesDiffer => "bridges-differ",
    /// A number of CPUs below what the role needs.
    CpusBelowRole => "cpus-below-role",
    /// An address that two machines have, or two computers, or a machine and a computer.
    DuplicateAddress => "duplicate-address",
    /// A name that two machines have.
    DuplicateName => "duplicate-name",
    /// An etcd that this Kubernetes refuses.
    EtcdTooOld => "etcd-too-old",
    /// A number of etcd members of which one is of no use.
    EvenEtcd => "even-etcd",
    /// A domain that leaves too little room for a machine's name before it.
    FullNameTooLong => "full-name-too-long",
    /// A range that starts between its own borders.
    HostBits => "host-bits",
    /// A bridge that is no name of a network interface.
    InvalidBridge => "invalid-bridge",
    /// A domain that DNS refuses.
    InvalidDomain => "invalid-domain",
    /// A host that is no ssh URL.
    InvalidHost => "invalid-host",
    /// A name that is no DNS label in lower case.
    InvalidName => "invalid-name",
    /// A label, or its value, that Kubernetes refuses.
    InvalidLabel => "invalid-label",
    /// A file for the control plane that is not there, or is not what it should be.
    InvalidPolicy => "invalid-policy",
    /// A taint that Kubernetes refuses.
    InvalidTaint => "invalid-taint",
    /// Text that is none of what its key can be: an address, a range, a version.
    InvalidValue => "invalid-value",
    /// Load balancers with no address to share.
    LoadBalancersWithoutVip => "load-balancers-without-vip",
    /// Several masters and nothing before them.
    MastersWithoutLoadBalancers => "masters-without-load-balancers",
    /// Memory below what the role needs.
    MemoryBelowRole => "memory-below-role",
    /// A server on a bridge whose own address nobody knows, and which would be shut out of its own machines.
    MissingAddress => "missing-address",
    /// A server without bridge among several computers, or beside one that has a bridge.
    MissingBridge => "missing-bridge",
    /// A key that must be there and is not.
    MissingKey => "missing-key",
    /// A role without which there is no cluster.
    MissingRole => "missing-role",
    /// A node's name too long for its kubelet's certificate.
    NodeNameTooLong => "node-name-too-long",
    /// A number that its key cannot be.
    NumberOutOfRange => "number-out-of-range",
    /// Labels or taints of a machine that is no node.
    NotANode => "not-a-node",
    /// A machine that would be let into etcd as an operator.
    OperatorInLab => "operator-in-lab",
    /// An address that no machine of this lab can have.
    OutsideSubnet => "outside-subnet",
    /// Two ranges that share addresses.
    Overlap => "overlap",
    /// More nodes than pod subnets.
    PodRangeTooSmall => "pod-range-too-small",
    /// A subnet outside the private ranges. A warning.
    PublicSubnet => "public-subnet",
    /// A range larger or smaller than its purpose allows.
    RangeSize => "range-size",
    /// A name that already means something else.
    ReservedName => "reserved-name",
    /// A server that runs nothing. A warning.
    ServerWithoutMachines => "server-without-machines",
    /// A flag, a field, a label or a taint that follows from something else in the lab.
    SetByLab => "set-by-lab",
    /// A range in which no machine can live.
    SpecialRange => "special-range",
    /// Text that is no TOML.
    Syntax => "syntax",
    /// An address of the subnet that is not for machines.
    TakenAddress => "taken-address",
    /// More load balancers than Keepalived's priorities can order.
    TooManyLoadBalancers => "too-many-load-balancers",
    /// A feature gate that no part of this Kubernetes has.
    UnknownFeatureGate => "unknown-feature-gate",
    /// A field that the kubelet's configuration does not have, or not so.
    UnknownField => "unknown-field",
    /// A flag that the program does not have.
    UnknownFlag => "unknown-flag",
    /// A key that means nothing.
    UnknownKey => "unknown-key",
    /// A version of Kubernetes that Caravan knows nothing about.
    UnknownKubernetes => "unknown-kubernetes",
    /// A server that the file does not describe.
    UnknownServer => "unknown-server",
    /// A word that is none of its key's.
    UnknownWord => "unknown-word",
    /// A virtual address that nobody holds.
    VipWithoutLoadBalancers => "vip-without-load-balancers",
    /// A value of a kind that its key cannot be.
    WrongType => "wrong-type",
}
