//! What the engine says of itself and of the computer that it runs on.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::{DockerCli, Endpoint, Error};

/// What `docker version --format '{{json .}}'` prints, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerVersion {
    /// The engine's part; `None` where none answers, or what answers is none.
    pub server: Option<ServerVersion>,
}

/// The engine's part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServerVersion {
    /// Such as `28.2.2`.
    pub version: String,
    /// What it consists of.
    pub components: Vec<ServerComponent>,
}

/// One part of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServerComponent {
    /// Such as `Engine`, `containerd`, `Podman Engine`.
    pub name: String,
}

impl DockerVersion {
    /// Reads it; `None` for what is not of Docker's own client: Podman and others print another text, or none that is JSON.
    pub fn parse(printed: &str) -> Option<Self> {
        let printed: Value = serde_json::from_str(printed).ok()?;
        // Docker's own client always tells it, and writes it so.
        printed["Client"]["ApiVersion"].as_str()?;
        Some(Self {
            server: ServerVersion::deserialize(&printed["Server"]).ok(),
        })
    }
}

/// What `docker info --format '{{json .}}'` prints, as far as it is read: the engine, and its computer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineInfo {
    /// The name of its computer.
    pub name: String,
    /// The release of its kernel, such as `6.1.0-28-amd64`.
    #[serde(rename = "KernelVersion")]
    pub kernel: String,
    /// Such as `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// The folder that holds images, containers and volumes.
    #[serde(rename = "DockerRootDir")]
    pub root: PathBuf,
    /// Such as `name=rootless`.
    pub security_options: Option<Vec<String>>,
}

impl EngineInfo {
    /// Whether its folder is on this computer, as far as the environment tells.
    pub fn is_here(&self) -> bool {
        Endpoint::of_environment().is_socket() && self.root.is_dir()
    }
}

impl DockerCli {
    /// The version of the engine that answers.
    ///
    /// # Errors
    ///
    /// [`Error::Down`] when none does, [`Error::Process`].
    pub fn version(&self) -> Result<String, Error> {
        self.ask(["version", "--format", "{{.Server.Version}}"])
            .map(|said| said.trim().to_owned())
    }

    /// What the engine says of itself and its computer.
    ///
    /// # Errors
    ///
    /// [`Error::Down`], [`Error::Answer`], [`Error::Process`].
    pub fn info(&self) -> Result<EngineInfo, Error> {
        let said = self.ask(["info", "--format", "{{json .}}"])?;
        serde_json::from_str(&said).map_err(|source| Error::Answer {
            command: "docker info".to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_command_it_is() {
        let both = r#"{"Client":{"Version":"28.2.2","ApiVersion":"1.41","Context":"default"},
            "Server":{"Components":[{"Name":"Engine","Version":"20.10.24"}],"Version":"20.10.24"}}"#;
        let server = DockerVersion::parse(both).expect("Docker's").server;
        let server = server.expect("an engine");
        assert_eq!(server.version, "20.10.24");
        assert_eq!(server.components[0].name, "Engine");
        // Without an engine that answers, the command tells of itself alone.
        for alone in [
            r#"{"Client":{"ApiVersion":"1.50"},"Server":null}"#,
            r#"{"Client":{"ApiVersion":"1.50"}}"#,
            r#"{"Client":{"ApiVersion":"1.50"},"Server":{"Components":null}}"#,
        ] {
            let version = DockerVersion::parse(alone).expect("Docker's");
            assert_eq!(version.server, None, "{alone}");
        }
        for other in [
            r#"{"Client":{"APIVersion":"4.3.1","Version":"4.3.1","GoVersion":"go1.19.8"}}"#,
            "docker: a dock for windows\n",
            "",
        ] {
            assert_eq!(DockerVersion::parse(other), None, "{other}");
        }
    }
}
