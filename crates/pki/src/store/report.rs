//! What a run did, and why.

use crate::{EntryId, Material, Reason};

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

/// The result of [`Store::ensure`](super::Store::ensure).
#[derive(Debug)]
pub struct Ensured {
    pub(crate) entries: Vec<Change>,
    pub(crate) material: Material,
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
            .filter(|entry| entry.outcome != EntryOutcome::Unchanged)
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
