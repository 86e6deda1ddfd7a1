//! Looking after members' data: how much room it takes, forgetting old revisions, giving room back, ending alarms.

use std::time::Duration;

use caravan_lab::{Lab, Role, ports};
use serde::Serialize;
use serde_json::json;
use ureq::http::Method;

use super::{Alarm, HEALTH_WITHOUT_ALARMS, KnownMember, Member, Status, number};
use crate::until;
use crate::{Access, Error, parallel};

/// How long a member may take to write its data anew, at the usual pace: a gigabyte takes seconds.
const REWRITE: Duration = Duration::from_secs(120);

/// How long a member may take to be well again after that, at the usual pace.
const WELL: Duration = Duration::from_secs(30);

/// The quota that members are started with, in bytes, for those whose version does not tell it.
const QUOTA: u64 = 2 << 30;

/// How much room a member's data takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DataSpace {
    /// The size of its file.
    pub size: u64,
    /// How much of that is in use: the rest is given back by writing the file anew.
    pub used: u64,
    /// The size at which etcd refuses all writes.
    pub quota: u64,
}

/// What came of giving a member's room back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefragmentedMember {
    /// Which.
    pub member: String,
    /// Before.
    pub before: DataSpace,
    /// After.
    pub after: DataSpace,
}

/// What came of giving the room of all members back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefragOutcome {
    /// Older revisions than this one are forgotten.
    pub revision: u64,
    /// Each member, in the order in which it was done.
    pub members: Vec<DefragmentedMember>,
    /// The alarms that were ended, as their cause was gone.
    pub disarmed: Vec<Alarm>,
}

impl Member {
    /// The revision that a majority confirms; this member has applied it then.
    ///
    /// # Errors
    ///
    /// As [`Member::status`]; without a majority there is no answer.
    pub fn confirmed_revision(&self) -> Result<u64, Error> {
        // Which key does not matter: only the header is read. One zero byte, which is before all others.
        let answer = self.ask(
            "/v3/kv/range",
            &json!({ "key": "AA==", "count_only": true }),
        )?;
        Ok(number(&answer["header"]["revision"]))
    }

    /// How much room its data takes.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn space(&self) -> Result<DataSpace, Error> {
        let answer = self.ask("/v3/maintenance/status", &json!({}))?;
        let quota = number(&answer["dbSizeQuota"]);
        Ok(DataSpace {
            size: number(&answer["dbSize"]),
            used: number(&answer["dbSizeInUse"]),
            quota: if quota == 0 { QUOTA } else { quota },
        })
    }

    /// Has the cluster forget what was before `revision`, and waits until this member has. What is forgotten already is no
    /// error.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn compact(&self, revision: u64) -> Result<(), Error> {
        let body = json!({ "revision": revision.to_string(), "physical": true });
        match self.ask("/v3/kv/compaction", &body) {
            Err(Error::Answered { message, .. }) if message.contains("has been compacted") => {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Has it write its data anew without what is free in it. It does not answer meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn defragment(&self) -> Result<(), Error> {
        self.ask("/v3/maintenance/defragment", &json!({})).map(drop)
    }

    /// The alarms that are raised, each as the id of the member that it is raised for, and its name.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn alarms(&self) -> Result<Vec<(u64, String)>, Error> {
        let answer = self.ask("/v3/maintenance/alarm", &json!({ "action": "GET" }))?;
        let all = answer["alarms"].as_array().into_iter().flatten();
        Ok(all
            .filter_map(|raised| {
                let name = raised["alarm"].as_str()?;
                Some((number(&raised["memberID"]), name.to_owned()))
            })
            .collect())
    }

    /// Raises an alarm for a member, as etcd itself does it: for tests of what ends it.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn raise(&self, member: u64, alarm: &str) -> Result<(), Error> {
        self.set_alarm("ACTIVATE", member, alarm)
    }

    /// Ends an alarm of a member, which need not be raised.
    ///
    /// # Errors
    ///
    /// As [`Member::status`].
    pub fn disarm(&self, member: u64, alarm: &str) -> Result<(), Error> {
        self.set_alarm("DEACTIVATE", member, alarm)
    }

    fn set_alarm(&self, action: &str, member: u64, alarm: &str) -> Result<(), Error> {
        let body = json!({ "action": action, "memberID": member.to_string(), "alarm": alarm });
        self.ask("/v3/maintenance/alarm", &body).map(drop)
    }

    /// Whether it answers reads that a majority confirms, whatever alarms there are; else why not.
    pub(super) fn agrees(&self) -> Result<(), Error> {
        self.server
            .text(&Method::GET, HEALTH_WITHOUT_ALARMS, None)
            .map(drop)
    }
}

/// All that members say before anything is done.
struct Survey {
    members: Vec<Member>,
    statuses: Vec<Status>,
    known: Vec<KnownMember>,
    alarms: Vec<(u64, String)>,
}

/// Has the members forget old revisions and give the room back, one after the other and the leader last, and ends the alarms
/// whose cause is gone by that: `NOSPACE` where the data is below the quota again, `CORRUPT` where all members hold the same
/// data. `tell` is told of each member; `tool` is how the program that calls this is started.
///
/// # Errors
///
/// [`Error::Unreachable`] and [`Error::Answered`] where a member does not answer or is not well: nothing is done then, as one
/// that writes its data anew is silent meanwhile. [`Error::Alarmed`] where members' data differs, [`Error::StillFull`].
pub fn defragment(
    lab: &Lab,
    access: &Access,
    tool: &str,
    tell: &dyn Fn(&str, &str),
) -> Result<DefragOutcome, Error> {
    let limit = access.pace().of(REWRITE);
    let members: Vec<Member> = lab
        .of_role(Role::Etcd)
        .map(|machine| {
            let address = std::net::SocketAddrV4::new(machine.ip, ports::ETCD_CLIENT);
            Member::at(&machine.name, address, access, limit)
        })
        .collect::<Result<_, _>>()?;
    let survey = Survey::of(members)?;
    let mut disarmed = survey.end_corrupt(lab, tool)?;
    for member in &survey.members {
        member.agrees()?;
    }
    let first = &survey.members[0];
    let revision = first.confirmed_revision()?;
    first.compact(revision)?;
    let mut done = Vec::new();
    for place in survey.order() {
        let member = &survey.members[place];
        if survey.leads(place)
            && let Some(heir) = survey.order().into_iter().find(|other| *other != place)
        {
            member.hand_over(survey.statuses[heir].member_id)?;
        }
        let before = member.space()?;
        tell(&member.name, "writes its data anew");
        member.defragment()?;
        let what = format!("`{}` to be well again", member.name);
        until(access.pace().of(WELL), &what, || {
            member
                .agrees()
                .map(|()| true)
                .map_err(|error| error.chain())
        })?;
        let after = member.space()?;
        tell(
            &member.name,
            &format!("{} instead of {} bytes", after.size, before.size),
        );
        done.push(DefragmentedMember {
            member: member.name.clone(),
            before,
            after,
        });
    }
    for (id, name) in &survey.alarms {
        if name != "NOSPACE" {
            continue;
        }
        let alarm = survey.shown(*id, name);
        let its = done.iter().find(|it| it.member == alarm.member);
        if let Some(its) = its
            && its.after.size >= its.after.quota
        {
            return Err(Error::StillFull {
                member: alarm.member,
                bytes: its.after.size,
                quota: its.after.quota,
            });
        }
        first.disarm(*id, name)?;
        disarmed.push(alarm);
    }
    Ok(DefragOutcome {
        revision,
        members: done,
        disarmed,
    })
}

impl Survey {
    fn of(members: Vec<Member>) -> Result<Self, Error> {
        let statuses: Vec<Status> = parallel::each(&members, Member::status)
            .into_iter()
            .collect::<Result<_, _>>()?;
        let known = members[0].known_members()?;
        let alarms = members[0].alarms()?;
        Ok(Self {
            members,
            statuses,
            known,
            alarms,
        })
    }

    fn leads(&self, place: usize) -> bool {
        self.statuses[place].leader == self.statuses[place].member_id
    }

    /// The members' places: who leads comes last.
    fn order(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.members.len()).collect();
        places.sort_by_key(|place| self.leads(*place));
        places
    }

    fn shown(&self, id: u64, name: &str) -> Alarm {
        let its = self.statuses.iter().position(|it| it.member_id == id);
        Alarm {
            member: its.map_or_else(|| format!("{id:x}"), |at| self.members[at].name.clone()),
            name: name.to_owned(),
        }
    }

    /// Ends alarms `CORRUPT` of members that the cluster does not have any more, or that hold what all others hold.
    fn end_corrupt(&self, lab: &Lab, tool: &str) -> Result<Vec<Alarm>, Error> {
        let mut ended = Vec::new();
        for (id, name) in self.alarms.iter().filter(|(_, name)| name == "CORRUPT") {
            let alarm = self.shown(*id, name);
            if self.known.iter().any(|it| it.id == *id) && !self.agree()? {
                return Err(Error::Alarmed {
                    advice: alarm.advice(lab, tool),
                    alarm: alarm.to_string(),
                });
            }
            self.members[0].disarm(*id, name)?;
            ended.push(alarm);
        }
        Ok(ended)
    }

    /// Whether all members hold the same data at a revision that all of them have.
    fn agree(&self) -> Result<bool, Error> {
        let revision = self.statuses.iter().map(|it| it.revision).min();
        let revision = revision.unwrap_or_default();
        let hashes: Vec<_> = parallel::each(&self.members, |member| member.hash(revision))
            .into_iter()
            .collect::<Result<_, _>>()?;
        Ok(hashes.windows(2).all(|pair| pair[0] == pair[1]))
    }
}
