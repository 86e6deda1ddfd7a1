//! The Go toolchain that builds the software.
//!
//! The pinned modules name the Go they need, and a Go from 1.21 on fetches that by itself, unless its distribution told
//! it not to. Some distributions still ship an older one, which cannot. But each can fetch a newer toolchain when asked
//! for it as what it is published as, a Go module, checked by the checksum database like any other.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use caravan_bundle::needs::{self, Go, TOOLCHAIN, TOOLCHAIN_HOME};
use serde::Deserialize;

use crate::Error;
use crate::engine;
use crate::observer::SetupObserver;
use crate::packages;

/// The name that the search path finds it by, before the distribution's own.
const LINK: &str = "/usr/local/bin/go";

/// Makes sure that `go` can build the software, where it is installed at all.
///
/// # Errors
///
/// [`Error::CannotInstall`] with the exact command, [`Error::Declined`], [`Error::Process`], [`Error::Read`].
pub(crate) fn ensure(observer: &dyn SetupObserver) -> Result<(), Error> {
    let Go::TooOld {
        program: go,
        version,
    } = needs::go()?
    else {
        return Ok(());
    };
    let module = format!("golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{}", arch());
    observer.note(&format!(
        "`{}` is {version}, too old to build Kubernetes; with it, `{module}` is fetched into `{TOOLCHAIN_HOME}`, and \
         `{LINK}` is made a link to it",
        go.path().display()
    ));
    if !observer.confirms("fetch it?") {
        return Err(Error::Declined {
            what: format!("fetching {TOOLCHAIN}"),
        });
    }
    packages::admit()?;
    observer.began(&format!("fetching {TOOLCHAIN}"));
    let folder = engine::state_folder().join("go");
    engine::make_state_folder(&folder)?;
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
    packages::run_as_root(
        TOOLCHAIN,
        &[
            ("mkdir", &["-p", TOOLCHAIN_HOME]),
            ("cp", &["-rT", &from, TOOLCHAIN_HOME]),
            ("ln", &["-sfn", &format!("{TOOLCHAIN_HOME}/bin/go"), LINK]),
        ],
    )?;
    fs::remove_dir_all(&folder).map_err(|source| Error::Write {
        path: folder.clone(),
        source,
    })?;
    observer.done(&format!(
        "installed {TOOLCHAIN} in `{TOOLCHAIN_HOME}`, as `{LINK}`"
    ));
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
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
