//! The entries of a plan: their names, what they are, and their files.

use std::fmt;

use crate::{AuthoritySpec, Error, Leaf, Secret};

/// The name of a plan entry: path segments of lower-case letters, digits, `.`, `_` and `-`, separated by `/`.
///
/// It is where a store keeps the entry's files, so `..`, hidden and absolute paths are refused, and so are the names that
/// the store uses itself: those that end in `.next`, `.previous`, `.chain` or `.fullchain`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(String);

impl EntryId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for EntryId {
    type Error = Error;

    fn try_from(value: &str) -> Result<Self, Error> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let problem = if value.len() > 200 {
            "is longer than 200 characters"
        } else if value.split('/').any(str::is_empty) {
            "has an empty segment"
        } else if value.split('/').any(|segment| segment.starts_with('.')) {
            "has a segment that starts with a dot"
        } else if !value.bytes().all(|byte| byte == b'/' || allowed(byte)) {
            "may hold lower-case letters, digits, `.`, `_`, `-` and `/` only"
        } else if is_reserved(value) {
            "ends in a word that the store uses itself"
        } else {
            return Ok(Self(value.to_owned()));
        };
        Err(Error::invalid(
            "entry name",
            value.escape_debug().to_string(),
            problem,
        ))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one entry of a plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A self-signed authority, or one signed by another (`issuer`).
    Authority {
        /// The authority above; `None` for a root.
        issuer: Option<EntryId>,
        /// Its description.
        spec: AuthoritySpec,
    },
    /// A certificate that another tool made, with its key, and that no [`Leaf`] can describe: it is made again as it
    /// stands, and never from nothing.
    Foreign {
        /// Who signs it.
        issuer: EntryId,
    },
    /// A key pair without certificate, such as the one that signs Kubernetes' service account tokens.
    KeyPair,
    /// A certificate with its key.
    Leaf {
        /// Who signs it.
        issuer: EntryId,
        /// Its description.
        leaf: Leaf,
    },
    /// Random text.
    Secret(Secret),
    /// A key pair for ssh.
    SshKey {
        /// The comment of its public line.
        comment: String,
    },
}

/// One entry of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(crate) id: EntryId,
    pub(crate) item: Item,
}

impl Entry {
    /// Its name.
    pub fn id(&self) -> &EntryId {
        &self.id
    }

    /// What it is.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// The files a store keeps for it, relative to the store's folder.
    pub fn files(&self) -> EntryFiles {
        let id = &self.id;
        let (public, private) = match self.item {
            Item::Authority { .. } | Item::Foreign { .. } | Item::Leaf { .. } => {
                (Some(format!("{id}.crt")), format!("{id}.key"))
            }
            Item::KeyPair => (Some(format!("{id}.pub")), format!("{id}.key")),
            Item::Secret(_) => (None, format!("{id}.secret")),
            // The names that ssh expects: a private key without extension.
            Item::SshKey { .. } => (Some(format!("{id}.pub")), id.to_string()),
        };
        let full_chain = match self.item {
            Item::Foreign { .. } | Item::Leaf { .. } => Some(format!("{id}.{FULL_CHAIN}.crt")),
            _ => None,
        };
        EntryFiles {
            public,
            private,
            full_chain,
        }
    }

    /// The authority that signs it; `None` for what nobody else signs.
    pub(crate) fn issuer(&self) -> Option<&EntryId> {
        match &self.item {
            Item::Authority { issuer, .. } => issuer.as_ref(),
            Item::Foreign { issuer } | Item::Leaf { issuer, .. } => Some(issuer),
            Item::KeyPair | Item::Secret(_) | Item::SshKey { .. } => None,
        }
    }

    /// These, and those that an authority or a key pair has while its key changes.
    pub(crate) fn all_files(&self) -> Vec<String> {
        let files = self.files();
        let mut all: Vec<String> = files.public.into_iter().chain([files.private]).collect();
        all.extend(files.full_chain);
        if let Item::Authority { .. } = self.item {
            let id = &self.id;
            all.push(format!("{id}.{NEXT}.crt"));
            all.push(format!("{id}.{NEXT}.key"));
            all.push(format!("{id}.{PREVIOUS}.crt"));
            all.push(format!("{id}.{CHAIN}.crt"));
            all.push(format!("{id}.crl"));
            all.push(format!("{id}.{PREVIOUS}.crl"));
        }
        if let Item::KeyPair = self.item {
            let id = &self.id;
            all.push(format!("{id}.{NEXT}.key"));
            all.push(format!("{id}.{PREVIOUS}.pub"));
        }
        all
    }
}

/// What is added to the name of an authority or key pair while its key changes: the coming pair, and what was before.
pub(crate) const NEXT: &str = "next";
pub(crate) const PREVIOUS: &str = "previous";
/// The authorities above an imported one.
pub(crate) const CHAIN: &str = "chain";
/// A certificate and the authorities above it, up to but without the root: what a server sends.
pub(crate) const FULL_CHAIN: &str = "fullchain";

/// Whether the store itself uses names that end so.
pub(crate) fn is_reserved(name: &str) -> bool {
    [NEXT, PREVIOUS, CHAIN, FULL_CHAIN].iter().any(|word| {
        name.strip_suffix(word)
            .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// The files of one entry, relative to the store's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryFiles {
    /// The certificate or public key, readable by everyone who may enter the folder.
    pub public: Option<String>,
    /// The private key or secret, readable by its owner alone.
    pub private: String,
    /// The certificate with the authorities above it, as a server sends them. It is written where there are any between
    /// the certificate and its root.
    pub full_chain: Option<String>,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = |seconds: u64| seconds as f64 / 86_400.0;
        match self {
            Self::Authority { issuer, spec } => {
                f.write_str("authority  ")?;
                if let Some(issuer) = issuer {
                    write!(f, "{issuer} signs ")?;
                }
                write!(
                    f,
                    "{}; {} days",
                    spec.subject(),
                    days(spec.lifetime().as_secs())
                )?;
                match spec.path_length() {
                    Some(length) => write!(f, "; path length {length}"),
                    None => Ok(()),
                }
            }
            Self::Foreign { issuer } => write!(f, "foreign    {issuer} signs it as it stands"),
            Self::KeyPair => f.write_str("key pair"),
            Self::Leaf { issuer, leaf } => write!(
                f,
                "leaf       {issuer} signs {leaf}; {} days",
                days(leaf.lifetime().as_secs())
            ),
            Self::Secret(secret) => write!(f, "secret     {secret:?}"),
            Self::SshKey { comment } => write!(f, "ssh key    {comment}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_the_store() {
        for (id, problem) in [
            ("", "empty segment"),
            ("/etc/passwd", "empty segment"),
            ("a//b", "empty segment"),
            ("../a", "starts with a dot"),
            ("a/../b", "starts with a dot"),
            (".lock", "starts with a dot"),
            ("A", "lower-case"),
            ("a b", "lower-case"),
            ("a\\b", "lower-case"),
            ("x.next", "the store uses itself"),
            ("a/x.previous", "the store uses itself"),
            ("x.chain", "the store uses itself"),
            ("x.fullchain", "the store uses itself"),
        ] {
            let error = EntryId::try_from(id).unwrap_err().to_string();
            assert!(error.contains(problem), "{id}: {error}");
        }
        for id in ["next", "x.next/y", "xnext", "x.next.y", "chain"] {
            EntryId::try_from(id).unwrap();
        }
    }
}
