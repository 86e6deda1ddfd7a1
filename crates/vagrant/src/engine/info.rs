//! What the engine says of the computer that it runs on.

use std::path::PathBuf;

use serde::Deserialize;

use super::Engine;
use crate::Error;

/// The engine's computer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Info {
    /// The release of its kernel, such as `6.1.0-28-amd64`.
    #[serde(rename = "KernelVersion", default)]
    pub kernel: String,
    /// The folder that holds images, containers and volumes.
    #[serde(rename = "DockerRootDir", default)]
    pub root: PathBuf,
}

impl Info {
    /// Whether its folder is on this computer, as far as the environment tells.
    pub fn is_here(&self) -> bool {
        let elsewhere = std::env::var("DOCKER_HOST")
            .is_ok_and(|host| !host.is_empty() && !host.starts_with("unix:"));
        !elsewhere && self.root.is_dir()
    }
}

impl Engine {
    /// What the engine says of its computer.
    ///
    /// # Errors
    ///
    /// [`Error::EngineDown`], [`Error::EngineAnswer`], [`Error::Process`].
    pub fn info(&self) -> Result<Info, Error> {
        let said = self.ask(&["info", "--format", "{{json .}}"])?;
        serde_json::from_str(&said).map_err(|source| Error::EngineAnswer {
            command: "docker info".to_owned(),
            source,
        })
    }
}
