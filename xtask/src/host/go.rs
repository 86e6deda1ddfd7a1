//! The Go toolchain that builds the software.
//!
//! The pinned modules name the Go they need, and any Go from 1.21 on fetches that by itself. Some distributions still
//! ship an older one, which cannot; but it can fetch a newer toolchain as what that is published as, a Go module,
//! checked by the checksum database like any other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use caravan_process::Program;
use serde::Deserialize;

use crate::error::Error;
use crate::files;
use crate::host::engine;
use crate::host::packages;
use crate::show::screen::{self, Screen};
use crate::show::timeline::RUN;

/// The first minor version that switches toolchains by itself: <https://go.dev/doc/toolchain>.
const SWITCHES: u32 = 21;

/// The toolchain that an older Go fetches: the one the pins were built with.
const TOOLCHAIN: &str = "go1.26.8";

/// Where it goes: a folder of its own, since a toolchain laid over another one would build with files of both.
const HOME: &str = "/usr/local/lib/caravan/go1.26.8";

/// The name that the search path finds it by, before the distribution's own.
const LINK: &str = "/usr/local/bin/go";

/// Makes sure that `go` can build the software, where it is installed at all.
///
/// # Errors
///
/// [`Error::Declined`], [`Error::Process`], [`Error::Read`].
pub(crate) fn ensure(yes: bool, screen: &Screen) -> Result<(), Error> {
    let go = Program::find_also_in("go", &["/usr/local/go/bin"])?;
    if minor(&go)?.is_none_or(|minor| minor >= SWITCHES) {
        return Ok(());
    }
    let module = format!("golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{}", arch());
    screen.say(&format!(
        "the Go at `{}` is too old to build Kubernetes; `{module}` would go to `{HOME}`",
        go.path().display()
    ));
    if !yes && !screen::ask("fetch it?") {
        return Err(Error::Declined {
            what: format!("fetching {TOOLCHAIN}"),
        });
    }
    screen.now(RUN, &format!("fetching {TOOLCHAIN}"));
    let folder = engine::state_folder().join("go");
    crate::lab_dir::make_private(&folder)?;
    let fetched = go
        .call(["mod", "download", "-json", &module])
        .dir(&folder)
        .env("GOMODCACHE", folder.join("modules"))
        .env("GOFLAGS", "-modcacherw")
        .run()?;
    let found: Downloaded = serde_json::from_str(&fetched.stdout).map_err(|error| Error::Read {
        path: folder.clone(),
        source: error.into(),
    })?;
    // Module archives carry no permissions: what a toolchain runs must be made runnable.
    for programs in ["bin", "pkg/tool"] {
        make_runnable(&found.dir.join(programs))?;
    }
    let from = found.dir.display().to_string();
    packages::as_root("mkdir", &["-p", HOME])?.run()?;
    packages::as_root("cp", &["-rT", &from, HOME])?.run()?;
    packages::as_root("ln", &["-sfn", &format!("{HOME}/bin/go"), LINK])?.run()?;
    files::remove_folder(&folder)?;
    screen.done(
        RUN,
        &format!("installed {TOOLCHAIN} in `{HOME}`, as `{LINK}`"),
    );
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}

/// The minor version of `go`, `None` where it is a development version.
fn minor(go: &Program) -> Result<Option<u32>, Error> {
    let said = go
        .call(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .run()?;
    Ok(parse_minor(said.stdout.trim()))
}

/// The 19 of `go1.19.8`.
fn parse_minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// This computer's architecture, as Go calls it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn make_runnable(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            make_runnable(&path)?;
        } else {
            fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (version, expected) in [
            ("go1.19.8", Some(19)),
            ("go1.26", Some(26)),
            ("go1.27rc1", Some(27)),
            ("devel go1.27-abcdef", None),
            ("", None),
        ] {
            assert_eq!(parse_minor(version), expected, "{version}");
        }
    }
}
