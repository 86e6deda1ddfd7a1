//! What making a bundle needs on this computer, so that it can be said before an hour's work.

use std::path::{Path, PathBuf};

use caravan_process::Program;

use crate::Error;
use crate::error::Remedy;

/// The Go toolchain that builds all components; a Go that is too old can fetch it as a Go module.
pub const TOOLCHAIN: &str = "go1.26.8";

/// The oldest Go that builds all components.
const GO: (u32, u32) = (1, 26);

/// Where [`TOOLCHAIN`] is put for this purpose: a folder of its own, since a toolchain laid over another one would build
/// with files of both.
pub const TOOLCHAIN_HOME: &str = "/usr/local/lib/caravan/go1.26.8";

/// The Go of this computer.
#[derive(Debug, Clone)]
pub enum Go {
    /// It can build the software.
    Enough {
        /// The command `go`.
        program: Program,
        /// As Go says it: `go1.26.8`.
        version: String,
    },
    /// It cannot, nor fetch a toolchain by itself that can.
    TooOld {
        /// The command `go`.
        program: Program,
        /// As Go says it: `go1.19.8`.
        version: String,
    },
    /// There is none.
    Absent,
}

/// Looks for a Go that can build the software: on the search path, where its own installer puts it, and in
/// [`TOOLCHAIN_HOME`].
///
/// # Errors
///
/// [`Error::Program`] when one does not say its version.
pub fn go() -> Result<Go, Error> {
    let places =
        ["/usr/local/go/bin", "/usr/lib/go/bin"].map(|folder| Path::new(folder).join("go"));
    let own = Path::new(TOOLCHAIN_HOME).join("bin/go");
    let others = places.into_iter().chain([own]);
    first_enough(
        Program::find("go").into_iter().chain(
            others
                .filter(|path| path.is_file())
                .map(|path| Program::at(path.clone())),
        ),
    )
}

/// The first that can build; else the first.
fn first_enough(candidates: impl Iterator<Item = Program>) -> Result<Go, Error> {
    let mut found = Go::Absent;
    for program in candidates {
        let (version, enough) = judge(&program)?;
        if enough {
            return Ok(Go::Enough { program, version });
        }
        if matches!(found, Go::Absent) {
            found = Go::TooOld { program, version };
        }
    }
    Ok(found)
}

/// Go's version, if it can build the components by itself or by fetching a newer toolchain.
pub(crate) fn go_version(go: &Program) -> Result<String, Error> {
    match judge(go)? {
        (version, true) => Ok(version),
        (version, false) => Err(lacking_newer_go(&version)),
    }
}

pub(crate) fn lacking_newer_go(version: &str) -> Error {
    lacking_go(&format!("a newer Go than {version}"))
}

pub(crate) fn lacking_go(what: &str) -> Error {
    Error::Lacking {
        what: format!("{what} (1.{} or newer)", GO.1),
        needed_for: "the build from Go modules",
        remedy: Remedy::Go,
    }
}

/// Go's version, and whether it can build the components by itself or by fetching a newer toolchain.
pub(crate) fn judge(go: &Program) -> Result<(String, bool), Error> {
    let doing = || Error::program("ask Go for its version");
    let answer = go
        .call(["env", "GOVERSION", "GOTOOLCHAIN"])
        .run()
        .map_err(doing())?
        .stdout;
    let mut lines = answer.lines();
    let (version, switching) = (
        lines.next().unwrap_or("").trim(),
        lines.next().unwrap_or("").trim(),
    );
    let enough = match numbers(version) {
        Some(found) if found >= GO => true,
        // From 1.21 on, Go fetches the toolchain that a module asks for, unless it is told not to: some distributions do.
        Some(found) => found >= (1, 21) && switching != "local",
        // A development build.
        None => version.starts_with("devel"),
    };
    Ok((version.to_owned(), enough))
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix("go")?.split(['.', 'r', 'b', ' ', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// runc is linked with libseccomp, statically; returns the library.
///
/// # Errors
///
/// [`Error::Lacking`] when the library for static linking, or its header, is not here.
pub fn seccomp() -> Result<PathBuf, Error> {
    library("libseccomp.a")
        .filter(|_| Path::new("/usr/include/seccomp.h").exists())
        .ok_or_else(|| Error::Lacking {
            what: "libseccomp's development package".to_owned(),
            needed_for: "the build of runc",
            remedy: Remedy::Packages("libseccomp-dev"),
        })
}

/// The own programs are linked with the C library, statically; returns the library.
///
/// # Errors
///
/// [`Error::Lacking`] when it is not here for this processor.
pub fn static_libc() -> Result<PathBuf, Error> {
    library("libc.a").ok_or_else(|| Error::Lacking {
        what: "the static C library".to_owned(),
        needed_for: "the pause and probe images",
        remedy: Remedy::Packages("gcc libc6-dev"),
    })
}

/// A library of this processor.
fn library(file: &str) -> Option<PathBuf> {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    ["/usr/lib64", "/usr/lib", "/usr/local/lib"]
        .into_iter()
        .map(PathBuf::from)
        .chain([Path::new("/usr/lib").join(triple)])
        .map(|folder| folder.join(file))
        .find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script;

    #[test]
    fn go_versions_are_compared_by_number() {
        for (version, numbered) in [
            ("go1.26.8", Some((1, 26))),
            ("go1.9", Some((1, 9))),
            ("go1.27rc1", Some((1, 27))),
            ("devel go1.28-abc", None),
            ("", None),
        ] {
            assert_eq!(numbers(version), numbered, "{version}");
        }
    }

    #[test]
    fn an_old_go_does_not_hide_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let go = |name: &str, version: &str, switching: &str| {
            let path = folder.path().join(name);
            script::write(
                &path,
                &format!("#!/bin/sh\necho {version}\necho {switching}\n"),
            );
            Program::at(path)
        };
        let old = go("old", "go1.19.8", "");
        let new = go("new", "go1.26.8", "local");
        let told_not_to = go("told-not-to", "go1.24.4", "local");
        let switching = go("switching", "go1.22.1", "auto");
        let name = |found: Go| match found {
            Go::Enough { program, version } => format!("{} {version}", program.name()),
            Go::TooOld { program, version } => format!("{} {version} is too old", program.name()),
            Go::Absent => "none".to_owned(),
        };
        for (candidates, expected) in [
            (vec![&old, &new], "new go1.26.8"),
            (vec![&told_not_to, &old], "told-not-to go1.24.4 is too old"),
            (vec![&told_not_to, &switching], "switching go1.22.1"),
            (vec![], "none"),
        ] {
            let found = first_enough(candidates.into_iter().cloned()).unwrap();
            assert_eq!(name(found), expected);
        }
    }
}
