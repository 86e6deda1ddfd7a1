//! Which files are the user's kubeconfigs, by the rules of kubectl.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::merge::Refusal;
use crate::error::Error;

/// The kubeconfigs that kubectl reads, first the one that counts most.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    /// The files, each once; some may not be there.
    pub(super) files: Vec<PathBuf>,
    /// Parts of `KUBECONFIG` that no program finds.
    pub(super) faults: Vec<Fault>,
}

/// A part of `KUBECONFIG` that begins with `~`, which only a shell turns into a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) part: PathBuf,
    /// What was meant, where that is known.
    pub(super) meant: Option<PathBuf>,
}

impl List {
    /// What `KUBECONFIG` lists, else `~/.kube/config`.
    pub(super) fn of_user() -> Self {
        Self::of(
            &env::var_os("KUBECONFIG").unwrap_or_default(),
            env::home_dir().as_deref(),
        )
    }

    fn of(listed: &OsStr, home: Option<&Path>) -> Self {
        let mut list = Self {
            files: Vec::new(),
            faults: Vec::new(),
        };
        if listed.is_empty() {
            list.files
                .extend(home.map(|home| home.join(".kube/config")));
            return list;
        }
        for part in env::split_paths(listed) {
            // kubectl takes each file once, and nothing for no file.
            if part.as_os_str().is_empty() || list.files.contains(&part) {
                continue;
            }
            let bytes = part.as_os_str().as_bytes();
            match bytes {
                [b'~'] | [b'~', b'/', ..] => list.faults.push(Fault {
                    meant: home.map(|home| match bytes.get(2..) {
                        None | Some([]) => home.to_owned(),
                        Some(below) => home.join(OsStr::from_bytes(below)),
                    }),
                    part,
                }),
                [b'~', ..] => list.faults.push(Fault { part, meant: None }),
                _ => list.files.push(part),
            }
        }
        list
    }

    /// The file that kubectl writes what is new into: the first that exists, else the last.
    ///
    /// # Errors
    ///
    /// [`Error::KubeconfigHome`] for a list with a part that no program finds, [`Error::KubeconfigNone`] for one without
    /// a file.
    pub(super) fn destination(&self) -> Result<&Path, Error> {
        self.hold()?;
        let there = self.files.iter().find(|file| fs::metadata(file).is_ok());
        let file = there.or(self.files.last()).ok_or(Error::KubeconfigNone)?;
        Ok(file)
    }

    /// Holds that all parts can be found.
    ///
    /// # Errors
    ///
    /// [`Error::KubeconfigHome`].
    pub(super) fn hold(&self) -> Result<(), Error> {
        match self.faults.first() {
            None => Ok(()),
            Some(fault) => Err(Error::KubeconfigHome {
                part: fault.part.clone(),
                meant: fault.meant.clone(),
            }),
        }
    }
}

/// Where the links from `path` lead in the end, whether or not something is there.
pub(super) fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    path
}

/// What is at `path`, where that is no regular file.
///
/// # Errors
///
/// [`Error::KubeconfigKind`].
pub(super) fn hold_regular(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(Error::KubeconfigKind {
            path: path.to_owned(),
            kind: kind(found.file_type()),
        }),
        _ => Ok(()),
    }
}

fn kind(found: FileType) -> &'static str {
    if found.is_dir() {
        "a folder"
    } else if found.is_char_device() || found.is_block_device() {
        "a device"
    } else if found.is_fifo() {
        "a named pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "no file"
    }
}

/// The text of a kubeconfig that is a regular file; `None` where there is none.
///
/// # Errors
///
/// [`Error::Read`], [`Error::Kubeconfig`] for what is no text.
pub(super) fn text_of(path: &Path) -> Result<Option<String>, Error> {
    // A pipe has no end, and what is read from it is gone.
    if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        // Which byte is wrong is not said: it may be one of a key.
        Err(_) => Err(Error::Kubeconfig {
            path: path.to_owned(),
            refusal: Refusal::NotText,
        }),
    }
}

/// `path` with `suffix` at its end.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_kubectl_has_them() {
        let home = Path::new("/users/me");
        for (listed, files, faults) in [
            ("", vec!["/users/me/.kube/config"], vec![]),
            ("a", vec!["a"], vec![]),
            (":", vec![], vec![]),
            (":b", vec!["b"], vec![]),
            ("a::b:", vec!["a", "b"], vec![]),
            ("a:b:a", vec!["a", "b"], vec![]),
            ("./~:a~", vec!["./~", "a~"], vec![]),
            ("~:a", vec!["a"], vec![("~", Some("/users/me"))]),
            ("~/x", vec![], vec![("~/x", Some("/users/me/x"))]),
            ("a:~you/x", vec!["a"], vec![("~you/x", None)]),
        ] {
            let list = List::of(OsStr::new(listed), Some(home));
            let found: Vec<&Path> = list.files.iter().map(PathBuf::as_path).collect();
            assert_eq!(
                found,
                files.iter().map(Path::new).collect::<Vec<_>>(),
                "{listed}"
            );
            let found = list.faults.iter();
            let found: Vec<(&str, Option<&str>)> = found
                .map(|fault| {
                    let meant = fault.meant.as_deref().and_then(Path::to_str);
                    (fault.part.to_str().unwrap_or_default(), meant)
                })
                .collect();
            assert_eq!(found, faults, "{listed}");
        }
    }
}
