//! Whether one member may be taken away: all others must be well, must have been so for a while, and must hold the same
//! data.
//!
//! etcd itself refuses a change of its membership within five seconds of a member's return ("unhealthy cluster"), and refuses
//! none for a member whose data differs, or that nobody has asked about an alarm.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use caravan_lab::{Lab, Role};
use caravan_process::interrupt;
use serde::Serialize;

use super::{Hash, KnownMember, Member, Status, alarm};
use crate::{Access, Error, parallel};

/// For how long all others must have been well.
const STEADY: Duration = Duration::from_secs(5);

/// How often they are asked.
const POLL: Duration = Duration::from_millis(500);

/// How long is waited for them: a member that has just been started again catches up within seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// What one of the others says.
#[derive(Debug, Clone)]
struct MemberAnswer {
    name: String,
    health: Result<(), String>,
    status: Option<Status>,
    /// The members that the cluster has.
    known: Vec<KnownMember>,
}

/// Why a member must not be taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum GateFault {
    /// Another one is not healthy.
    Down {
        /// Which.
        member: String,
        /// Why.
        why: String,
    },
    /// Another one only learns: one at a time.
    Learns {
        /// Which.
        member: String,
    },
    /// Etcd complains of something.
    Alarm {
        /// What it complains of, and what ends it.
        alarm: String,
    },
    /// The others do not agree on a leader.
    NoLeader,
    /// The others do not hold the same data.
    DataDiffers {
        /// At which revision.
        revision: u64,
        /// What each of them says.
        hashes: String,
    },
    /// There are no others.
    Alone,
}

impl fmt::Display for GateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { member, why } => write!(f, "`{member}` is down too ({why})"),
            Self::Learns { member } => {
                write!(f, "`{member}` is joining, and only one may at a time")
            }
            Self::Alarm { alarm } => f.write_str(alarm),
            Self::NoLeader => f.write_str("the other members do not agree on a leader"),
            Self::DataDiffers { revision, hashes } => write!(
                f,
                "the other members do not hold the same data at revision {revision}: {hashes}"
            ),
            Self::Alone => f.write_str("it is the only member"),
        }
    }
}

/// A member that must not be taken away now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedMember {
    /// The lab.
    pub lab: String,
    /// The member.
    pub member: String,
    /// How many members would be left.
    pub left: usize,
    /// How many of them are well.
    pub well: usize,
    /// Why, at least one.
    pub faults: Vec<GateFault>,
}

impl fmt::Display for RefusedMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(ToString::to_string).collect();
        write!(
            f,
            "`{}` cannot be replaced: {}",
            self.member,
            faults.join("; ")
        )?;
        if self.well < self.left {
            write!(
                f,
                "; removing one would leave {} of {}",
                self.well, self.left
            )?;
        }
        Ok(())
    }
}

impl RefusedMember {
    /// The commands that help; `tool` is how the program that calls this is started, such as `cargo xtask`.
    pub fn hint(&self, tool: &str) -> String {
        let lab = &self.lab;
        match self.down().next() {
            Some(down) => format!(
                "`{tool} up {lab} {down}` starts it again; where it does not come back, `{tool} replace {lab} {down}` first"
            ),
            None => format!(
                "`{tool} status {lab}` shows what is wrong; then run the same command again"
            ),
        }
    }

    /// The other members that are down.
    pub fn down(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().filter_map(|fault| match fault {
            GateFault::Down { member, .. } => Some(member.as_str()),
            _ => None,
        })
    }
}

/// The members that are left, all of them well.
#[derive(Debug, Clone)]
pub struct WellMembers {
    /// Each of them.
    pub members: Vec<Member>,
    /// All that the cluster has, the one that is to go included where it is still in it.
    pub known: Vec<KnownMember>,
    /// The id of the one that leads.
    pub leader: u64,
}

/// Holds that all members but the one on machine `going` have been well for five seconds, have no alarm, all vote, and hold
/// the same data at one revision. Waits for that a while, as a member may have come back a moment ago; those that `absent`
/// names do not run, and are not waited for.
///
/// # Errors
///
/// [`Error::MemberRefused`] with all that is wrong, [`Error::Interrupted`], [`Error::Credentials`].
pub fn hold_others_well(
    lab: &Lab,
    access: &Access,
    going: &str,
    absent: &BTreeSet<String>,
    tool: &str,
) -> Result<WellMembers, Error> {
    let members: Vec<Member> = lab
        .of_role(Role::Etcd)
        .filter(|machine| machine.name != going)
        .map(|machine| Member::of(machine, access))
        .collect::<Result<_, _>>()?;
    let pace = access.pace();
    let began = Instant::now();
    let mut well_since: Option<Instant> = None;
    loop {
        let asked = Instant::now();
        let answers = parallel::each(&members, |member| match absent.contains(&member.name) {
            true => MemberAnswer {
                name: member.name.clone(),
                health: Err("its machine does not run".to_owned()),
                status: None,
                known: Vec::new(),
            },
            false => MemberAnswer {
                name: member.name.clone(),
                health: member.health().map_err(|error| error.chain()),
                status: member.status().ok(),
                known: member.confirmed_members().unwrap_or_default(),
            },
        });
        let mut faults = judge(lab, &answers, going, tool);
        if faults.is_empty() {
            faults.extend(compare(&members, &answers));
        }
        match faults.is_empty() {
            true if well_since.get_or_insert(asked).elapsed() >= STEADY => {
                let first = answers.into_iter().next();
                let (status, known) = first.map(|it| (it.status, it.known)).unwrap_or_default();
                return Ok(WellMembers {
                    members,
                    known,
                    leader: status.map_or(0, |status| status.leader),
                });
            }
            true => {}
            false => {
                well_since = None;
                let in_vain = faults.iter().any(|fault| match fault {
                    GateFault::Down { member, .. } => absent.contains(member),
                    GateFault::Alarm { .. } | GateFault::Alone => true,
                    _ => false,
                });
                if in_vain || began.elapsed() >= pace.of(LIMIT) {
                    let well = |answer: &&MemberAnswer| answer.health.is_ok();
                    return Err(Error::MemberRefused(Box::new(RefusedMember {
                        lab: lab.name().to_owned(),
                        member: going.to_owned(),
                        left: members.len(),
                        well: answers.iter().filter(well).count(),
                        faults,
                    })));
                }
            }
        }
        if interrupt::raised() {
            return Err(Error::Interrupted);
        }
        std::thread::sleep(POLL.saturating_sub(asked.elapsed()));
    }
}

/// What is wrong with the others, data apart.
fn judge(lab: &Lab, answers: &[MemberAnswer], going: &str, tool: &str) -> Vec<GateFault> {
    if answers.is_empty() {
        return vec![GateFault::Alone];
    }
    let mut faults: Vec<GateFault> = Vec::new();
    for answer in answers {
        if let Err(why) = &answer.health {
            faults.push(GateFault::Down {
                member: answer.name.clone(),
                why: why.clone(),
            });
        }
    }
    let said: Vec<_> = (answers.iter())
        .filter_map(|answer| Some((answer.name.as_str(), answer.status.as_ref()?)))
        .collect();
    let alarms = alarm::of(said.iter().map(|(name, status)| (*name, *status)));
    faults.extend(alarms.into_iter().map(|alarm| GateFault::Alarm {
        alarm: format!("{alarm}: {}", alarm.advice(lab, tool)),
    }));
    let theirs = |known: &&KnownMember| {
        let machine = lab.machine(going);
        known.name != going && machine.is_none_or(|it| !known.addresses.contains(&it.ip))
    };
    let learners: BTreeSet<&str> = (answers.iter())
        .flat_map(|answer| answer.known.iter().filter(theirs))
        .filter(|known| known.learner)
        .map(|known| known.name.as_str())
        .collect();
    faults.extend(learners.into_iter().map(|member| GateFault::Learns {
        member: member.to_owned(),
    }));
    if faults.is_empty() {
        let leaders: BTreeSet<u64> = said.iter().map(|(_, status)| status.leader).collect();
        let agreed = said.len() == answers.len() && leaders.len() == 1 && !leaders.contains(&0);
        faults.extend((!agreed).then_some(GateFault::NoLeader));
    }
    faults
}

/// Whether the others hold the same data at a revision that all of them have.
fn compare(members: &[Member], answers: &[MemberAnswer]) -> Option<GateFault> {
    let statuses = answers.iter().filter_map(|answer| answer.status.as_ref());
    let revision = statuses.map(|status| status.revision).min()?;
    let hashes = parallel::each(members, |member| {
        let hash = member.hash(revision).map_err(|error| error.chain());
        (member.name.clone(), hash)
    });
    judge_hashes(revision, &hashes)
}

fn judge_hashes(revision: u64, hashes: &[(String, Result<Hash, String>)]) -> Option<GateFault> {
    let mut found = hashes.iter().map(|(_, hash)| hash.as_ref().ok());
    let first = found.next().flatten();
    if first.is_some() && found.all(|hash| hash == first) {
        return None;
    }
    let shown = |(name, hash): &(String, Result<Hash, String>)| match hash {
        Ok(hash) => format!(
            "{name} {:08x} compacted at {}",
            hash.hash, hash.compact_revision
        ),
        Err(why) => format!("{name}: {why}"),
    };
    let shown: Vec<String> = hashes.iter().map(shown).collect();
    Some(GateFault::DataDiffers {
        revision,
        hashes: shown.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::verify::tests::lab;

    fn known(name: &str, last: u8) -> KnownMember {
        KnownMember {
            name: name.to_owned(),
            id: u64::from(last),
            addresses: vec![Ipv4Addr::new(192, 168, 29, last)],
            learner: false,
            started: true,
        }
    }

    fn answer(name: &str, id: u64) -> MemberAnswer {
        MemberAnswer {
            name: name.to_owned(),
            health: Ok(()),
            status: Some(Status {
                cluster_id: 1,
                member_id: id,
                leader: 61,
                revision: 100 + id,
                version: "3.6.14".to_owned(),
                term: 2,
                db_size: 1,
                learner: false,
                errors: Vec::new(),
            }),
            known: vec![
                known("etcdone", 61),
                known("etcdtwo", 62),
                known("etcdthree", 63),
            ],
        }
    }

    /// What the gate says when `spoil` was done to what the two others say of `etcdtwo`'s leaving.
    fn said(spoil: impl FnOnce(&mut Vec<MemberAnswer>)) -> Vec<String> {
        let mut answers = vec![answer("etcdone", 61), answer("etcdthree", 63)];
        spoil(&mut answers);
        let faults = judge(&lab("ha"), &answers, "etcdtwo", "cargo xtask");
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_may_go_and_who_may_not() {
        assert_eq!(said(|_| {}), [""; 0]);
        // Its own standing is what is being changed.
        assert_eq!(said(|all| all[0].known[1].learner = true), [""; 0]);
        assert_eq!(
            said(|all| {
                all[1].known[1].name.clear();
                all[1].known[1].learner = true;
            }),
            [""; 0]
        );
        assert_eq!(
            said(|all| all[0].known[2].learner = true),
            ["`etcdthree` is joining, and only one may at a time"]
        );
        assert_eq!(
            said(|all| {
                all[1].health = Err("no route".to_owned());
                all[1].status = None;
            }),
            ["`etcdthree` is down too (no route)"]
        );
        let no_leader = ["the other members do not agree on a leader"];
        let led_by = |by: [u64; 2]| {
            said(|all| {
                for (answer, leader) in all.iter_mut().zip(by) {
                    if let Some(status) = &mut answer.status {
                        status.leader = leader;
                    }
                }
            })
        };
        assert_eq!(led_by([61, 63]), no_leader);
        assert_eq!(led_by([0, 0]), no_leader);
        assert_eq!(said(|all| all[0].status = None), no_leader);
        assert_eq!(said(Vec::clear), ["it is the only member"]);
        let alarm = said(|all| {
            if let Some(status) = &mut all[0].status {
                status.errors.push("memberID:63 alarm:NOSPACE ".to_owned());
            }
        });
        assert!(alarm[0].starts_with("etcd's alarm NOSPACE of `etcdthree`: all writes"));
        assert!(alarm[0].contains("etcd defrag "), "{alarm:?}");
    }

    #[test]
    fn data_must_be_the_same() {
        let hash = |hash| {
            Ok(Hash {
                hash,
                compact_revision: 7,
            })
        };
        let of = |one, other| {
            let hashes = [("etcdone".to_owned(), one), ("etcdthree".to_owned(), other)];
            judge_hashes(9, &hashes).map(|fault| fault.to_string())
        };
        assert_eq!(of(hash(10), hash(10)), None);
        assert_eq!(
            of(hash(10), hash(11)).as_deref(),
            Some(
                "the other members do not hold the same data at revision 9: etcdone 0000000a compacted at 7, etcdthree \
                 0000000b compacted at 7"
            )
        );
        // What cannot be compared is not the same.
        assert!(of(hash(10), Err("compacted".to_owned())).is_some());
        assert!(of(Err("x".to_owned()), Err("x".to_owned())).is_some());
    }

    #[test]
    fn a_refusal_counts_what_would_be_left() {
        let refused = RefusedMember {
            lab: "ha".to_owned(),
            member: "etcdtwo".to_owned(),
            left: 2,
            well: 1,
            faults: vec![GateFault::Down {
                member: "etcdthree".to_owned(),
                why: "its machine does not run".to_owned(),
            }],
        };
        assert_eq!(
            refused.to_string(),
            "`etcdtwo` cannot be replaced: `etcdthree` is down too (its machine does not run); removing one would leave 1 of 2"
        );
        assert_eq!(
            refused.hint("cargo xtask"),
            "`cargo xtask up ha etcdthree` starts it again; where it does not come back, `cargo xtask replace ha etcdthree` first"
        );
    }
}
