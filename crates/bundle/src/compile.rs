//! Compiles: Go components, and the small programs of our own that become images.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use caravan_process::Program;

use crate::components::Component;
use crate::needs::{self, Go};
use crate::pins::{Arch, Pins};
use crate::progress::{BundleEvent, Progress, step};
use crate::{Error, cache};

/// A program of our own.
pub(crate) struct OwnProgram {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
}

/// Holds a pod's namespaces; stands for `registry.k8s.io/pause`.
pub(crate) const PAUSE: OwnProgram = OwnProgram {
    name: "pause",
    source: include_str!("../programs/pause.rs"),
};

/// Answers and asks over HTTP and DNS from inside a pod, for `verify`.
pub(crate) const PROBE: OwnProgram = OwnProgram {
    name: "probe",
    source: include_str!("../programs/probe.rs"),
};

/// Makes and removes the folders of volumes, for the add-on `local-path`.
pub(crate) static VOLUME: OwnProgram = OwnProgram {
    name: "volume",
    source: include_str!("../programs/volume.rs"),
};

/// How the own programs are compiled: static, small, and the same from every folder.
pub(crate) const RUSTC_FLAGS: [&str; 14] = [
    "--edition",
    "2024",
    "--crate-type",
    "bin",
    "-C",
    "opt-level=3",
    "-C",
    "target-feature=+crt-static",
    "-C",
    "panic=abort",
    "-C",
    "strip=symbols",
    "-C",
    "codegen-units=1",
];

/// The compilers. Those not given are looked for on this computer, with what they need beside them.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub(crate) go: Option<Program>,
    pub(crate) rustc: Option<Program>,
}

impl Tools {
    fn go(&self) -> Result<Program, Error> {
        if let Some(go) = &self.go {
            return Ok(go.clone());
        }
        let go = match needs::go()? {
            Go::Enough { program, .. } => program,
            Go::TooOld { version, .. } => return Err(needs::lacking_newer_go(&version)),
            Go::Absent => return Err(needs::lacking_go("Go")),
        };
        needs::seccomp()?;
        Ok(go)
    }

    fn rustc(&self) -> Result<Program, Error> {
        if let Some(rustc) = &self.rustc {
            return Ok(rustc.clone());
        }
        needs::static_libc()?;
        Program::find("rustc").map_err(Error::program("compile the own images"))
    }
}

/// Where a build happens and who hears of it.
pub(crate) struct Site<'a> {
    /// The bundle in the making.
    pub(crate) bundle: &'a Path,
    /// For what the compilers read and leave.
    pub(crate) scratch: &'a Path,
    /// For what they say.
    pub(crate) log: &'a Path,
    pub(crate) progress: &'a dyn Progress,
}

/// Builds Go components. Returns the toolchain: `go1.26.8`.
///
/// # Errors
///
/// [`Error::Lacking`], [`Error::Program`], [`Error::File`], [`Error::Interrupted`].
pub(crate) fn go(
    components: &[Component],
    pins: &Pins,
    tools: &Tools,
    site: &Site<'_>,
) -> Result<String, Error> {
    let go = tools.go()?;
    let toolchain = needs::go_version(&go)?;
    for component in components {
        let version = pins.versions.of(component.name).map_or("", String::as_str);
        let text = format!("build {} {version} from Go modules", component.name);
        step(site.progress, &text, || build(component, pins, &go, site))?;
    }
    Ok(toolchain)
}

fn build(component: &Component, pins: &Pins, go: &Program, site: &Site<'_>) -> Result<(), Error> {
    let module = site.scratch.join(component.name);
    cache::remove_tree(&module)?;
    fs::create_dir_all(&module).map_err(Error::file("make the folder", &module))?;
    for (name, text) in [
        ("go.mod", component.go_mod),
        ("go.sum", component.go_sum),
        ("tools.go", component.tools_go),
    ] {
        let path = module.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
    }
    let ldflags = component.ldflags(&pins.versions);
    for (packages, output) in outputs(component, &module) {
        let mut call = go
            .call(["build", "-trimpath", "-buildvcs=false"])
            .args(["-ldflags", &ldflags]);
        if !component.tags.is_empty() {
            call = call.args(["-tags", component.tags]);
        }
        call = call.arg("-o").arg(&output).args(&packages).dir(&module);
        for (name, value) in environment(component, pins.arch) {
            call = call.env(name, value);
        }
        // Settings of the user's that would give other programs.
        for name in [
            "GOEXPERIMENT",
            "GO_EXTLINK_ENABLED",
            "CGO_CFLAGS",
            "CGO_LDFLAGS",
            "GOARM64",
            "GOFIPS140",
        ] {
            call = call.env_remove(name);
        }
        call.logged(site.log, &mut |text| {
            site.progress.event(&BundleEvent::Line { text })
        })
        .map_err(Error::program(format!(
            "build {} from Go modules",
            component.name
        )))?;
    }
    for (_, place) in component.programs {
        let built = module.join("out").join(built_name(place));
        take(&built, &site.bundle.join(place))?;
    }
    cache::remove_tree(&module)
}

fn environment(component: &Component, arch: Arch) -> Vec<(&'static str, &'static str)> {
    vec![
        ("CGO_ENABLED", if component.cgo { "1" } else { "0" }),
        ("GOOS", "linux"),
        ("GOARCH", arch.as_str()),
        ("GOAMD64", "v1"),
        ("GO111MODULE", "on"),
        ("GOWORK", "off"),
        ("GOFLAGS", "-mod=readonly"),
    ]
}

/// What `go build` is called for: packages that can share one call, and where the result goes.
///
/// One call compiles what several programs share side by side; but Go names the programs by the last part of the package
/// path, which for `.../server/v3` is of no use.
fn outputs(component: &Component, module: &Path) -> Vec<(Vec<&'static str>, OsString)> {
    let (shared, single): (Vec<(&'static str, &'static str)>, Vec<_>) = component
        .programs
        .iter()
        .copied()
        .partition(|(package, place)| package.rsplit('/').next() == place.rsplit('/').next());
    let mut calls = Vec::new();
    if !shared.is_empty() {
        let mut folder = module.join("out").into_os_string();
        // A folder, even when there is one package.
        folder.push("/");
        calls.push((shared.iter().map(|(package, _)| *package).collect(), folder));
    }
    for (package, place) in single {
        let file = module.join("out").join(built_name(place));
        calls.push((vec![package], file.into_os_string()));
    }
    calls
}

fn built_name(place: &str) -> &str {
    place.rsplit('/').next().unwrap_or(place)
}

/// Compiles one of our own programs to `to`.
///
/// # Errors
///
/// [`Error::Lacking`], [`Error::Program`], [`Error::File`], [`Error::Interrupted`].
pub(crate) fn own(
    program: &OwnProgram,
    to: &Path,
    tools: &Tools,
    site: &Site<'_>,
) -> Result<(), Error> {
    let rustc = tools.rustc()?;
    let folder: PathBuf = site.scratch.join(program.name);
    fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    // Named without a folder, so that no path of this computer is in the program.
    let source = format!("{}.rs", program.name);
    let path = folder.join(&source);
    fs::write(&path, program.source).map_err(Error::file("write", &path))?;
    rustc
        .call(RUSTC_FLAGS)
        .args(["-o", program.name, &source])
        .env_remove("RUSTFLAGS")
        .dir(&folder)
        .logged(site.log, &mut |text| {
            site.progress.event(&BundleEvent::Line { text })
        })
        .map_err(Error::program(format!("compile {}", program.name)))?;
    take(&folder.join(program.name), to)
}

/// Moves a compiled program to its place; both are in the cache.
fn take(built: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
    }
    fs::rename(built, to).map_err(Error::file("move into place", built))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::COMPONENTS;

    #[test]
    fn programs_that_go_would_misname_are_built_alone() {
        let module = Path::new("/m");
        let of = |name: &str| {
            let component = COMPONENTS
                .iter()
                .find(|component| component.name == name)
                .unwrap();
            outputs(component, module)
        };
        let kubernetes = of("kubernetes");
        assert_eq!(kubernetes.len(), 1);
        assert_eq!(
            (kubernetes[0].0.len(), kubernetes[0].1.to_str()),
            (7, Some("/m/out/"))
        );
        let etcd: Vec<_> = of("etcd")
            .into_iter()
            .map(|(_, to)| to.into_string().unwrap())
            .collect();
        assert_eq!(etcd, ["/m/out/etcd", "/m/out/etcdctl", "/m/out/etcdutl"]);
    }
}
