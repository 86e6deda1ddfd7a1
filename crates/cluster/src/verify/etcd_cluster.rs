//! etcd as one cluster: who is in it, who leads, and whether all have the same data.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use caravan_lab::Role;

use super::context::{Context, told};
use super::findings::Findings;
use crate::etcd::{self, Hash, Member, Status, alarm};
use crate::parallel;

/// How many times members are given to catch up with each other, and the pause between.
const CATCH_UP: (usize, Duration) = (30, Duration::from_millis(100));

/// What is said of all members together is said of this.
const ALL: &str = "etcd";

/// A member's name and what it says of itself.
type Said = (String, Result<Status, String>);

fn statuses(context: &Context) -> Result<(Vec<Member>, Vec<Said>), String> {
    let members = etcd::members(&context.lab, &context.access).map_err(told)?;
    let said = parallel::each(&members, |member| {
        (member.name.clone(), member.status().map_err(told))
    });
    Ok((members, said))
}

/// Asks until the verdict is good or the members have had their time: an election takes a moment.
fn eventually(
    context: &Context,
    mut ask: impl FnMut() -> Result<Findings, String>,
) -> Result<Findings, String> {
    let mut last = ask()?;
    for _ in 1..CATCH_UP.0 {
        if last.holds() {
            break;
        }
        sleep(context.access.pace().of(CATCH_UP.1));
        last = ask()?;
    }
    Ok(last)
}

/// The alarms that are raised, with what ends them; nothing where members cannot be asked.
pub(super) fn alarms(context: &Context) -> Vec<String> {
    let said = statuses(context).map(|(_, said)| said).unwrap_or_default();
    let known = said
        .iter()
        .filter_map(|(name, said)| Some((name.as_str(), said.as_ref().ok()?)));
    alarm::of(known)
        .iter()
        .map(|it| {
            let tool = &context.options.tool;
            let advice = it.advice(&context.lab, tool);
            format!("{it}: {advice}")
        })
        .collect()
}

/// One cluster, one leader, which all of them see.
pub(super) fn one_cluster(context: &Context) -> Result<Findings, String> {
    eventually(context, || Ok(judge_cluster(&statuses(context)?.1)))
}

fn judge_cluster(all: &[Said]) -> Findings {
    let mut findings = Findings::new();
    let mut clusters = BTreeSet::new();
    let mut leaders = BTreeSet::new();
    for (name, said) in all {
        match said {
            Ok(status) => {
                clusters.insert(status.cluster_id);
                leaders.insert(status.leader);
                for error in &status.errors {
                    findings.wrong(name, format!("{name} complains: {error}"));
                }
            }
            Err(why) => findings.wrong(name, format!("{name}: {why}")),
        }
    }
    if clusters.len() > 1 {
        let ids: Vec<String> = clusters.iter().map(|id| format!("{id:x}")).collect();
        findings.wrong(
            ALL,
            format!("there are several clusters: {}", ids.join(", ")),
        );
    }
    let leader = all.iter().find(|(_, said)| {
        said.as_ref()
            .is_ok_and(|status| leaders.len() == 1 && leaders.contains(&status.member_id))
    });
    match (leader, clusters.first()) {
        (Some((name, _)), Some(id)) => {
            findings.right(
                ALL,
                format!("{} members of cluster {id:x}, led by {name}", all.len()),
            );
        }
        _ => findings.wrong(ALL, "the members do not agree on one of them as leader"),
    }
    findings
}

/// The members that each member knows are the lab's, and none only learns.
pub(super) fn members(context: &Context) -> Result<Findings, String> {
    let wanted: BTreeSet<String> = context
        .lab
        .of_role(Role::Etcd)
        .map(|member| member.name.clone())
        .collect();
    let (members, said) = statuses(context)?;
    let known = parallel::each(&members, |member| {
        let known = member.known_members().map_err(told);
        (
            member.name.clone(),
            known.map(|known| known.into_iter().map(|it| it.name).collect()),
        )
    });
    let mut findings = judge_members(&wanted, &known);
    for (name, status) in said {
        if status.is_ok_and(|status| status.learner) {
            findings.wrong(&name, format!("{name} only learns and does not vote"));
        }
    }
    Ok(findings)
}

fn judge_members(
    wanted: &BTreeSet<String>,
    known: &[(String, Result<BTreeSet<String>, String>)],
) -> Findings {
    let shown = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let mut findings = Findings::new();
    for (name, known) in known {
        match known {
            Ok(known) if known == wanted => {}
            Ok(known) => findings.wrong(name, format!("{name} knows as members: {}", shown(known))),
            Err(why) => findings.wrong(name, format!("{name}: {why}")),
        }
    }
    if !known.is_empty() {
        findings.right(ALL, format!("all of them know {}", shown(wanted)));
    }
    findings
}

/// All members have the same hash over all data at one revision.
pub(super) fn same_revision(context: &Context) -> Result<Findings, String> {
    let (members, said) = statuses(context)?;
    let revisions: Vec<u64> = said
        .iter()
        .filter_map(|(_, said)| said.as_ref().ok().map(|status| status.revision))
        .collect();
    if revisions.len() < members.len() {
        return Ok(judge_cluster(&said));
    }
    // The newest that any of them had: who does not have it yet says so, and is asked again.
    let revision = revisions.into_iter().max().unwrap_or_default();
    eventually(context, || {
        let hashes = parallel::each(&members, |member| {
            (member.name.clone(), member.hash(revision).map_err(told))
        });
        Ok(judge_hashes(revision, &hashes))
    })
}

fn judge_hashes(revision: u64, hashes: &[(String, Result<Hash, String>)]) -> Findings {
    let mut findings = Findings::new();
    let mut found = BTreeSet::new();
    for (name, hash) in hashes {
        match hash {
            Ok(hash) => {
                found.insert((hash.hash, hash.compact_revision));
            }
            Err(why) => findings.wrong(name, format!("{name} at revision {revision}: {why}")),
        }
    }
    match found.first() {
        Some((hash, _)) if found.len() == 1 => findings.right(
            ALL,
            format!(
                "hash {hash:08x} over all data at revision {revision}, on {} members",
                hashes.len()
            ),
        ),
        _ => findings.wrong(
            ALL,
            format!("the members' data differ at revision {revision}: {found:x?}"),
        ),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, cluster_id: u64, member_id: u64, leader: u64) -> Said {
        let status = Status {
            cluster_id,
            member_id,
            leader,
            revision: 7,
            version: "3.6.14".to_owned(),
            term: 2,
            db_size: 1,
            learner: false,
            errors: Vec::new(),
        };
        (name.to_owned(), Ok(status))
    }

    #[test]
    fn one_cluster_and_one_leader() {
        let good = [
            said("a", 1, 10, 11),
            said("b", 1, 11, 11),
            said("c", 1, 12, 11),
        ];
        assert!(judge_cluster(&good).holds());
        assert!(judge_cluster(&good).verdict().text.ends_with("led by b"));
        for (why, bad) in [
            (
                "two clusters",
                vec![said("a", 1, 10, 10), said("b", 2, 11, 10)],
            ),
            (
                "two leaders",
                vec![said("a", 1, 10, 10), said("b", 1, 11, 11)],
            ),
            ("no leader", vec![said("a", 1, 10, 0), said("b", 1, 11, 0)]),
            (
                "a leader from elsewhere",
                vec![said("a", 1, 10, 99), said("b", 1, 11, 99)],
            ),
            (
                "one does not answer",
                vec![
                    said("a", 1, 10, 10),
                    ("b".to_owned(), Err("down".to_owned())),
                ],
            ),
            ("nobody", Vec::new()),
        ] {
            assert!(!judge_cluster(&bad).holds(), "{why}");
        }
        let mut ill = good;
        if let Ok(status) = &mut ill[2].1 {
            status.errors.push("NOSPACE".to_owned());
        }
        assert!(!judge_cluster(&ill).holds());
    }

    #[test]
    fn members_are_the_labs() {
        let names = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let wanted = names(&["a", "b", "c"]);
        let all = |third: Result<BTreeSet<String>, String>| {
            vec![
                ("a".to_owned(), Ok(wanted.clone())),
                ("b".to_owned(), Ok(wanted.clone())),
                ("c".to_owned(), third),
            ]
        };
        assert!(judge_members(&wanted, &all(Ok(wanted.clone()))).holds());
        assert!(!judge_members(&wanted, &all(Ok(names(&["a", "b"])))).holds());
        assert!(!judge_members(&wanted, &all(Ok(names(&["a", "b", "c", "d"])))).holds());
        assert!(!judge_members(&wanted, &all(Err("down".to_owned()))).holds());
        assert!(!judge_members(&wanted, &[]).holds());
    }

    #[test]
    fn data_is_the_same() {
        let hash = |name: &str, hash, compact_revision| {
            let hash = Hash {
                hash,
                compact_revision,
            };
            (name.to_owned(), Ok(hash))
        };
        assert!(judge_hashes(9, &[hash("a", 5, 1), hash("b", 5, 1)]).holds());
        assert!(!judge_hashes(9, &[hash("a", 5, 1), hash("b", 6, 1)]).holds());
        assert!(!judge_hashes(9, &[hash("a", 5, 1), hash("b", 5, 2)]).holds());
        let late = (
            "b".to_owned(),
            Err("required revision is a future revision".to_owned()),
        );
        assert!(!judge_hashes(9, &[hash("a", 5, 1), late]).holds());
        assert!(!judge_hashes(9, &[]).holds());
    }
}
