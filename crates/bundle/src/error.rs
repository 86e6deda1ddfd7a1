//! What can go wrong, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

use crate::machine_box::Hypervisor;
use crate::pins::Arch;

/// Why a bundle or a machine image could not be made, read or carried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An archive could not be unpacked.
    #[error("cannot unpack `{}`", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The base system could be had neither from a registry nor from packages.
    #[error("cannot get a base system, neither from the registry ({registry}) nor from packages")]
    Base {
        /// Why the registry's image could not be had.
        registry: String,
        /// Why the package build failed.
        #[source]
        packages: Box<Error>,
    },
    /// A file of a cache entry or of an export is not what its manifest says.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A server answered with another status than success.
    #[error("the server answered {status} for `{url}`")]
    Denied {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The container engine does not answer.
    #[error(transparent)]
    Docker(#[from] caravan_docker::Error),
    /// A file or folder could not be read, written or moved.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried: `read`, `write`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What a registry says of an image cannot be used.
    #[error("cannot get the image `{name}`: {what}")]
    Image {
        /// The image, with its registry and tag.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// What was called the name of an image is none.
    #[error("`{name}` cannot be the name of an image: {reason}")]
    ImageName {
        /// What was called so.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The user asked to stop.
    #[error("interrupted; what was downloaded or compiled so far is kept")]
    Interrupted,
    /// Something that a build needs is not on this computer.
    #[error("{what} is missing, and {needed_for} needs it")]
    Lacking {
        /// What is missing: `Go 1.26 or newer`, `the libseccomp development files`.
        what: String,
        /// Who needs it.
        needed_for: &'static str,
        /// How to get it.
        remedy: Remedy,
    },
    /// A manifest or an answer could not be understood.
    #[error("cannot understand `{}`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The engine's answer is not what was asked for.
    #[error("the container engine gave no usable answer about `{subject}`: {answer}")]
    Engine {
        /// What was asked about.
        subject: String,
        /// What it said.
        answer: String,
    },
    /// There is no box for machines of this kind.
    #[error("no box is made for {hypervisor} on the processor architecture {arch}")]
    NoBox {
        /// What would run it.
        hypervisor: Hypervisor,
        /// This computer's processor.
        arch: Arch,
    },
    /// What an import holds is for another processor.
    #[error(
        "{what} in `{}` is for the processor architecture {theirs}, and this computer has {ours}",
        path.display()
    )]
    OtherProcessor {
        /// What it is: `the box caravan-machine-0123456789abcdef-arm64`.
        what: String,
        /// The export.
        path: PathBuf,
        /// The processor that it is for.
        theirs: Arch,
        /// This computer's.
        ours: Arch,
    },
    /// The file given to `import` is no export.
    #[error("`{}` is not an exported bundle: {reason}", path.display())]
    NotAnExport {
        /// The file.
        path: PathBuf,
        /// What gives it away.
        reason: String,
    },
    /// The engine has no such image.
    #[error("there is no file `{name}`, and the container engine has no image of that name")]
    NoSuchImage {
        /// What was asked for.
        name: String,
        /// The names of those that it has.
        names: Vec<String>,
    },
    /// What was given as an archive of images is none, or not the whole of one.
    #[error("{what} is no image: {reason}")]
    NotAnImage {
        /// What was given: `` `web.tar` ``.
        what: String,
        /// What gives it away.
        reason: String,
    },
    /// An image is for other computers than those that are to run it.
    #[error("{what} is for {}, and the nodes are {wanted}", or_nothing(found))]
    OtherPlatform {
        /// What was given: `` `web.tar` ``.
        what: String,
        /// The platforms that it is for: `linux/arm64`.
        found: Vec<String>,
        /// That of the nodes.
        wanted: String,
    },
    /// A pod network that only its project's images have was to be built.
    #[error("the pod network `{network}` cannot be built from Go modules")]
    NotBuilt {
        /// Its name.
        network: &'static str,
    },
    /// A downloaded archive lacks a file that is wanted from it.
    #[error("`{member}` is not in `{}`", archive.display())]
    NotInArchive {
        /// The archive.
        archive: PathBuf,
        /// The file looked for.
        member: String,
    },
    /// A program that does part of the work failed.
    #[error("cannot {doing}")]
    Program {
        /// What it was started for.
        doing: String,
        /// How it failed.
        #[source]
        source: Box<caravan_process::Error>,
    },
    /// No bytes came for too long.
    #[error("no more bytes came from `{url}` for {seconds} s, after {received} bytes")]
    Stalled {
        /// What was being downloaded.
        url: String,
        /// How long nothing came, in seconds.
        seconds: u64,
        /// How much had come, in bytes.
        received: u64,
    },
    /// The connection could not be made or broke.
    #[error("cannot download `{url}`")]
    Transfer {
        /// What was being downloaded.
        url: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The file ended before its announced length.
    #[error("`{url}` ended after {received} of {expected} bytes")]
    Truncated {
        /// What was being downloaded.
        url: String,
        /// How much came, in bytes.
        received: u64,
        /// How much was announced, in bytes.
        expected: u64,
    },
    /// No entry of the cache has this id.
    #[error("no bundle `{id}` is in the cache")]
    UnknownBundle {
        /// The id or the beginning of one.
        id: String,
    },
    /// No versions are pinned for this Kubernetes minor.
    #[error("no software is pinned for Kubernetes {minor}; known: {known}")]
    UnknownMinor {
        /// The minor asked for.
        minor: String,
        /// The minors that are pinned.
        known: String,
    },
    /// This computer's processor is not one that software is pinned for.
    #[error("no software is pinned for the processor architecture `{arch}`; known: amd64, arm64")]
    UnknownProcessor {
        /// What it is.
        arch: String,
    },
    /// The file is not the pinned one.
    #[error("`{url}` is not the pinned file: its sha256 is {found}, the pin says {expected}")]
    WrongSum {
        /// What was downloaded.
        url: String,
        /// The sum of what came.
        found: String,
        /// The sum that is pinned.
        expected: String,
    },
}

/// How something that a build needs is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// A Go that is new enough.
    Go,
    /// The Debian or Ubuntu packages of these names, separated by blanks.
    Packages(&'static str),
}

impl Remedy {
    fn text(self, tool: &str) -> String {
        match self {
            Self::Go => format!(
                "`{tool} setup` installs it; https://go.dev/dl/ has it too. With `--source download` none is needed"
            ),
            Self::Packages(names) => {
                format!("`{tool} setup` installs it; by hand: `sudo apt-get install {names}`")
            }
        }
    }
}

impl Error {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    pub(crate) fn program(doing: impl Into<String>) -> impl FnOnce(caravan_process::Error) -> Self {
        let doing = doing.into();
        move |source| match source {
            caravan_process::Error::Interrupted { .. } => Self::Interrupted,
            source => Self::Program {
                doing,
                source: Box::new(source),
            },
        }
    }

    /// The error and its causes, in one line.
    pub(crate) fn in_one_line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Whether this says that a server cannot be reached or does not serve us, rather than that something is wrong here.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::Stalled { .. }
                | Self::Transfer { .. }
                | Self::Truncated { .. }
        )
    }

    /// The next thing to do about it; `tool` is the command whose verbs `setup`, `up` and `bundle` are meant, such as
    /// `cargo xtask`.
    pub fn hint(&self, tool: &str) -> Option<String> {
        Some(match self {
            Self::Archive { source, .. } | Self::File { source, .. } if is_full(source) => {
                full(tool)
            }
            Self::Program { source, .. } => return program_hint(source, tool),
            Self::Base { packages, .. } => return packages.hint(tool),
            Self::Damaged { .. } => format!(
                "`{tool} bundle verify` finds damaged bundles, and the next `up` makes them again"
            ),
            Self::Denied { .. }
            | Self::Stalled { .. }
            | Self::Transfer { .. }
            | Self::Truncated { .. } => format!(
                "run the command again to go on where it stopped; `--source go` builds from Go modules instead, and \
                 `{tool} bundle import FILE` takes a bundle made elsewhere"
            ),
            Self::Lacking { remedy, .. } => remedy.text(tool),
            Self::NotBuilt { .. } => {
                "its images hold programs that are no Go modules (BIRD, runit, tools in C): `--source download` has them \
                 from its registry, and `pod_network = \"flannel\"` builds"
                    .to_owned()
            }
            Self::NoBox { .. } => {
                "`--image NAME` takes a box from Vagrant's catalogue, such as `bento/debian-12`, and `--provider docker` \
                 needs none"
                    .to_owned()
            }
            Self::Docker(error) => return error.hint(tool),
            Self::NotAnImage { .. } => {
                "`docker save NAME >FILE` makes an archive of an image; OCI archives, as `skopeo` and `buildah` write them, \
                 will do too, also if gzip has compressed them"
                    .to_owned()
            }
            Self::OtherPlatform { wanted, .. } => format!(
                "build it for `{wanted}`: `docker build --platform {wanted} ...`"
            ),
            Self::OtherProcessor { .. } => format!(
                "make it here with `{tool} bake`, or export it on a computer with this one's processor"
            ),
            Self::NotAnExport { .. } => format!(
                "`{tool} bundle export FILE` makes one, on a computer that has the bundle"
            ),
            Self::UnknownBundle { .. } => format!("`{tool} bundle list` shows what there is"),
            Self::UnknownMinor { .. } => {
                "set `kubernetes` in the lab file to one of these".to_owned()
            }
            Self::WrongSum { .. } => {
                "something on the way changes files (a proxy, a mirror); nothing of it was unpacked. \
                 `--source go` builds from Go modules instead"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

fn or_nothing(found: &[String]) -> String {
    match found {
        [] => "no platform".to_owned(),
        found => found.join(" and "),
    }
}

fn full(tool: &str) -> String {
    format!(
        "the disk is full: `{tool} bundle prune` removes what no longer is needed, \
         and the next run goes on where this one stopped"
    )
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn program_hint(error: &caravan_process::Error, tool: &str) -> Option<String> {
    if let caravan_process::Error::Failed(failure) = error {
        let said = |words: &str| {
            failure
                .tail
                .iter()
                .any(|line| line.to_lowercase().contains(words))
        };
        if said("no space left on device") {
            return Some(full(tool));
        }
        if caravan_docker::is_down(failure) {
            return Some(format!(
                "the container engine is not running: `{tool} setup` starts it"
            ));
        }
        if caravan_docker::is_forbidden(failure) {
            return Some(
                "this user may not use the container engine: add them to the group `docker` and log in again"
                    .to_owned(),
            );
        }
    }
    error.hint(tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disks_are_named_whoever_meets_them() {
        let met_by_us = Error::file("write", Path::new("x"))(io::ErrorKind::StorageFull.into());
        assert_eq!(met_by_us.hint("the tool"), Some(full("the tool")));

        let failure = caravan_process::Failure {
            command: "go build".to_owned(),
            dir: None,
            status: Some(1),
            tail: vec!["compile: write /x: no space left on device".to_owned()],
            log: None,
        };
        let met_by_go =
            Error::program("build etcd")(caravan_process::Error::Failed(Box::new(failure)));
        assert_eq!(met_by_go.hint("the tool"), Some(full("the tool")));
    }

    #[test]
    fn wrong_sums_are_no_reason_to_look_elsewhere() {
        let wrong = Error::WrongSum {
            url: "u".to_owned(),
            found: "f".to_owned(),
            expected: "e".to_owned(),
        };
        assert!(!wrong.is_unreachable());
        let denied = Error::Denied {
            url: "u".to_owned(),
            status: 404,
        };
        assert!(denied.is_unreachable());
    }
}
