//! What can go wrong between here and the engine, and what to do about it.

use caravan_process::Failure;

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It printed what is not understood.
    #[error("cannot read what `{command}` printed")]
    Answer {
        /// The command line, pasteable.
        command: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It does not answer.
    #[error("the container engine does not answer: {said}")]
    Down {
        /// What its client says.
        said: String,
    },
    /// Its client could not be found, started or ended badly.
    #[error(transparent)]
    Process(caravan_process::Error),
}

impl From<caravan_process::Error> for Error {
    /// Tells an engine that is not there from one that says no.
    fn from(error: caravan_process::Error) -> Self {
        match &error {
            caravan_process::Error::Failed(failure)
                if is_down(failure) || is_forbidden(failure) =>
            {
                Self::Down {
                    said: failure.tail.join(" "),
                }
            }
            _ => Self::Process(error),
        }
    }
}

impl Error {
    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Answer { command, .. } => Some(format!("`{command}` shows it")),
            Self::Down { .. } => Some(format!(
                "`docker info` shows more; `{tool} setup` starts it where nothing else does"
            )),
            Self::Process(error) => error.hint(tool),
        }
    }
}

/// Whether the client says that no engine answers.
pub fn is_down(failure: &Failure) -> bool {
    let said = failure.tail.join(" ").to_lowercase();
    said.contains("cannot connect to the docker daemon")
        || said.contains("failed to connect to the docker api")
}

/// Whether the client says that this user may not use the engine.
pub fn is_forbidden(failure: &Failure) -> bool {
    let said = failure.tail.join(" ").to_lowercase();
    said.contains("permission denied while trying to connect")
}

/// Whether the engine says that something is not there any more; the word's case depends on what it is.
pub fn is_gone(said: &str) -> bool {
    said.to_ascii_lowercase().contains("no such")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(said: &str) -> Error {
        caravan_process::Error::Failed(Box::new(Failure {
            command: "docker ps".to_owned(),
            dir: None,
            status: Some(1),
            tail: said.lines().map(str::to_owned).collect(),
            log: None,
        }))
        .into()
    }

    #[test]
    fn an_engine_that_is_not_there_is_told_from_one_that_refuses() {
        for said in [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct",
            "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
        ] {
            let error = failed(said);
            assert!(
                matches!(&error, Error::Down { said: told } if told == said),
                "{error:?}"
            );
            let hint = error.hint("the tool").expect("a hint");
            assert!(hint.contains("`the tool setup` starts it"), "{hint}");
        }
        for said in [
            "Error response from daemon: removal of container d1200f is already in progress",
            "Error: No such container: d1200f",
            "mkdir /x: permission denied",
        ] {
            assert!(matches!(failed(said), Error::Process(_)), "{said}");
        }
    }
}
