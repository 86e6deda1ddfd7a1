//! Reading and making files and folders, with the checks that secrets need.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::Error;
use crate::error::SYMBOLIC_LINK;

/// No file of a store comes near this; a larger one is something else.
const MAX_LENGTH: u64 = 1 << 20;

/// How much a file's readers are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Certificates and public keys: others may read, not write.
    Public,
    /// Keys and secrets: others may do neither.
    Private,
}

impl Privacy {
    /// The mode a file of this kind gets.
    pub(crate) fn mode(self) -> u32 {
        match self {
            Self::Public => 0o644,
            Self::Private => 0o600,
        }
    }

    /// The permission bits that must be off.
    fn forbidden(self) -> u32 {
        match self {
            Self::Public => 0o022,
            Self::Private => 0o077,
        }
    }
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}

/// Reads a file, if there is one, following no symbolic link in its last step.
pub(crate) fn read(path: &Path, privacy: Privacy) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    // NONBLOCK: a named pipe put in a file's place must not hang the reader.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            // A link, a socket and a device without driver cannot be opened; what they are says more than the reason.
            let kind = path
                .symlink_metadata()
                .ok()
                .and_then(|found| other_kind(&found));
            return Err(match kind {
                Some(kind) => wrong_kind(path, kind),
                None => io_error("open", path)(error),
            });
        }
    };
    let metadata = file.metadata().map_err(io_error("examine", path))?;
    if let Some(kind) = other_kind(&metadata) {
        return Err(wrong_kind(path, kind));
    }
    check(path, &metadata, privacy)?;
    if metadata.len() > MAX_LENGTH {
        return Err(Error::malformed("file", "is larger than 1 MiB").in_file(path));
    }
    // Capacity for all: growing would leave copies of a secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
    file.take(MAX_LENGTH)
        .read_to_end(&mut bytes)
        .map_err(io_error("read", path))?;
    Ok(Some(bytes))
}

/// Every `.crt` file of a folder and of those below it, with its path in the folder without that ending, sorted.
pub(crate) fn certificates(root: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut all = Vec::new();
    let mut folders = vec![(String::new(), root.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            let entry = entry.map_err(io_error("list", &folder))?;
            let (name, path) = (entry.file_name(), entry.path());
            // Hidden ones are half written, or nobody's.
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            // Not followed, so that a link back to a folder above does no harm.
            let kind = entry.file_type().map_err(io_error("examine", &path))?;
            if kind.is_dir() {
                folders.push((format!("{prefix}{name}/"), path));
            } else if let Some(stem) = name.strip_suffix(".crt") {
                all.push((format!("{prefix}{stem}"), path));
            }
        }
    }
    all.sort();
    Ok(all)
}

/// Makes a folder and those above it, as far as they are missing, and checks that nobody else may write to it.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io_error("make folder", path))?;
    // A symbolic link to a folder is the owner's business for the root of a store; what counts is where it leads.
    let metadata = path.metadata().map_err(io_error("examine", path))?;
    check(path, &metadata, Privacy::Public)
}

/// What is there instead of a regular file.
fn other_kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_symlink() {
        Some(SYMBOLIC_LINK)
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

fn wrong_kind(path: &Path, kind: &'static str) -> Error {
    Error::WrongFileKind {
        path: path.to_owned(),
        kind,
    }
}

fn check(path: &Path, metadata: &Metadata, privacy: Privacy) -> Result<(), Error> {
    let mode = metadata.mode() & 0o7777;
    let problem = if metadata.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if mode & privacy.forbidden() != 0 {
        match privacy {
            Privacy::Public => "can be changed by other users",
            Privacy::Private => "can be read or changed by other users",
        }
    } else {
        return Ok(());
    };
    Err(Error::InsecurePermissions {
        path: path.to_owned(),
        mode,
        problem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn modes_decide_who_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x").unwrap();
        for (mode, public, private) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o640, true, false),
            (0o644, true, false),
            (0o620, false, false),
            (0o602, false, false),
        ] {
            set_mode(&path, mode);
            assert_eq!(read(&path, Privacy::Public).is_ok(), public, "{mode:o}");
            assert_eq!(read(&path, Privacy::Private).is_ok(), private, "{mode:o}");
        }
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "x").unwrap();
        set_mode(&path("file"), 0o600);
        symlink(path("file"), path("link")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        assert!(read(&path("file"), Privacy::Private).unwrap().is_some());
        assert!(read(&path("missing"), Privacy::Private).unwrap().is_none());
        for (name, kind) in [
            ("link", "a symbolic link"),
            ("folder", "a folder"),
            ("pipe", "a named pipe"),
        ] {
            let error = read(&path(name), Privacy::Private).unwrap_err().to_string();
            assert!(error.contains(&format!("is {kind}, where")), "{error}");
        }
    }

    #[test]
    fn folders_others_may_write_to_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        make_folder(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
        for mode in [0o770, 0o702, 0o1777] {
            set_mode(&path, mode);
            let error = make_folder(&path).unwrap_err();
            assert!(
                matches!(error, Error::InsecurePermissions { .. }),
                "{error}"
            );
        }
    }
}
