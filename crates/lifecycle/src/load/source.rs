//! Where an image comes from.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// How archives of images end, as far as they are told from names by it.
const ENDINGS: [&str; 4] = [".tar", ".tar.gz", ".tgz", ".oci"];

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// This computer's container engine, by a name or an id.
    Engine(String),
    /// An archive in a file.
    File(PathBuf),
    /// An archive on the standard input.
    Input,
}

impl ImageSource {
    /// What `word` means: `-` the standard input, a file where there is one or the word is a path, else an image of the
    /// engine.
    ///
    /// # Errors
    ///
    /// [`Error::ImageFolder`], [`Error::InputIsTerminal`], [`Error::Read`] for a path where nothing is.
    pub fn of(word: &str) -> Result<Self, Error> {
        let path = Path::new(word);
        if word == "-" {
            return match io::stdin().is_terminal() {
                true => Err(Error::InputIsTerminal),
                false => Ok(Self::Input),
            };
        }
        let is_path = word.starts_with(['.', '/']) || ENDINGS.iter().any(|it| word.ends_with(it));
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() && is_path => Err(Error::ImageFolder {
                path: path.to_owned(),
            }),
            // A folder may well be called like the image that is built in it.
            Ok(found) if found.is_dir() => Ok(Self::Engine(word.to_owned())),
            Ok(_) => Ok(Self::File(path.to_owned())),
            Err(source) if is_path => Err(Error::Read {
                path: path.to_owned(),
                source,
            }),
            Err(_) => Ok(Self::Engine(word.to_owned())),
        }
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(name) => write!(f, "`{name}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Input => f.write_str("standard input"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("image"), "").expect("written");
        std::fs::create_dir(at("oci")).expect("made");
        for name in [
            "app:1",
            "app",
            "ghcr.io/me/app:1",
            "sha256:0123",
            "0123456789ab",
        ] {
            let source = ImageSource::of(name).expect(name);
            assert_eq!(source, ImageSource::Engine(name.to_owned()));
        }
        let source = ImageSource::of(&at("image")).expect("a file");
        assert_eq!(source, ImageSource::File(at("image").into()));
        assert!(matches!(
            ImageSource::of(&at("oci")),
            Err(Error::ImageFolder { .. })
        ));
        for missing in [at("none"), "none.tar".to_owned(), "./none".to_owned()] {
            assert!(
                matches!(ImageSource::of(&missing), Err(Error::Read { .. })),
                "{missing}"
            );
        }
    }
}
