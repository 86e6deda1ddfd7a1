//! Authorities, certificates, keys and secrets in a folder.
//!
//! The store is optional: everything else in this crate works on bytes.
//! What it adds is care:
//!
//! - Files appear whole or not at all: each is written under another name, synced, and renamed.
//! - Private files are created with mode 0600 and never had any other; folders are 0700.
//! - A key is on disk before its certificate. A process killed between any two steps leaves a store that the next
//!   [`Store::ensure`] completes, with the keys that are already there.
//! - Nothing is overwritten that was not checked, and a second run writes nothing at all.
//! - One process at a time: the folder holds a lock file. A folder that cannot be written to is read all the same.
//!
//! | file | is |
//! |---|---|
//! | `ca.crt`, `ca.key` | an authority |
//! | `ca.chain.crt` | of one that was imported: the authorities above it, without the root |
//! | `ca.crl` | what it revoked, see [`Store::revoke`] |
//! | `ca.next.crt`, `ca.next.key`, `ca.previous.crt`, `ca.previous.crl` | while its key changes, see [`Store::start_rotation`] |
//! | `web.crt`, `web.key` | a certificate |
//! | `web.fullchain.crt` | where there are authorities between it and its root: it and they, as a server sends them |
//! | `sa.pub`, `sa.key` | a key pair |
//! | `sa.next.key`, `sa.previous.pub` | while it changes, see [`Store::start_rotation`] |
//! | `id.pub`, `id` | a key of ssh |
//! | `token.secret` | a secret |
//!
//! ```
//! use std::time::SystemTime;
//! use caravan_pki::store::{EntryOutcome, Store};
//! use caravan_pki::{AuthoritySpec, CommonName, Leaf, Plan, Sans};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let mut plan = Plan::new();
//! plan.authority("ca", AuthoritySpec::new(CommonName::try_from("example ca")?))?;
//! plan.leaf("ca", "web", Leaf::server(CommonName::try_from("web")?, Sans::parse(["web.example.com"])?))?;
//!
//! let store = Store::open(folder.path().join("pki"))?;
//! let made = store.ensure(&plan, SystemTime::now())?;
//! assert_eq!(made.changes().count(), 2);
//! let web = made.material().identity("web")?;
//! println!("{}", web.chain_pem());
//!
//! let again = store.ensure(&plan, SystemTime::now())?;
//! assert_eq!(again.changes().count(), 0);
//! # Ok(())
//! # }
//! ```

mod batch;
mod discover;
mod done;
mod ensure;
mod files;
mod held;
mod key_rotation;
#[cfg(test)]
mod kill_tests;
mod lists;
mod load;
mod lock;
mod parallel;
mod report;
mod rotation;
mod unsigned;
#[cfg(all(test, feature = "verify"))]
mod year_tests;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[cfg(feature = "reload")]
pub(crate) use files::{Privacy, read};

pub use discover::{Discovered, LeftOut, LeftOutReason};
pub use load::load_authority;
pub use report::{Change, Ensured, EntryFailure, EntryOutcome};
pub use rotation::Rotation;

use crate::entry::{Entry, Item};
use crate::{
    Authority, EntryId, Error, KeyPolicy, Lifetime, Material, Plan, Revocation, RevocationList,
};
use ensure::OnFailure;

/// A folder of authorities, certificates, keys and secrets.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Uses the folder `root`, which is made (mode 0700) if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::InsecurePermissions`] when the folder belongs to someone else or others may write to it;
    /// [`Error::Io`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        files::make_folder(&root)?;
        Ok(Self { root })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes what `plan` asks for and the folder lacks, renews what is due or differs, and leaves the rest alone.
    ///
    /// Private keys that are there are used, also those an interrupted run left without certificate.
    /// A self-signed authority that is there is never touched, since those who trust it must be given what replaces it:
    /// one that is other than the plan says is refused, and [`Store::renew_authority`] makes it so.
    ///
    /// A certificate is compared with its description by what it means, and made again from itself, so that whatever else
    /// it says is kept; see [`Authority::reissue`].
    ///
    /// # Errors
    ///
    /// Any [`Error`]; of those about the content of a file, as [`Error::InFile`].
    /// Nothing is written unless everything could be made; a failed write leaves what the next call completes.
    pub fn ensure(&self, plan: &Plan, now: SystemTime) -> Result<Ensured, Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        batch::sweep(&self.root, plan)?;
        ensure::ensure(&self.root, plan, now, &|_| None, OnFailure::Stop)
    }

    /// Like [`Store::ensure`], and makes what `pick` picks anew though nothing is wrong with it, with the same or a new
    /// key as it says. What cannot be made is left as it is and listed in [`Ensured::failures`]; the rest is made all the
    /// same.
    ///
    /// Authorities below others keep their key whatever is said; self-signed ones are not picked at all: see
    /// [`Store::renew_authority`], and [`Store::start_rotation`] for another key.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], and those of writing.
    pub fn renew(
        &self,
        plan: &Plan,
        now: SystemTime,
        pick: impl Fn(&EntryId) -> Option<KeyPolicy> + Sync,
    ) -> Result<Ensured, Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        batch::sweep(&self.root, plan)?;
        ensure::ensure(&self.root, plan, now, &pick, OnFailure::GoOn)
    }

    /// What [`Store::renew`] would do now: nothing is written, also where nothing can be.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`].
    pub fn preview(
        &self,
        plan: &Plan,
        now: SystemTime,
        pick: impl Fn(&EntryId) -> Option<KeyPolicy> + Sync,
    ) -> Result<Ensured, Error> {
        let _lock = lock::Lock::shared(&self.root)?;
        ensure::ensure(&self.root, plan, now, &pick, OnFailure::Preview)
    }

    /// Gives the self-signed authority `id` a new certificate with the same key and subject, and with the path length and
    /// name constraints that `plan` says; whatever else the old one says is kept.
    ///
    /// What it signed stays valid and is not touched; those who trust it need the new certificate before the old one
    /// ends. Its serial number is another one, unless certificates below name it: see [`Authority::renew`].
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `plan` has no such authority or the store does not hold it; [`Error::AuthorityDiffers`]
    /// when the plan says another subject; [`Error::NotACa`] when it is not self-signed; errors as of [`Store::ensure`].
    pub fn renew_authority(
        &self,
        plan: &Plan,
        id: &str,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<(), Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        let entry = authority_of(plan, id)?;
        rotation::renew(&self.root, plan, entry, lifetime, now)
    }

    /// Puts an authority from elsewhere, see [`load_authority`], in the place of the plan's `id`, which must describe it:
    /// see [`Plan::adopt`]. Those above it ([`Authority::with_chain`]) are kept beside it, so that what it issues comes
    /// with its chain.
    ///
    /// One that is there already is left alone, half of it, left by an interrupted run, is completed, and a later
    /// certificate of the same name and key takes the place of the one before.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when the store has another authority there; [`Error::AuthorityDiffers`] when the plan says
    /// another one; [`Error::NotFound`].
    pub fn import_authority(
        &self,
        plan: &Plan,
        id: &str,
        authority: &Authority,
    ) -> Result<(), Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        rotation::import(&self.root, authority_of(plan, id)?, authority)
    }

    /// How far the change of the authority or key pair `id` to another key has come.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `plan` has neither.
    pub fn rotation(&self, plan: &Plan, id: &str) -> Result<Rotation, Error> {
        let _lock = lock::Lock::shared(&self.root)?;
        if let Some(pair) = self.paths_of_key_pair(plan, id) {
            return Ok(key_rotation::state(&pair));
        }
        rotation::state(&self.paths_of_authority(plan, id)?)
    }

    /// First of three steps to another key: makes the coming authority, so that it can be trusted beside the old one
    /// ([`Material::trust_pem`] holds both) before anything is signed by it. Of a key pair, makes the coming one, to verify by.
    ///
    /// Deploy that trust everywhere and restart what reads it only once, as etcd does; then
    /// [`Store::switch_rotation`].
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::Exists`] when an earlier rotation is not finished.
    pub fn start_rotation(&self, plan: &Plan, id: &str, now: SystemTime) -> Result<(), Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        batch::sweep(&self.root, plan)?;
        if let Some(pair) = self.paths_of_key_pair(plan, id) {
            return key_rotation::start(&pair, id);
        }
        rotation::start(plan, &self.paths_of_authority(plan, id)?, id, now)
    }

    /// Second step: the coming authority takes over, and makes everything of `plan` that the old one signed anew.
    ///
    /// Its revocation list is signed anew too; that of the old key stays as `ID.previous.crl`, for those who judge by it, and
    /// cannot be made again when its time is over.
    ///
    /// Deploy the new certificates; the trust still holds both. Then [`Store::finish_rotation`].
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when no rotation was started; before anything is touched, [`Error::KeyMissing`] and
    /// [`Error::Mismatch`] when the coming authority is not whole, [`Error::Malformed`] for a list that is there and is not
    /// the authority's, and errors as of [`Store::ensure`] for what it could not make anew.
    pub fn switch_rotation(
        &self,
        plan: &Plan,
        id: &str,
        now: SystemTime,
    ) -> Result<Ensured, Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        batch::sweep(&self.root, plan)?;
        if let Some(pair) = self.paths_of_key_pair(plan, id) {
            key_rotation::switch(&pair, id)?;
            return ensure::ensure(&self.root, plan, now, &|_| None, OnFailure::Stop);
        }
        let paths = self.paths_of_authority(plan, id)?;
        if let Some(next) = rotation::next_of(&paths, id)? {
            // All that follows is tried before anything is touched.
            lists::following(&paths, &next, now)?;
            ensure::try_with(&self.root, plan, now, (id, &next))?;
            rotation::switch(&paths, id)?;
        }
        lists::follow_switch(&paths, now)?;
        ensure::ensure(&self.root, plan, now, &|_| None, OnFailure::Stop)
    }

    /// Third step: the old authority is no longer trusted. Deploy the trust once more.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when the second step was not taken.
    pub fn finish_rotation(&self, plan: &Plan, id: &str) -> Result<(), Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        if let Some(pair) = self.paths_of_key_pair(plan, id) {
            return key_rotation::finish(&pair, id);
        }
        rotation::finish(&self.paths_of_authority(plan, id)?, id)
    }

    /// The authority that is to take the place of `id`, between the first step and the second: what it issues shows who
    /// trusts it already.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `plan` has no such authority; [`Error::Mismatch`] when its certificate and key do not belong
    /// together.
    pub fn coming_authority(&self, plan: &Plan, id: &str) -> Result<Option<Authority>, Error> {
        let _lock = lock::Lock::shared(&self.root)?;
        rotation::coming_authority(&self.paths_of_authority(plan, id)?)
    }

    /// Revokes certificates of the authority `id`, and returns its new list, which is kept as `ID.crl`: what that file held
    /// before, with its dates and reasons, and what is `added`. With nothing to add, a list that is in date again.
    ///
    /// `lifetime` is the time to the next list: verifiers refuse every certificate of the authority once it is past.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `plan` has no such authority or the store does not hold it; [`Error::Malformed`] for a list
    /// that is there and was not signed by it; errors as of [`Authority::revoke_more`].
    pub fn revoke(
        &self,
        plan: &Plan,
        id: &str,
        added: impl IntoIterator<Item = Revocation>,
        lifetime: Lifetime,
        now: SystemTime,
    ) -> Result<RevocationList, Error> {
        let _lock = lock::Lock::exclusive(&self.root)?;
        batch::sweep(&self.root, plan)?;
        let paths = self.paths_of_authority(plan, id)?;
        lists::revoke(&paths, id, added.into_iter().collect(), lifetime, now)
    }

    /// The revocation list of the authority `id`, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when `plan` has no such authority; [`Error::Malformed`], in its file.
    pub fn revocation_list(&self, plan: &Plan, id: &str) -> Result<Option<RevocationList>, Error> {
        let _lock = lock::Lock::shared(&self.root)?;
        lists::read(&lists::path(&self.paths_of_authority(plan, id)?))
    }

    fn paths_of_key_pair(&self, plan: &Plan, id: &str) -> Option<held::Paths> {
        let entry = plan.entry(id)?;
        matches!(entry.item(), Item::KeyPair).then(|| held::Paths::of(&self.root, entry))
    }

    fn paths_of_authority(&self, plan: &Plan, id: &str) -> Result<held::Paths, Error> {
        Ok(held::Paths::of(&self.root, authority_of(plan, id)?))
    }

    /// The plan that describes what the folder holds: every certificate with a key beside it whose issuer is there too,
    /// with its key, whoever made them. What has a key and cannot be made again, such as a damaged file or an RSA key, is
    /// listed beside the plan.
    ///
    /// With it, [`Store::renew`] makes certificates again from themselves, and nothing of them is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the folder cannot be listed; [`Error::Locked`].
    pub fn discover(&self) -> Result<Discovered, Error> {
        let _lock = lock::Lock::shared(&self.root)?;
        discover::discover(&self.root)
    }

    /// Reads what `plan` asks for, without making anything.
    ///
    /// Certificates that are due for renewal or past their end are read too: whoever reads, judges.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for the first entry that is not there, and errors as of [`Store::ensure`].
    pub fn load(&self, plan: &Plan) -> Result<Material, Error> {
        let _lock = lock::Lock::shared(&self.root)?;
        held::load_all(&self.root, plan)
    }
}

fn authority_of<'a>(plan: &'a Plan, id: &str) -> Result<&'a Entry, Error> {
    match plan.entry(id) {
        Some(entry) if matches!(entry.item(), Item::Authority { .. }) => Ok(entry),
        _ => Err(Error::NotFound {
            what: "authority in the plan",
            name: id.to_owned(),
        }),
    }
}
