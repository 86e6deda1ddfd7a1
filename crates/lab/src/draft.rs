//! What a lab file says, each value with its place, before anything is known to fit together.

use std::net::Ipv4Addr;
use std::ops::Range;

use ipnet::Ipv4Net;
use toml::de::DeTable;

use crate::add_on::{AddOns, AddressRange, Storage};
use crate::document::{Fields, Form, Key};
use crate::drill::{self, DrillBudget, DrillKind, FaultMode};
use crate::fault::FaultSink;
use crate::machine::Role;
use crate::marks::{self, Taint};
use crate::network::PodNetwork;
use crate::place::{At, TableSpans};
use crate::rule::Rule;
use crate::server::Provider;
use crate::settings::{COMPONENT_KEYS, DraftSettings, Encryption, KUBELET_KEYS};
use crate::suggest::alternatives;
use crate::versions::{EtcdVersion, KubernetesVersion, is_plain};

/// A key whose value is text.
pub(crate) const fn text(name: &'static str, expected: &'static str) -> Key {
    other(name, Form::Text, expected)
}

/// A key whose value is of another form.
pub(crate) const fn other(name: &'static str, form: Form, expected: &'static str) -> Key {
    Key {
        name,
        form,
        expected,
        required: None,
    }
}

impl Key {
    /// The same key, which must be there; `example` is a line that would do.
    const fn required(mut self, example: &'static str) -> Key {
        self.required = Some(example);
        self
    }
}

const ADDRESS: &str = "a string with an IPv4 address, such as `\"192.168.29.51\"`";
const RANGE: &str = "a string with an IPv4 range, such as `\"192.168.29.0/24\"`";

/// The keys of a lab.
#[rustfmt::skip]
pub(crate) const LAB_KEYS: &[Key] = &[
    text("domain", "a string such as `\"example.com\"`").required("domain = \"example.com\""),
    other("kubernetes", Form::Word(minors), "a string such as `\"1.36\"`").required("kubernetes = \"1.36\""),
    text("subnet", RANGE).required("subnet = \"192.168.29.0/24\""),
    other("servers", Form::Tables(SERVER_KEYS), "a table for each server, `[servers.NAME]`").required("[servers.server1]"),
    other("machines", Form::TableList(MACHINE_KEYS), "a list of tables, `[[machines]]` each").required("[[machines]]"),
    text("vip", ADDRESS),
    text("etcd", "a string with a version, such as `\"3.6.14\"`"),
    other("provider", Form::Word(providers), "a string such as `\"docker\"`"),
    other("airgap", Form::Boolean, "`true` or `false`"),
    other("emulated", Form::Boolean, "`true` or `false`"),
    other("pod_network", Form::Word(pod_networks), "a string such as `\"vxlan\"`"),
    text("pod_cidr", RANGE),
    text("service_cidr", RANGE),
    other("virtual_router_id", Form::Number(1, 255), "a whole number from 1 to 255"),
    other("operators", Form::Texts, "a list of strings with IPv4 addresses, such as `[\"192.168.29.5\"]`"),
    other("cluster", Form::Table(CLUSTER_KEYS), "a table, `[cluster]`"),
    other("api_server", Form::Table(COMPONENT_KEYS), "a table, `[api_server]`"),
    other("controller_manager", Form::Table(COMPONENT_KEYS), "a table, `[controller_manager]`"),
    other("scheduler", Form::Table(COMPONENT_KEYS), "a table, `[scheduler]`"),
    other("kubelet", Form::Table(KUBELET_KEYS), "a table, `[kubelet]`"),
    other("drills", Form::NamedTables(drill_names, DRILL_KEYS), "a table for each drill, `[drills.NAME]`"),
];

/// The keys of the cluster: its add-ons, then its settings.
#[rustfmt::skip]
pub(crate) const CLUSTER_KEYS: &[Key] = &[
    other("storage", Form::Word(storages), "a string such as `\"local-path\"`"),
    other("metrics", Form::Boolean, "`true` or `false`"),
    text("load_balancer", "a string with the first and the last of several IPv4 addresses, such as `\"192.168.29.200-192.168.29.219\"`"),
    other("feature_gates", Form::Switches, "a table of `true` and `false`, such as `{ NAME = true }`"),
    other("runtime_config", Form::TextTable, "a table of strings, such as `{ \"api/alpha\" = \"true\" }`"),
    text("audit", "`\"metadata\"`, or the name of a policy file beside the lab file, such as `\"audit.yaml\"`"),
    other("encryption", Form::Word(encryptions), "a string such as `\"secretbox\"`"),
];

/// The keys of a server.
pub(crate) const SERVER_KEYS: &[Key] = &[
    text("host", "a string such as `\"ssh://user@host\"`"),
    text("bridge", "a string such as `\"br0\"`"),
    text("address", ADDRESS),
    other(
        "provider",
        Form::Word(providers),
        "a string such as `\"docker\"`",
    ),
];

/// The keys of a machine.
#[rustfmt::skip]
pub(crate) const MACHINE_KEYS: &[Key] = &[
    text("name", "a string such as `\"masterone\"`").required("name = \"masterone\""),
    other("role", Form::Word(roles), "a string such as `\"worker\"`").required("role = \"worker\""),
    text("server", "a string such as `\"server1\"`").required("server = \"server1\""),
    text("ip", ADDRESS).required("ip = \"192.168.29.51\""),
    other("memory_mib", Form::Number(1, MOST_MEMORY_MIB), "a whole number of MiB, such as `2048`").required("memory_mib = 2048"),
    other("cpus", Form::Number(1, u8::MAX as u32), "a whole number such as `2`").required("cpus = 2"),
    other("labels", Form::TextTable, "a table of strings, such as `{ \"topology.kubernetes.io/zone\" = \"a\" }`"),
    other("taints", Form::Texts, "a list of strings, such as `[\"dedicated=db:NoSchedule\"]`"),
];

fn words<T: std::fmt::Display>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|it| it.to_string()).collect()
}

fn minors() -> Vec<String> {
    words(KubernetesVersion::known())
}

fn providers() -> Vec<String> {
    words(Provider::ALL)
}

fn storages() -> Vec<String> {
    words(Storage::ALL)
}

fn encryptions() -> Vec<String> {
    words(Encryption::ALL)
}

fn pod_networks() -> Vec<String> {
    words(PodNetwork::ALL)
}

fn drill_names() -> Vec<String> {
    let kinds = DrillKind::all();
    kinds
        .flat_map(|kind| {
            let ways = kind.modes().iter();
            let named = ways.map(move |way| format!("{}:{}", kind.word(), way.word()));
            std::iter::once(kind.word().to_owned()).chain(named)
        })
        .collect()
}

fn roles() -> Vec<String> {
    words(Role::ALL)
}

/// The keys of a drill.
#[rustfmt::skip]
pub(crate) const DRILL_KEYS: &[Key] = &[
    other("reads_ms", Form::Number(0, MOST_MS), "a whole number of milliseconds, such as `300`"),
    other("creates_ms", Form::Number(0, MOST_MS), "a whole number of milliseconds, such as `1500`"),
    other("failed_percent", Form::Number(0, 100), "a whole number from 0 to 100"),
    other("back_ms", Form::Number(0, MOST_MS), "a whole number of milliseconds, such as `6000`"),
    other("watched_ms", Form::Number(0, MOST_MS), "a whole number of milliseconds, such as `2000`"),
];

/// The longest time that a drill can be allowed, an hour.
const MOST_MS: u32 = 60 * 60 * 1000;

/// The most memory a machine can ask for, 1 TiB: more means another unit than MiB.
const MOST_MEMORY_MIB: u32 = 1024 * 1024;

/// What a lab file says.
pub(crate) struct Draft {
    pub(crate) spans: TableSpans,
    pub(crate) domain: Option<At<String>>,
    pub(crate) kubernetes: Option<At<KubernetesVersion>>,
    pub(crate) etcd: Option<At<EtcdVersion>>,
    pub(crate) vip: Option<At<Ipv4Addr>>,
    /// True if there is a `vip`, readable or not.
    pub(crate) has_vip: bool,
    pub(crate) subnet: Option<At<Ipv4Net>>,
    pub(crate) pod_cidr: Option<At<Ipv4Net>>,
    pub(crate) service_cidr: Option<At<Ipv4Net>>,
    pub(crate) pod_network: Option<At<PodNetwork>>,
    pub(crate) provider: Option<At<Provider>>,
    pub(crate) airgap: Option<bool>,
    pub(crate) emulated: Option<bool>,
    pub(crate) virtual_router_id: Option<At<u32>>,
    pub(crate) operators: Vec<At<Ipv4Addr>>,
    /// True if there are `operators`, readable or not, perhaps misspelled.
    pub(crate) has_operators: bool,
    /// What `[cluster]` says of add-ons, where it is there.
    pub(crate) cluster: Option<DraftCluster>,
    /// What `[cluster]` and the tables of programs set.
    pub(crate) settings: DraftSettings,
    /// What drills are allowed, each by its kind and, where that is said, its way.
    pub(crate) drills: Vec<(DrillKind, Option<FaultMode>, DrillBudget)>,
    /// In the order of their names; `None` if there are none or they cannot be read.
    pub(crate) servers: Option<Vec<DraftServer>>,
    /// In the order of the file; `None` if there are none or they cannot be read.
    pub(crate) machines: Option<Vec<DraftMachine>>,
}

/// What a lab file says about the cluster's add-ons.
pub(crate) struct DraftCluster {
    pub(crate) storage: Option<At<Storage>>,
    pub(crate) metrics: Option<bool>,
    pub(crate) load_balancer: Option<At<AddressRange>>,
}

impl DraftCluster {
    fn read(fields: &Fields<'_, '_>, sink: &mut FaultSink) -> Self {
        let storages = Storage::ALL.map(|it| (it.word(), it));
        DraftCluster {
            storage: fields.word("storage", &storages, sink),
            metrics: fields.boolean("metrics", sink),
            load_balancer: fields.parsed("load_balancer", sink, |text| text.parse().ok()),
        }
    }

    /// The add-ons that it asks for.
    pub(crate) fn add_ons(&self) -> AddOns {
        AddOns {
            storage: self.storage.as_ref().map(|it| it.value),
            metrics: self.metrics.unwrap_or_default(),
            load_balancer: self.load_balancer.as_ref().map(|it| it.value),
        }
    }
}

/// What a lab file says about a server.
pub(crate) struct DraftServer {
    pub(crate) spans: TableSpans,
    pub(crate) name: At<String>,
    pub(crate) header: Range<usize>,
    pub(crate) host: Option<At<String>>,
    pub(crate) bridge: Option<At<String>>,
    pub(crate) address: Option<At<Ipv4Addr>>,
    /// True if there is an `address`, readable or not, perhaps misspelled.
    pub(crate) has_address: bool,
    pub(crate) provider: Option<At<Provider>>,
}

impl DraftServer {
    /// What tells its computer from others: servers that say the same run on one; `None` means this computer.
    pub(crate) fn computer(&self) -> Option<&str> {
        self.host.as_ref().map(|host| host.value.as_str())
    }
}

/// What a lab file says about a machine.
pub(crate) struct DraftMachine {
    pub(crate) spans: TableSpans,
    pub(crate) header: Range<usize>,
    pub(crate) name: Option<At<String>>,
    pub(crate) role: Option<At<Role>>,
    pub(crate) server: Option<At<String>>,
    pub(crate) ip: Option<At<Ipv4Addr>>,
    pub(crate) memory_mib: Option<At<u32>>,
    pub(crate) cpus: Option<At<u32>>,
    pub(crate) labels: Vec<(At<String>, String)>,
    pub(crate) taints: Vec<At<Taint>>,
}

impl Draft {
    /// Reads a document, noting every key that cannot be read.
    pub(crate) fn read(table: &DeTable<'_>, source: &str, sink: &mut FaultSink) -> Draft {
        let lab = Fields::open(table, source, "the lab", 0..0, LAB_KEYS, sink);
        let operators = lab.list("operators", sink, |text| text.parse().ok());
        let cluster = lab.opened("cluster", "the cluster", CLUSTER_KEYS, sink);
        let pod_networks = PodNetwork::ALL.map(|it| (it.word(), it));
        Draft {
            spans: lab.spans(lab.header.clone()),
            domain: lab.string("domain", sink),
            kubernetes: kubernetes(&lab, sink),
            etcd: lab.parsed("etcd", sink, |text| text.parse().ok()),
            vip: lab.parsed("vip", sink, |text| text.parse().ok()),
            has_vip: table.contains_key("vip"),
            subnet: range(&lab, "subnet", sink),
            pod_cidr: range(&lab, "pod_cidr", sink),
            service_cidr: range(&lab, "service_cidr", sink),
            pod_network: lab.word("pod_network", &pod_networks, sink),
            provider: provider(&lab, sink),
            airgap: lab.boolean("airgap", sink),
            emulated: lab.boolean("emulated", sink),
            virtual_router_id: lab.number("virtual_router_id", 1, 255, sink),
            has_operators: (operators.as_ref())
                .map_or_else(|| lab.has("operators"), |it| !it.is_empty()),
            operators: operators.unwrap_or_default(),
            cluster: cluster.as_ref().map(|it| DraftCluster::read(it, sink)),
            settings: DraftSettings::read(&lab, cluster.as_ref(), sink),
            drills: drills(&lab, source, sink),
            servers: servers(&lab, source, sink),
            machines: machines(&lab, source, sink),
        }
    }

    /// Iterates over the machines that can be read.
    pub(crate) fn machines(&self) -> impl Iterator<Item = &DraftMachine> + Clone {
        self.machines.iter().flatten()
    }

    /// Iterates over the servers that can be read.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &DraftServer> + Clone {
        self.servers.iter().flatten()
    }
}

fn kubernetes(lab: &Fields<'_, '_>, sink: &mut FaultSink) -> Option<At<KubernetesVersion>> {
    let At { value: text, span } = lab.string("kubernetes", sink)?;
    let plain = text.strip_prefix('v').unwrap_or(&text);
    let minor = plain.strip_prefix("1.").map(|rest| {
        let (minor, _patch) = rest.split_once('.').unwrap_or((rest, ""));
        minor
    });
    let meant = KubernetesVersion::known().find(|known| {
        minor.is_some_and(|minor| is_plain(minor) && minor.parse() == Ok(known.minor))
    });
    match meant {
        Some(version) if version.to_string() == text => Some(At {
            value: version,
            span,
        }),
        _ => {
            let (oldest, newest) = (KubernetesVersion::OLDEST, KubernetesVersion::NEWEST);
            let meant = meant.map(|version| version.to_string());
            let message = format!("Kubernetes `{text}` is not supported");
            sink.refuse(Rule::UnknownKubernetes, &span, message)
                .label(format!("expected `{oldest}` to `{newest}`"))
                .suggest(meant.as_deref());
            None
        }
    }
}

fn provider(fields: &Fields<'_, '_>, sink: &mut FaultSink) -> Option<At<Provider>> {
    let words = Provider::ALL.map(|it| (it.word(), it));
    fields.word("provider", &words, sink)
}

/// Reads a range; one that starts between its borders is noted and mended, so that the rest can be checked.
fn range(lab: &Fields<'_, '_>, name: &str, sink: &mut FaultSink) -> Option<At<Ipv4Net>> {
    let found: At<Ipv4Net> = lab.parsed(name, sink, |text| text.parse().ok())?;
    if found.value != found.value.trunc() {
        let message = format!(
            "`{}` is an address inside a range and not the start of one",
            found.value
        );
        sink.refuse(Rule::HostBits, &found.span, message)
            .label(format!("expected `{}`", found.value.trunc()));
    }
    Some(At {
        value: found.value.trunc(),
        span: found.span,
    })
}

fn servers(lab: &Fields<'_, '_>, source: &str, sink: &mut FaultSink) -> Option<Vec<DraftServer>> {
    let tables = lab.tables("servers", sink)?;
    if tables.is_empty() {
        lab.refuse_missing("servers", "[servers.server1]", sink);
        return None;
    }
    let empty = DeTable::new();
    let servers = tables.into_iter().map(|entry| {
        let table = entry.table.unwrap_or(&empty);
        let place = "this server";
        let fields = Fields::open(table, source, place, entry.header, SERVER_KEYS, sink);
        DraftServer {
            spans: fields.spans(entry.name.span.clone()),
            name: entry.name,
            host: fields.string("host", sink),
            bridge: fields.string("bridge", sink),
            address: fields.parsed("address", sink, |text| text.parse().ok()),
            has_address: fields.has("address"),
            provider: provider(&fields, sink),
            header: fields.header,
        }
    });
    let mut servers: Vec<_> = servers.collect();
    servers.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    Some(servers)
}

fn drills(
    lab: &Fields<'_, '_>,
    source: &str,
    sink: &mut FaultSink,
) -> Vec<(DrillKind, Option<FaultMode>, DrillBudget)> {
    let empty = DeTable::new();
    let tables = lab.tables("drills", sink).unwrap_or_default();
    let drills = tables.into_iter().filter_map(|entry| {
        let table = entry.table.unwrap_or(&empty);
        let place = "this drill";
        let fields = Fields::open(table, source, place, entry.header, DRILL_KEYS, sink);
        let mut ms = |name: &str| Some(fields.number(name, 0, MOST_MS, sink)?.value);
        let (reads_ms, creates_ms, back_ms) = (ms("reads_ms"), ms("creates_ms"), ms("back_ms"));
        let watched_ms = ms("watched_ms");
        let failed_percent = fields.number("failed_percent", 0, 100, sink);
        let budget = DrillBudget {
            reads_ms,
            creates_ms,
            failed_percent: failed_percent.map(|it| it.value),
            back_ms,
            watched_ms,
        };
        match drill::parts(&entry.name.value) {
            Ok((kind, mode)) => Some((kind, mode, budget)),
            Err(unknown) => {
                let message = format!("`{}` is no drill", entry.name.value);
                let fault = sink.refuse(Rule::UnknownWord, &entry.name.span, message);
                if !unknown.expected.is_empty() {
                    fault.label(format!(
                        "expected {}",
                        alternatives(unknown.expected.iter().copied())
                    ));
                }
                fault.suggest(unknown.suggestion());
                None
            }
        }
    });
    drills.collect()
}

fn machines(lab: &Fields<'_, '_>, source: &str, sink: &mut FaultSink) -> Option<Vec<DraftMachine>> {
    let tables = lab.table_list("machines", sink)?;
    if tables.is_empty() {
        lab.refuse_missing("machines", "[[machines]]", sink);
        return None;
    }
    let roles = Role::ALL.map(|role| (role.word(), role));
    let machines = tables.into_iter().map(|(header, table)| {
        let place = "this machine";
        let fields = Fields::open(table, source, place, header, MACHINE_KEYS, sink);
        DraftMachine {
            spans: fields.spans(fields.header.clone()),
            name: fields.string("name", sink),
            role: fields.word("role", &roles, sink),
            server: fields.string("server", sink),
            ip: fields.parsed("ip", sink, |text| text.parse().ok()),
            memory_mib: fields.number("memory_mib", 1, MOST_MEMORY_MIB, sink),
            cpus: fields.number("cpus", 1, u8::MAX.into(), sink),
            labels: marks::labels(&fields, sink),
            taints: marks::taints(&fields, sink),
            header: fields.header,
        }
    });
    Some(machines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_in_the_docs() {
        let page = include_str!("../../../docs/lab-file.md");
        let keys = LAB_KEYS.iter().chain(SERVER_KEYS).chain(MACHINE_KEYS);
        let settings = CLUSTER_KEYS
            .iter()
            .chain(COMPONENT_KEYS)
            .chain(KUBELET_KEYS);
        for key in keys.chain(DRILL_KEYS).chain(settings) {
            // Keys of one kind may share a row.
            let cell = format!("`{}`", key.name);
            let mut rows = page.lines().filter_map(|line| line.strip_prefix("| "));
            assert!(
                rows.any(|row| row
                    .split(" | ")
                    .next()
                    .is_some_and(|it| it.split(", ").any(|it| it == cell))),
                "docs/lab-file.md tells of `{}`",
                key.name
            );
        }
    }
}
