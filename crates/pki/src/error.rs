//! What can go wrong, one variant per cause.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::validity::rfc3339;

/// Everything this crate can refuse or fail at.
///
/// Every variant names its subject: a field, a certificate, a path.
/// None ever holds key bytes, not even of a key that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An authority that is there is other than its plan says, and nobody said that it may be changed.
    #[error("authority `{subject}` is there with {field} {found}, where the plan says {wanted}")]
    AuthorityDiffers {
        /// Whose certificate is there.
        subject: String,
        /// In what it differs, for example `path length`.
        field: &'static str,
        /// What is there.
        found: String,
        /// What the plan says.
        wanted: String,
    },

    /// A file that was to be created is there already.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// A certificate is past its end.
    #[error("certificate of `{subject}` expired at {}", rfc3339(*.not_after))]
    Expired {
        /// Whose certificate.
        subject: String,
        /// Its last valid second.
        not_after: SystemTime,
    },

    /// Something is wrong inside a file.
    #[error("cannot use `{}`", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: Box<Error>,
    },

    /// A file or folder could be read or changed by someone else.
    #[error("`{}` {problem} (mode {mode:04o})", path.display())]
    InsecurePermissions {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What is wrong with them.
        problem: &'static str,
    },

    /// A value that does not follow the rules of its field.
    #[error("invalid {field} `{value}`: {problem}")]
    Invalid {
        /// Which kind of value, for example `DNS name`.
        field: &'static str,
        /// What was given.
        value: String,
        /// Which rule it breaks.
        problem: String,
    },

    /// The operating system refused a file operation.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },

    /// A certificate has no private key beside it.
    #[error("`{}` has no private key `{}`", certificate.display(), key.display())]
    KeyMissing {
        /// The certificate that is there.
        certificate: PathBuf,
        /// The key that is not.
        key: PathBuf,
    },

    /// Another process holds the store.
    #[error("store `{}` is in use by another process", path.display())]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },

    /// Bytes that are not what they should be.
    #[error("malformed {what}: {problem}")]
    Malformed {
        /// What they should be, for example `certificate`.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },

    /// A private key does not belong to the certificate beside it.
    #[error("private key does not belong to the certificate of `{subject}`")]
    Mismatch {
        /// Whose certificate.
        subject: String,
    },

    /// There is no certificate where one was looked for.
    #[error("`{}` holds no certificate", path.display())]
    NoCertificate {
        /// The file or folder.
        path: PathBuf,
    },

    /// A user of a kubeconfig proves who it is by something else than a certificate, or not at all.
    #[error(
        "its user{} has no certificate{}",
        user.as_ref().map_or(String::new(), |name| format!(" `{}`", name.escape_debug())),
        instead.map_or(String::new(), |what| format!(", but {what}"))
    )]
    NoUserCertificate {
        /// The user's name, if there are others.
        user: Option<String>,
        /// What it has instead, for example `a command`.
        instead: Option<&'static str>,
    },

    /// A certificate that may not sign others was used as an authority.
    #[error("certificate of `{subject}` is no certificate authority: {problem}")]
    NotACa {
        /// Whose certificate.
        subject: String,
        /// What is missing.
        problem: String,
    },

    /// Nothing of that name is there.
    #[error("no {what} named `{name}`")]
    NotFound {
        /// What was looked for, for example `plan entry`.
        what: &'static str,
        /// By which name.
        name: String,
    },

    /// A certificate is not valid yet.
    #[error("certificate of `{subject}` is not valid before {}", rfc3339(*.not_before))]
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// Its first valid second.
        not_before: SystemTime,
    },

    /// A certificate would be valid longer than the authority that signs it.
    #[error(
        "certificate of `{subject}` would be valid until {}, longer than its issuer `{issuer}` ({})",
        rfc3339(*.not_after),
        rfc3339(*.issuer_not_after)
    )]
    OutlivesIssuer {
        /// Whose certificate.
        subject: String,
        /// Its last valid second.
        not_after: SystemTime,
        /// The authority.
        issuer: String,
        /// The authority's last valid second.
        issuer_not_after: SystemTime,
    },

    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {problem}")]
    Randomness {
        /// What it said.
        problem: String,
    },

    /// A policy does not allow what was asked for.
    #[error("refused `{subject}`: {field} `{value}` is not allowed")]
    Refused {
        /// Who asked.
        subject: String,
        /// What was asked for, for example `alternative name`.
        field: &'static str,
        /// Which one.
        value: String,
    },

    /// A chain was judged and refused.
    #[cfg(feature = "verify")]
    #[error(
        "certificate of `{subject}` is not trusted as {purpose}: {refusal}{}",
        if found.is_empty() { String::new() } else { format!(" ({found})") }
    )]
    Untrusted {
        /// Whose certificate.
        subject: String,
        /// What it was presented for.
        purpose: String,
        /// Why not.
        refusal: crate::verify::Refusal,
        /// What was found instead, for example the names that it is for; may be empty.
        found: String,
    },

    /// Something of a known form that is not read here.
    #[error("unreadable {what}: {form}")]
    Unreadable {
        /// What was to be read, for example `private key`.
        what: &'static str,
        /// What it is instead.
        form: &'static str,
        /// What turns it into something that is read: a command for the file `FILE`, or words.
        remedy: &'static str,
    },

    /// A key of an algorithm that cannot be used here.
    #[error("cannot use {algorithm} keys for {purpose}")]
    UnsupportedKey {
        /// Its algorithm.
        algorithm: String,
        /// What it was to be used for, for example `signing`.
        purpose: &'static str,
    },

    /// A signature by an algorithm that cannot be checked here, so that nothing can be said about it.
    #[error("cannot check a signature by an unsupported algorithm: {algorithm}")]
    UnsupportedSignature {
        /// The algorithm, and the kind of key it was made with.
        algorithm: String,
    },

    /// A certificate would be refused by verifiers in common use, so it is not signed.
    #[error("a certificate of `{subject}` would be refused: {problem}")]
    Unverifiable {
        /// Whose certificate.
        subject: String,
        /// What they would refuse in it.
        problem: String,
    },

    /// A certificate says what could not be kept if it were made again.
    #[error("the certificate of `{subject}` is not made again: {what} would be lost")]
    WouldLose {
        /// Whose certificate.
        subject: String,
        /// What would be lost.
        what: String,
    },

    /// What is at a path is no file that is read.
    #[error("`{}` is {kind}, where a regular file is expected", path.display())]
    WrongFileKind {
        /// The path.
        path: PathBuf,
        /// What is there, for example `a symbolic link`.
        kind: &'static str,
    },
}

/// The kind of file that most often surprises.
pub(crate) const SYMBOLIC_LINK: &str = "a symbolic link";

/// A path as a shell takes it, whatever is in it.
fn quoted_path(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// The value as it may be shown: what may be a key, given where a name is expected, is described.
pub(crate) fn quotable(value: String) -> String {
    let is_base64 = |one: char| one.is_ascii_alphanumeric() || "+/=".contains(one);
    let looks_random = |run: &str| {
        run.len() >= 32
            && run.contains(|one: char| one.is_ascii_uppercase())
            && run.contains(|one: char| one.is_ascii_lowercase())
    };
    let secret = value.to_uppercase().contains("PRIVATE KEY")
        || value.split(|one| !is_base64(one)).any(looks_random);
    if secret {
        format!("({} characters, not shown)", value.chars().count())
    } else {
        value
    }
}

impl Error {
    /// The next step that makes sense, as a sentence or a command.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::AuthorityDiffers { field: "subject", .. } => Some(
                "another authority needs another name in the plan; one from elsewhere is described by `Plan::adopt`"
                    .to_owned(),
            ),
            Self::AuthorityDiffers { .. } => Some(
                "renew the authority to have it so, with the same key, and give it to all who trust it; or put the plan back"
                    .to_owned(),
            ),
            Self::Exists { .. } => Some(
                "existing files are not overwritten: move it away, or choose another name"
                    .to_owned(),
            ),
            Self::Expired { .. } => Some("renew the certificate with the same key".to_owned()),
            Self::InFile { path, source } => match &**source {
                Self::Unreadable { remedy, .. } => Some(remedy.replace("FILE", &quoted_path(path))),
                other => other.hint(),
            },
            Self::InsecurePermissions { path, problem, .. } if problem.starts_with("belongs") => {
                Some(format!("chown \"$(id -u)\" {}", quoted_path(path)))
            }
            Self::InsecurePermissions { path, .. } => {
                Some(format!("chmod go= {}", quoted_path(path)))
            }
            Self::KeyMissing { certificate, .. } => Some(format!(
                "put the key back from a backup, or remove `{}` to have a new pair made",
                certificate.display()
            )),
            Self::Locked { path } => Some(format!("fuser -v {}", quoted_path(&path.join(".lock")))),
            Self::Mismatch { .. } => {
                Some("put back the certificate and the key that were made together".to_owned())
            }
            Self::NoCertificate { path } if path.is_dir() => Some(
                "of a folder, the `.crt`, `.pem` and `.conf` files in it and below are read"
                    .to_owned(),
            ),
            Self::Refused { .. } => {
                Some("allow it in the policy, or have the request made without it".to_owned())
            }
            Self::NotYetValid { .. } => Some("compare the clocks: `date --utc`".to_owned()),
            Self::OutlivesIssuer { issuer, .. } => Some(format!(
                "renew `{issuer}` first, or ask for a shorter lifetime"
            )),
            Self::Unreadable { remedy, .. } => Some((*remedy).to_owned()),
            Self::WouldLose { .. } => Some(
                "have it made again by the tool that made it, or remove it to have another made".to_owned(),
            ),
            Self::WrongFileKind { path, kind } if *kind == SYMBOLIC_LINK => Some(format!(
                "links are not followed: give the file itself, `readlink -f {}` names it",
                quoted_path(path)
            )),
            Self::UnsupportedKey { .. } => {
                Some("only ECDSA P-256 keys can sign; other algorithms can be inspected".to_owned())
            }
            _ => None,
        }
    }

    pub(crate) fn unreadable(what: &'static str, form: &'static str, remedy: &'static str) -> Self {
        Self::Unreadable { what, form, remedy }
    }

    pub(crate) fn invalid(
        field: &'static str,
        value: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            field,
            value: quotable(value.into()),
            problem: problem.into(),
        }
    }

    pub(crate) fn malformed(what: &'static str, problem: impl ToString) -> Self {
        Self::Malformed {
            what,
            problem: problem.to_string(),
        }
    }

    /// Says in which file the error was found, for those who read files themselves.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        Self::InFile {
            path: path.to_owned(),
            source: Box::new(self),
        }
    }
}
