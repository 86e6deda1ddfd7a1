//! From text to a lab. (First version: serde's first error only.)

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Deserialize;

use crate::fault::{Fault, Faults};
use crate::lab::Lab;
use crate::machine::{Machine, Role};
use crate::network::{self, PodNetwork};
use crate::server::{Provider, Server};
use crate::versions::KubernetesVersion;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    domain: String,
    kubernetes: String,
    vip: Option<Ipv4Addr>,
    subnet: Ipv4Net,
    pod_cidr: Option<Ipv4Net>,
    service_cidr: Option<Ipv4Net>,
    pod_network: Option<String>,
    provider: Option<String>,
    #[serde(default)]
    airgap: bool,
    virtual_router_id: Option<u8>,
    #[serde(default)]
    operators: Vec<Ipv4Addr>,
    servers: BTreeMap<String, FileServer>,
    machines: Vec<FileMachine>,
}

#[derive(Deserialize)]
struct FileServer {
    host: Option<String>,
    bridge: Option<String>,
}

#[derive(Deserialize)]
struct FileMachine {
    name: String,
    role: String,
    server: String,
    ip: Ipv4Addr,
    memory_mib: u32,
    cpus: u8,
}

pub(crate) fn parse(name: &str, source: &str) -> Result<Lab, Faults> {
    let refuse = |span: std::ops::Range<usize>, message: String| Faults {
        lab: name.to_owned(),
        faults: vec![Fault {
            line: source[..span.start].matches('\n').count() + 1,
            column: 1,
            span,
            message,
            help: None,
            related: Vec::new(),
        }],
    };
    let file: File = toml::from_str(source)
        .map_err(|error| refuse(error.span().unwrap_or(0..0), error.message().to_owned()))?;
    let machines: Vec<Machine> = file
        .machines
        .into_iter()
        .map(|machine| Machine {
            role: *Role::ALL
                .iter()
                .find(|role| role.word() == machine.role)
                .unwrap_or(&Role::Worker),
            name: machine.name,
            server: machine.server,
            ip: machine.ip,
            memory_mib: machine.memory_mib,
            cpus: machine.cpus,
        })
        .collect();
    let pod_cidr = file.pod_cidr.unwrap_or(network::DEFAULT_POD_CIDR);
    let nodes = machines.iter().filter(|machine| machine.role.is_node());
    let mut subnets =
        network::pod_subnets(pod_cidr, file.subnet, nodes.map(|node| node.ip)).into_iter();
    Ok(Lab {
        name: name.to_owned(),
        domain: file.domain,
        kubernetes: KubernetesVersion {
            minor: file
                .kubernetes
                .trim_start_matches("1.")
                .parse()
                .unwrap_or(36),
        },
        etcd: None,
        vip: file.vip,
        subnet: file.subnet,
        pod_cidr,
        service_cidr: file.service_cidr.unwrap_or(network::DEFAULT_SERVICE_CIDR),
        pod_network: PodNetwork::ALL
            .into_iter()
            .find(|it| Some(it.word()) == file.pod_network.as_deref())
            .unwrap_or_default(),
        provider: Provider::ALL
            .into_iter()
            .find(|it| Some(it.word()) == file.provider.as_deref()),
        airgap: file.airgap,
        virtual_router_id: file
            .virtual_router_id
            .unwrap_or(file.vip.map_or(51, |vip| vip.octets()[3])),
        operators: file.operators,
        servers: file
            .servers
            .into_iter()
            .map(|(name, server)| Server {
                name,
                host: server.host,
                bridge: server.bridge,
            })
            .collect(),
        places: machines
            .iter()
            .enumerate()
            .map(|(place, machine)| (machine.name.clone(), place))
            .collect::<HashMap<_, _>>(),
        pod_subnets: machines
            .iter()
            .map(|machine| machine.role.is_node().then(|| subnets.next()).flatten())
            .collect(),
        machines,
        warnings: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_labs_parse() {
        for (name, source) in [
            ("ha", include_str!("../../../labs/ha.toml")),
            (
                "external-etcd",
                include_str!("../../../labs/external-etcd.toml"),
            ),
        ] {
            let lab = Lab::parse(name, source).unwrap_or_else(|faults| panic!("{faults}"));
            assert_eq!(lab.of_role(Role::Etcd).count(), 3);
        }
    }
}
