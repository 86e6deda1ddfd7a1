//! Judging the certificates of files and folders.

#[cfg(feature = "json")]
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Finding, Severity, certificates};
use crate::{Certificate, Error, inspect};

/// What the files of certificates are called: what everybody, OpenSSL's users and Kubernetes call them.
const EXTENSIONS: [&str; 3] = ["crt", "pem", "conf"];

/// What was found in files, and in how many certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FilesReport {
    /// The file of each certificate that was judged, in order; a file with several is there several times.
    #[cfg_attr(feature = "json", serde(serialize_with = "shown_paths"))]
    pub certificates: Vec<PathBuf>,
    /// The findings, in the order of the certificates.
    pub findings: Vec<FileFinding>,
}

impl FilesReport {
    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        let severities = self.findings.iter().map(|found| found.finding.severity);
        severities.max()
    }

    /// The JSON object, indented, without line end.
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> String {
        // Plain fields with text keys: there is nothing in them that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// One fault of one certificate, and the file it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FileFinding {
    /// The file, as it was given or found below the folder that was given.
    #[cfg_attr(feature = "json", serde(serialize_with = "shown_path"))]
    pub file: PathBuf,
    /// The fault. Its `certificate` counts in [`FilesReport::certificates`].
    #[cfg_attr(feature = "json", serde(flatten))]
    pub finding: Finding,
}

impl fmt::Display for FileFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.finding)
    }
}

/// Judges, as of `now`, the certificates of all `paths` together, as [`certificates`] does.
///
/// A file may be PEM with any number of certificates, DER or a kubeconfig. Of a folder, the `.crt`, `.pem` and `.conf`
/// files in it and below are read, in the order of their names; those without a certificate are passed over there, and
/// links to other folders are not followed.
///
/// ```
/// # use std::time::SystemTime;
/// # use caravan_pki::{Authority, AuthoritySpec, CommonName, lint};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let now = SystemTime::now();
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # let ca = Authority::create(&AuthoritySpec::new(CommonName::try_from("ca")?), now)?;
/// # std::fs::write(folder.join("ca.crt"), ca.certificate_pem())?;
/// let report = lint::files([folder], now)?;
/// for found in &report.findings {
///     println!("{found}");
/// }
/// assert_eq!(report.certificates, [folder.join("ca.crt")]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Io`] for what cannot be read, [`Error::NoCertificate`] for a file or folder of `paths` that has none, and
/// [`Error::Malformed`], as [`Error::InFile`], for what calls itself a certificate and is none.
pub fn files<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    now: SystemTime,
) -> Result<FilesReport, Error> {
    let (mut all, mut found_in) = (Vec::new(), Vec::new());
    let mut keep = |path: &Path, found: Vec<Certificate>| {
        found_in.resize(found_in.len() + found.len(), path.to_owned());
        all.extend(found);
    };
    for path in paths {
        let path = path.as_ref();
        let mut count = 0;
        let mut read_one = |path: &Path| -> Result<(), Error> {
            let found = read(path)?;
            count += found.len();
            keep(path, found);
            Ok(())
        };
        if path.is_dir() {
            below(path, &mut read_one)?;
        } else {
            read_one(path)?;
        }
        if count == 0 {
            return Err(Error::NoCertificate {
                path: path.to_owned(),
            });
        }
    }
    let findings = certificates(&all, now).into_iter().map(|finding| {
        let file = found_in[finding.certificate].clone();
        FileFinding { file, finding }
    });
    Ok(FilesReport {
        findings: findings.collect(),
        certificates: found_in,
    })
}

fn read(path: &Path) -> Result<Vec<Certificate>, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    inspect::find(&bytes).map_err(|error| error.in_file(path))
}

/// Visits the files that may hold certificates, sorted, so that output does not depend on the filesystem.
fn below(folder: &Path, visit: &mut impl FnMut(&Path) -> Result<(), Error>) -> Result<(), Error> {
    let io = |source| Error::Io {
        action: "list",
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort();
    for path in paths {
        let extension = path.extension().unwrap_or_default();
        if path.is_dir() {
            // Links to folders may lead back up.
            if !path.is_symlink() {
                below(&path, visit)?;
            }
        // A pipe of that name would never end, a link to nothing has no bytes.
        } else if path.is_file() && EXTENSIONS.iter().any(|known| extension == *known) {
            visit(&path)?;
        }
    }
    Ok(())
}

/// Paths need not be text; what is shown of them is.
#[cfg(feature = "json")]
fn shown_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

#[cfg(feature = "json")]
fn shown_paths<S: serde::Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    let shown = paths.iter().map(|path| path.to_string_lossy());
    serializer.collect_seq(shown.map(Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, AuthoritySpec, CommonName};
    use std::fs;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000)
    }

    fn authority(name: &str) -> Authority {
        let spec = AuthoritySpec::new(CommonName::try_from(name).unwrap());
        Authority::create(&spec, now()).unwrap()
    }

    #[test]
    fn folders_are_searched_and_findings_say_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (one, two) = (authority("one"), authority("two"));
        fs::create_dir_all(path("a/b")).unwrap();
        fs::write(path("z.crt"), one.certificate_pem()).unwrap();
        fs::write(
            path("a/b/bundle.pem"),
            one.certificate_pem() + &two.certificate_pem(),
        )
        .unwrap();
        fs::write(path("a/der.crt"), two.certificate().as_der()).unwrap();
        // None of these has a certificate: another name, a key, a configuration, a loop, a link to nothing.
        fs::write(path("notes.txt"), "-----BEGIN CERTIFICATE-----").unwrap();
        fs::write(path("key.pem"), one.key_pem().as_bytes()).unwrap();
        let encrypted = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
        fs::write(path("encrypted.pem"), encrypted).unwrap();
        fs::write(path("haproxy.conf"), "global\n").unwrap();
        #[cfg(unix)]
        for (to, name) in [(folder.path(), "loop"), (Path::new("nothing"), "dead.crt")] {
            std::os::unix::fs::symlink(to, path(name)).unwrap();
        }
        let report = files([folder.path()], now()).unwrap();
        let bundle = path("a/b/bundle.pem");
        let expected = [bundle.clone(), bundle, path("a/der.crt"), path("z.crt")];
        assert_eq!(report.certificates, expected);
        assert_eq!((report.findings.len(), report.worst()), (0, None));

        let later = now() + std::time::Duration::from_secs(4000 * 86_400);
        let report = files([path("z.crt"), path("a/der.crt")], later).unwrap();
        assert_eq!(report.worst(), Some(Severity::Error));
        let shown = report.findings[1].to_string();
        let expected = format!("{}: error[expired]: `two`: ", path("a/der.crt").display());
        assert!(shown.starts_with(&expected), "{shown}");
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_names_the_file_of_each_finding() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        fs::write(&path, authority("ca").certificate_pem()).unwrap();
        let report = files([&path], SystemTime::UNIX_EPOCH).unwrap();
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        let shown = path.display().to_string();
        assert_eq!(json["certificates"], serde_json::json!([shown]));
        assert_eq!(json["findings"][0]["file"], shown);
        assert_eq!(json["findings"][0]["rule"], "not-yet-valid");
    }

    #[test]
    fn errors_name_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("empty")).unwrap();
        fs::create_dir(path("bad")).unwrap();
        fs::write(path("notes"), "text").unwrap();
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(path("bad/ca.crt"), bad).unwrap();
        for (given, named) in [
            ("missing", "missing"),
            ("empty", "empty"),
            ("notes", "notes"),
            ("bad", "bad/ca.crt"),
        ] {
            let error = files([path(given)], now()).unwrap_err().to_string();
            let named = path(named).display().to_string();
            assert!(error.contains(&format!("`{named}`")), "{error}");
        }
    }
}
