//! What is left to do, by where machines stand; and what is refused.

use super::*;
use crate::snapshots::SnapshotRecord;

/// A lab that does what steps ask for and refuses what would do harm.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    members: Vec<MemberStanding>,
    api_runs: bool,
    store_has_new_token: bool,
    whole: bool,
}

impl Model {
    fn new() -> Self {
        let old = MemberStanding {
            runs: true,
            data: true,
            ..MemberStanding::default()
        };
        Self {
            members: vec![old; 3],
            api_runs: true,
            store_has_new_token: false,
            whole: false,
        }
    }

    fn standings(&self) -> BTreeMap<String, MemberStanding> {
        let named = self.members.iter().enumerate();
        named.map(|(at, it)| (format!("etcd{at}"), *it)).collect()
    }

    /// Does a step to the first `count` members alone, where it is cut off in the middle.
    fn act(&mut self, step: RestoreStep, count: usize) {
        let is_whole = count == self.members.len();
        match step {
            RestoreStep::Checked => {}
            RestoreStep::ApiStopped => self.api_runs = false,
            RestoreStep::EtcdStoppedMasked => {
                assert!(!self.api_runs, "somebody is told what is not so any more");
                for member in &mut self.members[..count] {
                    member.masked = true;
                    member.runs = false;
                }
            }
            RestoreStep::StagedOnAll => {
                assert!(self.members.iter().all(|it| it.masked && !it.runs));
                for member in &mut self.members[..count] {
                    member.staged = true;
                }
            }
            RestoreStep::SwappedOnAll => {
                assert!(self.members.iter().all(|it| it.staged || it.swapped));
                for member in &mut self.members[..count] {
                    if !member.swapped {
                        assert!(member.masked && !member.runs, "{member:?}");
                        member.swapped = true;
                        member.changed = true;
                    }
                }
                self.store_has_new_token |= is_whole;
            }
            RestoreStep::Started => {
                assert!(self.members.iter().all(|it| it.swapped), "{self:?}");
                assert!(self.store_has_new_token);
                for member in &mut self.members[..count] {
                    member.masked = false;
                    member.runs = true;
                }
                if is_whole {
                    for member in &mut self.members {
                        member.staged = false;
                        member.changed = false;
                    }
                }
            }
            RestoreStep::ApiStarted => {
                assert!(self.members.iter().all(|it| it.runs && it.swapped));
                self.api_runs = true;
            }
            RestoreStep::Reconciled => {
                assert!(self.api_runs);
                self.whole = true;
            }
        }
    }

    /// Does what is left to do, until it is killed: in this step, when so many members have it.
    fn run(&mut self, kill: Option<(RestoreStep, usize)>) {
        let left = match self.members.iter().any(|it| it.masked || it.swapped) {
            true => steps(&self.standings()),
            false => RestoreStep::ALL.to_vec(),
        };
        for step in left {
            match kill {
                Some((killed, count)) if killed == step => return self.act(step, count),
                _ => self.act(step, 3),
            }
        }
    }
}

#[test]
fn a_runner_killed_anywhere_is_continued() {
    let mut undisturbed = Model::new();
    undisturbed.run(None);
    assert!(undisturbed.whole);
    let kills = || {
        RestoreStep::ALL
            .into_iter()
            .flat_map(|step| (0..=3).map(move |at| (step, at)))
    };
    for first in kills() {
        for second in kills() {
            let mut model = Model::new();
            model.run(Some(first));
            model.run(Some(second));
            model.run(None);
            assert_eq!(model, undisturbed, "killed at {first:?}, then {second:?}");
        }
    }
}

#[test]
fn after_the_last_swap_there_is_no_way_back() {
    let mut model = Model::new();
    model.run(Some((RestoreStep::SwappedOnAll, 2)));
    assert!(!is_swapped_on_all(&model.standings()));
    assert_eq!(steps(&model.standings()), RestoreStep::ALL);
    model.run(Some((RestoreStep::SwappedOnAll, 3)));
    assert!(is_swapped_on_all(&model.standings()));
    let left: Vec<&str> = steps(&model.standings())
        .iter()
        .map(|it| it.word())
        .collect();
    assert_eq!(
        left,
        ["swapped-on-all", "started", "api-started", "reconciled"]
    );
    assert!(!is_swapped_on_all(&BTreeMap::new()));
}

fn snapshot() -> Snapshot {
    Snapshot {
        file: "/s/ha-20261121T120000Z-4711.db".into(),
        record: SnapshotRecord {
            lab: "ha".to_owned(),
            taken: "2026-11-21T12:00:00Z".to_owned(),
            reason: "asked for".to_owned(),
            member: "etcdtwo".to_owned(),
            confirmed: Some(4711),
            revision: 4711,
            keys: 900,
            bytes: 4128,
            sha256: "cafe".to_owned(),
            cluster_id: "7f".to_owned(),
            versions: of(&[("etcd", "3.6.14"), ("kubernetes", "1.36.3")]),
            authorities: prints("one"),
        },
    }
}

fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    pairs.iter().map(owned).collect()
}

fn prints(print: &str) -> BTreeMap<String, Vec<String>> {
    let of = |name: &str| (name.to_owned(), vec![print.to_owned()]);
    BTreeMap::from([of("etcd"), of("kubernetes")])
}

#[test]
fn what_does_not_fit_is_refused() {
    let snapshot = snapshot();
    let now = of(&[("etcd", "3.6.2"), ("kubernetes", "1.36.1")]);
    let judged = |lab: &str, ours: &str, now: &BTreeMap<String, String>, others: bool| {
        fault(&snapshot, lab, &prints(ours), now, others)
    };
    assert_eq!(
        judged("ha", "one", &now, false),
        None,
        "patches do not matter"
    );
    assert!(matches!(
        judged("other", "one", &now, true),
        Some(SnapshotFault::OtherLab { .. })
    ));
    assert!(matches!(
        judged("ha", "two", &now, false),
        Some(SnapshotFault::OtherAuthorities { .. })
    ));
    assert_eq!(judged("ha", "two", &now, true), None);
    let older = of(&[("etcd", "3.6.14"), ("kubernetes", "1.35.4")]);
    assert_eq!(
        judged("ha", "one", &older, false),
        Some(SnapshotFault::Newer {
            what: "kubernetes".to_owned(),
            then: "1.36.3".to_owned(),
            now: "1.35.4".to_owned(),
        })
    );
    let newer = of(&[("etcd", "3.7.0"), ("kubernetes", "1.37.2")]);
    assert_eq!(judged("ha", "one", &newer, false), None);
    // While an authority's key changes, two are trusted.
    let mut both = prints("two");
    for prints in both.values_mut() {
        prints.push("one".to_owned());
    }
    assert_eq!(fault(&snapshot, "ha", &both, &now, false), None);
}

#[test]
fn no_two_steps_have_one_word() {
    let words: std::collections::BTreeSet<_> =
        RestoreStep::ALL.iter().map(|it| it.word()).collect();
    assert_eq!(words.len(), RestoreStep::ALL.len());
}
