//! Whether the engine that answers is one whose machines this computer can reach.
//!
//! A machine's address is on a bridge of the computer, or the network namespace, that the engine runs in. An engine on
//! another computer, in a virtual machine (Docker Desktop and its like), in a namespace of its own (rootless), or beside the
//! container that we run in makes machines that nothing here reaches.

use caravan_docker::{DockerVersion, Endpoint, EngineInfo};
use serde::Deserialize;

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

/// The engine's default network.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Network {
    #[serde(default)]
    options: std::collections::BTreeMap<String, String>,
}

/// What was found of an engine that answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EngineVerdict {
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
    version: &DockerVersion,
    info: &EngineInfo,
    network: Option<&Network>,
    here: &Here,
) -> EngineVerdict {
    let unreachable = |what: &str| EngineVerdict::Unfit(unreachable(endpoint, what));
    if let Some(found) = other_computer(endpoint) {
        return EngineVerdict::Unfit(found);
    }
    let Some(server) = &version.server else {
        return EngineVerdict::Unfit(format!(
            "`docker` asks {endpoint}, and what answers is no Docker engine"
        ));
    };
    if server
        .components
        .iter()
        .any(|component| component.name.contains("Podman"))
    {
        return EngineVerdict::Unfit(format!(
            "`docker` asks {endpoint}, which is Podman, with which Vagrant's docker provider does not work"
        ));
    }
    let mut options = info.security_options.iter().flatten();
    if options.any(|option| option.contains("name=rootless")) {
        return unreachable("a rootless engine, with a network of its own");
    }
    if info.operating_system.contains("Docker Desktop") {
        return unreachable("the virtual machine of Docker Desktop");
    }
    if !info.kernel.is_empty() && info.kernel != here.kernel {
        return unreachable(&format!(
            "an engine on another kernel, {} (here {}), as in a virtual machine or on another computer",
            info.kernel, here.kernel
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
    if info.root.starts_with("/var/snap") {
        return EngineVerdict::Unfit(
            "the engine is of a snap, which may not read hidden folders such as `~/.cache` and `.lab`"
                .to_owned(),
        );
    }
    EngineVerdict::Fit {
        version: server.version.clone(),
    }
}

#[cfg(test)]
mod tests;
