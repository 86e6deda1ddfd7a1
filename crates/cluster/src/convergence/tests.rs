use super::*;
use crate::timeline::recorder::LineClock;

fn said(line: &str) -> JournalNews {
    news(JournalEvent::Said(
        PhaseLine::parse(line).expect("a line of a phase"),
    ))
}

fn news(event: JournalEvent) -> JournalNews {
    JournalNews {
        machine: "masterone".to_owned(),
        event,
        clock: LineClock {
            heard_ms: 10_000,
            ahead_ms: 0,
        },
    }
}

fn after(lines: &[&str]) -> Convergence {
    let mut convergence = Convergence::new(["masterone"], 0);
    for line in lines {
        convergence.hear(&said(line));
    }
    convergence
}

fn one(convergence: &Convergence) -> MachineProgress {
    convergence
        .machine("masterone")
        .expect("it is there")
        .clone()
}

const WAY: [&str; 9] = [
    "CARAVAN 1000 prepare start masterone, control-plane",
    "CARAVAN 1100 prepare done",
    "CARAVAN 1100 wait-etcd start",
    "CARAVAN 1150 wait-etcd wait etcd's quorum (0s)",
    "CARAVAN 4000 wait-etcd done",
    "CARAVAN 4000 init start",
    "CARAVAN 9000 init done",
    "CARAVAN 9000 node-ready start",
    "CARAVAN 9900 ready done",
];

#[test]
fn a_machine_walks_its_way() {
    let stages: Vec<Stage> = (1..=WAY.len())
        .map(|heard| one(&after(&WAY[..heard])).stage)
        .collect();
    use Stage::{Ready, Waiting, Working};
    assert_eq!(
        stages,
        [
            Working, Working, Working, Waiting, Working, Working, Working, Working, Ready
        ]
    );
    let waiting = one(&after(&WAY[..4]));
    assert_eq!(waiting.phase, Some(Phase::WaitEtcd));
    assert_eq!(waiting.since_ms, 1100);
    assert_eq!(waiting.text, "etcd's quorum (0s)");
    assert!(after(&WAY).all_ready());
    assert!(!after(&WAY[..8]).all_ready());
}

#[test]
fn a_failure_is_told_and_forgotten_when_it_goes_on() {
    let mut convergence = after(&WAY[..6]);
    assert!(convergence.hear(&said("CARAVAN 5000 init fail kubeadm init: see above")));
    assert_eq!(convergence.failed().count(), 1);
    assert_eq!(one(&convergence).text, "kubeadm init: see above");
    convergence.hear(&said("CARAVAN 7000 prepare start masterone, control-plane"));
    assert_eq!(convergence.failed().count(), 0);
    assert_eq!(one(&convergence).stage, Stage::Working);
}

#[test]
fn what_was_heard_before_changes_nothing_and_a_lost_machine_is_unfinished() {
    let mut convergence = after(&WAY[..4]);
    assert!(!convergence.hear(&said(WAY[3])));
    assert!(convergence.hear(&news(JournalEvent::Lost("ended".into()))));
    assert_eq!(one(&convergence).stage, Stage::Unreached);
    assert_eq!(convergence.unfinished().count(), 1);
    assert_eq!(one(&convergence).text, "ended");
    convergence.hear(&news(JournalEvent::Lost("again".into())));
    assert!(convergence.hear(&news(JournalEvent::Reached)));
    // Nothing is said twice, so it is about what it was about.
    let again = one(&convergence);
    assert_eq!(
        (again.stage, again.text.as_str()),
        (Stage::Waiting, "etcd's quorum (0s)")
    );
}

#[test]
fn a_ready_machine_stays_ready_when_its_journal_ends() {
    let mut convergence = after(&WAY);
    assert!(!convergence.hear(&news(JournalEvent::Lost("ended".into()))));
    assert!(convergence.all_ready());
}

#[test]
fn strangers_are_not_heard() {
    let mut convergence = after(&[]);
    let mut stranger = said(WAY[0]);
    stranger.machine = "nobody".to_owned();
    assert!(!convergence.hear(&stranger));
}
