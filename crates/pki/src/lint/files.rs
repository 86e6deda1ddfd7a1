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
    /// The files that could not be judged, in order.
    pub failures: Vec<FileFailure>,
}

impl FilesReport {
    /// The worst that was found. A file that could not be judged is an error, a user of a kubeconfig who has no certificate
    /// is none.
    pub fn worst(&self) -> Option<Severity> {
        let severities = self.findings.iter().map(|found| found.finding.severity);
        let failures = self.failures.iter().map(|failure| failure.severity);
        severities.chain(failures).max()
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

/// A file or folder that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FileFailure {
    /// The file or folder, as it was given or found below the folder that was given.
    #[cfg_attr(feature = "json", serde(serialize_with = "shown_path"))]
    pub file: PathBuf,
    /// How bad that is.
    pub severity: Severity,
    /// Why not.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl FileFailure {
    fn of(file: &Path, error: &Error, severity: Severity) -> Self {
        let problem = match error {
            Error::InFile { source, .. } => source.to_string(),
            Error::Io { source, .. } => format!("cannot be read: {source}"),
            Error::NoCertificate { .. } => "holds no certificate".to_owned(),
            other => other.to_string(),
        };
        Self {
            file: file.to_owned(),
            severity,
            problem,
            hint: error.hint(),
        }
    }
}

impl fmt::Display for FileFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: not judged: {}", self.file.display(), self.problem)
    }
}

/// Judges, as of `now`, the certificates of all `paths` together, as [`certificates`] does.
///
/// A file may be PEM with any number of certificates, DER or a kubeconfig. Of a folder, the `.crt`, `.pem` and `.conf`
/// files in it and below are read, in the order of their names; of those, a `.pem` or `.conf` file without a certificate
/// is passed over, and links to other folders are not followed.
///
/// What cannot be read, or holds what is no certificate although it is called one, is listed in
/// [`FilesReport::failures`], and so is a file or folder of `paths` without any; the rest is judged all the same.
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
/// let report = lint::files([folder], now);
/// for found in &report.findings {
///     println!("{found}");
/// }
/// assert_eq!(report.certificates, [folder.join("ca.crt")]);
/// # Ok(())
/// # }
/// ```
pub fn files<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>, now: SystemTime) -> FilesReport {
    let mut read = Read::default();
    for path in paths {
        let path = path.as_ref();
        let before = (read.certificates.len(), read.failures.len());
        if path.is_dir() {
            read.below(path);
        } else {
            read.file(path, true);
        }
        if (read.certificates.len(), read.failures.len()) == before {
            let path = path.to_owned();
            read.fail(&path.clone(), &Error::NoCertificate { path });
        }
    }
    let findings = certificates(&read.certificates, now)
        .into_iter()
        .map(|finding| {
            let file = read.found_in[finding.certificate].clone();
            FileFinding { file, finding }
        });
    FilesReport {
        findings: findings.collect(),
        certificates: read.found_in,
        failures: read.failures,
    }
}

/// What was read so far.
#[derive(Default)]
struct Read {
    certificates: Vec<Certificate>,
    /// The file of each.
    found_in: Vec<PathBuf>,
    failures: Vec<FileFailure>,
}

impl Read {
    fn fail(&mut self, path: &Path, error: &Error) {
        self.failures
            .push(FileFailure::of(path, error, Severity::Error));
    }

    /// Reads one file. It may be without a certificate unless one is `expected`.
    fn file(&mut self, path: &Path, expected: bool) {
        let found = match expected {
            true => inspect::read_file(path),
            false => inspect::find_in(path),
        };
        match found {
            Ok(found) => {
                let is_other = !expected || !found.chains.is_empty();
                for chain in found.chains {
                    let count = self.found_in.len() + chain.certificates.len();
                    self.found_in.resize(count, path.to_owned());
                    self.certificates.extend(chain.certificates);
                }
                for fault in found.faults {
                    let severity = match fault {
                        // Who has a command or a token is as good.
                        Error::NoUserCertificate { .. } if is_other => Severity::Notice,
                        _ => Severity::Error,
                    };
                    let failure = FileFailure::of(path, &fault.in_file(path), severity);
                    self.failures.push(failure);
                }
            }
            Err(error) => self.fail(path, &error),
        }
    }

    /// Reads the files that may hold certificates, sorted, so that output does not depend on the filesystem.
    fn below(&mut self, folder: &Path) {
        let listed: std::io::Result<Vec<PathBuf>> = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut paths = match listed {
            Ok(paths) => paths,
            Err(source) => {
                let (action, path) = ("list", folder.to_owned());
                return self.fail(
                    folder,
                    &Error::Io {
                        action,
                        path,
                        source,
                    },
                );
            }
        };
        paths.sort();
        for path in paths {
            let extension = path.extension().unwrap_or_default();
            if path.is_dir() {
                // Links to folders may lead back up.
                if !path.is_symlink() {
                    self.below(&path);
                }
            // A pipe of that name would never end, a link to nothing has no bytes.
            } else if path.is_file() && EXTENSIONS.iter().any(|known| extension == *known) {
                // The name promises a certificate; the others are names of much else.
                self.file(&path, extension == "crt");
            }
        }
    }
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
        let report = files([folder.path()], now());
        let bundle = path("a/b/bundle.pem");
        let expected = [bundle.clone(), bundle, path("a/der.crt"), path("z.crt")];
        assert_eq!(report.certificates, expected);
        assert_eq!((report.findings.len(), report.worst()), (0, None));

        let later = now() + std::time::Duration::from_secs(4000 * 86_400);
        let report = files([path("z.crt"), path("a/der.crt")], later);
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
        let report = files([&path], SystemTime::UNIX_EPOCH);
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        let shown = path.display().to_string();
        assert_eq!(json["certificates"], serde_json::json!([shown]));
        assert_eq!(json["findings"][0]["file"], shown);
        assert_eq!(json["findings"][0]["rule"], "not-yet-valid");
    }

    #[test]
    fn what_cannot_be_judged_is_named_and_ends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("bad/empty")).unwrap();
        fs::write(path("bad/notes.conf"), "text").unwrap();
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(path("bad/a.crt"), bad).unwrap();
        fs::write(path("bad/key.crt"), authority("x").key_pem().as_bytes()).unwrap();
        let good = authority("good").certificate_pem();
        fs::write(path("bad/utf16.pem"), utf16(&good)).unwrap();
        fs::write(path("bad/z.crt"), good).unwrap();
        let given = [path("missing"), path("bad/empty"), path("bad")];
        let report = files(given, now());
        assert_eq!(report.certificates, [path("bad/z.crt")]);
        assert_eq!(report.worst(), Some(Severity::Error));
        let failures = report.failures.iter();
        let found: Vec<(&Path, &str)> = failures
            .map(|failure| (failure.file.as_path(), failure.problem.as_str()))
            .collect();
        for ((file, problem), (name, expected)) in found.iter().zip([
            ("missing", "cannot be read"),
            ("bad/empty", "holds no certificate"),
            ("bad/a.crt", "malformed certificate"),
            ("bad/key.crt", "a `PRIVATE KEY` block"),
            ("bad/utf16.pem", "UTF-16"),
        ]) {
            assert_eq!(*file, path(name), "{found:?}");
            assert!(problem.contains(expected), "{problem}");
        }
        assert_eq!(found.len(), 5);
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }
}
