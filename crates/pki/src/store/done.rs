//! What became of one entry.

use std::path::Path;

use zeroize::Zeroizing;

use super::batch::{Verb, Write};
use super::files::Privacy;
use super::held::Paths;
use super::report::EntryOutcome;
use crate::Reason;
use crate::material::Held;

/// What became of one entry, and what is to be written for it.
pub(super) struct Done {
    pub(super) held: Held,
    pub(super) outcome: EntryOutcome,
    pub(super) new_key: bool,
    pub(super) writes: Vec<Write>,
}

impl Done {
    pub(super) fn unchanged(held: Held) -> Self {
        Self {
            held,
            outcome: EntryOutcome::Unchanged,
            new_key: false,
            writes: Vec::new(),
        }
    }

    /// `public` and, if there is a new key, `private` are to be written.
    pub(super) fn made(
        held: Held,
        reason: Reason,
        paths: &Paths,
        verb: Verb,
        public: String,
        private: Option<Zeroizing<String>>,
    ) -> Self {
        let mut writes = Vec::new();
        let new_key = private.is_some();
        if let Some(private) = private {
            writes.push(write(
                &paths.private,
                private.as_bytes(),
                Privacy::Private,
                verb,
            ));
        }
        if let Some(path) = &paths.public {
            writes.push(write(path, public.as_bytes(), Privacy::Public, verb));
        }
        Self {
            held,
            outcome: EntryOutcome::Made(reason),
            new_key,
            writes,
        }
    }

    /// `full_chain` is to be written too; where nothing else is, for that reason.
    pub(super) fn with_full_chain(mut self, path: &Path, full_chain: &str) -> Self {
        // It is made from what is there, so there is nothing in its place that could be lost.
        let bytes = full_chain.as_bytes();
        self.writes
            .push(write(path, bytes, Privacy::Public, Verb::Replace));
        if self.outcome == EntryOutcome::Unchanged {
            self.outcome = EntryOutcome::Made(Reason::ChainChanged);
        }
        self
    }
}

pub(super) fn write(path: &Path, bytes: &[u8], privacy: Privacy, verb: Verb) -> Write {
    Write {
        path: path.to_owned(),
        bytes: Zeroizing::new(bytes.to_vec()),
        privacy,
        verb,
    }
}
