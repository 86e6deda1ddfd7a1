//! Deciding what to make, and making it.

use std::path::Path;
use std::time::SystemTime;

use super::batch::{self, Verb};
use super::done::Done;
use super::held::Paths;
use super::parallel;
use super::report::{Change, Ensured};
use super::rotation;
use super::unsigned::{key_pair, secret, ssh_key, usable};
use crate::entry::{Entry, EntryId, Item};
use crate::material::{Held, Trusted};
use crate::{
    Authority, AuthoritySpec, Error, Identity, KeyPolicy, Leaf, Material, Plan, PrivateKey, Reason,
};

/// Which leaves to make anew though nothing is wrong with them, and what becomes of their keys.
pub(crate) type Request<'a> = &'a (dyn Fn(&EntryId) -> Option<KeyPolicy> + Sync);

pub(crate) fn ensure(
    root: &Path,
    plan: &Plan,
    now: SystemTime,
    request: Request<'_>,
) -> Result<Ensured, Error> {
    let mut work = Work {
        now,
        request,
        material: Material::empty(),
    };
    let mut changes = Vec::with_capacity(plan.entries().len());
    let mut writes = Vec::new();
    let is_leaf = |entry: &Entry| matches!(entry.item(), Item::Leaf { .. });
    // Leaves that stand together do not depend on each other; everything else is done one by one.
    for entries in plan
        .entries()
        .chunk_by(|one, next| is_leaf(one) && is_leaf(next))
    {
        let done = parallel::map(entries, |entry| work.one(entry, &Paths::of(root, entry)))?;
        for (entry, done) in entries.iter().zip(done) {
            changes.push(Change {
                id: entry.id().clone(),
                outcome: done.outcome,
                new_key: done.new_key,
            });
            writes.extend(done.writes);
            work.material.insert(entry.id().clone(), done.held);
        }
    }
    batch::commit(&writes)?;
    Ok(Ensured {
        entries: changes,
        material: work.material,
    })
}

/// One run: what holds for all entries, and what those before gave.
struct Work<'a> {
    now: SystemTime,
    request: Request<'a>,
    material: Material,
}

impl Work<'_> {
    fn one(&self, entry: &Entry, paths: &Paths) -> Result<Done, Error> {
        if let Item::Authority { .. } = entry.item() {
            rotation::recover(paths)?;
        }
        match entry.item() {
            Item::Authority { issuer: None, spec } => self.root(paths, spec),
            Item::Authority {
                issuer: Some(issuer),
                spec,
            } => self.intermediate(entry, paths, issuer, spec),
            Item::KeyPair => key_pair(entry, paths),
            Item::Leaf { issuer, leaf } => self.leaf(entry, paths, issuer, leaf),
            Item::Secret(form) => secret(paths, *form),
            Item::SshKey { comment } => ssh_key(entry, paths, comment),
        }
    }

    fn root(&self, paths: &Paths, spec: &AuthoritySpec) -> Result<Done, Error> {
        let (key, reason) = match paths.read_pair()? {
            (Some(certificate), Some(key)) => {
                let authority = Authority::new(certificate, key, self.now)
                    .map_err(|error| in_public_file(error, paths))?;
                return Ok(Done::unchanged(trusted(authority, paths)?));
            }
            (_, key) => usable(key)?,
        };
        let authority = Authority::create_with_key(spec, key, self.now)?;
        made_authority(authority, reason, paths, Verb::Create)
    }

    fn intermediate(
        &self,
        entry: &Entry,
        paths: &Paths,
        issuer: &EntryId,
        spec: &AuthoritySpec,
    ) -> Result<Done, Error> {
        let above = self.material.authority(issuer.as_str())?;
        let (key, reason, verb) = match paths.read_pair()? {
            (Some(certificate), Some(key)) => {
                // What cannot be checked is made again, so that it can.
                let reason = if !certificate
                    .is_signed_by(above.certificate())
                    .unwrap_or(false)
                {
                    Reason::WrongIssuer
                } else if certificate.validity().is_due(self.now) {
                    Reason::expiring(&certificate)
                } else if (self.request)(entry.id()).is_some() {
                    Reason::Requested
                } else {
                    let authority = Authority::trusted(certificate, key, above.full_chain())
                        .map_err(|error| in_public_file(error, paths))?;
                    return Ok(Done::unchanged(trusted(authority, paths)?));
                };
                certificate
                    .require_key(&key)
                    .map_err(|error| in_public_file(error, paths))?;
                (key, reason, Verb::Replace)
            }
            (_, key) => {
                let (key, reason) = usable(key)?;
                (key, reason, Verb::Create)
            }
        };
        let authority = above.intermediate_with_key(spec, key, self.now)?;
        made_authority(authority, reason, paths, verb)
    }

    fn leaf(
        &self,
        entry: &Entry,
        paths: &Paths,
        issuer: &EntryId,
        leaf: &Leaf,
    ) -> Result<Done, Error> {
        let authority = self.material.authority(issuer.as_str())?;
        let requested = (self.request)(entry.id());
        let (key, reason, verb) = match paths.read_pair()? {
            (Some(certificate), Some(key)) => {
                let reason = match certificate.require_key(&key) {
                    Err(Error::Mismatch { .. }) => Some(Reason::KeyMismatch),
                    _ => leaf.reason_to_renew(&certificate, authority.certificate(), self.now)?,
                };
                match reason.or(requested.map(|_| Reason::Requested)) {
                    Some(reason) => (key, reason, Verb::Replace),
                    None => {
                        let identity = Identity::new(certificate, key)?;
                        let identity = identity.with_chain(authority.full_chain());
                        return Ok(Done::unchanged(Held::Identity(identity)));
                    }
                }
            }
            (_, key) => {
                let (key, reason) = usable(key)?;
                (key, reason, Verb::Create)
            }
        };
        // A key that has no matching certificate yet is the new one that an interrupted run was about to use.
        let policy = requested.unwrap_or(leaf.key_policy());
        let change_key =
            verb == Verb::Replace && policy == KeyPolicy::New && reason != Reason::KeyMismatch;
        let key = if change_key {
            PrivateKey::generate()?
        } else {
            key
        };
        let new_key = change_key || reason == Reason::Missing;
        let identity = authority.issue_with_key(leaf, key, self.now)?;
        let (public, private) = (
            identity.certificate_pem(),
            new_key.then(|| identity.key_pem()),
        );
        let held = Held::Identity(identity);
        Ok(Done::made(held, reason, paths, verb, public, private))
    }
}

fn made_authority(
    authority: Authority,
    reason: Reason,
    paths: &Paths,
    verb: Verb,
) -> Result<Done, Error> {
    let public = authority.certificate_pem();
    let private = (reason == Reason::Missing).then(|| authority.key_pem());
    let held = trusted(authority, paths)?;
    Ok(Done::made(held, reason, paths, verb, public, private))
}

fn trusted(authority: Authority, paths: &Paths) -> Result<Held, Error> {
    let beside = rotation::trusted_beside(paths)?;
    Ok(Held::Authority(Trusted { authority, beside }))
}

fn in_public_file(error: Error, paths: &Paths) -> Error {
    match &paths.public {
        Some(path) => error.in_file(path),
        None => error,
    }
}
