//! The way into a machine: as root for what Caravan does there, as the user `vagrant` for people.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::{
    CONNECT_SECONDS, Computer, Conversation, FeedError, Following, Output, Pace, Program,
    SshAccess, SshComputer, UnknownHost, forget_host_key,
};

pub use caravan_process::SshForward as Forward;

use crate::Error;

/// Starts a program as root, without a question.
const ROOT: [&str; 2] = ["sudo", "-n"];

/// What a lab's machines are reached with.
#[derive(Debug, Clone)]
pub struct Ssh {
    program: Program,
    identity: PathBuf,
    known_hosts: PathBuf,
    connect_seconds: u8,
    pace: Pace,
    /// The computers to go through, by the server whose machines are behind it.
    ways: BTreeMap<String, SshComputer>,
}

/// One machine, to be reached.
#[derive(Debug, Clone)]
pub struct Remote {
    ssh: SshComputer,
    address: Ipv4Addr,
}

impl Ssh {
    /// Finds `ssh`, to be used with the lab's private key and its own list of host keys.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when there is no `ssh`.
    pub fn find(
        identity: impl Into<PathBuf>,
        known_hosts: impl Into<PathBuf>,
    ) -> Result<Self, Error> {
        Ok(Self::with(Program::find("ssh")?, identity, known_hosts))
    }

    /// Uses `program` as `ssh`.
    pub fn with(
        program: Program,
        identity: impl Into<PathBuf>,
        known_hosts: impl Into<PathBuf>,
    ) -> Self {
        Self {
            program,
            identity: identity.into(),
            known_hosts: known_hosts.into(),
            connect_seconds: CONNECT_SECONDS,
            pace: Pace::USUAL,
            ways: BTreeMap::new(),
        }
    }

    /// The same, with the computers to go through to the machines of some servers, by the servers' names.
    #[must_use]
    pub fn with_ways(&self, ways: BTreeMap<String, SshComputer>) -> Self {
        Self {
            ways,
            ..self.clone()
        }
    }

    /// The computers that machines are reached through, by server; those of other servers are reached directly.
    pub fn ways(&self) -> &BTreeMap<String, SshComputer> {
        &self.ways
    }

    /// The machine of the server called `server` at `address`.
    pub fn to_machine(&self, server: &str, address: Ipv4Addr) -> Remote {
        self.to(address, self.ways.get(server))
    }

    /// The same, for machines that are known to run and may be busy: a connection and its key exchange may take that long.
    #[must_use]
    pub fn with_connect_seconds(&self, connect_seconds: u8) -> Self {
        Self {
            connect_seconds,
            ..self.clone()
        }
    }

    /// The same, for machines as fast as that: they may take as much longer for whatever they are asked.
    #[must_use]
    pub fn with_pace(&self, pace: Pace) -> Self {
        Self {
            pace,
            ..self.clone()
        }
    }

    /// How fast the machines are.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The same, with another private key: to see that it is refused.
    #[must_use]
    pub fn with_identity(&self, identity: impl Into<PathBuf>) -> Self {
        Self {
            identity: identity.into(),
            ..self.clone()
        }
    }

    /// The machine at `address`, by way of the computer `through` where this one has no network to it.
    pub fn to(&self, address: Ipv4Addr, through: Option<&SshComputer>) -> Remote {
        let access = SshAccess {
            identity: Some(self.identity.clone()),
            known_hosts: self.known_hosts.clone(),
            // A machine is new, so nobody knows its key yet.
            unknown_host: UnknownHost::Accept,
            through: through.cloned().map(Box::new),
            connect_seconds: self.connect_seconds,
            // Who waits for a machine asks again, and looks at more than its port meanwhile.
            connect_attempts: 1,
            pace: self.pace,
            shared: None,
        };
        Remote {
            ssh: SshComputer::new(self.program.clone(), format!("vagrant@{address}"), access),
            address,
        }
    }

    /// Forgets the host key of `address`, as after its machine was destroyed. It need not have one.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn forget(&self, address: Ipv4Addr) -> Result<(), Error> {
        forget_host_key(&self.known_hosts, &address.to_string()).map_err(|source: io::Error| {
            Error::File {
                path: self.known_hosts.clone(),
                source,
            }
        })
    }
}

impl Remote {
    /// The machine's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The computer to go through, if any.
    pub fn through(&self) -> Option<&SshComputer> {
        self.ssh.access().through.as_deref()
    }

    /// Runs a Bash script there as root and returns what it printed, whatever its exit status.
    ///
    /// The script goes through the standard input, so it may hold what others must not see, and its own commands find
    /// an empty input.
    ///
    /// # Errors
    ///
    /// [`Error::NotReached`], [`Error::HostKeyChanged`], and [`Error::Process`] when it took longer than `limit` at the
    /// usual pace.
    pub fn script(&self, script: &str, limit: Duration) -> Result<Output, Error> {
        // Bash reads a group as a whole before it runs it, so nothing in it can swallow the rest of the script.
        let input = format!("{{\n{script}\n}} </dev/null\n");
        self.finished(&[&ROOT[..], &["bash", "-s"]].concat(), input, limit)
    }

    /// Runs a program there as the user `vagrant` and returns what it printed, whatever its exit status. Each of `words` is
    /// one word there, whatever is in it.
    ///
    /// # Errors
    ///
    /// As [`Remote::script`].
    pub fn run(&self, words: &[&str], limit: Duration) -> Result<Output, Error> {
        self.finished(words, "", limit)
    }

    /// Runs a program there as root with what `source` has as its standard input, and returns what it printed, whatever its
    /// exit status; it is ended where it takes nothing for `stall` at the usual pace. `on_bytes` is told how much it has taken.
    ///
    /// # Errors
    ///
    /// As [`Remote::script`], and [`Error::Source`] where `source` cannot be read.
    pub fn feed(
        &self,
        words: &[&str],
        source: &mut dyn Read,
        stall: Duration,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<Output, Error> {
        let words = [&["sudo", "-n"], words].concat();
        let stall = self.ssh.access().pace.of(stall);
        let fed = self.computer().feed(&words, source, stall, on_bytes);
        fed.map_err(|error| match error {
            FeedError::Source(source) => Error::Source {
                address: self.address,
                source,
            },
            FeedError::Program(error) => self.as_machines(error),
        })
    }

    /// Copies the file `from` of this computer to the file `path` there, as root: whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`Remote::script`].
    pub fn put_file(
        &self,
        from: &Path,
        path: &str,
        mode: u32,
        limit: Duration,
    ) -> Result<(), Error> {
        let limit = self.ssh.access().pace.of(limit);
        self.computer()
            .put_file_by(&ROOT, from, path, mode, limit)
            .map_err(|error| self.as_machines(error))
    }

    /// Copies the file `path` there, read as root, to the file `to` of this computer. A connection that ends early looks like
    /// the end of the file.
    ///
    /// # Errors
    ///
    /// As [`Remote::script`].
    pub fn get_file(&self, path: &str, to: &Path, limit: Duration) -> Result<(), Error> {
        let limit = self.ssh.access().pace.of(limit);
        self.computer()
            .get_file_by(&ROOT, path, to, limit)
            .map_err(|error| self.as_machines(error))
    }

    fn finished(
        &self,
        words: &[&str],
        input: impl Into<Vec<u8>>,
        limit: Duration,
    ) -> Result<Output, Error> {
        self.computer()
            .run(words, input, self.ssh.access().pace.of(limit))
            .map_err(|error| self.as_machines(error))
    }

    fn computer(&self) -> Computer {
        Computer::Ssh(self.ssh.clone())
    }

    /// The error that ssh's last words mean.
    pub fn not_reached(&self, said: &str) -> Error {
        self.as_machines(self.ssh.not_reached(said))
    }

    /// What is wrong with a computer, told of a machine.
    fn as_machines(&self, error: caravan_process::Error) -> Error {
        let address = self.address;
        match error {
            caravan_process::Error::HostKey { known_hosts, .. } => Error::HostKeyChanged {
                address,
                known_hosts,
            },
            caravan_process::Error::NotReached { said, .. } => Error::NotReached { address, said },
            caravan_process::Error::Forward { target, source, .. } => Error::Forward {
                address,
                target,
                source,
            },
            error => Error::Process(error),
        }
    }

    /// Runs a program there as root and hands on each line that it prints, until it ends or the result is dropped. Each of
    /// `words` is one word there, whatever is in it.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when ssh does not start.
    pub fn follow(
        &self,
        words: &[&str],
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Following, Error> {
        let words = [&ROOT[..], words].concat();
        Ok(self.computer().follow(&words, on_line)?)
    }

    /// Starts a program there as root that answers each line that it is given with a line.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when ssh does not start.
    pub fn converse(&self, words: &[&str]) -> Result<Conversation, Error> {
        let words = [&ROOT[..], words].concat();
        Ok(self.computer().converse(&words)?)
    }

    /// Opens a way to `target` (`address:port`) as the machine itself reaches it.
    ///
    /// What goes through it is sealed end to end by its users: a TLS key of this computer stays here.
    ///
    /// # Errors
    ///
    /// [`Error::Forward`], those of [`Remote::script`].
    pub fn forward(&self, target: &str) -> Result<Forward, Error> {
        self.ssh
            .forward(target)
            .map_err(|error| self.as_machines(error))
    }

    /// Gives the user's terminal to the machine: a shell, or `command`, whose words its shell reads.
    ///
    /// Returns the exit status; `None` when a signal ended it.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when ssh does not start.
    pub fn interactive(&self, command: &[String]) -> Result<Option<i32>, Error> {
        Ok(self.ssh.shell(command).interactive()?)
    }

    /// The command that a person types for the same.
    pub fn shown(&self) -> String {
        self.ssh.shown()
    }
}
