//! What making a bundle or an image needs on this computer, so that it can be said, and installed, before an hour's work.

use std::path::{Path, PathBuf};

use caravan_process::Program;

use crate::Error;

/// Something that has to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it is: `Go 1.26 or newer`.
    pub what: &'static str,
    /// The package of Debian and Ubuntu that has it; none where theirs is too old.
    pub package: Option<&'static str>,
    /// Whether it is here.
    pub met: bool,
}

/// What building the software from Go modules needs.
pub fn for_go() -> Vec<Need> {
    let go = crate::compile::find_go().and_then(|go| crate::compile::go_version(&go));
    let mut needs = vec![
        Need {
            what: "Go 1.26 or newer",
            package: None,
            met: go.is_ok(),
        },
        Need {
            what: "the libseccomp development files",
            package: Some("libseccomp-dev"),
            met: seccomp().is_ok(),
        },
    ];
    needs.extend(for_programs());
    needs
}

/// What compiling our own small programs needs, whatever the source.
pub fn for_programs() -> Vec<Need> {
    vec![
        Need {
            what: "a C compiler",
            package: Some("gcc"),
            met: Program::find("cc").is_ok(),
        },
        Need {
            what: "the C library's development files",
            package: Some("libc6-dev"),
            met: static_libc().is_ok(),
        },
    ]
}

/// What building the base system from Debian packages needs.
pub fn for_debian_base() -> Vec<Need> {
    vec![
        Need {
            what: "mmdebstrap",
            package: Some("mmdebstrap"),
            met: Program::find("mmdebstrap").is_ok(),
        },
        Need {
            what: "Debian's archive keys",
            package: Some("debian-archive-keyring"),
            met: Path::new(crate::debian::KEYRING).exists(),
        },
    ]
}

/// runc is linked with libseccomp, statically.
pub(crate) fn seccomp() -> Result<(), Error> {
    if in_library_folders("libseccomp.a") && Path::new("/usr/include/seccomp.h").exists() {
        return Ok(());
    }
    Err(Error::Lacking {
        what: "libseccomp's development package".to_owned(),
        needed_for: "the build of runc",
        remedy: "`cargo xtask setup` installs it; by hand: `sudo apt-get install libseccomp-dev`"
            .to_owned(),
    })
}

/// The own programs are linked with the C library, statically.
pub(crate) fn static_libc() -> Result<(), Error> {
    if in_library_folders("libc.a") {
        return Ok(());
    }
    Err(Error::Lacking {
        what: "the static C library".to_owned(),
        needed_for: "the pause and probe images",
        remedy: "`cargo xtask setup` installs it; by hand: `sudo apt-get install gcc libc6-dev`"
            .to_owned(),
    })
}

fn in_library_folders(file: &str) -> bool {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    ["/usr/lib64", "/usr/lib", "/usr/local/lib"]
        .into_iter()
        .map(PathBuf::from)
        .chain([Path::new("/usr/lib").join(triple)])
        .any(|folder| folder.join(file).exists())
}
