//! Restoring a snapshot on the machine of one member: etcd is kept from starting, the restored data is made beside the old,
//! and takes its place. Where a machine stands is asked of it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use caravan_lab::Machine;

use crate::facts::Facts;
use crate::{Access, Error, access as ways, facts};

/// What a machine does.
const SCRIPT: &str = include_str!("scripts/restore.sh");

/// Where the snapshot lies on a machine.
const SNAPSHOT: &str = "/var/lib/etcd/caravan-restore/snapshot.db";

/// How long a question or a short step may take at the usual pace.
const SHORT: Duration = Duration::from_secs(30);

/// How long it may take to make data of a snapshot, or to send one, at the usual pace.
const LONG: Duration = Duration::from_secs(180);

/// What is restored, the same on all machines: a member that differs in any of it would have other data.
#[derive(Clone, PartialEq, Eq)]
pub struct RestoreOrder {
    /// The token of the cluster that is to be: another one than before, so that no member of the old one fits into it.
    pub token: String,
    /// The SHA-256 of the snapshot's file, lower-case hex.
    pub sha256: String,
    /// How many revisions are left out after the snapshot's, so that none is ever used twice.
    pub bump: u64,
}

impl fmt::Debug for RestoreOrder {
    /// Shows no token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreOrder")
            .field("sha256", &self.sha256)
            .field("bump", &self.bump)
            .finish_non_exhaustive()
    }
}

/// How far one machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberStanding {
    /// etcd does not start there, whatever happens.
    pub masked: bool,
    /// etcd runs.
    pub runs: bool,
    /// The restored data is there, beside the old or in its place.
    pub staged: bool,
    /// The restored data, and the token with it, is in its place.
    pub swapped: bool,
    /// Something of what was there before is aside.
    pub changed: bool,
    /// There is data that etcd could start with.
    pub data: bool,
}

/// The machine of one member.
#[derive(Debug, Clone, Copy)]
pub struct MemberMachine<'a> {
    /// The keys to the lab.
    pub access: &'a Access,
    /// The machine.
    pub machine: &'a Machine,
    /// What is restored.
    pub order: &'a RestoreOrder,
}

impl MemberMachine<'_> {
    fn script(&self, function: &str, limit: Duration) -> Result<Facts, Error> {
        let RestoreOrder {
            token,
            sha256,
            bump,
        } = self.order;
        let script = format!("TOKEN={token} SUM={sha256} BUMP={bump}\n{SCRIPT}\n{function}\n");
        facts::ask(self.access, self.machine, &script, limit)
    }

    /// How far it is.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn standing(&self) -> Result<MemberStanding, Error> {
        let said = self.script("standing", SHORT)?;
        Ok(standing(&said))
    }

    /// Holds that it can do all of it, with a snapshot of `bytes`: the snapshot lies there beside what is made of it.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`]; [`Error::NoRoom`].
    pub fn hold_able(&self, bytes: u64) -> Result<(), Error> {
        let said = self.script("able", SHORT)?;
        let free: u64 = said.text("free").trim().parse().unwrap_or(0);
        // As much again for the log, which etcd makes 64 MB at a time.
        let needed = 2 * bytes + (256 << 20);
        match free >= needed {
            true => Ok(()),
            false => Err(Error::NoRoom {
                machine: self.machine.name.clone(),
                free,
                needed,
            }),
        }
    }

    /// Stops etcd, and keeps it from starting.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn stop(&self) -> Result<(), Error> {
        self.script("stop", LONG).map(drop)
    }

    /// Sends the snapshot, and makes data of it beside the old.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn stage(&self, snapshot: &Path) -> Result<(), Error> {
        if self.script("fetched", LONG)?.text("there") != "yes" {
            ways::remote(&self.access.ssh, self.machine)
                .put_file(snapshot, SNAPSHOT, 0o600, LONG)?;
        }
        self.script("stage", LONG).map(drop)
    }

    /// Puts the restored data into its place, with the new token.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn swap(&self) -> Result<(), Error> {
        self.script("swap", SHORT).map(drop)
    }

    /// Lets etcd start with the restored data; it is not waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn start(&self) -> Result<(), Error> {
        self.script("start_restored", SHORT).map(drop)
    }

    /// Puts back what was there before; etcd does not start yet.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn take_back(&self) -> Result<(), Error> {
        self.script("take_back", SHORT).map(drop)
    }

    /// Lets etcd start with what was put back, and removes what was staged.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn start_old(&self) -> Result<(), Error> {
        self.script("start; clean", SHORT).map(drop)
    }

    /// Removes what was needed for it. The data that was there before stays aside until the next restoration.
    ///
    /// # Errors
    ///
    /// [`Error::Machine`], [`Error::Script`].
    pub fn clean(&self) -> Result<(), Error> {
        self.script("clean", SHORT).map(drop)
    }
}

fn standing(said: &Facts) -> MemberStanding {
    let is = |section: &str| said.text(section) == "yes";
    MemberStanding {
        masked: is("masked"),
        runs: is("runs"),
        staged: is("staged"),
        swapped: is("swapped"),
        changed: is("changed"),
        data: is("data"),
    }
}

#[cfg(test)]
mod tests;
