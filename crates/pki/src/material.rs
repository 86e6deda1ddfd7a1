//! Everything a plan asked for, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::entry::{Entry, EntryId, Item};
use crate::{Authority, Certificate, Error, Identity, Plan, PrivateKey, PublicKey, SshKey};

/// One entry in memory.
#[derive(Debug)]
pub(crate) enum Held {
    Authority(Trusted),
    Identity(Identity),
    KeyPair(Verified),
    Secret(SecretText),
    SshKey(SshKey),
}

/// An authority, and the certificates that are trusted beside its own while its key changes.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) authority: Authority,
    pub(crate) beside: Vec<Certificate>,
}

/// A key that signs, and those that signatures are verified by beside its own while it changes.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) key: PrivateKey,
    pub(crate) beside: Vec<PublicKey>,
}

/// Text that no Debug output shows.
pub(crate) struct SecretText(pub(crate) Zeroizing<String>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// Everything a plan asked for, in memory, by entry name.
///
/// [`Plan::make`] makes it, and so does a [`Store`](crate::store::Store), which keeps it in files.
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

    /// Whether there is an entry named `id`, of whatever kind.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.get(id).is_some()
    }

    /// The private key of the authority, certificate or key pair named `id`.
    pub(crate) fn private_key(&self, id: &str) -> Result<&PrivateKey, Error> {
        match self.get(id) {
            Some(Held::Authority(trusted)) => Ok(trusted.authority.key()),
            Some(Held::Identity(identity)) => Ok(identity.key()),
            Some(Held::KeyPair(verified)) => Ok(&verified.key),
            _ => Err(not_found("key", id)),
        }
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

    /// What to trust in the name of the authority or key pair `id`, in PEM: its certificate or public key, and while its key
    /// changes, the coming or the previous one after it.
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
            Some(Held::KeyPair(verified)) => {
                let own = verified.key.public_key().to_pem();
                let beside = verified.beside.iter().map(PublicKey::to_pem);
                Ok([own].into_iter().chain(beside).collect())
            }
            _ => Err(not_found("authority or key pair", id)),
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
            Some(Held::KeyPair(verified)) => Ok(&verified.key),
            _ => Err(not_found("key pair", id)),
        }
    }

    /// The keys that signatures of the key pair `id` are verified by: its own first, and while it changes, the coming or the
    /// previous one after it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`].
    pub fn public_keys(&self, id: &str) -> Result<Vec<PublicKey>, Error> {
        match self.get(id) {
            Some(Held::KeyPair(verified)) => {
                let own = verified.key.public_key().clone();
                Ok([own].into_iter().chain(verified.beside.clone()).collect())
            }
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

impl Plan {
    /// Makes everything anew, in memory: for those who keep keys elsewhere than in files.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// use caravan_pki::kubernetes::{Cluster, Node};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::new("10.0.0.1:6443")?
    ///     .with_control_plane(Node::new("one", "10.0.0.1".parse()?)?);
    /// let pki = cluster.plan()?.make(SystemTime::now())?;
    /// assert!(cluster.node_files("one", &pki)?.len() > 20);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutlivesIssuer`], [`Error::NotACa`], [`Error::Unverifiable`] and [`Error::Invalid`] for descriptions that do
    /// not go together; [`Error::NotFound`] for [`Item::Foreign`]; [`Error::Randomness`].
    pub fn make(&self, now: SystemTime) -> Result<Material, Error> {
        let mut material = Material::empty();
        for entry in self.entries() {
            let held = make(entry, &material, now)?;
            material.insert(entry.id().clone(), held);
        }
        Ok(material)
    }
}

fn make(entry: &Entry, made: &Material, now: SystemTime) -> Result<Held, Error> {
    let authority = |authority| {
        let beside = Vec::new();
        Held::Authority(Trusted { authority, beside })
    };
    Ok(match entry.item() {
        Item::Authority { issuer: None, spec } => authority(Authority::create(spec, now)?),
        Item::Authority {
            issuer: Some(issuer),
            spec,
        } => authority(made.authority(issuer.as_str())?.intermediate(spec, now)?),
        Item::Foreign { .. } => return Err(from_nothing(entry.id())),
        Item::KeyPair => Held::KeyPair(Verified {
            key: PrivateKey::generate()?,
            beside: Vec::new(),
        }),
        Item::Leaf { issuer, leaf } => {
            Held::Identity(made.authority(issuer.as_str())?.issue(leaf, now)?)
        }
        Item::Secret(form) => Held::Secret(SecretText(form.generate()?)),
        Item::SshKey { comment } => {
            Held::SshKey(SshKey::from_key(PrivateKey::generate()?, comment)?)
        }
    })
}

/// The refusal to make what only another tool can describe.
pub(crate) fn from_nothing(id: &EntryId) -> Error {
    not_found(
        "certificate of another tool, to be made again,",
        id.as_str(),
    )
}

fn not_found(what: &'static str, id: &str) -> Error {
    Error::NotFound {
        what,
        name: id.to_owned(),
    }
}
