//! The token of the cluster that is to be. It follows from the one before it, so that it is kept nowhere but where tokens are
//! kept, and what was meant tells which of the two the store has.

use caravan_render::{ETCD_TOKEN, pki_plan};
use sha2::{Digest, Sha256};

use super::Restoration;
use crate::files::hex;
use crate::{Error, OperationRecord, RestoreIntent};

/// How long a token is, in hex digits.
const LENGTH: usize = 32;

/// The token that follows `before` in the restoration of the snapshot with this sum, begun then.
pub(super) fn after(before: &str, snapshot_sha256: &str, since: &str) -> String {
    let text = format!("caravan restore\n{before}\n{snapshot_sha256}\n{since}\n");
    let mut token = print(&text);
    token.truncate(LENGTH);
    token
}

/// What is kept of a token: its SHA-256.
pub(super) fn print(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The token of the cluster that is to be, where the store has `kept`; none where that is neither the one before it nor it.
pub(super) fn of(kept: &str, begun: &OperationRecord, intent: &RestoreIntent) -> Option<String> {
    let next = after(kept, &intent.sha256, &begun.since);
    [kept.to_owned(), next]
        .into_iter()
        .find(|token| print(token) == intent.token_sha256)
}

impl Restoration<'_> {
    /// The token that the store has.
    pub(super) fn own_token(&self) -> Result<String, Error> {
        Ok(self.keys.material(self.lab)?.etcd_cluster_token.0)
    }

    /// Has the store say the token.
    pub(super) fn keep_token(&self, token: &str) -> Result<(), Error> {
        let plan = pki_plan(self.lab)?;
        let entry = plan.entry(ETCD_TOKEN).expect("it is in every lab's plan");
        let path = self.target.dir.pki().join(entry.files().private);
        let text = format!("{token}\n");
        caravan_files::replace(&path, text.as_bytes(), caravan_files::Access::Mode(0o600))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_the_one_before_or_the_one_that_is_to_be() {
        let (before, since) = ("00112233445566778899aabbccddeeff", "2026-11-21T12:00:00Z");
        let next = after(before, "cafe", since);
        assert_eq!(next.len(), LENGTH);
        assert_ne!(next, before);
        assert_ne!(next, after(before, "cafe", "2026-11-21T12:00:01Z"));
        let intent = RestoreIntent {
            sha256: "cafe".to_owned(),
            token_sha256: print(&next),
            bump: 1,
            other_authorities: false,
        };
        let begun = OperationRecord {
            verb: "etcd restore".to_owned(),
            machine: "ha-x".to_owned(),
            host_keys: Vec::new(),
            machines: Vec::new(),
            since: since.to_owned(),
            restore: Some(intent.clone()),
        };
        assert_eq!(of(before, &begun, &intent), Some(next.clone()));
        assert_eq!(of(&next, &begun, &intent), Some(next));
        assert_eq!(of("ffff", &begun, &intent), None);
    }
}
