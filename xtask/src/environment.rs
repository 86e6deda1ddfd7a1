//! What the environment says: the one place that reads the variables which libraries are given.

use std::env;
use std::path::PathBuf;

use caravan_bundle::{Cache, DownloadSettings, Proxy};
use caravan_lifecycle::Workspace;

use crate::error::Error;

/// The cache at [`cache_folder`].
///
/// # Errors
///
/// Where its folder cannot be made.
pub(crate) fn cache() -> Result<Cache, caravan_bundle::Error> {
    Cache::open(&cache_folder())
}

/// `$CARAVAN_CACHE`, `$XDG_CACHE_HOME/caravan` or `~/.cache/caravan`.
pub(crate) fn cache_folder() -> PathBuf {
    cache_folder_by(|name| env::var_os(name).map(PathBuf::from))
}

/// How published files are reached: `$CARAVAN_MIRROR`, `$CARAVAN_REGISTRY`, and the variables that other programs take a
/// proxy from.
pub(crate) fn download_settings() -> DownloadSettings {
    DownloadSettings {
        mirror: set("CARAVAN_MIRROR"),
        registry: set("CARAVAN_REGISTRY"),
        proxy: Proxy::try_from_env(),
    }
}

/// The step after which a test wants this program to be killed: `$CARAVAN_KILL_AFTER`.
pub(crate) fn kill_after() -> Option<String> {
    set("CARAVAN_KILL_AFTER")
}

/// The folder that `CARAVAN_ROOT` names, else the nearest one, from the current folder upward, that holds `labs/`.
pub(crate) fn workspace() -> Result<Workspace, Error> {
    if let Some(root) = env::var_os("CARAVAN_ROOT") {
        let root = PathBuf::from(root);
        return match root.join("labs").is_dir() {
            true => Ok(Workspace::at(root)),
            false => Err(Error::NoWorkspace { from: root }),
        };
    }
    let from = env::current_dir().unwrap_or_default();
    Workspace::near(&from).ok_or(Error::NoWorkspace { from })
}

/// The value of a variable; an empty one counts as none.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn cache_folder_by(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let set = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    set("CARAVAN_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|caches| caches.join("caravan")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/caravan")))
        .unwrap_or_else(|| PathBuf::from(".cache/caravan"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_environment_says_where_the_cache_is() {
        let of = |set: &[(&str, &str)]| {
            cache_folder_by(|name| {
                set.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| PathBuf::from(value))
            })
        };
        let home = ("HOME", "/h");
        let xdg = ("XDG_CACHE_HOME", "/x");
        assert_eq!(of(&[home]), Path::new("/h/.cache/caravan"));
        assert_eq!(of(&[home, xdg]), Path::new("/x/caravan"));
        assert_eq!(of(&[home, xdg, ("CARAVAN_CACHE", "/c")]), Path::new("/c"));
        assert_eq!(
            of(&[home, ("CARAVAN_CACHE", "")]),
            Path::new("/h/.cache/caravan"),
            "empty is unset"
        );
    }
}
