//! Programs on another computer that outlive the connection to it, over a stand-in for ssh.
#![allow(missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use caravan_process::{
    CONNECT_SECONDS, Call, Computer, DetachedRun, Error, Pace, Program, RunEnd, SshAccess,
    SshComputer, UnknownHost,
};
use tempfile::TempDir;

/// A computer over ssh, and the folder of what plays it.
fn over_ssh() -> (TempDir, Computer) {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake/ssh");
    symlink(fake, folder.path().join("ssh")).expect("a link");
    let access = SshAccess {
        identity: None,
        known_hosts: folder.path().join("known_hosts"),
        unknown_host: UnknownHost::Refuse,
        through: None,
        connect_seconds: CONNECT_SECONDS,
        connect_attempts: 1,
        pace: Pace::USUAL,
        shared: None,
    };
    let program = Program::at(folder.path().join("ssh"));
    let computer = SshComputer::new(program, "me@server2", access);
    (folder, Computer::Ssh(computer))
}

fn run_of(computer: &Computer, folder: &Path) -> DetachedRun {
    let folder = folder.join("it's a run");
    DetachedRun::at(computer.clone(), folder.to_str().expect("text"))
}

fn shell(computer: &Computer, script: &str) -> Call {
    let program = computer.program("sh").expect("there is a shell");
    program.call(["-c", script, "a shell"])
}

fn followed(run: &DetachedRun) -> (Vec<String>, Result<RunEnd, Error>) {
    let mut lines = Vec::new();
    let end = run.follow(&mut |line| lines.push(line.to_owned()));
    (lines, end)
}

/// Waits for what another process does.
fn until(what: impl Fn() -> bool) {
    for _ in 0..600 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it never came");
}

#[test]
fn it_is_started_followed_and_has_a_status() {
    let (_played, computer) = over_ssh();
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_of(&computer, folder.path());
    assert!(!run.goes_on().expect("asked"), "nothing was started");
    let script = "pwd; echo \"$WORD\"; echo bad >&2; printf 'no end'; exit 7";
    let call = shell(&computer, script)
        .dir(folder.path())
        .env("WORD", "it's a $word");
    run.start(&call).expect("started");
    let (lines, end) = followed(&run);
    let here = folder.path().display().to_string();
    assert_eq!(lines, [&here, "it's a $word", "bad", "no end"]);
    assert_eq!(end.expect("it ended"), RunEnd::Status(7));
    // Whoever comes later reads the same.
    let (again, end) = followed(&run);
    assert_eq!((again, end.expect("it ended")), (lines, RunEnd::Status(7)));
    // And may start another one in its place.
    run.start(&shell(&computer, "echo other")).expect("started");
    let (lines, end) = followed(&run);
    assert_eq!(
        (lines, end.expect("it ended")),
        (vec!["other".to_owned()], RunEnd::Status(0))
    );
}

#[test]
fn one_that_goes_on_is_not_started_again() {
    let (_played, computer) = over_ssh();
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_of(&computer, folder.path());
    let gate = folder.path().join("gate");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.05; done", gate.display());
    run.start(&shell(&computer, &script)).expect("started");
    assert!(run.goes_on().expect("asked"));
    let error = run.start(&shell(&computer, "true")).expect_err("busy");
    assert!(
        matches!(&error, Error::StillRuns { command, .. } if command.contains("sleep 0.05")),
        "{error:?}"
    );
    fs::write(&gate, "").expect("written");
    assert_eq!(followed(&run).1.expect("it ended"), RunEnd::Status(0));
    assert!(!run.goes_on().expect("asked"));
}

#[test]
fn a_process_of_another_time_is_not_the_run() {
    let (_played, computer) = over_ssh();
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_of(&computer, folder.path());
    let place = folder.path().join("it's a run");
    fs::create_dir(&place).expect("made");
    fs::write(place.join("output"), "half a line").expect("written");
    // This test's own process is there, and was not started then.
    let pid = std::process::id();
    for process in [format!("{pid} 1\n"), format!("{pid}\n"), String::new()] {
        fs::write(place.join("process"), process).expect("written");
        assert!(!run.goes_on().expect("asked"));
    }
    let (lines, end) = followed(&run);
    assert_eq!(lines, ["half a line"]);
    assert_eq!(end.expect("it ended"), RunEnd::Killed);
}

#[test]
fn a_lost_connection_costs_no_line() {
    let (played, computer) = over_ssh();
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_of(&computer, folder.path());
    let gate = folder.path().join("gate");
    let script = format!(
        "echo one; echo two; while [ ! -e '{}' ]; do sleep 0.05; done; echo three",
        gate.display()
    );
    run.start(&shell(&computer, &script)).expect("started");
    let cut = AtomicBool::new(false);
    let mut lines = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            until(|| cut.load(Ordering::Relaxed));
            // From now on nobody gets in, and what is open ends.
            fs::write(played.path().join("err"), "Connection refused\n").expect("written");
            let pids = fs::read_to_string(played.path().join("pids")).expect("noted");
            for pid in pids.lines() {
                let kill = Program::at("/bin/sh").call(["-c", &format!("kill {pid}")]);
                drop(kill.output());
            }
            fs::write(&gate, "").expect("written");
            std::thread::sleep(Duration::from_millis(300));
            fs::remove_file(played.path().join("err")).expect("removed");
        });
        let end = run.follow(&mut |line| {
            lines.push(line.to_owned());
            cut.store(true, Ordering::Relaxed);
        });
        assert_eq!(end.expect("it ended"), RunEnd::Status(0));
    });
    assert_eq!(lines, ["one", "two", "three"]);
}

#[test]
fn a_connection_that_stays_away_is_given_up_and_the_program_goes_on() {
    let (played, computer) = over_ssh();
    let folder = tempfile::tempdir().expect("a folder");
    let run = run_of(&computer, folder.path());
    let gate = folder.path().join("gate");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.05; done", gate.display());
    run.start(&shell(&computer, &script)).expect("started");
    // Each attempt says why it failed, which is no sign of a connection.
    let err = played.path().join("err");
    fs::write(&err, "Connection refused\n").expect("written");
    let error = followed(&run).1.expect_err("nobody is reached");
    assert!(
        matches!(&error, Error::GoesOnThere { said, .. } if said == "Connection refused"),
        "{error:?}"
    );
    fs::remove_file(&err).expect("removed");
    assert!(run.goes_on().expect("asked"));
    fs::write(&gate, "").expect("written");
    assert_eq!(followed(&run).1.expect("it ended"), RunEnd::Status(0));
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let (_played, computer) = over_ssh();
    let error = computer
        .program("caravan-no-such-program")
        .expect_err("not there");
    assert_eq!(
        error.to_string(),
        "the program `caravan-no-such-program` is not installed on `me@server2`, or not on the search path there"
    );
}
