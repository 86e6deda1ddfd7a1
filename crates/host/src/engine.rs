//! The container engine: which one `docker` asks, whether that can run machines here, and starting one where none runs.
//!
//! Vagrant and we use the same command, `docker`, so what it asks is the engine: by `DOCKER_HOST`, `DOCKER_CONTEXT` or the
//! chosen context, or else on this computer's own socket. Only there may one be started: beside an engine that somebody
//! chose, another would be one that nobody asks.

mod answer;
mod start;

use std::time::Duration;

use caravan_docker::{DockerCli, DockerVersion, Endpoint, EngineInfo};
use caravan_process::Output;

use self::answer::{EngineVerdict, Here, Network};
pub use self::start::Starter;
pub(crate) use self::start::{make_state_folder, systemd_runs, unit_state};
pub use self::start::{start, start_for, state_folder};
use crate::probe::{self, Cure, NeedState};

/// How long the engine may take to answer a question.
const QUESTION: Duration = Duration::from_secs(10);

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineState {
    /// It answers, and machines can run on it; its version.
    Running(String),
    /// It does not answer, and can be started by this.
    Stopped(Starter),
    /// It runs, and does not let this user in.
    Forbidden,
    /// It, or what asks it, is not installed; what was seen.
    Absent(String),
    /// It is none that machines can run on.
    Unfit {
        /// What was seen.
        found: String,
        /// What people can do.
        cure: Cure,
    },
}

impl From<EngineState> for NeedState {
    fn from(engine: EngineState) -> Self {
        match engine {
            EngineState::Running(version) => Self::Met(format!("answers, version {version}")),
            EngineState::Stopped(starter) => {
                Self::Asleep(format!("does not run; can be started by {starter}"))
            }
            EngineState::Forbidden => Self::by_hand(
                "does not let you in",
                "`sudo usermod --append --groups docker $USER`, then log in again; or go on at once with the same command \
                 in `sg docker -c '...'`",
            ),
            EngineState::Absent(found) => Self::Lacking {
                found,
                cure: Cure::Package,
            },
            EngineState::Unfit { found, cure } => Self::Lacking { found, cure },
        }
    }
}

/// Asks the engine.
pub fn look() -> EngineState {
    match DockerCli::find() {
        Ok(docker) => ask(&docker),
        Err(_) => EngineState::Absent("no `docker` command".to_owned()),
    }
}

fn ask(docker: &DockerCli) -> EngineState {
    let place = docker.program().path().display().to_string();
    if is_snap(docker) {
        return EngineState::Unfit {
            found: format!(
                "`{place}` is of a snap, which may not read hidden folders such as `~/.cache` and `.lab`"
            ),
            cure: Cure::Replace("`sudo snap remove docker`".to_owned()),
        };
    }
    let question = |words: &[&str]| {
        docker
            .call(words)
            .timeout(QUESTION)
            .output()
            .map_err(|error| probe::told(&error))
    };
    // Alone and first: the others would dial what it names, which may take long.
    let context = question(&Endpoint::QUESTION);
    let endpoint = match &context {
        Ok(output) if output.success() => Endpoint::parse(&output.stdout),
        // A command that knows no contexts, whoever's it is, has the variable.
        _ => Endpoint::of_environment(),
    };
    if let Some(found) = answer::other_computer(&endpoint) {
        return unfit(&endpoint, found);
    }
    let [version, info, network] = std::thread::scope(|scope| {
        let words: [&[&str]; 3] = [
            &["version", "--format", "{{json .}}"],
            &["info", "--format", "{{json .}}"],
            &["network", "inspect", "bridge", "--format", "{{json .}}"],
        ];
        words
            .map(|words| scope.spawn(move || question(words)))
            .map(|asked| {
                asked
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
    });
    let version = match version {
        Ok(output) => output,
        // Such as a program of another processor, or an engine that takes the question and never answers.
        Err(error) => {
            return EngineState::Unfit {
                found: format!("`{place}` does not work: {error}"),
                cure: Cure::Replace("repair or remove it".to_owned()),
            };
        }
    };
    let Some(told) = DockerVersion::parse(&version.stdout) else {
        return match &context {
            Ok(output) if output.stderr.contains("context") => EngineState::Unfit {
                found: format!("`docker` cannot tell which engine to ask: {}", last(output)),
                cure: Cure::Hand(
                    "`docker context use default`, with `DOCKER_CONTEXT` unset".to_owned(),
                ),
            },
            _ => another_program(docker, &place),
        };
    };
    if !version.success() {
        return silent(&endpoint, &version);
    }
    let text = |asked: Result<Output, String>| asked.map(|it| it.stdout).unwrap_or_default();
    let info: EngineInfo = serde_json::from_str(&text(info)).unwrap_or_default();
    let network: Option<Network> = serde_json::from_str(&text(network)).ok();
    match answer::judge(&endpoint, &told, &info, network.as_ref(), &Here::now()) {
        EngineVerdict::Fit { version } => EngineState::Running(version),
        EngineVerdict::Unfit(found) => unfit(&endpoint, found),
    }
}

fn unfit(endpoint: &Endpoint, found: String) -> EngineState {
    EngineState::Unfit {
        cure: if endpoint.is_own() {
            Cure::Replace("use the engine of this distribution: remove that one".to_owned())
        } else {
            Cure::Hand(format!(
                "use this computer's own engine: {}",
                endpoint.to_leave()
            ))
        },
        found,
    }
}

/// Whether the command is of a snap: there, each is a link to one program in a folder of its own.
fn is_snap(docker: &DockerCli) -> bool {
    docker.program().path().starts_with("/snap")
        || docker.program().path().starts_with("/var/lib/snapd/snap")
        || std::fs::canonicalize(docker.program().path())
            .is_ok_and(|path| path.ends_with("bin/snap"))
}

/// `docker` is a name that others have too.
fn another_program(docker: &DockerCli, place: &str) -> EngineState {
    let said = docker
        .call(["--version"])
        .timeout(QUESTION)
        .output()
        .map(|output| format!("{}{}", output.stdout, output.stderr))
        .unwrap_or_default();
    if said.to_lowercase().contains("podman") {
        return EngineState::Unfit {
            found: format!(
                "`{place}` is Podman, with which Vagrant's docker provider does not work"
            ),
            cure: Cure::Replace("remove the package `podman-docker`".to_owned()),
        };
    }
    let line = said.lines().find(|line| !line.trim().is_empty());
    EngineState::Unfit {
        found: format!(
            "`{place}` is not Docker's command: it says `{}`",
            line.unwrap_or("nothing").trim()
        ),
        cure: Cure::Replace("remove it or take it from the search path".to_owned()),
    }
}

/// Why nothing answers, and whether something can be started.
fn silent(endpoint: &Endpoint, version: &Output) -> EngineState {
    let said = last(version);
    if said.contains("is too new") || said.contains("is too old") {
        return EngineState::Unfit {
            found: format!(
                "the `docker` command and the engine do not understand each other: {said}"
            ),
            cure: Cure::Hand(
                "`docker version` shows both; remove the command that does not come with the engine"
                    .to_owned(),
            ),
        };
    }
    if !endpoint.is_own() {
        return EngineState::Unfit {
            found: format!("`docker` asks {endpoint}, where no engine answers: {said}"),
            cure: Cure::Hand(format!(
                "start that one, or use this computer's own engine: {}",
                endpoint.to_leave()
            )),
        };
    }
    if said.contains("permission denied") {
        return EngineState::Forbidden;
    }
    start::starter()
}

fn last(output: &Output) -> String {
    let line = output
        .stderr
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("nothing was said");
    line.trim().to_owned()
}
