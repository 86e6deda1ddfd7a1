//! The base system from Debian packages, by mmdebstrap, as this computer gets its own packages.
//!
//! Where this computer is a Debian, its own sources are used, mirrors and all: a mirror has every release. Otherwise those that
//! mmdebstrap knows are. They are not left in the system: nothing is installed on a machine later. This computer's apt
//! settings for fetching (proxies, time limits) and its credentials hold while the system is made and are not left in it.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_process::Program;

use crate::Error;
use crate::error::Remedy;
use crate::progress::{BundleEvent, Progress};

/// A release of Debian that a base system is made of; the packages of `image/packages.txt` are in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Suite {
    const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// Its name in archives.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// What people call it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Bookworm => "Debian 12",
            Self::Trixie => "Debian 13",
        }
    }
}

/// This computer's own settings of apt.
pub(crate) const APT: &str = "/etc/apt";

/// Signs the releases; from the package `debian-archive-keyring`.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Files that no machine reads.
const LEFT_OUT: [&str; 4] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
];
/// Except licences.
const KEPT: &str = "path-include=/usr/share/doc/*/copyright";

/// What decides how the system is made, for its name.
pub(crate) fn ingredients(suite: Suite) -> Vec<String> {
    let mut all = vec![suite.name().to_owned(), KEPT.to_owned()];
    all.extend(LEFT_OUT.map(str::to_owned));
    all
}

/// Makes a base system of the release `suite` with `packages` as the tar file `to`.
///
/// # Errors
///
/// [`Error::Lacking`], [`Error::Program`], [`Error::File`], [`Error::Interrupted`].
pub(crate) fn make(
    suite: Suite,
    packages: &[&str],
    to: &Path,
    scratch: &Path,
    log: &Path,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let lacking = |what: &str, package| Error::Lacking {
        what: what.to_owned(),
        needed_for: "the base system from Debian packages",
        remedy: Remedy::Packages(package),
    };
    let mmdebstrap =
        Program::find("mmdebstrap").map_err(|_| lacking("mmdebstrap", "mmdebstrap"))?;
    if !Path::new(KEYRING).exists() {
        return Err(lacking(
            "the keyring of Debian's archive",
            "debian-archive-keyring",
        ));
    }
    let file = |name: &str, text: &str| -> Result<PathBuf, Error> {
        let path = scratch.join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        Ok(path)
    };
    let sources = host_sources(Path::new(APT), suite)
        .map(|text| file("sources", &text))
        .transpose()?;
    let settings = file("fetch.conf", &fetch_settings())?;

    let mut call = mmdebstrap
        .call(["--variant=minbase", "--format=tar"])
        .arg(format!("--include={}", packages.join(",")))
        .arg(joined("--aptopt=", &settings))
        .arg(format!("--keyring={KEYRING}"));
    for rule in LEFT_OUT.iter().chain([&KEPT]) {
        call = call.arg(format!("--dpkgopt={rule}"));
    }
    call = call
        // Credentials for the sources, for the time of fetching only.
        .arg("--setup-hook=for f in /etc/apt/auth.conf /etc/apt/auth.conf.d; do \
              if [ -r \"$f\" ]; then cp -R \"$f\" \"$1/etc/apt/\"; fi; done")
        .arg("--customize-hook=rm -rf \"$1/etc/apt/auth.conf\" \"$1\"/etc/apt/auth.conf.d/* \
              \"$1/etc/apt/apt.conf.d/99mmdebstrap\" \"$1/etc/apt/sources.list\" \"$1\"/etc/apt/sources.list.d/*")
        // What differs from run to run and is of no use on a machine.
        .arg("--customize-hook=rm -rf \"$1\"/var/log/* \"$1\"/var/cache/ldconfig/aux-cache \
              \"$1\"/var/lib/systemd/catalog/database; : > \"$1/etc/machine-id\"; \
              rm -f \"$1/etc/hostname\" \"$1/etc/resolv.conf\" \"$1\"/etc/ssh/ssh_host_*")
        .arg(suite.name())
        .arg(to)
        .args(&sources)
        .env("SOURCE_DATE_EPOCH", "0")
        .env("DEBIAN_FRONTEND", "noninteractive");
    call.logged(log, &mut |text| progress.event(&BundleEvent::Line { text }))
        .map_err(Error::program("make the base system from Debian packages"))
}

fn joined(option: &str, path: &Path) -> std::ffi::OsString {
    let mut word = std::ffi::OsString::from(option);
    word.push(path);
    word
}

/// This computer's own settings for fetching packages, as an apt configuration file.
pub fn fetch_settings() -> String {
    let dump = Program::find("apt-config")
        .and_then(|program| program.call(["dump"]).run())
        .map(|output| output.stdout)
        .unwrap_or_default();
    acquire_lines(&dump)
}

/// The lines about fetching, less what is about indexes that are of no interest or about this computer's own folders.
fn acquire_lines(dump: &str) -> String {
    dump.lines()
        .filter(|line| line.starts_with("Acquire::") && !line.ends_with(" \"\";"))
        .filter(|line| {
            ![
                "Acquire::IndexTargets",
                "Acquire::Changelogs",
                "Acquire::CompressionTypes",
                "Acquire::cdrom",
            ]
            .iter()
            .any(|other| line.starts_with(other))
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// This computer's sources of the release `suite`, from its folder `apt` (`/etc/apt`), as a deb822 text; those of the release
/// that it has itself, said of the other, where it has none. `None` where it has none at all.
pub fn host_sources(apt: &Path, suite: Suite) -> Option<String> {
    let files = source_files(apt);
    let others = Suite::ALL.into_iter().filter(|other| *other != suite);
    let found = std::iter::once(suite).chain(others);
    let (own, text) = found
        .into_iter()
        .find_map(|own| Some((own, sources_of(&files, own)?)))?;
    let lines = text.lines().map(|line| match line.strip_prefix("Suites:") {
        Some(suites) => format!("Suites:{}\n", suites.replace(own.name(), suite.name())),
        None => format!("{line}\n"),
    });
    Some(lines.collect())
}

/// The files that apt reads its sources from, with what is in them.
fn source_files(apt: &Path) -> Vec<(PathBuf, String)> {
    let mut paths = vec![apt.join("sources.list")];
    let mut listed: Vec<PathBuf> = fs::read_dir(apt.join("sources.list.d"))
        .map(|folder| {
            folder
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect()
        })
        .unwrap_or_default();
    listed.sort();
    paths.extend(listed);
    paths
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            Some((path, text))
        })
        .collect()
}

/// The sources of a release, if the release itself is among them: a third party's repository for it alone is of no use.
fn sources_of(files: &[(PathBuf, String)], suite: Suite) -> Option<String> {
    let mut stanzas = Vec::new();
    for (path, text) in files {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => stanzas.extend(text.lines().filter_map(|line| one_line(line, suite))),
            Some("sources") => {
                stanzas.extend(text.split("\n\n").filter_map(|text| stanza(text, suite)));
            }
            _ => {}
        }
    }
    let whole = stanzas.iter().any(|stanza| {
        stanza.lines().any(|line| {
            line.strip_prefix("Suites:")
                .is_some_and(|suites| suites.split_whitespace().any(|found| found == suite.name()))
        })
    });
    whole.then(|| stanzas.join("\n"))
}

/// Debian's own sources of a release, for a computer that has none.
pub(crate) fn usual_sources(suite: Suite) -> String {
    let suite = suite.name();
    let stanza = |uri: &str, suites: &str| {
        format!(
            "Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\nSigned-By: {KEYRING}\n"
        )
    };
    [
        stanza(
            "http://deb.debian.org/debian",
            &format!("{suite} {suite}-updates"),
        ),
        stanza(
            "http://deb.debian.org/debian-security",
            &format!("{suite}-security"),
        ),
    ]
    .join("\n")
}

/// The release and its updates, and nothing else that happens to be named alike (backports, third parties).
fn is_wanted(found: &str, suite: Suite) -> bool {
    let rest = found.strip_prefix(suite.name());
    rest.is_some_and(|rest| ["", "-updates", "-security"].contains(&rest))
}

/// A deb822 stanza, if it is a wanted one, cut to what is wanted of it.
fn stanza(text: &str, suite: Suite) -> Option<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let field = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if field("Enabled").is_some_and(|value| matches!(value, "no" | "false" | "0")) {
        return None;
    }
    let has = |name: &str, word: &str| {
        field(name).is_some_and(|value| value.split_whitespace().any(|found| found == word))
    };
    if !has("Types", "deb") || !has("Components", "main") || !is_debians(field("Signed-By")) {
        return None;
    }
    write_stanza(field("URIs")?, field("Suites")?, suite)
}

/// A line of the old format, likewise.
fn one_line(line: &str, release: Suite) -> Option<String> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    if !words.any(|component| component == "main") || !is_debians(signed_by) {
        return None;
    }
    write_stanza(uri, suite, release)
}

/// Third parties sign with keys of their own; some name their suites like Debian's.
fn is_debians(signed_by: Option<&str>) -> bool {
    signed_by.is_none_or(|key| key.contains("debian-archive"))
}

fn write_stanza(uris: &str, suites: &str, release: Suite) -> Option<String> {
    let suites: Vec<&str> = suites
        .split_whitespace()
        .filter(|suite| is_wanted(suite, release))
        .collect();
    if suites.is_empty() {
        return None;
    }
    Some(format!(
        "Types: deb\nURIs: {uris}\nSuites: {}\nComponents: main\nSigned-By: {KEYRING}\n",
        suites.join(" ")
    ))
}

#[cfg(test)]
mod tests;
