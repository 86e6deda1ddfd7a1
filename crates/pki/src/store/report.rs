//! What a run did, and why.

use std::fmt;
use std::time::SystemTime;

use super::material::Material;
use crate::{EntryId, rfc3339};

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
#[non_exhaustive]
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
