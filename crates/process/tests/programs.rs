//! Runs real programs, small scripts of the tests' own, through the one door.
#![allow(missing_docs)]

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use caravan_process::{Error, Program};

/// Writes an executable shell script. By another process: one that a thread of this one writes cannot be started while a
/// program that another thread has just forked still holds the file ("text file busy").
fn script(dir: &Path, name: &str, body: &str) -> Program {
    let path = dir.join(name);
    Program::at("/bin/sh")
        .call([
            "-c",
            "cat >\"$0\" && chmod 755 \"$0\"",
            path.to_str().unwrap(),
        ])
        .stdin(format!("#!/bin/sh\n{body}\n"))
        .run()
        .unwrap();
    Program::at(path)
}

#[test]
fn run_returns_both_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "both", "echo out; echo err >&2");
    let output = program.call([""; 0]).run().unwrap();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn input_folder_and_environment_reach_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "env", "cat; pwd; echo $ONE-$TWO-$LC_ALL");
    let output = program
        .call([""; 0])
        .dir("/")
        .env("ONE", "1")
        .env("ONE", "2")
        .env("TWO", "x")
        .env_remove("TWO")
        .stdin("in\n")
        .run()
        .unwrap();
    assert_eq!(output.stdout, "in\n/\n2--C.UTF-8\n");
}

#[test]
fn failure_names_command_status_and_last_words() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(
        dir.path(),
        "bad",
        "echo first; echo 'no such thing' >&2; exit 3",
    );
    let error = program.call(["a b", "it's"]).run().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`bad 'a b' 'it'\\''s'` ended with status 3\n    no such thing"
    );
}

#[test]
fn output_accepts_any_status() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "four", "exit 4");
    assert_eq!(program.call([""; 0]).output().unwrap().status, Some(4));
}

#[test]
fn a_slow_program_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "slow", "exec sleep 600");
    let error = program
        .call([""; 0])
        .timeout(Duration::from_millis(200))
        .run()
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
}

#[test]
fn a_missing_program_is_named_with_the_next_command() {
    let error = Program::find("caravan-no-such-program").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`caravan-no-such-program` is not installed")
    );
    assert!(error.hint("the tool").unwrap().contains("the tool setup"));
}

#[test]
fn logged_hands_on_each_line_and_keeps_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("run.log");
    std::fs::write(&log, "an older run\n").unwrap();
    let program = script(dir.path(), "lines", "echo one; echo two >&2; printf three");
    let mut lines = Vec::new();
    program
        .call([""; 0])
        .logged(&log, &mut |line| lines.push(line.to_owned()))
        .unwrap();
    assert_eq!(lines, ["one", "two", "three"]);
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "an older run\none\ntwo\nthree"
    );
}

#[test]
fn logged_ends_with_the_program_though_a_grandchild_holds_its_output() {
    let dir = tempfile::tempdir().unwrap();
    // The grandchild outlives the program by a bounded time, and would hold a pipe open for that long.
    let program = script(dir.path(), "daemon", "sleep 30 & echo $!; exit 5");
    let mut lines = Vec::new();
    let error = program
        .call([""; 0])
        .logged(&dir.path().join("log"), &mut |line| {
            lines.push(line.to_owned())
        })
        .unwrap_err();
    // The grandchild is still there when the call has returned: nothing waited for it.
    let alive = Path::new("/proc").join(&lines[0]).exists();
    // The shell's own `kill`: the program is in a package that small systems lack.
    Program::find("sh")
        .unwrap()
        .call(["-c", "kill \"$0\"", &lines[0]])
        .run()
        .unwrap();
    assert!(alive);
    let Error::Failed(failure) = error else {
        panic!("{error}")
    };
    assert_eq!(failure.status, Some(5));
}

#[test]
fn follow_hands_on_lines_and_ends_the_program_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "endless", "echo $$; exec sleep 600");
    let (sender, lines) = mpsc::channel();
    let following = program
        .call([""; 0])
        .follow(move |line| sender.send(line.to_owned()).unwrap())
        .unwrap();
    let pid = lines.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(!following.ended());
    drop(following);
    assert!(!Path::new("/proc").join(pid).exists());
}
