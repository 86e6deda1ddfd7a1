//! The container engine, asked directly.
//!
//! `vagrant status` starts a Ruby program and reads every Vagrantfile, which takes a second for each group; the engine
//! answers in hundredths. Only labels are trusted: what carries a lab's label is the lab's, whoever made it, and nothing
//! else is ever removed.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use caravan_process::{Program, interrupt};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{Error, MachineState};

mod conflict;
mod host;
mod info;
mod inspect;
mod remove;

pub use remove::Removed;

pub use conflict::{Conflict, Wish, conflicts};
pub use host::HOST_VOLUME;
pub use info::Info;

/// The label that names the lab, on containers, networks and volumes.
pub const LAB_LABEL: &str = "caravan.lab";

/// The label that names the machine, on containers and volumes.
pub const MACHINE_LABEL: &str = "caravan.machine";

/// The label that names the server, on containers and volumes.
pub const SERVER_LABEL: &str = "caravan.server";

/// The label that names the Vagrant project's folder, on containers and volumes.
pub const FOLDER_LABEL: &str = "caravan.folder";

/// The label that says what a volume holds.
pub const VOLUME_LABEL: &str = "caravan.volume";

/// How long the engine may take for a question.
const QUESTION: Duration = Duration::from_secs(15);

/// How long it may take to remove something.
const REMOVAL: Duration = Duration::from_secs(120);

/// The engine's client.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Program,
}

/// A container that is a machine of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// The engine's id, 64 hex digits.
    pub id: String,
    /// The lab it belongs to.
    pub lab: String,
    /// The machine's name.
    pub machine: String,
    /// The server it belongs to.
    pub server: String,
    /// The folder of the Vagrant project that made it; empty if it was not told.
    pub folder: PathBuf,
    /// Whether it runs.
    pub state: MachineState,
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
    /// The lab it belongs to, if any.
    pub lab: Option<String>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Its IPv4 subnets.
    pub subnets: Vec<Ipv4Net>,
    /// The device on this computer that it hangs on.
    pub bridge: Option<String>,
    /// The running containers on it.
    pub members: Vec<Member>,
}

/// A running container on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The engine's id, 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address there.
    pub address: Ipv4Addr,
}

/// A volume of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// The lab it belongs to.
    pub lab: String,
    /// The machine whose data it holds.
    pub machine: String,
    /// The folder of the Vagrant project that made it; empty if it was not told.
    pub folder: PathBuf,
    /// What it holds, such as `etcd`; empty if it was not told.
    pub holds: String,
}

impl Engine {
    /// Finds the engine's client on the search path.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is none.
    pub fn find() -> Result<Self, Error> {
        Ok(Self {
            docker: Program::find("docker")?,
        })
    }

    /// Takes `docker` as the engine's client.
    pub fn with(docker: Program) -> Self {
        Self { docker }
    }

    /// The version of the engine that answers.
    ///
    /// # Errors
    ///
    /// [`Error::EngineDown`] when none does, [`Error::Process`].
    pub fn version(&self) -> Result<String, Error> {
        self.ask(&["version", "--format", "{{.Server.Version}}"])
            .map(|said| said.trim().to_owned())
    }

    /// The machines of `lab`, or of all labs, by name.
    ///
    /// # Errors
    ///
    /// [`Error::EngineDown`], [`Error::EngineAnswer`], [`Error::Process`].
    pub fn machines(&self, lab: Option<&str>) -> Result<Vec<Container>, Error> {
        let label = label(lab);
        let ids = self.ask(&["ps", "-aq", "--no-trunc", "--filter", &label])?;
        let mut found: Vec<Container> = self
            .inspect::<inspect::Container>("container", &ids)?
            .into_iter()
            .map(Container::from)
            .collect();
        found.sort_by(|a, b| (&a.lab, &a.machine).cmp(&(&b.lab, &b.machine)));
        Ok(found)
    }

    /// All networks of the engine, by name.
    ///
    /// # Errors
    ///
    /// As [`Engine::machines`].
    pub fn networks(&self) -> Result<Vec<Network>, Error> {
        let ids = self.ask(&["network", "ls", "-q", "--no-trunc"])?;
        let mut found: Vec<Network> = self
            .inspect::<inspect::Network>("network", &ids)?
            .into_iter()
            .map(Network::from)
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The networks labelled with `lab`, by name.
    ///
    /// # Errors
    ///
    /// As [`Engine::machines`].
    pub fn networks_of(&self, lab: &str) -> Result<Vec<Network>, Error> {
        let mut all = self.networks()?;
        all.retain(|network| network.lab.as_deref() == Some(lab));
        Ok(all)
    }

    /// The volumes labelled with `lab`, or with any lab, by name. The container that used one may be gone.
    ///
    /// # Errors
    ///
    /// As [`Engine::machines`].
    pub fn volumes(&self, lab: Option<&str>) -> Result<Vec<Volume>, Error> {
        let names = self.ask(&["volume", "ls", "-q", "--filter", &label(lab)])?;
        let mut found: Vec<Volume> = self
            .inspect::<inspect::Volume>("volume", &names)?
            .into_iter()
            .map(Volume::from)
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Who stands in the way of `lab` taking `subnet`, and of its machines taking `addresses` in it.
    ///
    /// # Errors
    ///
    /// As [`Engine::machines`].
    pub fn conflicts(
        &self,
        lab: &str,
        subnet: Ipv4Net,
        addresses: &[(String, Ipv4Addr)],
    ) -> Result<Vec<Conflict>, Error> {
        let own = self.machines(Some(lab))?;
        let wish = Wish {
            lab,
            subnet,
            addresses,
        };
        Ok(conflicts(
            &wish,
            &own,
            &self.networks()?,
            &crate::routes::routes()?,
        ))
    }

    fn ask(&self, args: &[&str]) -> Result<String, Error> {
        let output = self.docker.call(args).timeout(QUESTION).run();
        output.map(|it| it.stdout).map_err(down)
    }

    /// Inspects what `ids` lists, line by line. What has gone meanwhile is left out.
    fn inspect<T: for<'a> Deserialize<'a>>(&self, kind: &str, ids: &str) -> Result<Vec<T>, Error> {
        if ids.trim().is_empty() {
            return Ok(Vec::new());
        }
        let call = self.docker.call([kind, "inspect"]).args(ids.lines());
        // It prints what it found and fails when one id is gone.
        let output = call.clone().timeout(QUESTION).output()?;
        // An engine that stops just now is no engine without containers.
        if !output.success() && !is_gone(&output.stderr) {
            let said = output.stderr.trim().to_owned();
            let command = call.to_string();
            return Err(if interrupt::raised() {
                caravan_process::Error::Interrupted { command }.into()
            } else {
                Error::EngineDown { said }
            });
        }
        serde_json::from_str(&output.stdout).map_err(|source| Error::EngineAnswer {
            command: format!("docker {kind} inspect"),
            source,
        })
    }
}

fn label(lab: Option<&str>) -> String {
    match lab {
        Some(lab) => format!("label={LAB_LABEL}={lab}"),
        None => format!("label={LAB_LABEL}"),
    }
}

/// Whether the engine says that something is not there any more; the word's case depends on what it is.
fn is_gone(said: &str) -> bool {
    said.to_ascii_lowercase().contains("no such")
}

/// Tells an engine that is not there from one that says no.
fn down(error: caravan_process::Error) -> Error {
    if let caravan_process::Error::Failed(failure) = &error {
        let said = failure.tail.join(" ");
        if said.contains("Cannot connect to the Docker daemon")
            || said.contains("failed to connect to the docker API")
            || said.contains("permission denied while trying to connect")
        {
            return Error::EngineDown { said };
        }
    }
    error.into()
}

#[cfg(test)]
mod tests;
