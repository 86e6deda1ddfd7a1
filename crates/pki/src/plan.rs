//! A plan: which authorities, certificates, keys and secrets there shall be, as data.

use std::collections::HashSet;
use std::fmt;

use crate::{AuthoritySpec, Error, Leaf, Secret, ssh};

/// The name of a plan entry: path segments of lower-case letters, digits, `.`, `_` and `-`, separated by `/`.
///
/// It is where a store keeps the entry's files, so `..`, hidden and absolute paths are refused.
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
        } else {
            return Ok(Self(value.to_owned()));
        };
        Err(Error::invalid(
            "plan entry name",
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
    id: EntryId,
    item: Item,
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
            Item::Authority { .. } | Item::Leaf { .. } => {
                (Some(format!("{id}.crt")), format!("{id}.key"))
            }
            Item::KeyPair => (Some(format!("{id}.pub")), format!("{id}.key")),
            Item::Secret(_) => (None, format!("{id}.secret")),
            // The names that ssh expects: a private key without extension.
            Item::SshKey { .. } => (Some(format!("{id}.pub")), id.to_string()),
        };
        EntryFiles { public, private }
    }

    /// These, and those that an authority has while its key changes.
    fn all_files(&self) -> Vec<String> {
        let files = self.files();
        let mut all: Vec<String> = files.public.into_iter().chain([files.private]).collect();
        if let Item::Authority { .. } = self.item {
            let id = &self.id;
            all.push(format!("{id}.{NEXT}.crt"));
            all.push(format!("{id}.{NEXT}.key"));
            all.push(format!("{id}.{PREVIOUS}.crt"));
        }
        all
    }
}

/// What is added to an authority's name while its key changes: the coming pair, and the certificate that was.
pub(crate) const NEXT: &str = "next";
pub(crate) const PREVIOUS: &str = "previous";

/// The files of one entry, relative to the store's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFiles {
    /// The certificate or public key, readable by everyone who may enter the folder.
    pub public: Option<String>,
    /// The private key or secret, readable by its owner alone.
    pub private: String,
}

/// A list of entries, issuers before those they sign.
///
/// It can be printed, compared and tested without any key; a [`Store`](crate::store::Store) makes it real.
///
/// ```
/// use caravan_pki::{AuthoritySpec, CommonName, Leaf, Plan, Sans};
/// # fn main() -> Result<(), caravan_pki::Error> {
/// let mut plan = Plan::new();
/// plan.authority("ca", AuthoritySpec::new(CommonName::try_from("example ca")?))?;
/// plan.leaf("ca", "web", Leaf::server(CommonName::try_from("web")?, Sans::parse(["web.example.com"])?))?;
/// assert_eq!(plan.to_string(), "ca   authority  CN=example ca; 3650 days; path length 0\n\
///                               web  leaf       ca signs CN=web; serverAuth; web.example.com; 365 days\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    entries: Vec<Entry>,
    /// Every file of the entries, and every folder above one: what a new entry may not collide with.
    files: HashSet<String>,
    folders: HashSet<String>,
}

impl Plan {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a self-signed authority.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when `id` is no valid name or is taken.
    pub fn authority(&mut self, id: &str, spec: AuthoritySpec) -> Result<&mut Self, Error> {
        self.add(id, Item::Authority { issuer: None, spec })
    }

    /// Adds an authority that `issuer` signs.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when `id` is no valid name or is taken; [`Error::NotFound`] when `issuer` is no authority
    /// above it in the plan.
    pub fn intermediate(
        &mut self,
        issuer: &str,
        id: &str,
        spec: AuthoritySpec,
    ) -> Result<&mut Self, Error> {
        let issuer = Some(self.require_authority(issuer)?);
        self.add(id, Item::Authority { issuer, spec })
    }

    /// Adds a certificate that `issuer` signs.
    ///
    /// # Errors
    ///
    /// As [`Plan::intermediate`].
    pub fn leaf(&mut self, issuer: &str, id: &str, leaf: Leaf) -> Result<&mut Self, Error> {
        let issuer = self.require_authority(issuer)?;
        self.add(id, Item::Leaf { issuer, leaf })
    }

    /// Adds a key pair without certificate.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when `id` is no valid name or is taken.
    pub fn key_pair(&mut self, id: &str) -> Result<&mut Self, Error> {
        self.add(id, Item::KeyPair)
    }

    /// Adds random text.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when `id` is no valid name or is taken.
    pub fn secret(&mut self, id: &str, secret: Secret) -> Result<&mut Self, Error> {
        self.add(id, Item::Secret(secret))
    }

    /// Adds a key pair for ssh.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when `id` is no valid name or is taken, or `comment` holds control characters.
    pub fn ssh_key(&mut self, id: &str, comment: &str) -> Result<&mut Self, Error> {
        ssh::check_comment(comment)?;
        let comment = comment.to_owned();
        self.add(id, Item::SshKey { comment })
    }

    /// The entries, issuers before those they sign.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of that name.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id.as_str() == id)
    }

    /// Adds any entry; the other functions are easier to read.
    ///
    /// # Errors
    ///
    /// As [`Plan::intermediate`].
    pub fn add(&mut self, id: &str, item: Item) -> Result<&mut Self, Error> {
        if let Item::Leaf { issuer, .. }
        | Item::Authority {
            issuer: Some(issuer),
            ..
        } = &item
        {
            self.require_authority(issuer.as_str())?;
        }
        let entry = Entry {
            id: EntryId::try_from(id)?,
            item,
        };
        let files = entry.all_files();
        for file in &files {
            // One entry's file must not be another's file, or its folder.
            let clash = self.files.contains(file)
                || self.folders.contains(file)
                || parents(file).any(|folder| self.files.contains(folder));
            if clash {
                return Err(Error::invalid(
                    "plan entry name",
                    id,
                    format!("its file `{file}` is another entry's"),
                ));
            }
        }
        for file in files {
            self.folders.extend(parents(&file).map(str::to_owned));
            self.files.insert(file);
        }
        self.entries.push(entry);
        Ok(self)
    }

    fn require_authority(&self, id: &str) -> Result<EntryId, Error> {
        match self.entry(id) {
            Some(Entry {
                id,
                item: Item::Authority { .. },
            }) => Ok(id.clone()),
            _ => Err(Error::NotFound {
                what: "authority in the plan",
                name: id.to_owned(),
            }),
        }
    }
}

/// The folders that `path` lies in, nearest first.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| &path[..at])
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

/// One line per entry: its name, its kind, what it says.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.entries.iter().map(|entry| entry.id.0.len()).max();
        let width = width.unwrap_or_default();
        for entry in &self.entries {
            writeln!(f, "{:width$}  {}", entry.id.as_str(), entry.item)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CommonName;

    fn ca() -> AuthoritySpec {
        AuthoritySpec::new(CommonName::try_from("ca").unwrap())
    }

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
        ] {
            let error = EntryId::try_from(id).unwrap_err().to_string();
            assert!(error.contains(problem), "{id}: {error}");
        }
    }

    #[test]
    fn files_never_clash() {
        let mut plan = Plan::new();
        plan.authority("ca", ca()).unwrap();
        plan.ssh_key("ssh/id", "").unwrap();
        for (id, clashes) in [("ca", true), ("ssh/id", true), ("ca/web", false)] {
            assert_eq!(plan.clone().key_pair(id).is_err(), clashes, "{id}");
        }
        assert!(plan.clone().key_pair("ssh/id/deeper").is_err());
        assert!(plan.clone().ssh_key("ca.crt", "").is_err());
        assert!(plan.clone().ssh_key("ssh", "").is_err());
    }

    #[test]
    fn issuers_come_first() {
        let mut plan = Plan::new();
        let leaf = Leaf::client(CommonName::try_from("x").unwrap());
        let error = plan.leaf("ca", "x", leaf.clone()).unwrap_err().to_string();
        assert_eq!(error, "no authority in the plan named `ca`");
        plan.key_pair("sa").unwrap();
        assert!(plan.leaf("sa", "x", leaf).is_err());
    }
}
