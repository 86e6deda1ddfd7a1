//! What the engine has, as its `inspect` commands print it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{DockerCli, Error};

/// A container, whether it runs or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's id, 64 hex digits.
    pub id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The engine's word for its state, such as `running`, `exited`, `created`.
    pub status: String,
    /// The image it was made from, as it was named then.
    pub image: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Its address; also while it does not run, if it was given one by hand.
    pub ip: Option<Ipv4Addr>,
    /// The names of its volumes.
    pub volumes: Vec<String>,
}

/// A network of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The engine's id, 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Its IPv4 subnets.
    pub subnets: Vec<Ipv4Net>,
    /// The device on the engine's computer that it hangs on.
    pub bridge: Option<String>,
    /// The running containers on it.
    pub members: Vec<NetworkMember>,
}

/// A running container on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkMember {
    /// The engine's id, 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address there.
    pub address: Ipv4Addr,
}

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl DockerCli {
    /// The containers that `filter` lets through, such as `label=NAME=VALUE`, in the engine's order.
    ///
    /// # Errors
    ///
    /// [`Error::Down`], [`Error::Answer`], [`Error::Process`].
    pub fn containers(&self, filter: &str) -> Result<Vec<Container>, Error> {
        let ids = self.ask(["ps", "-aq", "--no-trunc", "--filter", filter])?;
        let found = self.inspect::<PrintedContainer>("container", &ids)?;
        Ok(found.into_iter().map(Container::from).collect())
    }

    /// All networks of the engine, in its order.
    ///
    /// # Errors
    ///
    /// As [`DockerCli::containers`].
    pub fn networks(&self) -> Result<Vec<Network>, Error> {
        let ids = self.ask(["network", "ls", "-q", "--no-trunc"])?;
        let found = self.inspect::<PrintedNetwork>("network", &ids)?;
        Ok(found.into_iter().map(Network::from).collect())
    }

    /// The names of the volumes that `filter` lets through.
    ///
    /// # Errors
    ///
    /// [`Error::Down`], [`Error::Process`].
    pub fn volume_names(&self, filter: &str) -> Result<Vec<String>, Error> {
        let names = self.ask(["volume", "ls", "-q", "--filter", filter])?;
        Ok(names.lines().map(ToOwned::to_owned).collect())
    }

    /// The volumes that `filter` lets through, in the engine's order. The container that used one may be gone.
    ///
    /// # Errors
    ///
    /// As [`DockerCli::containers`].
    pub fn volumes(&self, filter: &str) -> Result<Vec<Volume>, Error> {
        let names = self.volume_names(filter)?;
        let found = self.inspect::<PrintedVolume>("volume", &names.join("\n"))?;
        Ok(found.into_iter().map(Volume::from).collect())
    }
}

impl Network {
    /// Reads what `docker network inspect` prints.
    ///
    /// # Errors
    ///
    /// When it is not that.
    pub fn read(printed: &str) -> Result<Vec<Self>, serde_json::Error> {
        let found: Vec<PrintedNetwork> = serde_json::from_str(printed)?;
        Ok(found.into_iter().map(Self::from).collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedContainer {
    id: String,
    created: String,
    state: PrintedState,
    config: PrintedConfig,
    network_settings: PrintedSettings,
    #[serde(default)]
    mounts: Vec<PrintedMount>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedState {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedConfig {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedSettings {
    #[serde(default)]
    networks: BTreeMap<String, PrintedEndpoint>,
}

#[derive(Deserialize)]
struct PrintedEndpoint {
    #[serde(rename = "IPAddress", default)]
    address: String,
    #[serde(rename = "IPAMConfig")]
    chosen: Option<ChosenAddress>,
}

/// The address that was asked for when the container was made.
#[derive(Deserialize)]
struct ChosenAddress {
    #[serde(rename = "IPv4Address", default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PrintedMount {
    r#type: String,
    #[serde(default)]
    name: String,
}

/// The names of the volumes among `mounts`.
pub(crate) fn volumes(mounts: Vec<PrintedMount>) -> Vec<String> {
    let volumes = mounts.into_iter().filter(|mount| mount.r#type == "volume");
    volumes.map(|mount| mount.name).collect()
}

impl From<PrintedContainer> for Container {
    fn from(printed: PrintedContainer) -> Self {
        let networks = printed.network_settings.networks;
        let ip = networks.values().find_map(|endpoint| {
            // Stopped containers have no address, but keep the one they were given by hand.
            let chosen = endpoint.chosen.as_ref().map(|it| it.address.as_str());
            [endpoint.address.as_str(), chosen.unwrap_or_default()]
                .iter()
                .find_map(|address| address.parse().ok())
        });
        Self {
            labels: printed.config.labels.unwrap_or_default(),
            status: printed.state.status,
            id: printed.id,
            image: printed.config.image,
            created: printed.created,
            ip,
            volumes: volumes(printed.mounts),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedVolume {
    name: String,
    labels: Option<BTreeMap<String, String>>,
}

impl From<PrintedVolume> for Volume {
    fn from(printed: PrintedVolume) -> Self {
        Self {
            name: printed.name,
            labels: printed.labels.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedNetwork {
    id: String,
    name: String,
    #[serde(default)]
    internal: bool,
    driver: String,
    #[serde(rename = "IPAM")]
    ipam: PrintedIpam,
    labels: Option<BTreeMap<String, String>>,
    options: Option<BTreeMap<String, String>>,
    containers: Option<BTreeMap<String, PrintedMember>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedIpam {
    config: Option<Vec<PrintedRange>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PrintedRange {
    #[serde(default)]
    subnet: String,
}

#[derive(Deserialize)]
struct PrintedMember {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "IPv4Address", default)]
    address: String,
}

impl From<PrintedNetwork> for Network {
    fn from(printed: PrintedNetwork) -> Self {
        let options = printed.options.unwrap_or_default();
        let bridge = (printed.driver == "bridge").then(|| {
            options
                .get("com.docker.network.bridge.name")
                .cloned()
                // The engine's own rule for a network that names no device.
                .unwrap_or_else(|| format!("br-{}", &printed.id[..printed.id.len().min(12)]))
        });
        Self {
            labels: printed.labels.unwrap_or_default(),
            internal: printed.internal,
            subnets: printed
                .ipam
                .config
                .unwrap_or_default()
                .iter()
                .filter_map(|range| range.subnet.parse().ok())
                .collect(),
            bridge,
            members: printed
                .containers
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(id, member)| {
                    let net: Ipv4Net = member.address.parse().ok()?;
                    Some(NetworkMember {
                        id,
                        name: member.name,
                        address: net.addr(),
                    })
                })
                .collect(),
            id: printed.id,
            name: printed.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        let networks = Network::read(include_str!("../samples/networks.json")).expect("a sample");
        let ours = &networks[0];
        assert_eq!(ours.name, "caravan-sample");
        assert_eq!(ours.labels["caravan.lab"], "sample");
        assert!(ours.internal);
        assert_eq!(ours.subnets, ["172.29.77.0/24".parse().expect("a subnet")]);
        assert_eq!(ours.bridge, Some(format!("br-{}", &ours.id[..12])));
        assert_eq!(ours.members.len(), 2);
        assert_eq!(networks[1].bridge.as_deref(), Some("docker0"));
        assert_eq!(networks[2].bridge, None);
    }

    #[test]
    fn containers_are_read_whether_they_run_or_not() {
        let printed: Vec<PrintedContainer> =
            serde_json::from_str(include_str!("../samples/containers.json")).expect("a sample");
        let mut found: Vec<Container> = printed.into_iter().map(Container::from).collect();
        found.sort_by_key(|a| a.ip);
        let shown: Vec<_> = found
            .iter()
            .map(|it| {
                (
                    it.labels["caravan.machine"].as_str(),
                    it.status.as_str(),
                    it.ip,
                )
            })
            .collect();
        let ip = |last| Some(Ipv4Addr::new(172, 29, 77, last));
        assert_eq!(
            shown,
            [("one", "running", ip(11)), ("two", "created", ip(13))]
        );
        assert_eq!(found[0].volumes.len(), 1);
        assert_eq!(found[0].image, "caravan-machine:dev");
    }
}
