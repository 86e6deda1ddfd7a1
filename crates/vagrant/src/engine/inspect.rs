//! What the engine's `inspect` commands print, as far as it is read.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::Deserialize;

use super::{FOLDER_LABEL, LAB_LABEL, MACHINE_LABEL, SERVER_LABEL, VOLUME_LABEL};
use crate::MachineState;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    id: String,
    created: String,
    state: State,
    config: Config,
    network_settings: Settings,
    #[serde(default)]
    mounts: Vec<Mount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    #[serde(default)]
    networks: BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "IPAddress", default)]
    address: String,
    #[serde(rename = "IPAMConfig")]
    asked: Option<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "IPv4Address", default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    r#type: String,
    #[serde(default)]
    name: String,
}

impl From<Container> for super::Container {
    fn from(raw: Container) -> Self {
        let mut labels = raw.config.labels.unwrap_or_default();
        let mut label = |name| labels.remove(name).unwrap_or_default();
        let ip = raw.network_settings.networks.values().find_map(|endpoint| {
            // Stopped containers have no address, but keep the one they were given by hand.
            let asked = endpoint.asked.as_ref().map(|asked| asked.address.as_str());
            [endpoint.address.as_str(), asked.unwrap_or_default()]
                .iter()
                .find_map(|address| address.parse().ok())
        });
        Self {
            lab: label(LAB_LABEL),
            machine: label(MACHINE_LABEL),
            server: label(SERVER_LABEL),
            folder: label(FOLDER_LABEL).into(),
            state: match raw.state.status.as_str() {
                "running" => MachineState::Running,
                "exited" | "created" | "dead" => MachineState::Stopped,
                other => MachineState::Other(other.to_owned()),
            },
            id: raw.id,
            image: raw.config.image,
            created: raw.created,
            ip,
            volumes: raw
                .mounts
                .into_iter()
                .filter(|mount| mount.r#type == "volume")
                .map(|mount| mount.name)
                .collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Volume {
    name: String,
    labels: Option<BTreeMap<String, String>>,
}

impl From<Volume> for super::Volume {
    fn from(raw: Volume) -> Self {
        let mut labels = raw.labels.unwrap_or_default();
        let mut label = |name| labels.remove(name).unwrap_or_default();
        Self {
            lab: label(LAB_LABEL),
            machine: label(MACHINE_LABEL),
            folder: label(FOLDER_LABEL).into(),
            holds: label(VOLUME_LABEL),
            name: raw.name,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Network {
    id: String,
    name: String,
    #[serde(default)]
    internal: bool,
    driver: String,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
    containers: Option<BTreeMap<String, Member>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    config: Option<Vec<Range>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Range {
    #[serde(default)]
    subnet: String,
}

#[derive(Deserialize)]
struct Member {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "IPv4Address", default)]
    address: String,
}

impl From<Network> for super::Network {
    fn from(raw: Network) -> Self {
        let options = raw.options.unwrap_or_default();
        let bridge = (raw.driver == "bridge").then(|| {
            options
                .get("com.docker.network.bridge.name")
                .cloned()
                // The engine's own rule for a network that names no device.
                .unwrap_or_else(|| format!("br-{}", &raw.id[..raw.id.len().min(12)]))
        });
        Self {
            lab: raw.labels.unwrap_or_default().remove(LAB_LABEL),
            internal: raw.internal,
            subnets: raw
                .ipam
                .config
                .unwrap_or_default()
                .iter()
                .filter_map(|range| range.subnet.parse().ok())
                .collect(),
            bridge,
            members: raw
                .containers
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(id, member)| {
                    let net: Ipv4Net = member.address.parse().ok()?;
                    Some(super::Member {
                        id,
                        name: member.name,
                        address: net.addr(),
                    })
                })
                .collect(),
            id: raw.id,
            name: raw.name,
        }
    }
}
