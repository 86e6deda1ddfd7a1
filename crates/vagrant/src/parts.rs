//! What halted machines consist of, part by part: how a part is copied, and how a copy takes its place.
//!
//! A part is put back in steps, so that whoever is cut off in between loses nothing and can go on, or return: what is to be is
//! staged beside what is there, then each is in its place or aside, then what was there before is removed.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::Error;

/// The part that is what a container has written beside its image; the others are named like what volumes hold.
pub const ROOT: &str = "root";

/// A part of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinePart {
    /// The machine.
    pub machine: String,
    /// [`ROOT`], or what a volume holds, such as `etcd`.
    pub name: String,
    /// The id of what the machine was made from: a layer is of no use upon another image.
    pub image: String,
    /// Where it is.
    pub place: PartPlace,
}

/// Where a part is, as whatever runs machines finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartPlace {
    /// A folder on the computer that runs the machine.
    Folder(PathBuf),
    /// A volume, by name.
    Volume(String),
}

impl MachinePart {
    /// What tells it from all other parts of a lab: `etcdone.root`. No name of a machine has a dot in it.
    pub fn id(&self) -> String {
        format!("{}.{}", self.machine, self.name)
    }
}

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSpace {
    /// What the part takes, in bytes.
    pub used: u64,
    /// What is free where it is, in bytes.
    pub free: u64,
}

/// How far a part is on its way to what it is to be. What it is to be is told by the SHA-256 of the archive that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartStanding {
    /// It is what it is, and nothing lies beside it.
    Untouched,
    /// What is to be lies beside what is there, some of which may be aside already.
    Staged(String),
    /// What was there is aside; some of what is to be is in its place.
    Emptied(String),
    /// What is to be is in its place, and what was there before aside.
    Swapped(String),
}

impl PartStanding {
    /// Reads `untouched`, or `staged`, `emptied` or `swapped` and the sum behind it; none of something else.
    pub fn read(said: &str) -> Option<Self> {
        let (word, sum) = said.split_once(' ').unwrap_or((said, ""));
        let sum = sum.to_owned();
        match word {
            "untouched" => Some(Self::Untouched),
            "staged" => Some(Self::Staged(sum)),
            "emptied" => Some(Self::Emptied(sum)),
            "swapped" => Some(Self::Swapped(sum)),
            _ => None,
        }
    }
}

/// Why a part was not copied, or its copy not taken.
#[derive(Debug)]
pub enum TransferError {
    /// On this side: the copy could not be written, or read.
    File(io::Error),
    /// On the other.
    Part(Error),
}

/// Takes what a copy consists of, piece by piece.
pub type PartSink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Copies and puts back the parts of one lab's machines, none of which may run meanwhile.
///
/// Each of these may be done again: what is done already is left as it is, and what was cut off is gone on with.
pub trait PartStore: Send + Sync {
    /// The parts, by machine and name.
    fn parts(&self) -> &[MachinePart];

    /// How much room each part takes and has, in the order of `parts`.
    ///
    /// # Errors
    ///
    /// [`Error::Part`], [`Error::Docker`], [`Error::Process`].
    fn spaces(&self) -> Result<Vec<PartSpace>, Error>;

    /// How far each part is, in the order of `parts`.
    ///
    /// # Errors
    ///
    /// As [`PartStore::spaces`].
    fn standings(&self) -> Result<Vec<PartStanding>, Error>;

    /// Copies a part as a tar archive with owners, modes, times, attributes, devices, links and holes.
    ///
    /// # Errors
    ///
    /// [`TransferError`].
    fn copy(&self, part: &MachinePart, to: &mut PartSink<'_>) -> Result<(), TransferError>;

    /// Puts what an archive has beside what a part has. The archive's SHA-256, `sum`, is compared where it arrives.
    ///
    /// # Errors
    ///
    /// [`TransferError`].
    fn stage(
        &self,
        part: &MachinePart,
        sum: &str,
        from: &mut dyn Read,
    ) -> Result<(), TransferError>;

    /// Puts what was staged into its place, and what was there before aside.
    ///
    /// # Errors
    ///
    /// As [`PartStore::spaces`].
    fn swap(&self, parts: &[&MachinePart]) -> Result<(), Error>;

    /// Puts what was there before back into its place, and forgets what was staged.
    ///
    /// # Errors
    ///
    /// As [`PartStore::spaces`].
    fn take_back(&self, parts: &[&MachinePart]) -> Result<(), Error>;

    /// Removes what was there before from where it lies aside.
    ///
    /// # Errors
    ///
    /// As [`PartStore::spaces`].
    fn clean(&self, parts: &[&MachinePart]) -> Result<(), Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standings_are_read() {
        let sum = || "cafe".to_owned();
        for (said, standing) in [
            ("untouched", Some(PartStanding::Untouched)),
            ("staged cafe", Some(PartStanding::Staged(sum()))),
            ("emptied cafe", Some(PartStanding::Emptied(sum()))),
            ("swapped cafe", Some(PartStanding::Swapped(sum()))),
            ("", None),
            ("gone cafe", None),
        ] {
            assert_eq!(PartStanding::read(said), standing, "{said}");
        }
    }
}
