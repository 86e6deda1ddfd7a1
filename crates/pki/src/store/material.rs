//! Everything a plan asked for, in memory.

use std::collections::BTreeMap;

use super::held::Held;
use crate::entry::EntryId;
use crate::{Authority, Error, Identity, PrivateKey, SshKey};

/// Everything a plan asked for, in memory, by entry name.
///
/// Each accessor returns [`Error::NotFound`] when the plan has no entry of that name and kind.
#[derive(Debug)]
pub struct Material {
    held: BTreeMap<EntryId, Held>,
}

impl Material {
    pub(crate) fn empty() -> Self {
        Self {
            held: BTreeMap::new(),
        }
    }

    pub(crate) fn insert(&mut self, id: EntryId, held: Held) {
        self.held.insert(id, held);
    }

    fn get(&self, id: &str) -> Option<&Held> {
        // The map is keyed by the newtype; an invalid name is simply not in it.
        self.held.get(&EntryId::try_from(id).ok()?)
    }

    /// The names of all entries, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &EntryId> {
        self.held.keys()
    }

    /// The authority named `id`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn authority(&self, id: &str) -> Result<&Authority, Error> {
        match self.get(id) {
            Some(Held::Authority(trusted)) => Ok(&trusted.authority),
            _ => Err(not_found("authority", id)),
        }
    }

    /// What to trust in the name of the authority `id`, in PEM: its certificate, and while its key changes, the coming
    /// or the previous one after it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn trust_pem(&self, id: &str) -> Result<String, Error> {
        match self.get(id) {
            Some(Held::Authority(trusted)) => {
                let own = trusted.authority.certificate_pem();
                let beside = trusted.beside.iter().map(crate::Certificate::to_pem);
                Ok([own].into_iter().chain(beside).collect())
            }
            _ => Err(not_found("authority", id)),
        }
    }

    /// The certificate and key named `id`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn identity(&self, id: &str) -> Result<&Identity, Error> {
        match self.get(id) {
            Some(Held::Identity(identity)) => Ok(identity),
            _ => Err(not_found("certificate", id)),
        }
    }

    /// The key pair named `id`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn key_pair(&self, id: &str) -> Result<&PrivateKey, Error> {
        match self.get(id) {
            Some(Held::KeyPair(key)) => Ok(key),
            _ => Err(not_found("key pair", id)),
        }
    }

    /// The secret named `id`: its text, without line end.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn secret(&self, id: &str) -> Result<&str, Error> {
        match self.get(id) {
            Some(Held::Secret(text)) => Ok(&text.0),
            _ => Err(not_found("secret", id)),
        }
    }

    /// The ssh key named `id`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn ssh_key(&self, id: &str) -> Result<&SshKey, Error> {
        match self.get(id) {
            Some(Held::SshKey(key)) => Ok(key),
            _ => Err(not_found("ssh key", id)),
        }
    }
}

fn not_found(what: &'static str, id: &str) -> Error {
    Error::NotFound {
        what,
        name: id.to_owned(),
    }
}
