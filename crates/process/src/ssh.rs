//! Computers that are reached over ssh: one place where an `ssh` command is put together.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::{BinaryOutput, Call, Error, Pace, Program, interrupt, shell};

mod forward;
mod known_hosts;

pub use forward::SshForward;
pub(crate) use known_hosts::listed_host;
pub use known_hosts::{forget_host_key, host_keys};

/// How long a connection and its key exchange may take, in seconds, where whoever asks wants to know soon whether anybody is
/// there.
pub const CONNECT_SECONDS: u8 = 4;

/// After how many seconds of silence a computer is asked whether it is still there; the connection ends when it does not
/// answer three times.
const ALIVE_SECONDS: u8 = 2;

/// How long after a connection that was not made another one is tried.
const AGAIN: Duration = Duration::from_secs(1);

/// How ssh begins to say that a connection was not made: nothing has been started at its other end.
const NOT_CONNECTED: &str = "ssh: connect to host ";

/// The user's own lists of host keys, after another one.
const USERS_KNOWN_HOSTS: &str = " ~/.ssh/known_hosts ~/.ssh/known_hosts2";

/// How long a shared connection stays when nobody needs it, in seconds.
const SHARED_SECONDS: u8 = 10;

/// Stands for what ssh is to connect to behind a computer, until ssh puts that in.
const WAY_ON: &str = "way-on";

/// What becomes of a computer whose host key is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownHost {
    /// Its key is kept, and may not change from then on.
    Accept,
    /// Nothing is sent to it.
    Refuse,
}

/// How ssh gets into a computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshAccess {
    /// The only private key that is tried, with nothing of the user's own settings; `None` for what the user's own settings
    /// and agent have.
    pub identity: Option<PathBuf>,
    /// The list of host keys. With a key of its own it is read and written in the place of the user's lists; without, before
    /// them: whom the user has met is known.
    pub known_hosts: PathBuf,
    /// What becomes of a computer that is not in it.
    pub unknown_host: UnknownHost,
    /// The computer to go through, if any.
    pub through: Option<Box<SshComputer>>,
    /// How long a connection and its key exchange may take, in seconds, at the usual pace: [`CONNECT_SECONDS`], or more for a
    /// computer that is known to be there and may be busy.
    pub connect_seconds: u8,
    /// How often a connection is tried within that time when it is refused or no way leads there: more than once for a computer
    /// that is known to be there, whose link may just have come back.
    pub connect_attempts: u8,
    /// How fast it is.
    pub pace: Pace,
    /// The folder of sockets by which all that goes to it shares one connection, where it is to: a login costs tenths of a
    /// second, and an ssh server refuses some of many that come at once. Its owner's alone.
    pub shared: Option<PathBuf>,
}

/// A computer that ssh reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshComputer {
    program: Program,
    destination: String,
    access: SshAccess,
}

impl SshComputer {
    /// The computer at `destination`, which is `user@host` or `ssh://user@host:port`, reached by the `ssh` at `program`.
    pub fn new(program: Program, destination: impl Into<String>, access: SshAccess) -> Self {
        Self {
            program,
            destination: destination.into(),
            access,
        }
    }

    /// Where it is, as `ssh` takes it.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// How it is reached.
    pub fn access(&self) -> &SshAccess {
        &self.access
    }

    /// Prepares one start of a program there, without a terminal and without questions.
    ///
    /// The first of `words` is the program, the others are its arguments, each as it is: no shell there sees more in them.
    pub fn call<W: AsRef<str>>(&self, words: impl IntoIterator<Item = W>) -> Call {
        self.quiet(["-T"])
            .arg(&self.destination)
            .arg("--")
            .args(words.into_iter().map(|word| shell::word(word.as_ref())))
    }

    /// Prepares a shell there on the user's terminal, or `command`, whose words that shell reads.
    pub fn shell<W: AsRef<str>>(&self, command: impl IntoIterator<Item = W>) -> Call {
        self.program
            .call(self.options())
            .arg(&self.destination)
            .args(command.into_iter().map(|word| word.as_ref().to_owned()))
    }

    /// The command that a person types for a shell there.
    pub fn shown(&self) -> String {
        self.shell([""; 0]).to_string()
    }

    /// The error that ssh's last words mean.
    pub fn not_reached(&self, said: &str) -> Error {
        let changed = said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED");
        if changed || said.contains("Host key verification failed") {
            return Error::HostKey {
                host: self.destination.clone(),
                known_hosts: self.access.known_hosts.clone(),
                // Who accepts unknown keys is only ever refused one that has changed.
                changed: changed || self.access.unknown_host == UnknownHost::Accept,
            };
        }
        let said: Vec<&str> = said.lines().map(str::trim).collect();
        Error::NotReached {
            host: self.destination.clone(),
            said: said.join("; "),
        }
    }

    /// What a program there printed, which `run` starts by one of this computer's calls. While connections are refused, or no
    /// way leads there, it is started again, as [`SshAccess::connect_attempts`] allows. Not by ssh's own `ConnectionAttempts`:
    /// each of those may take the whole time for a connection, so four to a computer that is silent took 51 s instead of 12.
    ///
    /// # Errors
    ///
    /// [`Error::NotReached`], [`Error::HostKey`], and those of `run`.
    pub(crate) fn reached(
        &self,
        mut run: impl FnMut() -> Result<BinaryOutput, Error>,
    ) -> Result<BinaryOutput, Error> {
        let seconds = self.access.pace.seconds(self.access.connect_seconds);
        let until = Instant::now() + Duration::from_secs(seconds.into());
        let mut attempts = self.access.connect_attempts;
        loop {
            let output = run()?;
            if output.status != Some(255) {
                return Ok(output);
            }
            attempts = attempts.saturating_sub(1);
            let may_come = output.stderr.starts_with(NOT_CONNECTED) && Instant::now() < until;
            if attempts == 0 || !may_come || interrupt::raised() {
                return Err(self.not_reached(&output.stderr));
            }
            thread::sleep(AGAIN);
        }
    }

    fn quiet<'a>(&self, more: impl IntoIterator<Item = &'a str>) -> Call {
        self.program
            .call(self.options())
            .args(["-o", "BatchMode=yes"])
            .args(more)
    }

    /// The options that every way of calling has.
    fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        if let Some(identity) = &self.access.identity {
            // The user's own settings are for the user's own computers.
            options.extend(["-F".to_owned(), "none".to_owned()]);
            // Not `-i`, which looks for a file named with the percent signs doubled.
            set(&mut options, format!("IdentityFile={}", as_value(identity)));
            // Neither the agent's keys nor the default ones: too many wrong keys and the server hangs up.
            set(&mut options, "IdentitiesOnly=yes".to_owned());
            set(&mut options, "IdentityAgent=none".to_owned());
        }
        let pace = self.access.pace;
        let mut known_hosts = as_value(&self.access.known_hosts);
        match self.access.identity {
            Some(_) => set(&mut options, "GlobalKnownHostsFile=none".to_owned()),
            None => known_hosts.push_str(USERS_KNOWN_HOSTS),
        }
        let unknown = match self.access.unknown_host {
            // A machine is new, so nobody knows its key yet; from the first time on it may not change.
            UnknownHost::Accept => "accept-new",
            UnknownHost::Refuse => "yes",
        };
        for option in [
            format!("UserKnownHostsFile={known_hosts}"),
            format!("StrictHostKeyChecking={unknown}"),
            // Hashed, an address could not be found again to be forgotten.
            "HashKnownHosts=no".to_owned(),
            "UpdateHostKeys=no".to_owned(),
            format!(
                "ConnectTimeout={}",
                pace.seconds(self.access.connect_seconds)
            ),
            format!("ServerAliveInterval={}", pace.seconds(ALIVE_SECONDS)),
            "ServerAliveCountMax=3".to_owned(),
            "LogLevel=ERROR".to_owned(),
        ] {
            set(&mut options, option);
        }
        if let Some(folder) = &self.access.shared {
            for option in [
                "ControlMaster=auto".to_owned(),
                format!("ControlPath={}/%C", as_value(folder)),
                // It ends soon after the last that needs it.
                format!("ControlPersist={SHARED_SECONDS}"),
            ] {
                set(&mut options, option);
            }
        }
        if let Some(through) = &self.access.through {
            // Not ProxyJump: that would inherit `-F none`, and its host keys would be judged by other lists.
            let call = through.quiet(["-W", WAY_ON]).arg(&through.destination);
            let command = call.to_string().replace('%', "%%").replace(WAY_ON, "%h:%p");
            let ssh = self.program.path().display().to_string();
            let words = command.split_once(' ').map_or("", |(_, words)| words);
            set(
                &mut options,
                format!(
                    "ProxyCommand={} {words}",
                    shell::word(&ssh).replace('%', "%%")
                ),
            );
        }
        options
    }
}

fn set(options: &mut Vec<String>, option: String) {
    options.extend(["-o".to_owned(), option]);
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
