//! The way into a machine: one place where an `ssh` command is put together.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::{Call, Following, Output, Program};

use crate::Error;

mod forward;
mod known_hosts;

pub use forward::Forward;

/// How long a connection may take to be made, in seconds.
const CONNECT_SECONDS: u8 = 4;

/// What a lab's machines are reached with.
#[derive(Debug, Clone)]
pub struct Ssh {
    program: Program,
    identity: PathBuf,
    known_hosts: PathBuf,
}

/// One machine, to be reached.
#[derive(Debug, Clone)]
pub struct Remote {
    ssh: Ssh,
    address: Ipv4Addr,
    /// `ssh://user@host` of the computer that the machine runs on, when it is another.
    through: Option<String>,
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
        }
    }

    /// The same, with another private key: to see that it is refused.
    #[must_use]
    pub fn with_identity(&self, identity: impl Into<PathBuf>) -> Self {
        Self {
            identity: identity.into(),
            ..self.clone()
        }
    }

    /// The machine at `address`, through `through` (`ssh://user@host`) when it runs on another computer.
    pub fn to(&self, address: Ipv4Addr, through: Option<&str>) -> Remote {
        Remote {
            ssh: self.clone(),
            address,
            through: through.map(ToOwned::to_owned),
        }
    }
}

impl Remote {
    /// The machine's address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The computer to go through, if any.
    pub fn through(&self) -> Option<&str> {
        self.through.as_deref()
    }

    /// The options that every way of calling has.
    fn options(&self) -> Vec<String> {
        let mut options = vec![
            // The user's own settings are for the user's own machines.
            "-F".to_owned(),
            "none".to_owned(),
        ];
        let mut set = |option: String| options.extend(["-o".to_owned(), option]);
        // Not `-i`, which looks for a file named with the percent signs doubled.
        set(format!("IdentityFile={}", as_value(&self.ssh.identity)));
        // Neither the agent's keys nor the default ones: too many wrong keys and the server hangs up.
        set("IdentitiesOnly=yes".to_owned());
        set("IdentityAgent=none".to_owned());
        set(format!(
            "UserKnownHostsFile={}",
            as_value(&self.ssh.known_hosts)
        ));
        set("GlobalKnownHostsFile=none".to_owned());
        // Machines are new, so nobody knows their keys yet; from the first time on they may not change.
        set("StrictHostKeyChecking=accept-new".to_owned());
        // Hashed, an address could not be found again to be forgotten.
        set("HashKnownHosts=no".to_owned());
        set("UpdateHostKeys=no".to_owned());
        set(format!("ConnectTimeout={CONNECT_SECONDS}"));
        set("ServerAliveInterval=2".to_owned());
        set("ServerAliveCountMax=3".to_owned());
        set("LogLevel=ERROR".to_owned());
        if let Some(through) = &self.through {
            // Not ProxyJump: that would inherit `-F none`, and the user reaches that computer with the user's own settings.
            set(format!(
                "ProxyCommand={} -o BatchMode=yes -W %h:%p {through}",
                self.ssh.program.path().display()
            ));
        }
        options
    }

    fn destination(&self) -> String {
        format!("vagrant@{}", self.address)
    }

    /// A call of `ssh` that runs `command` there, without a terminal and without questions.
    fn call(&self, command: &[&str]) -> Call {
        self.ssh
            .program
            .call(self.options())
            .args(["-o", "BatchMode=yes", "-T"])
            .arg(self.destination())
            .arg("--")
            .args(command)
    }

    /// Runs a Bash script there as root and returns what it printed, whatever its exit status.
    ///
    /// The script goes through the standard input, so it may hold what others must not see, and its own commands find
    /// an empty input.
    ///
    /// # Errors
    ///
    /// [`Error::NotReached`], [`Error::HostKeyChanged`], and [`Error::Process`] when it took longer than `limit`.
    pub fn script(&self, script: &str, limit: Duration) -> Result<Output, Error> {
        // Bash reads a group as a whole before it runs it, so nothing in it can swallow the rest of the script.
        let input = format!("{{\n{script}\n}} </dev/null\n");
        self.finished(self.call(&["sudo", "-n", "bash", "-s"]).stdin(input), limit)
    }

    /// Runs a program there as the user `vagrant` and returns what it printed, whatever its exit status.
    ///
    /// # Errors
    ///
    /// As [`Remote::script`].
    pub fn run(&self, command: &[&str], limit: Duration) -> Result<Output, Error> {
        self.finished(self.call(command), limit)
    }

    fn finished(&self, call: Call, limit: Duration) -> Result<Output, Error> {
        let output = call.timeout(limit).output()?;
        match self.refusal(&output) {
            Some(error) => Err(error),
            None => Ok(output),
        }
    }

    /// Status 255 is ssh's own, about not getting in.
    fn refusal(&self, output: &Output) -> Option<Error> {
        if output.status != Some(255) {
            return None;
        }
        Some(self.not_reached(&output.stderr))
    }

    /// The error that ssh's last words mean.
    pub fn not_reached(&self, said: &str) -> Error {
        if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED")
            || said.contains("Host key verification failed")
        {
            return Error::HostKeyChanged {
                address: self.address,
                known_hosts: self.ssh.known_hosts.clone(),
            };
        }
        let said: Vec<&str> = said.lines().map(str::trim).collect();
        Error::NotReached {
            address: self.address,
            said: said.join("; "),
        }
    }

    /// Runs a program there as root and hands on each line that it prints, until it ends or the result is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when ssh does not start.
    pub fn follow(
        &self,
        command: &[&str],
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> Result<Following, Error> {
        let mut words = vec!["sudo", "-n"];
        words.extend(command);
        Ok(self.call(&words).follow(on_line)?)
    }

    /// Gives the user's terminal to the machine: a shell, or `command`, whose words its shell reads.
    ///
    /// Returns the exit status; `None` when a signal ended it.
    ///
    /// # Errors
    ///
    /// [`Error::Process`] when ssh does not start.
    pub fn interactive(&self, command: &[String]) -> Result<Option<i32>, Error> {
        let call = self
            .ssh
            .program
            .call(self.options())
            .arg(self.destination())
            .args(command);
        Ok(call.interactive()?)
    }

    /// The command that a person types for the same.
    pub fn shown(&self) -> String {
        self.ssh
            .program
            .call(self.options())
            .arg(self.destination())
            .to_string()
    }
}

/// A path as the value of one of ssh's options: a space would begin another file, and a percent sign a token.
fn as_value(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains(char::is_whitespace) {
        format!("\"{text}\"")
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
