//! Following journals, with a stand-in for `ssh`.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use caravan_cluster::convergence::{Convergence, Stage};
use caravan_cluster::phase::Phase;
use caravan_cluster::watch::{JournalEvent, JournalNews, Watch, explain, until_ready};
use caravan_lab::Lab;
use caravan_process::{CONNECT_SECONDS, Pace, Program, SshAccess, SshComputer, UnknownHost};
use caravan_vagrant::ssh::Ssh;
use tempfile::TempDir;

const JOURNAL: &str = "\
CARAVAN-JOURNAL
CARAVAN 1000 prepare start masterone, control-plane
[init] kubeadm's own words
CARAVAN 1100 prepare done
CARAVAN 1200 init start
CARAVAN 9000 init fail kubeadm init: see above
";

/// A lab on another computer: there only ssh itself can tell whether a machine is reached, so no port is dialled.
fn lab() -> Lab {
    let source = include_str!("../../../labs/external-etcd.toml");
    let elsewhere =
        "host = \"ssh://me@elsewhere\"\nbridge = \"eth0\"\naddress = \"192.168.29.11\"\n";
    let source = ["server1", "server2"]
        .iter()
        .fold(source.to_owned(), |source, server| {
            let section = format!("[servers.{server}]\n");
            source.replace(&section, &format!("{section}{elsewhere}"))
        });
    Lab::parse("external-etcd", &source).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn fake(files: &[(&str, &str)]) -> (TempDir, Ssh) {
    let folder = tempfile::tempdir().expect("a folder");
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/ssh");
    symlink(real, folder.path().join("ssh")).expect("a link");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    let program = Program::at(folder.path().join("ssh"));
    let access = SshAccess {
        identity: None,
        known_hosts: folder.path().join("known"),
        unknown_host: UnknownHost::Refuse,
        through: None,
        connect_seconds: CONNECT_SECONDS,
        connect_attempts: 1,
        pace: Pace::USUAL,
        shared: None,
    };
    let computer = SshComputer::new(program.clone(), "ssh://me@elsewhere", access);
    let ways = ["server1", "server2"].map(|server| (server.to_owned(), computer.clone()));
    let ssh = Ssh::with(program, "id", "known").with_ways(ways.into());
    (folder, ssh)
}

/// The news until `enough`, for at most a minute.
fn news(watch: &Watch, mut enough: impl FnMut(&JournalNews) -> bool) -> Vec<JournalNews> {
    let mut heard = Vec::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if let Some(news) = watch.next(Duration::from_millis(100)) {
            let last = enough(&news);
            heard.push(news);
            if last {
                return heard;
            }
        }
    }
    panic!("not enough: {heard:?}")
}

#[test]
fn a_journal_is_told_once_and_read_again_when_it_ends() {
    let lab = lab();
    let (folder, ssh) = fake(&[("out", JOURNAL)]);
    let watch = Watch::start(&lab, &ssh, &["masterone"], Duration::from_secs(60));
    let mut lost = 0;
    let heard = news(&watch, |news| {
        lost += usize::from(matches!(news.event, JournalEvent::Lost(_)));
        lost == 2
    });
    let kinds: Vec<String> = heard
        .iter()
        .map(|news| match &news.event {
            JournalEvent::Said(progress) => format!("{} {}", progress.phase, progress.event.word()),
            JournalEvent::Reached => "reached".to_owned(),
            JournalEvent::Lost(_) => "lost".to_owned(),
            JournalEvent::GaveUp(_) => "gave up".to_owned(),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "reached",
            "prepare started",
            "prepare done",
            "init started",
            "init failed",
            "lost",
            "reached",
            "lost"
        ]
    );
    drop(watch);
    let calls = fs::read_to_string(folder.path().join("calls")).expect("noted");
    assert!(calls.lines().count() >= 2);

    let mut convergence = Convergence::new(["masterone"], 0);
    for news in &heard[..5] {
        convergence.hear(news);
    }
    let machine = convergence.machine("masterone").expect("it is there");
    assert_eq!((machine.stage, machine.since_ms), (Stage::Failed, 1200));
}

#[test]
fn a_bootstrap_is_started_before_its_journal_is_read_where_that_is_wanted() {
    let lab = lab();
    let calls = |start: fn(&Lab, &Ssh, &[&str], Duration) -> Watch| {
        let (folder, ssh) = fake(&[("out", JOURNAL)]);
        let watch = start(&lab, &ssh, &["masterone"], Duration::from_secs(60));
        news(&watch, |news| matches!(news.event, JournalEvent::Lost(_)));
        drop(watch);
        fs::read_to_string(folder.path().join("calls")).expect("noted")
    };
    let starts = "systemctl start --no-block caravan-bootstrap.service; echo CARAVAN-JOURNAL ";
    assert!(!calls(Watch::start).contains("systemctl"));
    let calls = calls(Watch::start_bootstraps);
    assert!(calls.contains(starts), "{calls}");
}

#[test]
fn a_clock_that_is_off_is_found_out_and_one_that_is_set_back_loses_no_line() {
    let lab = lab();
    let clock_of = |greeting: &str| {
        let journal =
            format!("CARAVAN-JOURNAL {greeting}\nCARAVAN 9000 init start\nCARAVAN 100 init done\n");
        let (_folder, ssh) = fake(&[("out", &journal)]);
        let watch = Watch::start(&lab, &ssh, &["masterone"], Duration::from_secs(60));
        let heard = news(&watch, |news| matches!(news.event, JournalEvent::Lost(_)));
        let said = |news: &&JournalNews| matches!(news.event, JournalEvent::Said(_));
        assert_eq!(heard.iter().filter(said).count(), 2, "{heard:?}");
        heard[1].clock
    };
    let behind = clock_of("1000000");
    let off = 1_000_000_i64 - i64::try_from(behind.heard_ms).expect("now");
    // Heard at the same moment, within what a busy computer needs for a line.
    assert!((behind.ahead_ms - off).abs() < 60_000, "{behind:?}");
    assert!(clock_of("99000000000000").ahead_ms > 1_000_000_000_000);
    // A machine that cannot tell is taken to be right.
    assert_eq!(clock_of("").ahead_ms, 0);
    assert_eq!(clock_of("%s%3N").ahead_ms, 0);
}

#[test]
fn a_machine_that_lets_nobody_in_is_given_up_with_the_reason() {
    let lab = lab();
    let denied = "vagrant@192.168.29.51: Permission denied (publickey).\n";
    let (_folder, ssh) = fake(&[("err", denied), ("status", "255")]);
    let watch = Watch::start(&lab, &ssh, &["masterone"], Duration::from_millis(100));
    let heard = news(&watch, |_| true);
    assert!(
        matches!(&heard[0].event, JournalEvent::GaveUp(why) if why.contains("Permission denied")),
        "{heard:?}"
    );
}

#[test]
fn a_lab_is_ready_once_each_of_its_machines_has_said_so() {
    let (_folder, ssh) = fake(&[(
        "out",
        "CARAVAN-JOURNAL\nCARAVAN 1000 prepare start x\nCARAVAN 2000 ready done\n",
    )]);
    let mut said = 0;
    until_ready(&lab(), &ssh, Duration::from_secs(60), &mut |news| {
        said += usize::from(matches!(news.event, JournalEvent::Said(_)));
    })
    .expect("ready");
    assert!(said >= 2 * lab().machines().len(), "{said}");

    let (_folder, ssh) = fake(&[("out", JOURNAL)]);
    let error = until_ready(&lab(), &ssh, Duration::from_secs(2), &mut |_| {}).expect_err("stuck");
    let text = error.to_string();
    assert!(
        text.contains("machine `workerone` is not ready: init: "),
        "{text}"
    );
}

#[test]
fn a_failure_is_explained_by_its_log() {
    let (_folder, ssh) = fake(&[("out", "first\nlast words\n")]);
    let found = explain(
        &lab(),
        &ssh,
        "masterone",
        Some(&Phase::NodeReady),
        "node masterone to be Ready",
    );
    assert_eq!(found.unit, "kubelet");
    assert_eq!(found.tail, ["first", "last words"]);
    assert_eq!(
        found.verb,
        "ssh external-etcd masterone -- sudo journalctl -u kubelet --no-pager"
    );
}
