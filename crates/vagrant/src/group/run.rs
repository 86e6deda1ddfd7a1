//! One run of a command that changes machines: its output read, its lock waited for.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use caravan_process::{Computer, interrupt};

use super::Group;
use crate::Error;
use crate::output::{self, VagrantEvent, VagrantOutputLine};

/// How long a command waits for another Vagrant on the same machine: one that a killed runner left behind ends by itself.
const LOCK_WAIT: Duration = Duration::from_secs(180);

/// How often a locked machine is tried again.
const LOCK_POLL: Duration = Duration::from_secs(1);

/// How many of the last lines an error shows.
const SAID_LINES: usize = 20;

impl Group {
    /// Runs one command that changes machines; waits while another Vagrant holds their locks.
    pub(super) fn act(
        &self,
        args: &[&str],
        log: &Path,
        on_line: &mut dyn FnMut(&VagrantOutputLine),
    ) -> Result<(), Error> {
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
        on_line: &mut dyn FnMut(&VagrantOutputLine),
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
        let call = self.vagrant.create_call(self, args);
        let command = call.to_string();
        let mut told = LastWords::default();
        let mut trouble = None;
        let mut hear = |text: &str| {
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
        };
        let ended = match self.vagrant.computer() {
            Computer::Here => {
                // The raw lines need a file and not a pipe (see `Call::logged`), and people need the readable ones.
                let raw = tempfile::Builder::new()
                    .prefix(".vagrant-")
                    .tempfile_in(log.parent().unwrap_or(Path::new(".")))
                    .map_err(file_error)?
                    .into_temp_path();
                call.logged(&raw, &mut hear)
            }
            there @ Computer::Ssh(_) => self.detached(there, &call, &mut hear),
        };
        match (ended, told.refusal) {
            (Err(caravan_process::Error::Failed(_)), Some((class, text))) => Err(Error::Refused {
                command,
                dir: self.dir.clone(),
                class,
                text,
                said: told.said,
                log: Some(log.to_owned()),
            }),
            (Err(caravan_process::Error::Failed(mut failure)), None) => {
                // The raw lines are gone with their file.
                failure.log = Some(log.to_owned());
                failure.tail = told.said;
                Err(caravan_process::Error::Failed(failure).into())
            }
            (Err(error), _) => Err(error.into()),
            (Ok(()), _) => trouble.map_or(Ok(()), |error| Err(file_error(error))),
        }
    }
}

/// What a run has said that an error wants to repeat.
#[derive(Default)]
pub(super) struct LastWords {
    pub(super) refusal: Option<(String, String)>,
    said: Vec<String>,
}

impl LastWords {
    pub(super) fn hear(&mut self, line: &VagrantOutputLine) {
        if let VagrantEvent::GivesUp { class, text } = &line.what {
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

/// Whether another Vagrant holds the machine.
///
/// Judged by the text too: in a parallel command the class is that of the whole, `BatchMultiError`.
fn is_lock(error: &Error) -> bool {
    if let Error::Process(caravan_process::Error::StillRuns { .. }) = error {
        return true;
    }
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
pub(super) fn is_race(error: &Error) -> bool {
    match error {
        Error::Refused { text, said, .. } => {
            let gone = |text: &str| text.contains("No such object");
            gone(text) || said.iter().any(|line| gone(line))
        }
        _ => false,
    }
}
