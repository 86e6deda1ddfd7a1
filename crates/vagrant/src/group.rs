//! A group of machines: one Vagrantfile, one folder.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use caravan_process::interrupt;
use serde::Serialize;

use crate::output::{self, Line, What};
use crate::{Error, Vagrant};

/// How long a command waits for another Vagrant on the same machine: one that a killed runner left behind ends by itself.
const LOCK_WAIT: Duration = Duration::from_secs(180);

/// How often a locked machine is tried again.
const LOCK_POLL: Duration = Duration::from_secs(1);

/// How often `up` is tried again after an error that another `up` is known to mend.
const UP_ATTEMPTS: usize = 3;

/// How many of the last lines an error shows.
const SAID_LINES: usize = 20;

/// The machines of one Vagrantfile.
#[derive(Debug, Clone)]
pub struct Group {
    vagrant: Vagrant,
    dir: PathBuf,
}

/// What `vagrant up` is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Up<'a> {
    /// The provider, such as `docker`; the Vagrantfile's own choice when `None`.
    pub provider: Option<&'a str>,
    /// The machines; all when empty.
    pub machines: &'a [&'a str],
    /// Runs the provisioners of machines that exist too. Vagrant marks a machine as provisioned before it is, so a
    /// machine whose `up` was killed needs this.
    pub provision: bool,
}

/// What Vagrant knows of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineStatus {
    /// Its name in the Vagrantfile.
    pub name: String,
    /// The provider that made it, or would.
    pub provider: String,
    /// Whether it is there and runs.
    pub state: MachineState,
}

/// Whether a machine is there and runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// There is none.
    Absent,
    /// It runs.
    Running,
    /// It is there and does not run.
    Stopped,
    /// Something between, in the provider's word.
    #[serde(untagged)]
    Other(String),
}

impl MachineState {
    /// Reads the word of `vagrant status --machine-readable`.
    pub fn of_vagrant(word: &str) -> Self {
        match word {
            "not_created" => Self::Absent,
            "running" => Self::Running,
            // docker; virtualbox; libvirt.
            "stopped" | "poweroff" | "aborted" | "shutoff" => Self::Stopped,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Returns the word shown to people.
    pub fn word(&self) -> &str {
        match self {
            Self::Absent => "absent",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Other(word) => word,
        }
    }
}

impl Group {
    pub(crate) fn new(vagrant: Vagrant, dir: PathBuf) -> Self {
        Self { vagrant, dir }
    }

    /// The folder of the Vagrantfile.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The provider's id of a machine that Vagrant has a note of, whether or not it is still there.
    ///
    /// Read from Vagrant's own folder, `.vagrant/machines/<machine>/<provider>/id`, which is how Vagrant tells machines
    /// that it has made from others; a machine without a note is made anew by the next `up`.
    pub fn remembers(&self, machine: &str, provider: &str) -> Option<String> {
        let note = self
            .dir
            .join(".vagrant/machines")
            .join(machine)
            .join(provider)
            .join("id");
        let id = std::fs::read_to_string(note).ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// Creates and starts machines, as parallel as the provider can be.
    ///
    /// A machine that fails is left as it is, for a look inside and for the next `up`.
    /// What Vagrant says is added to `log` in readable form, and each line is given to `on_line`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when Vagrant gives up, [`Error::Locked`], [`Error::Process`].
    pub fn up(&self, up: &Up<'_>, log: &Path, on_line: &mut dyn FnMut(&Line)) -> Result<(), Error> {
        let mut args = vec!["up", "--machine-readable", "--no-destroy-on-error"];
        if let Some(provider) = up.provider {
            args.extend(["--provider", provider]);
        }
        if up.provision {
            args.push("--provision");
        }
        args.extend(up.machines);
        for _ in 1..UP_ATTEMPTS {
            match self.act(&args, log, on_line) {
                Err(error) if is_race(&error) && !interrupt::raised() => {}
                ended => return ended,
            }
        }
        self.act(&args, log, on_line)
    }

    /// Stops machines; all when `machines` is empty.
    ///
    /// # Errors
    ///
    /// As [`Group::up`].
    pub fn halt(
        &self,
        machines: &[&str],
        log: &Path,
        on_line: &mut dyn FnMut(&Line),
    ) -> Result<(), Error> {
        let mut args = vec!["halt", "--machine-readable"];
        args.extend(machines);
        self.act(&args, log, on_line)
    }

    /// Destroys machines, without a question; all when `machines` is empty.
    ///
    /// # Errors
    ///
    /// As [`Group::up`].
    pub fn destroy(
        &self,
        machines: &[&str],
        log: &Path,
        on_line: &mut dyn FnMut(&Line),
    ) -> Result<(), Error> {
        let mut args = vec!["destroy", "--machine-readable", "--force", "--parallel"];
        args.extend(machines);
        self.act(&args, log, on_line)
    }

    /// Runs the provisioners of running machines again; all when `machines` is empty.
    ///
    /// # Errors
    ///
    /// As [`Group::up`].
    pub fn provision(
        &self,
        machines: &[&str],
        log: &Path,
        on_line: &mut dyn FnMut(&Line),
    ) -> Result<(), Error> {
        let mut args = vec!["provision", "--machine-readable"];
        args.extend(machines);
        self.act(&args, log, on_line)
    }

    /// Asks Vagrant for the states of all machines, which takes a second; [`crate::engine`] is quicker for containers.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Process`].
    pub fn status(&self) -> Result<Vec<MachineStatus>, Error> {
        self.ask(&["status", "--machine-readable"])
            .map(|said| statuses(&said))
    }

    /// Lets Vagrant check the Vagrantfile.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], with what is wrong with it, and [`Error::Process`].
    pub fn validate(&self) -> Result<(), Error> {
        self.ask(&["validate", "--machine-readable"]).map(drop)
    }

    fn ask(&self, args: &[&str]) -> Result<String, Error> {
        let call = self
            .vagrant
            .create_call(self, args)
            .timeout(Duration::from_secs(60));
        let command = call.to_string();
        let output = call.clone().output()?;
        if output.success() {
            return Ok(output.stdout);
        }
        let mut told = Told::default();
        for line in output.stdout.lines().filter_map(output::parse) {
            told.hear(&line);
        }
        match told.refusal {
            Some((class, text)) => Err(Error::Refused {
                command,
                dir: self.dir.clone(),
                class,
                text,
                said: Vec::new(),
                log: None,
            }),
            // It did not even begin to speak for itself: its own error, made by running it again, is the best there is.
            None => Err(call.run().map_or_else(Error::from, |_| Error::Refused {
                command,
                dir: self.dir.clone(),
                class: String::new(),
                text: "it failed once, and then did not".to_owned(),
                said: Vec::new(),
                log: None,
            })),
        }
    }

    /// Runs one command that changes machines; waits while another Vagrant holds their locks.
    fn act(&self, args: &[&str], log: &Path, on_line: &mut dyn FnMut(&Line)) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            match self.act_once(args, log, on_line) {
                Err(error) if is_lock(&error) => {
                    if began.elapsed() > LOCK_WAIT || interrupt::raised() {
                        return Err(Error::Locked {
                            dir: self.dir.clone(),
                            seconds: began.elapsed().as_secs(),
                        });
                    }
                    std::thread::sleep(LOCK_POLL);
                }
                ended => return ended,
            }
        }
    }

    fn act_once(
        &self,
        args: &[&str],
        log: &Path,
        on_line: &mut dyn FnMut(&Line),
    ) -> Result<(), Error> {
        let file_error = |source| Error::File {
            path: log.to_owned(),
            source,
        };
        let mut readable = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(file_error)?;
        // The raw lines need a file and not a pipe (see `Call::logged`), and people need the readable ones.
        let raw = log.with_extension("raw");
        let call = self.vagrant.create_call(self, args);
        let command = call.to_string();
        let mut told = Told::default();
        let mut trouble = None;
        let ended = call.logged(&raw, &mut |text| {
            let parsed = output::parse(text);
            let shown = match &parsed {
                Some(line) => line.shown(),
                None => Some(text.to_owned()),
            };
            if let Some(shown) = shown {
                trouble = trouble.take().or(writeln!(readable, "{shown}").err());
                told.remember(shown);
            }
            if let Some(line) = parsed {
                told.hear(&line);
                on_line(&line);
            }
        });
        match std::fs::remove_file(&raw) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                trouble = trouble.or(Some(error));
            }
            _ => {}
        }
        match (ended, told.refusal) {
            (Err(caravan_process::Error::Failed(_)), Some((class, text))) => Err(Error::Refused {
                command,
                dir: self.dir.clone(),
                class,
                text,
                said: told.said,
                log: Some(log.to_owned()),
            }),
            (Err(error), _) => Err(error.into()),
            (Ok(()), _) => trouble.map_or(Ok(()), |error| Err(file_error(error))),
        }
    }
}

/// What a run has said that an error wants to repeat.
#[derive(Default)]
struct Told {
    refusal: Option<(String, String)>,
    said: Vec<String>,
}

impl Told {
    fn hear(&mut self, line: &Line) {
        if let What::GivesUp { class, text } = &line.what {
            self.refusal = Some((class.clone(), text.clone()));
        }
    }

    fn remember(&mut self, shown: String) {
        if self.said.len() == SAID_LINES {
            self.said.remove(0);
        }
        self.said.push(shown);
    }
}

/// The states in the output of `vagrant status --machine-readable`, in its order.
fn statuses(said: &str) -> Vec<MachineStatus> {
    let mut found: Vec<MachineStatus> = Vec::new();
    for line in said.lines().filter_map(output::parse) {
        let (Some(name), What::Tells { key, value }) = (line.machine, line.what) else {
            continue;
        };
        let place = match found.iter().position(|machine| machine.name == name) {
            Some(place) => place,
            None => {
                found.push(MachineStatus {
                    name,
                    provider: String::new(),
                    state: MachineState::Absent,
                });
                found.len() - 1
            }
        };
        match key.as_str() {
            "provider-name" => found[place].provider = value,
            "state" => found[place].state = MachineState::of_vagrant(&value),
            _ => {}
        }
    }
    found
}

/// Whether another Vagrant holds the machine.
///
/// Judged by the text too: in a parallel command the class is that of the whole, `BatchMultiError`.
fn is_lock(error: &Error) -> bool {
    let Error::Refused { class, text, .. } = error else {
        return false;
    };
    let classes = [
        "MachineLocked",
        "MachineActionLockedError",
        "EnvironmentLockedError",
    ];
    let texts = [
        "another Vagrant process is currently reading",
        "another process is already executing an action",
        "lock is being held by another instance",
    ];
    classes.iter().any(|known| class.ends_with(known))
        || texts.iter().any(|known| text.contains(known))
}

/// Whether containers were listed while one was half made, which Vagrant's Docker driver does not survive.
fn is_race(error: &Error) -> bool {
    match error {
        Error::Refused { text, said, .. } => {
            let gone = |text: &str| text.contains("No such object");
            gone(text) || said.iter().any(|line| gone(line))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_a_half_stopped_group() {
        let said = include_str!("../tests/samples/status-half.txt");
        let machine = |name: &str, state| MachineStatus {
            name: name.to_owned(),
            provider: "docker".to_owned(),
            state,
        };
        assert_eq!(
            statuses(said),
            [
                machine("one", MachineState::Stopped),
                machine("two", MachineState::Running)
            ]
        );
        assert_eq!(statuses("a warning\n1,,ui,info,nothing"), []);
    }

    #[test]
    fn a_state_is_one_word_in_json() {
        let word = |state: MachineState| serde_json::to_string(&state).expect("a word");
        assert_eq!(word(MachineState::Running), "\"running\"");
        assert_eq!(
            word(MachineState::Other("preparing".into())),
            "\"preparing\""
        );
    }
}
