//! libvirt, asked directly.
//!
//! `vagrant status` takes seconds for each project and asks each machine's leases; `virsh` answers for all machines in
//! hundredths. Only labels are trusted: a domain whose description says that it is a lab's is the lab's, whoever made it,
//! and nothing else is ever stopped or removed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use caravan_process::{Call, Computer, Output, Program, interrupt};

use crate::{Error, MachineState};

mod conflict;
mod domain;
mod network;
mod remove;
mod stop;

pub use network::LibvirtNetwork;

/// The libvirt that the Vagrantfile asks too: the system's own, whose networks are bridges of this computer.
pub const LIBVIRT_URI: &str = "qemu:///system";

/// What the names of all domains and networks of labs begin with.
const PREFIX: &str = "caravan-";

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(60);

/// How often a question about many is asked again because one of them has just gone.
const TRIES: usize = 5;

/// The machines of labs, as libvirt has them.
#[derive(Debug, Clone)]
pub struct LibvirtMachines {
    virsh: Program,
    computer: Computer,
}

/// A domain of libvirt that is a machine of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its name at libvirt, such as `caravan-ha-etcdone`.
    pub name: String,
    /// The lab it belongs to.
    pub lab: String,
    /// The server it belongs to.
    pub server: String,
    /// The machine's name.
    pub machine: String,
    /// The folder of the Vagrant project that made it; empty if it was not told.
    pub folder: PathBuf,
    /// Whether it runs.
    pub state: MachineState,
    /// The box that it was made from.
    pub image: Option<String>,
    /// The files of its disks that are its own: not those of the box below them.
    pub disks: Vec<PathBuf>,
}

impl LibvirtMachines {
    /// Finds libvirt's client on the search path.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is none.
    pub fn find() -> Result<Self, Error> {
        Self::on(&Computer::Here)
    }

    /// Finds libvirt's client on a computer.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is none, or the computer is not reached.
    pub fn on(computer: &Computer) -> Result<Self, Error> {
        Ok(Self {
            virsh: computer.program("virsh")?,
            computer: computer.clone(),
        })
    }

    /// Takes `virsh` as libvirt's client.
    pub fn with(virsh: Program) -> Self {
        Self {
            virsh,
            computer: Computer::Here,
        }
    }

    /// The version of libvirt that answers.
    ///
    /// # Errors
    ///
    /// [`Error::LibvirtSilent`], [`Error::Process`].
    pub fn version(&self) -> Result<String, Error> {
        let said = self.ask(["version", "--daemon"])?;
        let daemon = said
            .lines()
            .find_map(|line| line.strip_prefix("Running against daemon:"));
        Ok(daemon.unwrap_or_default().trim().to_owned())
    }

    /// The machines of `lab`, or of all labs, by name.
    ///
    /// # Errors
    ///
    /// [`Error::LibvirtSilent`], [`Error::Libvirt`], [`Error::Process`].
    pub fn machines(&self, lab: Option<&str>) -> Result<Vec<Domain>, Error> {
        let documents = self.documents("list --all --name", "dumpxml", |name| {
            name.starts_with(PREFIX)
        })?;
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.states()?;
        let mut found: Vec<Domain> = documents
            .iter()
            .filter_map(|document| domain::read(document, &states))
            .filter(|domain| lab.is_none_or(|lab| domain.lab == lab))
            .collect();
        found.sort_by(|a, b| (&a.lab, &a.machine).cmp(&(&b.lab, &b.machine)));
        Ok(found)
    }

    /// All networks of libvirt, by name, whether or not they are up.
    ///
    /// # Errors
    ///
    /// As [`LibvirtMachines::machines`].
    pub fn networks(&self) -> Result<Vec<LibvirtNetwork>, Error> {
        let documents = self.documents("net-list --all --name", "net-dumpxml", |_| true)?;
        let mut found: Vec<LibvirtNetwork> = documents
            .iter()
            .filter_map(|document| network::read(document))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The states of all domains, by name.
    fn states(&self) -> Result<BTreeMap<String, MachineState>, Error> {
        Ok(domain::states(&self.ask(["domstats", "--state"])?))
    }

    /// The XML of each thing that `list` names and `wanted` wants, by the command `show`.
    ///
    /// One start of `virsh` shows all. It ends at the first that has gone since it was listed; then both are asked again.
    fn documents(
        &self,
        list: &str,
        show: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Error> {
        let mut tries = 0;
        loop {
            let said = self.ask(list.split(' '))?;
            let commands: Vec<String> = said
                .lines()
                .map(str::trim)
                .filter(|name| !name.is_empty() && wanted(name))
                // Names that need quotes are nobody's that we ask for, but others' networks may have them.
                .map(|name| format!("{show} '{}'", name.replace('\'', r"'\''")))
                .collect();
            if commands.is_empty() {
                return Ok(Vec::new());
            }
            tries += 1;
            match self.ask([commands.join("; ")]) {
                Ok(said) => return Ok(network::split(&said)),
                Err(error) if tries == TRIES || !is_gone(&error) => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Asks, and returns what libvirt says.
    fn ask<A: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = A>,
    ) -> Result<String, Error> {
        let call = self.call(words);
        let command = call.to_string();
        self.judged(&command, call.output()?)
    }

    fn call<A: AsRef<std::ffi::OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Call {
        self.virsh
            .call(["--connect", LIBVIRT_URI, "--quiet"])
            .args(words)
            // What it says is read.
            .env("LC_ALL", "C")
            .timeout(QUESTION)
    }

    /// What libvirt said, or why it did not do what was asked.
    fn judged(&self, command: &str, output: Output) -> Result<String, Error> {
        if output.success() {
            return Ok(output.stdout);
        }
        let said = told(&output.stderr);
        Err(if is_unreachable(&said) {
            Error::LibvirtSilent {
                command: command.to_owned(),
                said,
            }
        } else {
            Error::Libvirt {
                command: command.to_owned(),
                said,
            }
        })
    }

    /// Waits until `done` says so of the domains' states, or `limit` has passed; returns whether it does.
    fn wait(
        &self,
        limit: Duration,
        done: impl Fn(&BTreeMap<String, MachineState>) -> bool,
    ) -> Result<bool, Error> {
        let began = Instant::now();
        loop {
            if done(&self.states()?) {
                return Ok(true);
            }
            if interrupt::raised() {
                let command = format!("virsh --connect {LIBVIRT_URI} domstats --state");
                return Err(caravan_process::Error::Interrupted { command }.into());
            }
            if began.elapsed() >= limit {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// What `virsh` says is wrong, without its prefix, on one line.
fn told(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(|line| line.strip_prefix("error:").unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(": ")
}

/// Whether nobody answers, or not us.
fn is_unreachable(said: &str) -> bool {
    [
        "failed to connect",
        "Failed to connect",
        "Cannot recv data",
        "authentication unavailable",
        "authentication failed",
        "End of file while reading",
        "client socket is closed",
    ]
    .iter()
    .any(|sign| said.contains(sign))
}

/// Whether libvirt says that what was asked for is not there.
fn is_gone(error: &Error) -> bool {
    let Error::Libvirt { said, .. } = error else {
        return false;
    };
    [
        "failed to get domain",
        "failed to get network",
        "failed to get vol",
        "Domain not found",
        "Network not found",
        "Storage volume not found",
        "no storage vol with matching",
        "no domain with matching",
        "no network with matching",
        "domain is not running",
        "is not active",
    ]
    .iter()
    .any(|sign| said.contains(sign))
}

#[cfg(test)]
mod tests;
