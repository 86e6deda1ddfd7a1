//! Which files are the user's kubeconfigs, by the rules of kubectl.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::{Error, Refusal};

/// The kubeconfigs that kubectl reads, first the one that counts most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigList {
    /// The files, each once; some may not be there.
    pub files: Vec<PathBuf>,
    /// Parts of `KUBECONFIG` that no program finds.
    pub unfound: Vec<UnfoundPart>,
}

/// A part of `KUBECONFIG` that begins with `~`, which only a shell turns into a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfoundPart {
    /// As it is listed.
    pub part: PathBuf,
    /// What was meant, where that is known.
    pub meant: Option<PathBuf>,
}

impl KubeconfigList {
    /// What `listed`, the value of `KUBECONFIG`, lists; where that is empty, `.kube/config` in the folder `home`.
    pub fn parse(listed: &OsStr, home: Option<&Path>) -> Self {
        let mut list = Self {
            files: Vec::new(),
            unfound: Vec::new(),
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
                [b'~'] | [b'~', b'/', ..] => list.unfound.push(UnfoundPart {
                    meant: home.map(|home| match bytes.get(2..) {
                        None | Some([]) => home.to_owned(),
                        Some(below) => home.join(OsStr::from_bytes(below)),
                    }),
                    part,
                }),
                [b'~', ..] => list.unfound.push(UnfoundPart { part, meant: None }),
                _ => list.files.push(part),
            }
        }
        list
    }

    /// The file that kubectl writes what is new into: the first that exists, else the last.
    ///
    /// # Errors
    ///
    /// [`Error::Tilde`] for a list with a part that no program finds, [`Error::NoFile`] for one without
    /// a file.
    pub(crate) fn destination(&self) -> Result<&Path, Error> {
        self.check()?;
        let there = self.files.iter().find(|file| fs::metadata(file).is_ok());
        let file = there.or(self.files.last()).ok_or(Error::NoFile)?;
        Ok(file)
    }

    /// Refuses a list with a part that no program finds.
    ///
    /// # Errors
    ///
    /// [`Error::Tilde`].
    pub fn check(&self) -> Result<(), Error> {
        match self.unfound.first() {
            None => Ok(()),
            Some(fault) => Err(Error::Tilde {
                part: fault.part.clone(),
                meant: fault.meant.clone(),
            }),
        }
    }
}

/// Whether two paths lead to the same place in the end, whether or not something is there.
pub fn same_file(one: &Path, other: &Path) -> bool {
    let place =
        |path: &Path| behind_links(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    place(one) == place(other)
}

/// Where the links from `path` lead in the end, whether or not something is there.
pub(crate) fn behind_links(path: &Path) -> PathBuf {
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

/// Refuses what is at `path`, where that is no regular file.
///
/// # Errors
///
/// [`Error::NotRegular`].
pub(crate) fn check_regular(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(Error::NotRegular {
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
/// [`Error::Read`], [`Error::Refused`] for what is no text.
pub(crate) fn text_of(path: &Path) -> Result<Option<String>, Error> {
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
        Err(_) => Err(Error::Refused {
            path: path.to_owned(),
            refusal: Refusal::NotText,
        }),
    }
}

/// `path` with `suffix` at its end.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
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
            let list = KubeconfigList::parse(OsStr::new(listed), Some(home));
            let found: Vec<&Path> = list.files.iter().map(PathBuf::as_path).collect();
            assert_eq!(
                found,
                files.iter().map(Path::new).collect::<Vec<_>>(),
                "{listed}"
            );
            let found = list.unfound.iter();
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
