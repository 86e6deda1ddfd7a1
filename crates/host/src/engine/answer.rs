//! Whether the engine that answers is one whose machines this computer can reach.
//!
//! A machine's address is on a bridge of the computer, or the network namespace, that the engine runs in. An engine on
//! another computer, in a virtual machine (Docker Desktop and its like), in a namespace of its own (rootless), or beside the
//! container that we run in makes machines that nothing here reaches.

use std::fmt;
use std::net::{IpAddr, TcpListener, ToSocketAddrs};

use serde::Deserialize;

/// The socket that an engine of this computer listens on, by both its names.
const OWN_SOCKETS: [&str; 2] = ["unix:///var/run/docker.sock", "unix:///run/docker.sock"];

/// Where the command `docker` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The context that says so; `default` where none was chosen.
    context: String,
    /// Such as `unix:///var/run/docker.sock`, `tcp://build:2376`, `ssh://me@build`.
    host: String,
}

impl Endpoint {
    /// Reads `NAME HOST`.
    pub(super) fn parse(line: &str) -> Self {
        let (context, host) = line.trim().split_once(' ').unwrap_or(("default", ""));
        Self {
            context: context.to_owned(),
            host: if host.is_empty() {
                OWN_SOCKETS[0]
            } else {
                host
            }
            .to_owned(),
        }
    }

    /// As a command that knows no contexts takes it.
    pub(super) fn of_environment() -> Self {
        Self::parse(&format!(
            "default {}",
            std::env::var("DOCKER_HOST").unwrap_or_default()
        ))
    }

    /// Whether it is where an engine of this computer listens by itself.
    pub(super) fn is_own(&self) -> bool {
        OWN_SOCKETS.contains(&self.host.as_str())
    }

    /// What leads back to this computer's own engine.
    pub(super) fn to_leave(&self) -> &'static str {
        if self.context == "default" {
            "`unset DOCKER_HOST`"
        } else {
            "`docker context use default`, with `DOCKER_CONTEXT` unset"
        }
    }

    /// The other computer that it names, if it does.
    fn other_computer(&self) -> Option<&str> {
        let (scheme, rest) = self.host.split_once("://")?;
        if matches!(scheme, "unix" | "npipe" | "fd") {
            return None;
        }
        let authority = rest.split('/').next()?;
        let host = authority.rsplit('@').next()?;
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next()?,
            None => host.split(':').next()?,
        };
        (!name.is_empty() && !is_this_computer(name)).then_some(name)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.host)?;
        if self.context != "default" {
            write!(f, " (context `{}`)", self.context)?;
        }
        Ok(())
    }
}

/// Whether `name` is an address of this computer: one that can be listened on here.
fn is_this_computer(name: &str) -> bool {
    let addresses: Vec<IpAddr> = match name.parse() {
        Ok(address) => vec![address],
        Err(_) => (name, 0)
            .to_socket_addrs()
            .map(|found| found.map(|it| it.ip()).collect())
            .unwrap_or_default(),
    };
    addresses
        .iter()
        .any(|address| address.is_loopback() || TcpListener::bind((*address, 0)).is_ok())
}

/// What of this computer an engine on it shares.
#[derive(Debug, Clone)]
pub(super) struct Here {
    pub(super) kernel: String,
    pub(super) name: String,
    /// The names of its network devices.
    pub(super) devices: Vec<String>,
}

impl Here {
    pub(super) fn now() -> Self {
        let system = rustix::system::uname();
        let devices = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
        Self {
            kernel: system.release().to_string_lossy().into_owned(),
            name: system.nodename().to_string_lossy().into_owned(),
            devices: devices
                .lines()
                .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
                .collect(),
        }
    }
}

/// What `docker version` prints, as far as it is of interest.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    server: Option<Server>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    #[serde(default)]
    version: String,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
}

/// What `docker info` prints, likewise.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    name: String,
    kernel_version: String,
    operating_system: String,
    docker_root_dir: String,
    security_options: Option<Vec<String>>,
}

/// The engine's default network.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Network {
    #[serde(default)]
    options: std::collections::BTreeMap<String, String>,
}

/// Whether `docker version` is of Docker's own command; Podman and others print another text, or none that is JSON.
pub(super) fn is_dockers(version: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(version)
        .is_ok_and(|value| value["Client"]["ApiVersion"].is_string())
}

/// What was found of an engine that answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Machines can run on it.
    Fit { version: String },
    /// They cannot, and why.
    Unfit(String),
}

fn unreachable(endpoint: &Endpoint, what: &str) -> String {
    format!("`docker` asks {endpoint}, {what}: its machines cannot be reached from here")
}

/// Refuses an endpoint that names another computer, which need not be dialled for that.
pub(super) fn other_computer(endpoint: &Endpoint) -> Option<String> {
    let name = endpoint.other_computer()?;
    Some(unreachable(
        endpoint,
        &format!("an engine on another computer, `{name}`"),
    ))
}

/// Judges what an engine says of itself.
pub(super) fn judge(
    endpoint: &Endpoint,
    version: &str,
    info: &str,
    network: Option<&Network>,
    here: &Here,
) -> Judged {
    let unreachable = |what: &str| Judged::Unfit(unreachable(endpoint, what));
    if let Some(found) = other_computer(endpoint) {
        return Judged::Unfit(found);
    }
    let Some(server) = serde_json::from_str::<Version>(version)
        .ok()
        .and_then(|version| version.server)
    else {
        return Judged::Unfit(format!(
            "`docker` asks {endpoint}, and what answers is no Docker engine"
        ));
    };
    if server
        .components
        .iter()
        .any(|component| component.name.contains("Podman"))
    {
        return Judged::Unfit(format!(
            "`docker` asks {endpoint}, which is Podman, with which Vagrant's docker provider does not work"
        ));
    }
    let info: Info = serde_json::from_str(info).unwrap_or_default();
    let options = info.security_options.unwrap_or_default();
    if options
        .iter()
        .any(|option| option.contains("name=rootless"))
    {
        return unreachable("a rootless engine, with a network of its own");
    }
    if info.operating_system.contains("Docker Desktop") {
        return unreachable("the virtual machine of Docker Desktop");
    }
    if !info.kernel_version.is_empty() && info.kernel_version != here.kernel {
        return unreachable(&format!(
            "an engine on another kernel, {} (here {}), as in a virtual machine or on another computer",
            info.kernel_version, here.kernel
        ));
    }
    // Whatever a port or another socket leads to may have the same kernel; the own socket needs no such suspicion.
    if !endpoint.is_own() && !info.name.is_empty() && info.name != here.name {
        return unreachable(&format!(
            "an engine on another computer, `{}` (here `{}`)",
            info.name, here.name
        ));
    }
    let bridge = network.and_then(|network| network.options.get("com.docker.network.bridge.name"));
    if let Some(bridge) = bridge.filter(|bridge| !here.devices.contains(bridge)) {
        return unreachable(&format!(
            "an engine whose network device `{bridge}` is not here, as where this is a container beside its own"
        ));
    }
    if info.docker_root_dir.starts_with("/var/snap/") {
        return Judged::Unfit(
            "the engine is of a snap, which may not read hidden folders such as `~/.cache` and `.lab`"
                .to_owned(),
        );
    }
    Judged::Fit {
        version: server.version,
    }
}

#[cfg(test)]
mod tests;
