//! Finds programs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::{Call, Error, SshComputer};

/// A program: one of this computer, found and known by its absolute path, or one of a computer that ssh reaches, known by the
/// name that the search path there leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    name: String,
    path: PathBuf,
    /// The computer that it runs on, where that is not this one.
    there: Option<Box<SshComputer>>,
}

impl Program {
    /// Finds `name` on the search path (`PATH`).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when no folder of the search path holds an executable file of that name.
    pub fn find(name: &str) -> Result<Self, Error> {
        match which::which(name) {
            Ok(path) => Ok(Self {
                name: name.to_owned(),
                path,
                there: None,
            }),
            Err(_) => Err(Error::NotFound {
                program: name.to_owned(),
                searched: std::env::var("PATH").unwrap_or_default(),
            }),
        }
    }

    /// Finds `name` on the search path, then in the `extra` folders, in that order.
    ///
    /// Administrators' tools live in folders that an ordinary user's search path lacks (`/usr/sbin`).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], as [`Program::find`].
    pub fn find_also_in(name: &str, extra: &[&str]) -> Result<Self, Error> {
        Self::find(name).or_else(|not_found| {
            let folders = std::env::join_paths(extra).unwrap_or_default();
            match which::which_in(name, Some(folders), "/") {
                Ok(path) => Ok(Self {
                    name: name.to_owned(),
                    path,
                    there: None,
                }),
                Err(_) => Err(not_found),
            }
        })
    }

    /// The program at `path`, which is not checked before it is started.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        Self {
            name,
            path,
            there: None,
        }
    }

    /// The program called `name` on another computer, which is not looked for before it is started.
    pub(crate) fn on(computer: &SshComputer, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: name.into(),
            there: Some(Box::new(computer.clone())),
        }
    }

    /// The name it was asked for by, which is what people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The computer that it runs on, where that is not this one.
    pub(crate) fn computer(&self) -> Option<&SshComputer> {
        self.there.as_deref()
    }

    /// Prepares one start of the program with `args`.
    pub fn call<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Call {
        let args: Vec<OsString> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        Call::new(self.clone(), args)
    }
}
