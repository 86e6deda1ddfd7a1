//! The base system from Debian packages, by mmdebstrap, as this computer gets its own packages.
//!
//! Where this computer is a Debian of the same release, its own sources are used, mirrors and all; otherwise those that
//! mmdebstrap knows. They are not left in the system: nothing is installed on a machine later. Its apt settings for fetching (proxies, time limits) and its credentials hold while the system is made and are
//! not left in it.

use std::fs;
use std::path::{Path, PathBuf};

use caravan_process::Program;

use crate::Error;
use crate::error::Remedy;
use crate::progress::{BundleEvent, Progress};

/// The release: the one that the packages of `image/packages.txt` were chosen for.
pub const SUITE: &str = "bookworm";

/// Signs the release; from the package `debian-archive-keyring`.
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
pub(crate) fn ingredients() -> Vec<String> {
    let mut all = vec![SUITE.to_owned(), KEPT.to_owned()];
    all.extend(LEFT_OUT.map(str::to_owned));
    all
}

/// Makes a base system with `packages` as the tar file `to`.
///
/// # Errors
///
/// [`Error::Lacking`], [`Error::Program`], [`Error::File`], [`Error::Interrupted`].
pub(crate) fn make(
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
    let sources = host_sources(Path::new("/etc/apt"))
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
        .arg(SUITE)
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

/// This computer's sources of the release [`SUITE`], from its folder `apt` (`/etc/apt`), as a deb822 text; `None` where it
/// has none.
pub fn host_sources(apt: &Path) -> Option<String> {
    let mut files = vec![apt.join("sources.list")];
    let mut listed: Vec<PathBuf> = fs::read_dir(apt.join("sources.list.d"))
        .map(|folder| {
            folder
                .filter_map(|entry| Some(entry.ok()?.path()))
                .collect()
        })
        .unwrap_or_default();
    listed.sort();
    files.extend(listed);
    let mut stanzas = Vec::new();
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => stanzas.extend(text.lines().filter_map(one_line)),
            Some("sources") => stanzas.extend(text.split("\n\n").filter_map(stanza)),
            _ => {}
        }
    }
    // The release itself must be among them: a third party's repository for it alone is of no use.
    let whole = stanzas.iter().any(|stanza| {
        stanza.lines().any(|line| {
            line.strip_prefix("Suites:")
                .is_some_and(|suites| suites.split_whitespace().any(|suite| suite == SUITE))
        })
    });
    whole.then(|| stanzas.join("\n"))
}

/// The release and its updates, and nothing else that happens to be named alike (backports, third parties).
fn is_wanted(suite: &str) -> bool {
    suite == SUITE || suite == format!("{SUITE}-updates") || suite == format!("{SUITE}-security")
}

/// A deb822 stanza, if it is a wanted one, cut to what is wanted of it.
fn stanza(text: &str) -> Option<String> {
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
    write_stanza(field("URIs")?, field("Suites")?)
}

/// A line of the old format, likewise.
fn one_line(line: &str) -> Option<String> {
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
    write_stanza(uri, suite)
}

/// Third parties sign with keys of their own; some name their suites like Debian's.
fn is_debians(signed_by: Option<&str>) -> bool {
    signed_by.is_none_or(|key| key.contains("debian-archive"))
}

fn write_stanza(uris: &str, suites: &str) -> Option<String> {
    let suites: Vec<&str> = suites
        .split_whitespace()
        .filter(|suite| is_wanted(suite))
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
