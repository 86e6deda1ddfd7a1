//! The container engine: whether it answers, and starting it where nothing else does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use caravan_process::{Program, interrupt};

use crate::error::Error;
use crate::host::packages;
use crate::lab_dir;

/// How long the engine may take to answer after it was started.
const PATIENCE: Duration = Duration::from_secs(60);

/// What lacks where the engine does not run and this user may not start it.
const RUNNING_ENGINE: &str = "a container engine that runs";

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Engine {
    /// It answers; its version.
    Running(String),
    /// It is installed and does not answer.
    Stopped,
    /// It runs, and does not let this user in.
    Forbidden,
    /// It is not installed.
    Absent,
}

/// Asks the engine.
pub(crate) fn look() -> Engine {
    let Ok(docker) = Program::find("docker") else {
        return Engine::Absent;
    };
    let asked = docker
        .call(["version", "--format", "{{.Server.Version}}"])
        .timeout(Duration::from_secs(10))
        .output();
    match asked {
        Ok(output) if output.success() => Engine::Running(output.stdout.trim().to_owned()),
        Ok(output) if output.stderr.contains("permission denied") => Engine::Forbidden,
        _ => Engine::Stopped,
    }
}

/// Starts the engine if it does not run: by systemd where that is the init system, else in the background by itself.
///
/// Returns how it was started, or `None` if it ran already, in which case nothing was done.
///
/// # Errors
///
/// [`Error::EngineSilent`] when it does not answer in the end, [`Error::CannotInstall`] with the exact command where this
/// user may not start it, [`Error::Process`].
pub(crate) fn start() -> Result<Option<String>, Error> {
    match look() {
        Engine::Running(_) => return Ok(None),
        Engine::Forbidden => return Err(Error::EngineForbidden),
        // Says what is not here, and what installs it.
        Engine::Absent => drop(Program::find("docker")?),
        Engine::Stopped => {}
    }
    packages::admit()?;
    let (how, log) = if systemd_runs() {
        packages::run_as_root(RUNNING_ENGINE, &[("systemctl", &["start", "docker"])])?;
        ("`systemctl start docker`".to_owned(), None)
    } else {
        let log = start_by_itself()?;
        (format!("`dockerd`, log in `{}`", log.display()), Some(log))
    };
    let limit = Instant::now() + PATIENCE;
    loop {
        match look() {
            Engine::Running(_) => return Ok(Some(how)),
            Engine::Forbidden => return Err(Error::EngineForbidden),
            Engine::Absent | Engine::Stopped => {}
        }
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        if Instant::now() > limit {
            return Err(Error::EngineSilent {
                how,
                tail: log.as_deref().map(tail).unwrap_or_default(),
            });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether systemd is process 1: the test that sd_booted(3) documents.
pub(crate) fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Starts `dockerd` in a session of its own, so that Ctrl-C here does not end it; returns its log.
fn start_by_itself() -> Result<PathBuf, Error> {
    let folder = state_folder();
    lab_dir::make_private(&folder)?;
    let log = folder.join("dockerd.log");
    let dockerd = Program::find_also_in("dockerd", &crate::host::needs::SBIN)?;
    let pid_file = format!("--pidfile={}", folder.join("dockerd.pid").display());
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

/// Where the engine's log and process id lie when nothing else keeps them.
pub(crate) fn state_folder() -> PathBuf {
    std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("caravan")
}

fn tail(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..]
        .iter()
        .map(|&line| line.to_owned())
        .collect()
}
