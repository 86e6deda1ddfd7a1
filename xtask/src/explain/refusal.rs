//! What cannot be explained, and what was probably meant.

use caravan_lifecycle::listed;

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Several files have such a name.
    #[error("`{name}` may be {}", listed(paths))]
    Ambiguous { name: String, paths: Vec<String> },
    /// Others get such a file.
    #[error(
        "machine `{machine}` gets no file `{path}`; it is on {}",
        listed(machines)
    )]
    Elsewhere {
        lab: String,
        machine: String,
        path: String,
        machines: Vec<String>,
    },
    /// Nobody gets such a file.
    #[error("{who} `{path}`")]
    NoFile {
        /// As in "machine `lbone` gets no file".
        who: String,
        path: String,
        paths: Vec<String>,
    },
    /// No line has the text.
    #[error("no line of `{path}` has `{text}`")]
    NoText { path: String, text: String },
    /// The file has fewer lines.
    #[error("`{path}` has {count} lines, and no line {asked}")]
    PastTheEnd {
        path: String,
        asked: usize,
        count: usize,
    },
    /// Nobody is shown its lines.
    #[error("`{path}` is a secret: its lines are not shown")]
    Secret { path: String },
}

impl Refusal {
    /// The next thing to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Ambiguous { .. } => Some("give more of the path".to_owned()),
            Self::Elsewhere {
                lab,
                path,
                machines,
                ..
            } => machines
                .first()
                .map(|machine| format!("`cargo xtask explain {lab} {machine} {path}`")),
            Self::NoFile { path, paths, .. } => Some(match nearest(path, paths).as_slice() {
                [] => "leave the file out to see them all".to_owned(),
                near => format!("did you mean {}?", near.join(" or ")),
            }),
            Self::NoText { .. } => Some("leave the text out to see all lines".to_owned()),
            Self::PastTheEnd { count, .. } => Some(format!("lines are 1 to {count}")),
            Self::Secret { .. } => {
                Some("leave the line out to see what the file is for".to_owned())
            }
        }
    }
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
