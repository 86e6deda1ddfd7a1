//! Deciding what to make, and making it.

use std::path::Path;
use std::time::SystemTime;

use super::batch::{self, Verb};
use super::done::Done;
use super::files::{self, Privacy};
use super::held::{self, Paths};
use super::parallel;
use super::report::{Change, Ensured, EntryFailure};
use super::unsigned::{key_pair, secret, ssh_key, usable};
use super::{key_rotation, rotation};
use crate::authority::require_room;
use crate::authority_spec::SpecField;
use crate::entry::{Entry, EntryId, Item};
use crate::material::{Held, Trusted, from_nothing};
use crate::renewal::Changes;
use crate::{
    Authority, AuthoritySpec, Certificate, Error, Identity, KeyPolicy, Leaf, Lifetime, Material,
    Plan, PrivateKey, Reason,
};

/// Which leaves to make anew though nothing is wrong with them, and what becomes of their keys.
pub(crate) type Request<'a> = &'a (dyn Fn(&EntryId) -> Option<KeyPolicy> + Sync);

/// What becomes of the others when one entry cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// They are made all the same.
    GoOn,
    /// As [`OnFailure::GoOn`], and nothing is written: for those who want to know what would be.
    Preview,
    /// Nothing is written.
    Stop,
}

pub(crate) fn ensure(
    root: &Path,
    plan: &Plan,
    now: SystemTime,
    request: Request<'_>,
    on_failure: OnFailure,
) -> Result<Ensured, Error> {
    let work = Work {
        root,
        plan,
        now,
        request,
        recovers: on_failure != OnFailure::Preview,
        instead: None,
        material: Material::empty(),
    };
    let (ensured, writes) = work.all(on_failure)?;
    if on_failure != OnFailure::Preview {
        batch::commit(&writes)?;
    }
    Ok(ensured)
}

/// Tries whether all of `plan` can be made with another authority in the place of the entry `instead`, and writes nothing.
pub(crate) fn try_with(
    root: &Path,
    plan: &Plan,
    now: SystemTime,
    instead: (&str, &Authority),
) -> Result<(), Error> {
    let work = Work {
        root,
        plan,
        now,
        request: &|_| None,
        recovers: false,
        instead: Some(instead),
        material: Material::empty(),
    };
    work.all(OnFailure::Stop).map(drop)
}

/// One run: what holds for all entries, and what those before gave.
struct Work<'a> {
    root: &'a Path,
    plan: &'a Plan,
    now: SystemTime,
    request: Request<'a>,
    /// Whether an interrupted change of an authority's key is completed, which writes.
    recovers: bool,
    /// An authority that is to take the place of the one that is there.
    instead: Option<(&'a str, &'a Authority)>,
    material: Material,
}

impl Work<'_> {
    /// Does all of the plan, and returns what is to be written.
    fn all(mut self, on_failure: OnFailure) -> Result<(Ensured, Vec<batch::Write>), Error> {
        let mut entries = Vec::with_capacity(self.plan.entries().len());
        let mut failures = Vec::new();
        let mut writes = Vec::new();
        let is_leaf =
            |entry: &Entry| matches!(entry.item(), Item::Foreign { .. } | Item::Leaf { .. });
        // Leaves that stand together do not depend on each other; everything else is done one by one.
        for part in self
            .plan
            .entries()
            .chunk_by(|one, next| is_leaf(one) && is_leaf(next))
        {
            let done = parallel::map(part, |entry| {
                match (self.one(entry, &Paths::of(self.root, entry)), on_failure) {
                    (Err(error), OnFailure::Stop) => Err(error),
                    (result, _) => Ok(result),
                }
            })?;
            for (entry, done) in part.iter().zip(done) {
                let id = entry.id().clone();
                match done {
                    Ok(done) => {
                        entries.push(Change {
                            id: id.clone(),
                            outcome: done.outcome,
                            new_key: done.new_key,
                        });
                        writes.extend(done.writes);
                        self.material.insert(id, done.held);
                    }
                    Err(error) => {
                        // What is there goes on to sign what is below.
                        let paths = Paths::of(self.root, entry);
                        if let Ok(Some(held)) = held::load(entry, &paths, &self.material) {
                            self.material.insert(id.clone(), held);
                        }
                        failures.push(EntryFailure { id, error });
                    }
                }
            }
        }
        let ensured = Ensured {
            entries,
            failures,
            material: self.material,
        };
        Ok((ensured, writes))
    }
    fn one(&self, entry: &Entry, paths: &Paths) -> Result<Done, Error> {
        match entry.item() {
            Item::Authority { .. } if self.recovers => rotation::recover(paths)?,
            Item::KeyPair if self.recovers => key_rotation::recover(paths)?,
            _ => {}
        }
        match entry.item() {
            Item::Authority { issuer: None, spec } => self.root(entry, paths, spec),
            Item::Authority {
                issuer: Some(issuer),
                spec,
            } => self.intermediate(entry, paths, issuer, spec),
            Item::Foreign { issuer } => self.leaf(entry, paths, issuer, None),
            Item::KeyPair => key_pair(entry, paths),
            Item::Leaf { issuer, leaf } => self.leaf(entry, paths, issuer, Some(leaf)),
            Item::Secret(form) => secret(paths, *form),
            Item::SshKey { comment } => ssh_key(entry, paths, comment),
        }
    }

    fn root(&self, entry: &Entry, paths: &Paths, spec: &AuthoritySpec) -> Result<Done, Error> {
        let found = match self.instead {
            Some((id, next)) if id == entry.id().as_str() => {
                (Some(next.certificate().clone()), Some(next.key().copy()?))
            }
            _ => paths.read_pair()?,
        };
        let (key, reason) = match found {
            (Some(certificate), Some(key)) => {
                // Those who trust it must be given another one, so nothing but a word of its own makes it so.
                if let Some(difference) = spec.differences(&certificate).into_iter().next() {
                    return Err(in_public_file(difference.refuse(&certificate), paths));
                }
                let authority = Authority::new(certificate, key, self.now)
                    .map_err(|error| in_public_file(error, paths))?;
                let authority = paths.with_chain(authority)?;
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
        let chain = || above.with_above().cloned().collect();
        let (certificate, key) = match paths.read_pair()? {
            (Some(certificate), Some(key)) => (certificate, key),
            (_, key) => {
                let (key, reason) = usable(key)?;
                let authority = above.intermediate_with_key(spec, key, self.now)?;
                return made_authority(authority, reason, paths, Verb::Create);
            }
        };
        let changes = Changes::to_authority(&certificate, spec)
            .map_err(|error| in_public_file(error, paths))?;
        let differs = spec.differences(&certificate);
        let differs = differs.iter().any(|one| one.field != SpecField::Subject);
        require_room_around(self.plan, entry, &certificate, Some(above))
            .map_err(|error| in_public_file(error, paths))?;
        let reason = if let Some(reason) = Reason::of_issuer(&certificate, above.certificate())? {
            reason
        } else if differs {
            Reason::ProfileChanged
        } else if let Some(reason) = Reason::of_time(&certificate, self.now) {
            reason
        } else if (self.request)(entry.id()).is_some() {
            Reason::Requested
        } else {
            let authority = Authority::trusted(certificate, key, chain())
                .map_err(|error| in_public_file(error, paths))?;
            return Ok(Done::unchanged(trusted(authority, paths)?));
        };
        certificate
            .require_key(&key)
            .map_err(|error| in_public_file(error, paths))?;
        let kept_serial = (reason != Reason::WrongIssuer
            && held::is_named_by_serial(self.root, &certificate))
        .then(|| certificate.serial_number().clone());
        let made = above.reissue_changed(
            &certificate,
            &changes,
            key.public_key(),
            spec.lifetime(),
            kept_serial,
            self.now,
        )?;
        let authority = Authority::trusted(made, key, chain())?;
        made_authority(authority, reason, paths, Verb::Replace)
    }

    /// A leaf as described, or, without a description, as it stands.
    fn leaf(
        &self,
        entry: &Entry,
        paths: &Paths,
        issuer: &EntryId,
        described: Option<&Leaf>,
    ) -> Result<Done, Error> {
        let authority = self.material.authority(issuer.as_str())?;
        let requested = (self.request)(entry.id());
        let (certificate, key) = match (paths.read_pair()?, described) {
            ((Some(certificate), Some(key)), _) => (certificate, key),
            ((_, key), Some(leaf)) => {
                let (key, reason) = usable(key)?;
                let identity = authority.issue_with_key(leaf, key, self.now)?;
                let new_key = reason == Reason::Missing;
                return made_identity(identity, reason, new_key, paths, Verb::Create);
            }
            ((_, _), None) => return Err(from_nothing(entry.id())),
        };
        let reason = match certificate.require_key(&key) {
            Err(Error::Mismatch { .. }) => Some(Reason::KeyMismatch),
            _ => self.reason(&certificate, authority.certificate(), described)?,
        };
        let Some(reason) = reason.or(requested.map(|_| Reason::Requested)) else {
            let identity = Identity::new(certificate, key)?.with_chain(authority.full_chain());
            return with_full_chain(Done::unchanged(Held::Identity(identity)), paths);
        };
        // A key that has no matching certificate yet is the new one that an interrupted run was about to use.
        let policy = requested
            .or(described.map(Leaf::key_policy))
            .unwrap_or_default();
        let change_key = policy == KeyPolicy::New && reason != Reason::KeyMismatch;
        let key = if change_key {
            PrivateKey::generate()?
        } else {
            key
        };
        let (changes, lifetime) = match described {
            Some(leaf) => (Changes::to_leaf(&certificate, leaf)?, leaf.lifetime()),
            None => (Changes::default(), certificate.validity().lifetime()),
        };
        let identity = self
            .made_again(authority, &certificate, &changes, key, lifetime)
            .map_err(|error| in_public_file(error, paths))?;
        made_identity(identity, reason, change_key, paths, Verb::Replace)
    }

    fn reason(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        described: Option<&Leaf>,
    ) -> Result<Option<Reason>, Error> {
        match described {
            Some(leaf) => leaf.reason_to_renew(certificate, issuer, self.now),
            None => Ok(Reason::of_issuer(certificate, issuer)?
                .or_else(|| Reason::of_time(certificate, self.now))),
        }
    }

    fn made_again(
        &self,
        authority: &Authority,
        old: &Certificate,
        changes: &Changes,
        key: PrivateKey,
        lifetime: Lifetime,
    ) -> Result<Identity, Error> {
        let public = key.public_key();
        let made = authority.reissue_changed(old, changes, public, lifetime, None, self.now)?;
        Ok(Identity::new(made, key)?.with_chain(authority.full_chain()))
    }
}

/// Checks another path length of an authority that is there as one is checked when it is made: there must be room for it
/// below the authority `above`, and in it for those of the plan that stand below it.
pub(crate) fn require_room_around(
    plan: &Plan,
    entry: &Entry,
    certificate: &Certificate,
    above: Option<&Authority>,
) -> Result<(), Error> {
    let Item::Authority { spec, .. } = entry.item() else {
        return Ok(());
    };
    let differences = spec.differences(certificate);
    if !differences
        .iter()
        .any(|one| one.field == SpecField::PathLength)
    {
        return Ok(());
    }
    if let Some(above) = above.map(Authority::certificate) {
        require_room(
            &above.subject_shown(),
            above.path_length(),
            spec.path_length(),
        )?;
    }
    for below in plan.entries() {
        if let (Item::Authority { spec: other, .. }, true) =
            (below.item(), below.issuer() == Some(entry.id()))
        {
            let subject = certificate.subject_shown();
            require_room(&subject, spec.path_length(), other.path_length())?;
        }
    }
    Ok(())
}

fn made_identity(
    identity: Identity,
    reason: Reason,
    new_key: bool,
    paths: &Paths,
    verb: Verb,
) -> Result<Done, Error> {
    let public = identity.certificate_pem();
    let private = new_key.then(|| identity.key_pem());
    let held = Held::Identity(identity);
    let done = Done::made(held, reason, paths, verb, public, private);
    with_full_chain(done, paths)
}

/// Adds the file of the full chain, where there is one and it is not what it must be.
fn with_full_chain(done: Done, paths: &Paths) -> Result<Done, Error> {
    let (Held::Identity(identity), Some(path)) = (&done.held, &paths.full_chain) else {
        return Ok(done);
    };
    let found = files::read(path, Privacy::Public)?;
    let wanted = identity.chain_pem();
    // One that is left from a time with authorities between says what no longer holds.
    let is_wanted = identity.has_chain() || found.is_some();
    if !is_wanted || found.is_some_and(|found| *found == wanted.as_bytes()) {
        return Ok(done);
    }
    Ok(done.with_full_chain(path, &wanted))
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
