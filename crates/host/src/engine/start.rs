//! Starting the container engine, where nothing else does.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use caravan_lab::Provider;
use caravan_process::{Program, interrupt};

use super::{EngineState, QUESTION, look};
use crate::error::{Error, UnfitNeed};
use crate::packages;
use crate::probe::{Cure, NeedState, SBIN};

/// How long the engine may take to answer after it was started.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to note its process id, which it does first of all.
const NOTING: Duration = Duration::from_secs(5);

/// What lacks where the engine does not run and this user may not start it.
const RUNNING_ENGINE: &str = "a container engine that runs";

/// What can start the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Starter {
    /// Its unit.
    Systemd,
    /// It by itself.
    Daemon(Program),
}

impl fmt::Display for Starter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Systemd => f.write_str("`systemctl start docker`"),
            Self::Daemon(dockerd) => write!(f, "`{}`", dockerd.path().display()),
        }
    }
}

/// What can start an engine here, on the socket where nothing answers.
pub(super) fn starter() -> EngineState {
    if systemd_runs() {
        match unit_state("docker.service").as_str() {
            "loaded" => return EngineState::Stopped(Starter::Systemd),
            "masked" => {
                return EngineState::Unfit {
                    found: "does not run, and its unit `docker.service` is masked".to_owned(),
                    cure: Cure::Hand("`sudo systemctl unmask docker`".to_owned()),
                };
            }
            _ => {}
        }
    }
    let Ok(dockerd) = Program::find_also_in("dockerd", &SBIN) else {
        return EngineState::Absent("the command `docker` is here, an engine is not".to_owned());
    };
    // What it starts: it ends at once without the first two, and no machine gets far without the third.
    for helper in ["containerd", "iptables", "runc"] {
        if Program::find_also_in(helper, &SBIN).is_err() {
            return EngineState::Absent(format!(
                "`{}` is here, and `{helper}`, which it needs, is not",
                dockerd.path().display()
            ));
        }
    }
    let works = dockerd
        .call(["--version"])
        .timeout(QUESTION)
        .output()
        .is_ok_and(|output| output.success() && output.stdout.contains("Docker"));
    if works {
        EngineState::Stopped(Starter::Daemon(dockerd))
    } else {
        let place = dockerd.path().display().to_string();
        EngineState::Unfit {
            found: format!("does not run, and `{place}` does not work"),
            cure: Cure::Replace(format!(
                "`{place} --version` shows why; repair or remove it"
            )),
        }
    }
}

/// Whether systemd knows a unit: `loaded`, `not-found`, `masked`, or empty where it does not say.
pub(crate) fn unit_state(unit: &str) -> String {
    Program::find("systemctl")
        .and_then(|systemctl| {
            systemctl
                .call(["show", "--property=LoadState", "--value", unit])
                .timeout(QUESTION)
                .run()
        })
        .map(|output| output.stdout.trim().to_owned())
        .unwrap_or_default()
}

/// How long an engine that was just started may answer like one that cannot be used. Its client asks first which version
/// both speak; where that question comes too early and the next one does not, the client is refused for its own version.
const SETTLING: Duration = Duration::from_secs(5);

/// Starts what machines of these providers need at any time, also to be asked for or removed: the engine, libvirt.
///
/// Returns what was started, and how.
///
/// # Errors
///
/// As [`start`] and [`crate::libvirt::start`].
pub fn start_for(providers: &BTreeSet<Provider>) -> Result<Vec<String>, Error> {
    let mut started = Vec::new();
    if providers.contains(&Provider::Docker) {
        started.extend(start()?.map(|how| format!("the container engine: {how}")));
    }
    if providers.contains(&Provider::Libvirt) {
        started.extend(crate::libvirt::start()?.map(|how| format!("libvirt: {how}")));
    }
    Ok(started)
}

/// Starts the engine if it does not run: by systemd where that knows it, else in the background by itself.
///
/// Returns how it was started, or `None` if it ran already, in which case nothing was done.
///
/// # Errors
///
/// [`Error::EngineSilent`] when it does not answer in the end, [`Error::CannotInstall`] with the exact command where this
/// user may not start it, [`Error::Unfit`] for one that must not be started or used, [`Error::Process`].
pub fn start() -> Result<Option<String>, Error> {
    let starter = match look() {
        EngineState::Running(_) => return Ok(None),
        EngineState::Stopped(starter) => starter,
        other => return Err(refused(other)),
    };
    packages::admit()?;
    let (how, log) = match starter {
        Starter::Systemd => {
            packages::run_as_root(RUNNING_ENGINE, &[("systemctl", &["start", "docker"])])?;
            (starter.to_string(), None)
        }
        Starter::Daemon(dockerd) => {
            let log = start_by_itself(&dockerd)?;
            (format!("`dockerd`, log in `{}`", log.display()), Some(log))
        }
    };
    let began = Instant::now();
    let mut unfit_since: Option<Instant> = None;
    loop {
        match look() {
            EngineState::Running(_) => return Ok(Some(how)),
            EngineState::Stopped(_) => unfit_since = None,
            other if unfit_since.get_or_insert_with(Instant::now).elapsed() > SETTLING => {
                return Err(refused(other));
            }
            _ => {}
        }
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        // It takes its note with it when it ends.
        let ended = log.is_some() && began.elapsed() > NOTING && !pid_file().exists();
        if ended || began.elapsed() > PATIENCE {
            return Err(Error::EngineSilent {
                how,
                tail: log.as_deref().map(tail).unwrap_or_default(),
            });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Why there is nothing to start.
fn refused(engine: EngineState) -> Error {
    let (found, cure) = match NeedState::from(engine) {
        NeedState::Lacking { found, cure } => (found, cure),
        NeedState::Met(found) | NeedState::Asleep(found) => (found, Cure::Package),
    };
    Error::Unfit {
        needs: vec![UnfitNeed {
            name: "container engine",
            found,
            cure,
        }],
    }
}

/// Whether systemd is process 1: the test that sd_booted(3) documents.
pub(crate) fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Starts `dockerd` in a session of its own, so that Ctrl-C here does not end it; returns its log.
fn start_by_itself(dockerd: &Program) -> Result<PathBuf, Error> {
    let folder = state_folder();
    make_state_folder(&folder)?;
    let log = folder.join("dockerd.log");
    let pid_file = format!("--pidfile={}", pid_file().display());
    let dockerd = dockerd.path().display().to_string();
    let words = ["--fork", &dockerd, &pid_file];
    let Ok(call) = packages::as_root("setsid", &words) else {
        return Err(Error::CannotInstall {
            what: RUNNING_ENGINE.to_owned(),
            // Not with this user's folder for its process id: that is for what this user may end.
            command: format!("setsid --fork {dockerd}"),
        });
    };
    call.logged(&log, &mut |_| {})?;
    Ok(log)
}

fn pid_file() -> PathBuf {
    state_folder().join("dockerd.pid")
}

/// Where the engine's log and process id lie when nothing else keeps them.
pub fn state_folder() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("caravan")
}

/// Makes the folder where the engine's log, process id and what `setup` fetches lie.
pub(crate) fn make_state_folder(folder: &Path) -> Result<(), Error> {
    caravan_files::make_private_folder(folder).map_err(Error::from)
}

fn tail(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..]
        .iter()
        .map(|&line| line.to_owned())
        .collect()
}
