//! What a run did, and why.

use std::fmt;

use crate::{EntryId, Error, Material, Reason};

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryOutcome {
    /// It was there and right; no file was touched.
    Unchanged,
    /// It was made, or made anew.
    Made(Reason),
}

/// One entry and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The entry's name.
    pub id: EntryId,
    /// What became of it.
    pub outcome: EntryOutcome,
    /// Whether it has a new private key, so that a server which uses it must be restarted.
    pub new_key: bool,
}

/// One entry that could not be made, or made anew; what is there of it was not touched.
#[derive(Debug)]
#[non_exhaustive]
pub struct EntryFailure {
    /// The entry's name.
    pub id: EntryId,
    /// Why not.
    pub error: Error,
}

impl fmt::Display for EntryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.error)
    }
}

/// The result of [`Store::ensure`](super::Store::ensure) and [`Store::renew`](super::Store::renew).
#[derive(Debug)]
pub struct Ensured {
    pub(crate) entries: Vec<Change>,
    pub(crate) failures: Vec<EntryFailure>,
    pub(crate) material: Material,
}

impl Ensured {
    /// Every entry and what became of it, in the plan's order, but for those that failed.
    pub fn entries(&self) -> &[Change] {
        &self.entries
    }

    /// The entries that were made, or made anew.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.entries
            .iter()
            .filter(|entry| entry.outcome != EntryOutcome::Unchanged)
    }

    /// The entries that could not be made, in the plan's order; none after [`Store::ensure`](super::Store::ensure), which
    /// makes all or nothing.
    pub fn failures(&self) -> &[EntryFailure] {
        &self.failures
    }

    /// Everything the plan asked for; of entries that failed, what was there before, if it can be read.
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// Everything the plan asked for, to keep.
    pub fn into_material(self) -> Material {
        self.material
    }
}
