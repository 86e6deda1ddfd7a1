//! What cannot be explained, and what was probably meant.

use crate::Error;

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Several files have such a name.
    #[error("`{name}` may be {}", listed(paths))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The paths that it may be.
        paths: Vec<String>,
    },
    /// Others get such a file.
    #[error(
        "machine `{machine}` gets no file `{path}`; it is on {}",
        listed(machines)
    )]
    Elsewhere {
        /// The lab.
        lab: String,
        /// The machine.
        machine: String,
        /// The path.
        path: String,
        /// Who has it.
        machines: Vec<String>,
    },
    /// The first word is neither a machine, nor a server, nor a file.
    #[error("no machine, server or file is called `{word}`")]
    NoMachine {
        /// The word.
        word: String,
    },
    /// Files could not be rendered.
    #[error(transparent)]
    Render(#[from] Error),
    /// Nobody gets such a file.
    #[error("{who} `{path}`")]
    NoFile {
        /// As in "machine `lbone` gets no file".
        who: String,
        /// The path.
        path: String,
        /// The paths that it may be.
        paths: Vec<String>,
    },
    /// No line has the text.
    #[error("no line of `{path}` has `{text}`")]
    NoText {
        /// The path.
        path: String,
        /// The text.
        text: String,
    },
    /// The file has fewer lines.
    #[error("`{path}` has {count} lines, and no line {asked}")]
    PastTheEnd {
        /// The path.
        path: String,
        /// The line that was asked for, from 1.
        asked: usize,
        /// How many it has.
        count: usize,
    },
    /// Nobody is shown its lines.
    #[error("`{path}` is a secret: its lines are not shown")]
    Secret {
        /// The path.
        path: String,
    },
}

impl Refusal {
    /// The next thing to do about it; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        match self {
            Self::Ambiguous { .. } => Some("give more of the path".to_owned()),
            Self::Elsewhere {
                lab,
                path,
                machines,
                ..
            } => machines
                .first()
                .map(|machine| format!("`{tool} explain {lab} {machine} {path}`")),
            Self::NoFile { path, paths, .. } => Some(match nearest(path, paths).as_slice() {
                [] => "leave the file out to see them all".to_owned(),
                near => format!("did you mean {}?", near.join(" or ")),
            }),
            Self::NoMachine { .. } => Some("leave it out to see all files".to_owned()),
            Self::Render(error) => error.hint(tool),
            Self::NoText { .. } => Some("leave the text out to see all lines".to_owned()),
            Self::PastTheEnd { count, .. } => Some(format!("lines are 1 to {count}")),
            Self::Secret { .. } => {
                Some("leave the line out to see what the file is for".to_owned())
            }
        }
    }
}

/// `names` in backticks, with commas.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The paths that were probably meant by `path`, at most three, in backticks, the likeliest first.
fn nearest(path: &str, paths: &[String]) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let likeness = |known: &String| {
        let whole = strsim::jaro_winkler(path, known);
        // Whoever leaves folders out, or has them wrong, may still have the name right.
        whole.max(strsim::jaro_winkler(&name(path), &name(known)))
    };
    let mut ranked: Vec<_> = paths.iter().map(|known| (likeness(known), known)).collect();
    ranked.retain(|(likeness, _)| *likeness > 0.8);
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    // What is much less like than the likeliest only distracts.
    let best = ranked.first().map_or(0.0, |(likeness, _)| *likeness);
    ranked
        .iter()
        .take_while(|(likeness, _)| *likeness > best - 0.05)
        .take(3)
        .map(|(_, known)| format!("`{known}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_suggests_those_like_it() {
        let paths = [
            "/etc/haproxy/haproxy.cfg",
            "/etc/caravan/hosts",
            "/etc/systemd/system/haproxy.service",
        ]
        .map(str::to_owned);
        assert_eq!(
            nearest("haproxy.conf", &paths),
            ["`/etc/haproxy/haproxy.cfg`"]
        );
        assert_eq!(nearest("/etc/host", &paths), ["`/etc/caravan/hosts`"]);
        assert_eq!(nearest("qqq", &paths), [""; 0]);
    }
}
