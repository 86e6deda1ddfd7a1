//! Following journals, with a stand-in for `ssh`.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use caravan_cluster::convergence::{Convergence, Stage};
use caravan_cluster::watch::{News, Watch, What, explain, until_ready};
use caravan_lab::Lab;
use caravan_process::Program;
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
    let elsewhere = "host = \"ssh://me@elsewhere\"\nbridge = \"eth0\"\n";
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
    let ssh = Ssh::with(Program::at(folder.path().join("ssh")), "id", "known");
    (folder, ssh)
}

/// The news until `enough`, for at most a minute.
fn news(watch: &Watch, mut enough: impl FnMut(&News) -> bool) -> Vec<News> {
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
        lost += usize::from(matches!(news.what, What::Lost(_)));
        lost == 2
    });
    let kinds: Vec<String> = heard
        .iter()
        .map(|news| match &news.what {
            What::Said(progress) => format!("{} {}", progress.phase, progress.event.word()),
            What::Reached => "reached".to_owned(),
            What::Lost(_) => "lost".to_owned(),
            What::GaveUp(_) => "gave up".to_owned(),
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
            // The last one again, since another of the same millisecond may have been missed.
            "init failed",
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
fn a_machine_that_lets_nobody_in_is_given_up_with_the_reason() {
    let lab = lab();
    let denied = "vagrant@192.168.29.51: Permission denied (publickey).\n";
    let (_folder, ssh) = fake(&[("err", denied), ("status", "255")]);
    let watch = Watch::start(&lab, &ssh, &["masterone"], Duration::from_millis(100));
    let heard = news(&watch, |_| true);
    assert!(
        matches!(&heard[0].what, What::GaveUp(why) if why.contains("Permission denied")),
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
        said += usize::from(matches!(news.what, What::Said(_)));
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
        "node-ready",
        "node masterone to be Ready",
    );
    assert_eq!(found.unit, "kubelet");
    assert_eq!(found.tail, ["first", "last words"]);
    assert_eq!(
        found.command,
        "cargo xtask ssh external-etcd masterone -- sudo journalctl -u kubelet --no-pager"
    );
}
