//! What the members of etcd say, side by side.

use caravan_lab::Lab;
use serde::Serialize;

use super::maintenance::DataSpace;
use super::{Alarm, Hash, Member, Status, alarm, members};
use crate::{Access, Error, parallel};

/// Of its quota, so many percent of data in use are a problem soon.
const FULL_PERCENT: u64 = 80;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberLine {
    /// Its name.
    pub name: String,
    /// Why it does not answer, or is not well.
    pub why: Option<String>,
    /// What it says of itself.
    pub status: Option<Status>,
    /// How much room its data takes.
    pub space: Option<DataSpace>,
    /// The hash of its data at a revision that all have.
    pub hash: Option<Hash>,
}

/// All members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MembersReport {
    /// Each of them, in the order of the lab file.
    pub members: Vec<MemberLine>,
    /// The one that leads, if they agree.
    pub leader: Option<String>,
    /// The alarms that are raised.
    pub alarms: Vec<Alarm>,
    /// What is not as it should be, and what to do about it, for people.
    pub problems: Vec<String>,
}

/// Asks all members at once.
///
/// # Errors
///
/// [`Error::Credentials`]: one that does not answer is no error here.
pub fn ask(lab: &Lab, access: &Access, tool: &str) -> Result<MembersReport, Error> {
    let asked = members(lab, access)?;
    let mut lines = parallel::each(&asked, |member| {
        let said = member.status();
        MemberLine {
            name: member.name.clone(),
            why: match &said {
                Ok(_) => member.agrees().err().map(|error| error.chain()),
                Err(error) => Some(error.chain()),
            },
            space: said.is_ok().then(|| member.space().ok()).flatten(),
            status: said.ok(),
            hash: None,
        }
    });
    let revisions = lines.iter().filter_map(|it| it.status.as_ref());
    if let Some(revision) = revisions.map(|it| it.revision).min() {
        let hash = |member: &Member| member.hash(revision).ok();
        for (line, hash) in lines.iter_mut().zip(parallel::each(&asked, hash)) {
            line.hash = hash;
        }
    }
    Ok(judge(lab, lines, tool))
}

fn judge(lab: &Lab, members: Vec<MemberLine>, tool: &str) -> MembersReport {
    let said = || {
        let lines = members.iter();
        lines.filter_map(|it| Some((it.name.as_str(), it.status.as_ref()?)))
    };
    let alarms = alarm::of(said().collect::<Vec<_>>());
    let mut problems: Vec<String> = Vec::new();
    for line in &members {
        if let Some(why) = &line.why {
            problems.push(format!("`{}`: {why}", line.name));
        }
        if line.status.as_ref().is_some_and(|it| it.learner) {
            problems.push(format!(
                "`{}` only learns, and does not vote yet",
                line.name
            ));
        }
        if let Some(space) = line.space
            && space.used * 100 >= space.quota * FULL_PERCENT
        {
            problems.push(format!(
                "the data of `{}` has {} of {} bytes in use: delete something, or all writes will be refused",
                line.name, space.used, space.quota
            ));
        } else if let Some(space) = line.space
            && space.size * 100 >= space.quota * FULL_PERCENT
        {
            problems.push(format!(
                "the data of `{}` takes {} of {} bytes, and has {} in use: `{tool} etcd defrag {}` gives the rest back",
                line.name,
                space.size,
                space.quota,
                space.used,
                lab.name()
            ));
        }
    }
    for alarm in &alarms {
        problems.push(format!("{alarm}: {}", alarm.advice(lab, tool)));
    }
    let mut hashes = members.iter().filter_map(|it| it.hash);
    let first = hashes.next();
    if hashes.any(|hash| Some(hash) != first) {
        problems.push("the members do not hold the same data".to_owned());
    }
    let leaders: Vec<u64> = said().map(|(_, status)| status.leader).collect();
    let agreed = leaders.windows(2).all(|pair| pair[0] == pair[1]);
    let leads = |(_, status): &(&str, &Status)| agreed && status.leader == status.member_id;
    let leader = said().find(leads).map(|(name, _)| name.to_owned());
    if leader.is_none() {
        problems.push("no leader".to_owned());
    }
    MembersReport {
        members,
        leader,
        alarms,
        problems,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, id: u64) -> MemberLine {
        MemberLine {
            name: name.to_owned(),
            why: None,
            status: Some(Status {
                cluster_id: 1,
                member_id: id,
                leader: 2,
                term: 3,
                revision: 10,
                version: "3.6.14".to_owned(),
                db_size: 100,
                learner: false,
                errors: Vec::new(),
            }),
            space: Some(DataSpace {
                size: 100,
                used: 50,
                quota: 1000,
            }),
            hash: Some(Hash {
                hash: 7,
                compact_revision: 4,
            }),
        }
    }

    fn after(change: impl FnOnce(&mut Vec<MemberLine>)) -> MembersReport {
        let lab = Lab::parse("ha", include_str!("../../../../labs/ha.toml")).expect("a valid lab");
        let mut lines = vec![line("etcdone", 1), line("etcdtwo", 2), line("etcdthree", 3)];
        change(&mut lines);
        judge(&lab, lines, "caravan")
    }

    #[test]
    fn what_is_well_is_no_problem() {
        let report = after(|_| {});
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(report.leader.as_deref(), Some("etcdtwo"));
    }

    #[test]
    fn each_problem_is_told_with_what_helps() {
        let told = |change: fn(&mut Vec<MemberLine>)| after(change).problems.join("\n");
        let silent = told(|lines| {
            lines[0].why = Some("refused".to_owned());
            lines[0].status = None;
            lines[0].hash = None;
        });
        assert_eq!(silent, "`etcdone`: refused");
        let differs = told(|lines| {
            lines[2].hash = Some(Hash {
                hash: 8,
                compact_revision: 4,
            });
        });
        assert_eq!(differs, "the members do not hold the same data");
        let spread = told(|lines| {
            lines[1].space = Some(DataSpace {
                size: 900,
                used: 50,
                quota: 1000,
            })
        });
        assert!(spread.contains("`caravan etcd defrag ha`"), "{spread}");
        let full = told(|lines| {
            lines[1].space = Some(DataSpace {
                size: 900,
                used: 850,
                quota: 1000,
            })
        });
        assert!(full.contains("850 of 1000 bytes in use"), "{full}");
        let alarmed = told(|lines| {
            if let Some(status) = &mut lines[0].status {
                status.errors = vec!["memberID:3 alarm:NOSPACE ".to_owned()];
            }
        });
        assert!(
            alarmed.starts_with("etcd's alarm NOSPACE of `etcdthree`"),
            "{alarmed}"
        );
        assert!(alarmed.contains("`caravan etcd defrag ha`"), "{alarmed}");
        let split = told(|lines| {
            if let Some(status) = &mut lines[0].status {
                status.leader = 0;
            }
        });
        assert_eq!(split, "no leader");
    }
}
