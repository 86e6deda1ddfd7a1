//! Deciding what to make, and making it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::batch::{self, Verb, Write};
use super::files::Privacy;
use super::held::{Held, Paths, SecretText, Trusted};
use super::material::Material;
use super::rotation;
use crate::leaf::Difference;
use crate::plan::{Entry, EntryId, Item};
use crate::{
    Authority, AuthoritySpec, Certificate, Error, Identity, KeyPolicy, Leaf, Plan, PrivateKey,
    Secret, SshKey, rfc3339,
};

/// Why something was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Less than a third of its life remains.
    Expiring {
        /// Its last valid second.
        not_after: SystemTime,
    },
    /// Only the private half was there, left by an interrupted run.
    Interrupted,
    /// It does not belong to the key beside it, left by an interrupted change of key.
    KeyMismatch,
    /// It was not there.
    Missing,
    /// The caller asked for it.
    Requested,
    /// It is for other uses than asked for.
    ProfileChanged,
    /// It holds other alternative names than asked for.
    SansChanged,
    /// It is about someone else.
    SubjectChanged,
    /// Another authority signed it, or the same one before its key changed.
    WrongIssuer,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expiring { not_after } => write!(f, "valid only until {}", rfc3339(*not_after)),
            Self::Interrupted => f.write_str("only its key was there"),
            Self::KeyMismatch => f.write_str("did not belong to its key"),
            Self::Missing => f.write_str("was not there"),
            Self::Requested => f.write_str("as requested"),
            Self::ProfileChanged => f.write_str("its uses changed"),
            Self::SansChanged => f.write_str("its alternative names changed"),
            Self::SubjectChanged => f.write_str("its subject changed"),
            Self::WrongIssuer => f.write_str("its issuer changed"),
        }
    }
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was there and right; no file was touched.
    Unchanged,
    /// It was made, or made anew.
    Made(Reason),
}

/// One entry and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The entry's name.
    pub id: EntryId,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it has a new private key, so that a server which uses it must be restarted.
    pub new_key: bool,
}

/// The result of [`Store::ensure`](super::Store::ensure).
#[derive(Debug)]
pub struct Ensured {
    entries: Vec<Change>,
    material: Material,
}

impl Ensured {
    /// Every entry and what became of it, in the plan's order.
    pub fn entries(&self) -> &[Change] {
        &self.entries
    }

    /// The entries that were made, or made anew.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.entries
            .iter()
            .filter(|entry| entry.outcome != Outcome::Unchanged)
    }

    /// Everything the plan asked for.
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// Everything the plan asked for, to keep.
    pub fn into_material(self) -> Material {
        self.material
    }
}

/// Which leaves to make anew though nothing is wrong with them, and what becomes of their keys.
pub(crate) type Request<'a> = &'a dyn Fn(&EntryId) -> Option<KeyPolicy>;

pub(crate) fn ensure(
    root: &Path,
    plan: &Plan,
    now: SystemTime,
    request: Request<'_>,
) -> Result<Ensured, Error> {
    let mut work = Work {
        now,
        request,
        entries: Vec::with_capacity(plan.entries().len()),
        material: Material::default(),
        writes: Vec::new(),
    };
    for entry in plan.entries() {
        let paths = Paths::of(root, entry);
        if let Item::Authority { .. } = entry.item() {
            rotation::recover(&paths)?;
        }
        let held = match entry.item() {
            Item::Authority { issuer: None, spec } => work.root(entry, &paths, spec)?,
            Item::Authority {
                issuer: Some(issuer),
                spec,
            } => work.intermediate(entry, &paths, issuer, spec)?,
            Item::KeyPair => work.key_pair(entry, &paths)?,
            Item::Leaf { issuer, leaf } => work.leaf(entry, &paths, issuer, leaf)?,
            Item::Secret(form) => work.secret(entry, &paths, *form)?,
            Item::SshKey { comment } => work.ssh_key(entry, &paths, comment)?,
        };
        work.material.insert(entry.id().clone(), held);
    }
    batch::commit(&work.writes)?;
    Ok(Ensured {
        entries: work.entries,
        material: work.material,
    })
}

/// One run: what was decided so far, and what is to be written at its end.
struct Work<'a> {
    now: SystemTime,
    request: Request<'a>,
    entries: Vec<Change>,
    material: Material,
    writes: Vec<Write>,
}

impl Work<'_> {
    fn root(&mut self, entry: &Entry, paths: &Paths, spec: &AuthoritySpec) -> Result<Held, Error> {
        let (key, reason) = match paths.read_pair()? {
            (Some(certificate), Some(key)) => {
                let authority = Authority::new(certificate, key, self.now)
                    .map_err(|error| in_public_file(error, paths))?;
                self.unchanged(entry);
                return trusted(authority, paths);
            }
            (_, key) => usable(key)?,
        };
        let new_key = reason == Reason::Missing;
        let authority = Authority::create_with_key(spec, key, self.now)?;
        self.write_pair(
            paths,
            authority.certificate_pem(),
            new_key.then(|| authority.key_pem()),
            false,
        );
        self.made(entry, reason, new_key);
        trusted(authority, paths)
    }

    fn intermediate(
        &mut self,
        entry: &Entry,
        paths: &Paths,
        issuer: &EntryId,
        spec: &AuthoritySpec,
    ) -> Result<Held, Error> {
        let above = self.material.authority(issuer.as_str())?;
        let (key, reason, replace) = match paths.read_pair()? {
            (Some(certificate), Some(key)) => {
                let reason = if !certificate.is_signed_by(above.certificate())? {
                    Reason::WrongIssuer
                } else if certificate.validity().is_due(self.now) {
                    expiring(&certificate)
                } else {
                    let authority = Authority::trusted(certificate, key, above.full_chain())
                        .map_err(|error| in_public_file(error, paths))?;
                    self.unchanged(entry);
                    return trusted(authority, paths);
                };
                certificate
                    .require_key(&key)
                    .map_err(|error| in_public_file(error, paths))?;
                (key, reason, true)
            }
            (_, key) => {
                let (key, reason) = usable(key)?;
                (key, reason, false)
            }
        };
        let new_key = reason == Reason::Missing;
        let authority = above.intermediate_with_key(spec, key, self.now)?;
        self.write_pair(
            paths,
            authority.certificate_pem(),
            new_key.then(|| authority.key_pem()),
            replace,
        );
        self.made(entry, reason, new_key);
        trusted(authority, paths)
    }

    fn leaf(
        &mut self,
        entry: &Entry,
        paths: &Paths,
        issuer: &EntryId,
        leaf: &Leaf,
    ) -> Result<Held, Error> {
        let authority = self.material.authority(issuer.as_str())?;
        let requested = (self.request)(entry.id());
        let (key, reason, replace) = match paths.read_pair()? {
            (Some(certificate), Some(key)) => {
                let reason = reason_to_renew(&certificate, &key, leaf, authority, self.now)?;
                match reason.or(requested.map(|_| Reason::Requested)) {
                    Some(reason) => (key, reason, true),
                    None => {
                        let identity =
                            Identity::new(certificate, key)?.with_chain(authority.full_chain());
                        self.unchanged(entry);
                        return Ok(Held::Identity(identity));
                    }
                }
            }
            (_, key) => {
                let (key, reason) = usable(key)?;
                (key, reason, false)
            }
        };
        // A key that has no matching certificate yet is the new one that an interrupted run was about to use.
        let policy = requested.unwrap_or(leaf.key_policy());
        let change_key = replace && policy == KeyPolicy::New && reason != Reason::KeyMismatch;
        let key = if change_key {
            PrivateKey::generate()?
        } else {
            key
        };
        let new_key = change_key || reason == Reason::Missing;
        let identity = authority.issue_with_key(leaf, key, self.now)?;
        self.write_pair(
            paths,
            identity.certificate_pem(),
            new_key.then(|| identity.key_pem()),
            replace,
        );
        self.made(entry, reason, new_key);
        Ok(Held::Identity(identity))
    }

    fn key_pair(&mut self, entry: &Entry, paths: &Paths) -> Result<Held, Error> {
        let key = paths.read_key()?;
        let key = match (key, paths.read_public()?) {
            (Some(key), Some((path, bytes))) => {
                let public =
                    crate::PublicKey::from_pem(&bytes).map_err(|error| error.in_file(path))?;
                if &public != key.public_key() {
                    let subject = entry.id().to_string();
                    return Err(Error::Mismatch { subject }.in_file(path));
                }
                self.unchanged(entry);
                return Ok(Held::KeyPair(key));
            }
            (None, Some((path, _))) => return Err(paths.key_missing(path)),
            (key, None) => key,
        };
        let (key, reason) = usable(key)?;
        let new_key = reason == Reason::Missing;
        let private = new_key.then(|| key.to_pkcs8_pem());
        self.write_pair(paths, key.public_key().to_pem(), private, false);
        self.made(entry, reason, new_key);
        Ok(Held::KeyPair(key))
    }

    fn ssh_key(&mut self, entry: &Entry, paths: &Paths, comment: &str) -> Result<Held, Error> {
        let key = paths.read_key()?;
        let found = paths.read_public()?;
        let (key, reason) = match (key, &found) {
            (None, Some((path, _))) => return Err(paths.key_missing(path)),
            (key, _) => usable(key)?,
        };
        let ssh = SshKey::from_key(key, comment)?;
        if let Some((path, bytes)) = found {
            // The comment is people's to change.
            let line = String::from_utf8_lossy(&bytes);
            let words = |line: &str| {
                line.split(' ')
                    .take(2)
                    .map(|word| word.trim().to_owned())
                    .collect::<Vec<_>>()
            };
            if words(&line) != words(&ssh.public_line()) {
                let subject = entry.id().to_string();
                return Err(Error::Mismatch { subject }.in_file(path));
            }
            self.unchanged(entry);
            return Ok(Held::SshKey(ssh));
        }
        let new_key = reason == Reason::Missing;
        let private = new_key.then(|| ssh.private_pem());
        self.write_pair(paths, format!("{}\n", ssh.public_line()), private, false);
        self.made(entry, reason, new_key);
        Ok(Held::SshKey(ssh))
    }

    fn secret(&mut self, entry: &Entry, paths: &Paths, form: Secret) -> Result<Held, Error> {
        if let Some(text) = paths.read_secret(form)? {
            self.unchanged(entry);
            return Ok(Held::Secret(SecretText(text)));
        }
        let text = form.generate()?;
        let line = Zeroizing::new(format!("{}\n", *text));
        self.write(
            &paths.private,
            line.as_bytes(),
            Privacy::Private,
            Verb::Create,
        );
        self.made(entry, Reason::Missing, true);
        Ok(Held::Secret(SecretText(text)))
    }

    /// Notes the public file, and the private one if there is a new key.
    fn write_pair(
        &mut self,
        paths: &Paths,
        public: String,
        private: Option<Zeroizing<String>>,
        replace: bool,
    ) {
        let verb = if replace { Verb::Replace } else { Verb::Create };
        if let Some(private) = private {
            self.write(&paths.private, private.as_bytes(), Privacy::Private, verb);
        }
        if let Some(path) = &paths.public {
            self.write(path, public.as_bytes(), Privacy::Public, verb);
        }
    }

    fn write(&mut self, path: &Path, bytes: &[u8], privacy: Privacy, verb: Verb) {
        self.writes.push(Write {
            path: PathBuf::from(path),
            bytes: Zeroizing::new(bytes.to_vec()),
            privacy,
            verb,
        });
    }

    fn unchanged(&mut self, entry: &Entry) {
        self.note(entry, Outcome::Unchanged, false);
    }

    fn made(&mut self, entry: &Entry, reason: Reason, new_key: bool) {
        self.note(entry, Outcome::Made(reason), new_key);
    }

    fn note(&mut self, entry: &Entry, outcome: Outcome, new_key: bool) {
        self.entries.push(Change {
            id: entry.id().clone(),
            outcome,
            new_key,
        });
    }
}

fn trusted(authority: Authority, paths: &Paths) -> Result<Held, Error> {
    let beside = rotation::trusted_beside(paths)?;
    Ok(Held::Authority(Trusted { authority, beside }))
}

/// The key that is there, else a new one.
fn usable(key: Option<PrivateKey>) -> Result<(PrivateKey, Reason), Error> {
    Ok(match key {
        Some(key) => (key, Reason::Interrupted),
        None => (PrivateKey::generate()?, Reason::Missing),
    })
}

fn reason_to_renew(
    certificate: &Certificate,
    key: &PrivateKey,
    leaf: &Leaf,
    authority: &Authority,
    now: SystemTime,
) -> Result<Option<Reason>, Error> {
    if let Err(Error::Mismatch { .. }) = certificate.require_key(key) {
        return Ok(Some(Reason::KeyMismatch));
    }
    if !certificate.is_signed_by(authority.certificate())? {
        return Ok(Some(Reason::WrongIssuer));
    }
    if let Some(difference) = leaf.difference(certificate)? {
        return Ok(Some(match difference {
            Difference::Profile => Reason::ProfileChanged,
            Difference::Sans => Reason::SansChanged,
            Difference::Subject => Reason::SubjectChanged,
        }));
    }
    let due = certificate.validity().is_due(now);
    Ok(due.then(|| expiring(certificate)))
}

fn expiring(certificate: &Certificate) -> Reason {
    Reason::Expiring {
        not_after: certificate.validity().not_after(),
    }
}

fn in_public_file(error: Error, paths: &Paths) -> Error {
    match &paths.public {
        Some(path) => error.in_file(path),
        None => error,
    }
}
