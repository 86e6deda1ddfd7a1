//! A group of machines: one Vagrantfile, one folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use caravan_process::interrupt;

use crate::output::{self, VagrantOutputLine};
use crate::{Error, Vagrant};

mod run;
mod state;
mod there;

use run::{LastWords, is_race};
use state::statuses;
pub use state::{MachineState, MachineStatus};

/// How often `up` is tried again after an error that another `up` is known to mend.
const UP_ATTEMPTS: usize = 3;

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
    pub fn up(
        &self,
        up: &Up<'_>,
        log: &Path,
        on_line: &mut dyn FnMut(&VagrantOutputLine),
    ) -> Result<(), Error> {
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
        on_line: &mut dyn FnMut(&VagrantOutputLine),
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
        on_line: &mut dyn FnMut(&VagrantOutputLine),
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
        on_line: &mut dyn FnMut(&VagrantOutputLine),
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
        let mut told = LastWords::default();
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
}
