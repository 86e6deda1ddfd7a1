//! A plan: which authorities, certificates, keys and secrets there shall be, as data.

use std::collections::HashSet;
use std::fmt;

use crate::{AuthoritySpec, Certificate, Entry, EntryId, Error, Item, Leaf, Secret, ssh};

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

    /// Describes the authority `id` as `certificate` says, in place of what the plan said of it: for one that comes from
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is no authority `id`.
    pub fn adopt(&mut self, id: &str, certificate: &Certificate) -> Result<&mut Self, Error> {
        self.require_authority(id)?;
        let entries = self.entries.iter_mut();
        for entry in entries.filter(|entry| entry.id.as_str() == id) {
            if let Item::Authority { spec, .. } = &mut entry.item {
                *spec = AuthoritySpec::from_certificate(certificate);
            }
        }
        Ok(self)
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

    /// Adds a certificate that another tool made and that no [`Leaf`] can describe: `issuer` signs it again as it stands.
    ///
    /// # Errors
    ///
    /// As [`Plan::intermediate`].
    pub fn foreign(&mut self, issuer: &str, id: &str) -> Result<&mut Self, Error> {
        let issuer = self.require_authority(issuer)?;
        self.add(id, Item::Foreign { issuer })
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
        let entry = Entry {
            id: EntryId::try_from(id)?,
            item,
        };
        if let Some(issuer) = entry.issuer() {
            self.require_authority(issuer.as_str())?;
        }
        let files = entry.all_files();
        for file in &files {
            // One entry's file must not be another's file, or its folder.
            let clash = self.files.contains(file)
                || self.folders.contains(file)
                || parents(file).any(|folder| self.files.contains(folder));
            if clash {
                return Err(Error::invalid(
                    "entry name",
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

/// One line per entry: its name, its kind, what it says.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .entries
            .iter()
            .map(|entry| entry.id.as_str().len())
            .max();
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
