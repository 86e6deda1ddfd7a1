//! Images of this computer's container engine.

use caravan_docker::DockerCli;
use caravan_process::OutputReader;

use super::name::full_name;
use crate::Error;
use crate::docker::find;
use crate::pins::Arch;

/// An image that the engine has.
#[derive(Debug, Clone)]
pub struct EngineSource {
    docker: DockerCli,
    asked: String,
    /// What the engine knows it by.
    pub id: String,
    /// The names that are meant, in full: what was asked for; where that is an id, all that the image has.
    pub names: Vec<String>,
}

impl EngineSource {
    /// Finds what the engine has under `name`, which may be an id, for a processor.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchImage`], [`Error::OtherPlatform`], [`Error::ImageName`], [`Error::Program`] and [`Error::Docker`] where
    /// no engine answers.
    pub fn find(name: &str, arch: Arch) -> Result<Self, Error> {
        let docker = find()?;
        let Some(found) = docker.inspect_image(name)? else {
            return Err(Error::NoSuchImage {
                name: name.to_owned(),
                names: docker.image_names()?,
            });
        };
        if found.os != "linux" || found.architecture != arch.as_str() {
            return Err(Error::OtherPlatform {
                what: format!("`{name}`"),
                found: vec![format!("{}/{}", found.os, found.architecture)],
                wanted: format!("linux/{arch}"),
            });
        }
        let tags = found.repo_tags.unwrap_or_default();
        let mut all = tags
            .iter()
            .map(|tag| full_name(tag))
            .collect::<Result<Vec<_>, _>>()?;
        all.sort();
        all.dedup();
        // An id, whole or its beginning, also looks like a name.
        let names = match full_name(name) {
            Ok(full) if all.contains(&full) => vec![full],
            _ => all,
        };
        Ok(Self {
            docker,
            asked: name.to_owned(),
            id: found.id,
            names,
        })
    }

    /// What it is called in messages.
    pub fn what(&self) -> String {
        format!("`{}`", self.asked)
    }

    /// The archive that the engine makes of it, read while it is made.
    ///
    /// # Errors
    ///
    /// [`Error::Program`].
    pub fn save(&self) -> Result<OutputReader, Error> {
        let saved = self.docker.save_image(&self.asked);
        saved.map_err(Error::program(format!("save the image {}", self.what())))
    }
}
