//! The folder of a user's labs: their files, and their state.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_lab::Lab;

use crate::Error;
use crate::computers::seen_from_here;
use crate::error::RefusedLabFile;
use crate::lab_dir::{self, LabDir};

/// The folder that holds `labs/` and `.lab/`.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace in this folder, which holds `labs/`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The nearest workspace, from a folder upward.
    pub fn near(from: &Path) -> Option<Self> {
        from.ancestors()
            .find(|dir| dir.join("labs").is_dir())
            .map(Self::at)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of the lab called `name`.
    pub fn lab_file(&self, name: &str) -> PathBuf {
        self.root.join("labs").join(format!("{name}.toml"))
    }

    /// The state folder of the lab called `name`.
    pub fn state(&self, name: &str) -> LabDir {
        LabDir::new(&self.root, name)
    }

    /// The names of all lab files, sorted.
    pub fn labs(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join("labs")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                name.strip_suffix(".toml").map(str::to_owned)
            })
            .collect();
        names.retain(|name| self.lab_file(name).is_file());
        names.sort();
        names
    }

    /// The names of the labs that have state, sorted.
    pub fn labs_with_state(&self) -> Vec<String> {
        lab_dir::names(&self.root)
    }

    /// Reads the lab called `name` and the text of its file.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchLab`], [`Error::NoLabFile`], [`Error::NotText`], [`Error::Faults`] with every fault of the file,
    /// [`Error::Read`].
    pub fn lab(&self, name: &str) -> Result<(Lab, String), Error> {
        let path = self.lab_file(name);
        // A slash would lead out of `labs/`. Any other name that has a file is read, so that what is wrong with it is told.
        if name.contains('/') || !path.exists() {
            return Err(self.no_such_lab(name));
        }
        read_lab(name, &path)
    }

    /// The error for a name that cannot be a lab's: what is wrong with its file, where it has one.
    pub fn no_lab(&self, name: &str) -> Error {
        match self.lab(name) {
            Err(error) => error,
            Ok(_) => self.no_such_lab(name),
        }
    }

    /// The error for a name that no lab file has.
    pub fn no_such_lab(&self, name: &str) -> Error {
        let kept = self.state(name).deployed_lab();
        if is_label(name) && kept.is_file() {
            return Error::LabFileGone {
                lab: name.to_owned(),
                path: self.lab_file(name),
                kept,
            };
        }
        Error::NoSuchLab {
            name: name.to_owned(),
            labs: self.labs(),
        }
    }

    /// The template that the user may edit, where there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] where it is there and cannot be read.
    pub fn vagrantfile_template(&self) -> Result<Option<String>, Error> {
        let path = self.root.join("Vagrantfile.hbs");
        if path.exists() {
            read_text(&path).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Reads a lab file, wherever it is.
///
/// # Errors
///
/// [`Error::Faults`], [`Error::NoLabFile`], [`Error::NotText`], [`Error::Read`].
pub fn read_lab(name: &str, path: &Path) -> Result<(Lab, String), Error> {
    let source = text_of(path)?;
    match Lab::parse(name, &source) {
        Ok(lab) => Ok((seen_from_here(lab), source)),
        Err(faults) => Err(Error::Faults(Box::new(RefusedLabFile {
            path: path.to_owned(),
            source,
            faults,
        }))),
    }
}

fn text_of(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    // Reading a pipe would wait for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::NoLabFile {
            path: path.to_owned(),
        });
    }
    String::from_utf8(fs::read(path).map_err(failed)?).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let before = String::from_utf8_lossy(&bytes[..place]);
        Error::NotText {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            byte: bytes[place],
        }
    })
}

/// Reads a file to its end.
///
/// # Errors
///
/// [`Error::Read`].
pub fn read_text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// Whether `name` can be the name of a lab: a DNS label, so that it never leads out of `.lab/`.
pub(crate) fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}
