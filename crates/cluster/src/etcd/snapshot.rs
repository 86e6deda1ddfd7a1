//! A copy of all that etcd has at one revision, taken from one member while the cluster works.
//!
//! A copy is one member's state, which may be behind the others'. So a majority is asked for the revision first, by a read
//! through that very member, and the copy must have reached it.

use std::path::Path;
use std::time::Duration;

use caravan_lab::{Lab, Machine};
use serde_json::Value;

use super::{Member, members};
use crate::{Access, Error, access as ways, facts, parallel};

/// How long a copy, and then its way here, may take at the usual pace: two gigabytes are etcd's quota.
const LIMIT: Duration = Duration::from_secs(180);

/// Takes the copy on the member's machine, where its own tools are, and tells what is in it. etcdctl writes under another
/// name, syncs, and renames.
const TAKE: &str = r#"
set -eu
umask 077
rm -rf FOLDER
mkdir FOLDER
trap '[ $? = 0 ] || rm -rf FOLDER' EXIT
etcdctl --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/healthcheck-client.crt --key /etc/etcd/pki/healthcheck-client.key \
    --command-timeout 180s snapshot save FOLDER/db >/dev/null
echo '@@ status'; etcdutl snapshot status FOLDER/db --write-out json
echo '@@ sha256'; sha256sum <FOLDER/db
echo '@@ bytes'; stat --format %s FOLDER/db
"#;

/// Takes the copy of a member whose cluster has no majority: such a one does not answer once it was started again. A member
/// that ends in peace has written all that it has applied; then its file is the copy, with the sum behind it that etcd gives
/// with its own.
const TAKE_ALONE: &str = r#"
set -eu
umask 077
rm -rf FOLDER
mkdir FOLDER
systemctl stop etcd.service
trap '[ $? = 0 ] || rm -rf FOLDER; systemctl start --no-block etcd.service' EXIT
[ -s /var/lib/etcd/member/snap/db ] || { echo "this member has no data" >&2; exit 1; }
cp /var/lib/etcd/member/snap/db FOLDER/db
sum=$(sha256sum <FOLDER/db)
# shellcheck disable=SC2059
printf "$(sed 's/../\\x&/g' <<<"${sum%% *}")" >>FOLDER/db
echo '@@ status'; etcdutl snapshot status FOLDER/db --write-out json
echo '@@ sha256'; sha256sum <FOLDER/db
echo '@@ bytes'; stat --format %s FOLDER/db
echo '@@ version'; etcd --version
"#;

/// Where it is on the machine until it was fetched; root's alone.
const FOLDER: &str = "/var/tmp/caravan-snapshot";

/// A copy of a member's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenSnapshot {
    /// The member that it was taken from.
    pub member: String,
    /// The revision that a majority confirmed before; none where no majority was asked.
    pub confirmed: Option<u64>,
    /// The revision that it has.
    pub revision: u64,
    /// How many records it has.
    pub keys: u64,
    /// The size of its file, in bytes.
    pub bytes: u64,
    /// The SHA-256 of its file, lower-case hex.
    pub sha256: String,
    /// The version of the member's etcd.
    pub etcd: String,
    /// The id of its cluster, where the member tells it.
    pub cluster_id: Option<u64>,
}

/// Takes a copy and writes it to the file `to` of this computer, which must hold its content against
/// [`TakenSnapshot::sha256`]. It is taken from a follower where one answers, so that the leader goes on undisturbed.
///
/// # Errors
///
/// [`Error::Unreachable`] and [`Error::Answered`] without a majority, [`Error::SnapshotBehind`], [`Error::Machine`] and
/// [`Error::Script`] where the machine does not do it.
pub fn take(lab: &Lab, access: &Access, to: &Path) -> Result<TakenSnapshot, Error> {
    let (member, machine) = source(lab, access)?;
    let status = member.status()?;
    let confirmed = member.confirmed_revision()?;
    let said = fetch(access, machine, TAKE, to)?;
    let taken = TakenSnapshot {
        confirmed: Some(confirmed),
        etcd: status.version,
        cluster_id: Some(status.cluster_id),
        ..read(&member.name, &said)?
    };
    match taken.revision < confirmed {
        true => Err(Error::SnapshotBehind {
            member: taken.member,
            revision: taken.revision,
            confirmed,
        }),
        false => Ok(taken),
    }
}

/// Takes a copy of what the member on `machine` has, whatever the others have: for when they are gone for good. It is stopped
/// meanwhile.
///
/// # Errors
///
/// [`Error::Machine`], [`Error::Script`].
pub fn take_alone(access: &Access, machine: &Machine, to: &Path) -> Result<TakenSnapshot, Error> {
    let said = fetch(access, machine, TAKE_ALONE, to)?;
    // etcd Version: 3.6.14
    let version = said.text("version");
    let version = version.lines().next().unwrap_or_default();
    Ok(TakenSnapshot {
        etcd: version.rsplit(' ').next().unwrap_or_default().to_owned(),
        ..read(&machine.name, &said)?
    })
}

/// Has a machine take a copy, and brings it here.
fn fetch(
    access: &Access,
    machine: &Machine,
    script: &str,
    to: &Path,
) -> Result<facts::Facts, Error> {
    let said = facts::ask(access, machine, &script.replace("FOLDER", FOLDER), LIMIT)?;
    let fetched = ways::remote(&access.ssh, machine).get_file(&format!("{FOLDER}/db"), to, LIMIT);
    // What stays there is removed by the next one.
    drop(facts::ask(
        access,
        machine,
        &format!("rm -rf {FOLDER}"),
        LIMIT,
    ));
    fetched?;
    Ok(said)
}

/// The member that is copied: one that votes and does not lead, else the leader.
fn source<'a>(lab: &'a Lab, access: &Access) -> Result<(Member, &'a Machine), Error> {
    let all = members(lab, access)?;
    let said = parallel::each(&all, Member::status);
    let mut best: Option<(bool, &Member)> = None;
    let mut failed = None;
    for (member, status) in all.iter().zip(said) {
        match status {
            Ok(status) if status.learner || status.leader == 0 => {}
            Ok(status) => {
                let follows = status.leader != status.member_id;
                if best.is_none_or(|(already, _)| follows && !already) {
                    best = Some((follows, member));
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    match (best, failed) {
        (Some((_, member)), _) => {
            let machine = lab.machine(&member.name);
            let machine = machine.expect("members are machines of the lab");
            Ok((member.clone(), machine))
        }
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::NoLeader),
    }
}

/// What a machine says of the copy that it took.
fn read(member: &str, said: &facts::Facts) -> Result<TakenSnapshot, Error> {
    let unreadable = |what: &str| Error::Script {
        machine: member.to_owned(),
        status: Some(0),
        said: format!("no {what} of a snapshot: {said:?}"),
    };
    let status: Value =
        serde_json::from_str(&said.text("status")).map_err(|_| unreadable("status"))?;
    let number = |field: &str| status[field].as_u64();
    let sum = said.text("sha256");
    let sha256 = sum.split_ascii_whitespace().next().unwrap_or_default();
    if sha256.len() != 64 {
        return Err(unreadable("checksum"));
    }
    Ok(TakenSnapshot {
        member: member.to_owned(),
        confirmed: None,
        revision: number("revision").ok_or_else(|| unreadable("revision"))?,
        keys: number("totalKey").ok_or_else(|| unreadable("size"))?,
        bytes: said.text("bytes").parse().map_err(|_| unreadable("size"))?,
        sha256: sha256.to_owned(),
        etcd: String::new(),
        cluster_id: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";

    #[test]
    fn what_a_machine_says_of_its_copy_is_read() {
        let said = format!(
            "@@ status\n{{\"hash\":1,\"revision\":4711,\"totalKey\":1200,\"totalSize\":4096,\"version\":\"3.6.0\"}}\n@@ sha256\n{SUM}  -\n@@ bytes\n4128\n"
        );
        let taken = read("etcdtwo", &facts::Facts::parse(&said)).expect("all is told");
        assert_eq!(
            (taken.revision, taken.keys, taken.bytes),
            (4711, 1200, 4128)
        );
        assert_eq!(taken.sha256, SUM);
        for lacking in ["@@ status", "@@ sha256", "@@ bytes"] {
            let less = said.replace(lacking, "@@ other");
            let error = read("etcdtwo", &facts::Facts::parse(&less)).expect_err(lacking);
            assert!(matches!(error, Error::Script { .. }), "{error:?}");
        }
    }
}
